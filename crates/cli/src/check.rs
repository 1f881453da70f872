//! `keryx check -f FILE`: what an edit of pools would do.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::ConfigMap;
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::names;
use keryx_pools::document::{self, Document};
use keryx_pools::ledger::read_blocks;
use keryx_pools::preview::{Edit, Severity, preview};
use keryx_pools::sources::Sources;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::Value;

use crate::args::{Args, CheckArgs, RangesArgs};
use crate::cluster::{list, list_if_served};

/// Prints what the edit would do, and says whether nothing is wrong with it.
pub(crate) async fn check(args: &Args, what: &CheckArgs) -> anyhow::Result<bool> {
    let mut report = Report::default();
    let mut edit = Edit { deleted: what.deleted_pools.iter().cloned().collect(), ..Edit::default() };
    for file in &what.files {
        let place = what.ranges.place(&args.keryx_namespace);
        take_in(&read(file)?, &args.keryx_namespace, place, &mut edit, &mut report)
            .with_context(|| format!("failed to read {}", file.display()))?;
    }
    let (now, blocks) = if what.offline {
        (Sources::default(), Vec::new())
    } else {
        let client = keryx_daemon::connect::client(args.kubeconfig.as_deref()).await?;
        (sources(&client, args, &what.ranges).await?, blocks(&client, args).await?)
    };
    for finding in preview(&now, &edit, &read_blocks(&blocks).entries) {
        match finding.severity() {
            Severity::Error => report.error(&finding),
            Severity::Notice => report.notice(&finding),
        }
    }
    println!("{}", report.end());
    Ok(report.errors == 0)
}

/// What was printed so far.
#[derive(Default)]
struct Report {
    errors: usize,
    notices: usize,
}

impl Report {
    fn error(&mut self, text: &impl ToString) {
        self.errors += 1;
        println!("error: {}", text.to_string());
    }

    fn notice(&mut self, text: &impl ToString) {
        self.notices += 1;
        println!("notice: {}", text.to_string());
    }

    fn end(&self) -> String {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            _ => format!("{number} {what}s"),
        };
        match (self.errors, self.notices) {
            (0, 0) => "nothing wrong".to_owned(),
            (errors, notices) => format!("{}, {}", count(errors, "error"), count(notices, "notice")),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("failed to read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
}

/// Adds the documents in `text` to the edit; of two of one name the later counts. The address ConfigMap is the one at
/// `place`, pools are those in the namespace `own`; a document may leave its namespace to kubectl.
fn take_in(
    text: &str,
    own: &str,
    place: (&str, &str),
    edit: &mut Edit,
    report: &mut Report,
) -> serde_yaml::Result<()> {
    for document in serde_yaml::Deserializer::from_str(text) {
        let (documents, errors) = document::read(Value::deserialize(document)?);
        errors.iter().for_each(|error| report.error(error));
        for document in documents {
            match document {
                Document::ConfigMap { namespace, name, data }
                    if name == place.1
                        && namespace.as_deref().is_none_or(|namespace| namespace == place.0) =>
                {
                    edit.keys = Some(data);
                }
                Document::Pool(pool) => match (pool.namespace(), pool.name_any()) {
                    (Some(namespace), name) if namespace != own => report.error(&format!(
                        "IPAddressPool {name} is in namespace {namespace}, where nobody reads it; write namespace: {own}"
                    )),
                    (_, name) => {
                        edit.objects.retain(|earlier| earlier.name_any() != name);
                        edit.objects.push(*pool);
                    }
                },
                Document::ConfigMap { name, .. } => {
                    report.notice(&format!(
                        "ConfigMap {name} is not {}/{} and is passed over",
                        place.0, place.1
                    ));
                }
                Document::Other { what } => {
                    report.notice(&format!("{what} declares no pool and is passed over"))
                }
            }
        }
    }
    Ok(())
}

/// All that declares pools in the cluster.
pub(crate) async fn sources(client: &Client, args: &Args, ranges: &RangesArgs) -> anyhow::Result<Sources> {
    let (namespace, name) = ranges.place(&args.keryx_namespace);
    let configmaps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let configmap = configmaps.get_opt(name).await;
    let configmap = configmap.with_context(|| format!("failed to read ConfigMap {namespace}/{name}"))?;
    let pools: Api<IPAddressPool> = Api::namespaced(client.clone(), &args.keryx_namespace);
    Ok(Sources {
        keys: configmap.map(|configmap| configmap.data.unwrap_or_default()),
        objects: list_if_served(&pools).await?,
    })
}

/// The blocks of the ledger.
pub(crate) async fn blocks(client: &Client, args: &Args) -> anyhow::Result<Vec<ConfigMap>> {
    let selector = format!("{}={}", names::LABEL_COMPONENT, names::COMPONENT_LEDGER);
    list(&Api::namespaced(client.clone(), &args.keryx_namespace), &ListParams::default().labels(&selector))
        .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const PLACE: (&str, &str) = ("keryx-system", "keryx");

    fn taken(text: &str) -> (Edit, Report) {
        let (mut edit, mut report) = Default::default();
        take_in(text, "keryx-system", PLACE, &mut edit, &mut report).unwrap();
        (edit, report)
    }

    #[test]
    fn the_documents_of_a_file_make_one_edit_and_others_are_passed_over() {
        let (edit, report) = taken(concat!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keryx}\ndata: {range-global: 192.0.2.1}\n---\n---\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keryx, namespace: other}\n---\n",
            "apiVersion: keryx.dev/v1alpha1\nkind: IPAddressPool\nmetadata: {name: edge}\n",
            "spec: {addresses: [192.0.2.2]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n",
        ));
        let keys = BTreeMap::from([("range-global".to_owned(), "192.0.2.1".to_owned())]);
        assert_eq!(edit.keys, Some(keys));
        assert_eq!(edit.objects[0].spec.addresses, ["192.0.2.2"]);
        assert_eq!((report.errors, report.notices), (0, 2));
        assert_eq!(report.end(), "0 errors, 2 notices");
    }

    #[test]
    fn a_pool_elsewhere_is_an_error_and_of_two_of_one_name_the_later_counts() {
        let pool = |namespace: &str, address: &str| {
            format!(
                "apiVersion: keryx.dev/v1alpha1\nkind: IPAddressPool\nmetadata: {{name: edge, namespace: {namespace}}}\n\
                 spec: {{addresses: [{address}]}}\n---\n"
            )
        };
        let text =
            [pool("keryx-system", "192.0.2.1"), pool("keryx-system", "192.0.2.2"), pool("apps", "192.0.2.3")];
        let (edit, report) = taken(&text.concat());
        assert_eq!(edit.objects.len(), 1);
        assert_eq!(edit.objects[0].spec.addresses, ["192.0.2.2"]);
        assert_eq!(report.end(), "1 error, 0 notices");
    }

    #[test]
    fn what_is_no_yaml_is_no_answer_and_what_is_wrong_is_an_error() {
        let (mut edit, mut report) = Default::default();
        assert!(take_in("a: b: c", "keryx-system", PLACE, &mut edit, &mut report).is_err());
        let (_, report) = taken("kind: Pod");
        assert_eq!(report.end(), "1 error, 0 notices");
        assert_eq!(Report::default().end(), "nothing wrong");
    }
}
