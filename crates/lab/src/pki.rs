//! Certificates, tokens and kubeconfigs of a lab. They last as long as the lab, so nothing here ever expires.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::address;
use crate::state::State;

/// Where everything is, below the state folder.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    folder: PathBuf,
}

/// The users that every cluster has: kubeconfig, user name, group.
const USERS: [(&str, &str, &str); 6] = [
    ("admin", "admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("proxy", "system:kube-proxy", ""),
    ("coredns", "system:coredns", ""),
    // It writes what kubelets and the garbage collector would.
    ("kwok", "kwok", "system:masters"),
];

impl Pki {
    /// Makes everything for a cluster with so many nodes.
    pub(crate) fn create(state: &State, nodes: u8) -> Result<Pki> {
        let pki = Pki { folder: state.path("pki") };
        fs::create_dir(&pki.folder)?;
        pki.write_certificates(nodes)?;
        let service_accounts = KeyPair::generate()?;
        pki.write("service-account.key", &service_accounts.serialize_pem())?;
        pki.write("service-account.pub", &service_accounts.public_key_pem())?;

        let users = USERS.map(|(name, user, group)| (name.to_owned(), user.to_owned(), group));
        let nodes = (1..=nodes).map(|k| (format!("n{k}"), format!("system:node:n{k}"), "system:nodes"));
        let mut tokens = String::new();
        for (name, user, group) in users.into_iter().chain(nodes) {
            let token = random_token()?;
            let _ = writeln!(tokens, "{token},{user},{name},\"{group}\"");
            pki.write(&format!("{name}.kubeconfig"), &pki.kubeconfig_text(&token))?;
        }
        pki.write("tokens.csv", &tokens)?;
        Ok(pki)
    }

    /// A file by name: `ca.crt`, `ca.key`, `server.crt`, `server.key`, `service-account.key`,
    /// `service-account.pub`, `tokens.csv`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The kubeconfig of a user, by the name in [`USERS`] or of a node.
    pub(crate) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.kubeconfig"))
    }

    /// Writes the kubeconfig of a ServiceAccount with that token, in place of an earlier one.
    pub(crate) fn write_service_account(&self, namespace: &str, name: &str, token: &str) -> Result<PathBuf> {
        let file = format!("{namespace}.{name}");
        let path = self.kubeconfig(&file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            Ok(()) | Err(_) => {}
        }
        self.write(&format!("{file}.kubeconfig"), &self.kubeconfig_text(token))?;
        Ok(path)
    }

    /// One serving certificate for all: what makes its own at start takes a second of processor time for it.
    fn write_certificates(&self, nodes: u8) -> Result<()> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "keryx-lab");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        self.write("ca.crt", &ca.self_signed(&ca_key)?.pem())?;
        self.write("ca.key", &ca_key.serialize_pem())?;

        let hosts = (1..=nodes).map(|k| address::segment_v4(0, address::node(k)).to_string());
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1"];
        let own = [
            address::management(address::CONTROL_PLANE).to_string(),
            address::API_SERVICE_V4.to_string(),
            address::API_SERVICE_V6.to_string(),
        ];
        let names: Vec<_> = names.map(str::to_owned).into_iter().chain(own).chain(hosts).collect();
        let mut server = CertificateParams::new(names)?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let issuer = Issuer::new(ca, ca_key);
        self.write("server.crt", &server.signed_by(&server_key, &issuer)?.pem())?;
        self.write("server.key", &server_key.serialize_pem())
    }

    fn kubeconfig_text(&self, token: &str) -> String {
        let server = format!("https://{}:6443", address::management(address::CONTROL_PLANE));
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": self.file("ca.crt")}}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "user"}}],
        });
        config.to_string()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        use std::io::Write as _;
        let path = self.folder.join(name);
        let opened = fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
        opened
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| path.display().to_string())
    }
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open(Path::new("/dev/urandom"))?.read_exact(&mut bytes)?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}
