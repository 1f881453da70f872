use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Architecture, ImageBuilder, ImageError};

const REFERENCE: &str = "keryx.invalid/keryx:test";

struct Entry {
    mode: u32,
    mtime: u64,
    owner: (u64, u64),
    bytes: Vec<u8>,
}

fn entries(archive: &[u8]) -> BTreeMap<String, Entry> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        (path, Entry { mode: header.mode().unwrap(), mtime: header.mtime().unwrap(), owner, bytes })
    });
    entries.collect()
}

/// What an importer sees: each document by way of the digests that lead to it.
struct Imported {
    index: Value,
    manifest: Value,
    config: Value,
    layer: BTreeMap<String, Entry>,
}

fn import(archive: &Path) -> Imported {
    let files = entries(&fs::read(archive).unwrap());
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let bytes = &files[&format!("blobs/{}", digest.replace(':', "/"))].bytes;
        assert_eq!(digest, sha256(bytes));
        assert_eq!(descriptor["size"].as_u64().unwrap(), bytes.len() as u64);
        bytes.clone()
    };
    let document = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(document(&files["oci-layout"].bytes)["imageLayoutVersion"], "1.0.0");
    let index = document(&files["index.json"].bytes);
    let manifest = document(&blob(&index["manifests"][0]));
    let config = document(&blob(&manifest["config"]));
    let layer_bytes = blob(&manifest["layers"][0]);
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([sha256(&layer_bytes)]));
    Imported { index, manifest, config, layer: entries(&layer_bytes) }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn several_programs_and_the_settings_read_back() {
    let folder = folder_with(&[("a", "controller"), ("b", "speaker")]);
    let archive = folder.path().join("image.tar");
    let image = ImageBuilder::new(REFERENCE, Architecture::Arm64)
        .entrypoint(["/usr/bin/keryx-controller", "--leader-elect"])
        .file(folder.path().join("b"), "/usr/bin/keryx-speaker", 0o755)
        .file(folder.path().join("a"), "/usr/bin/keryx-controller", 0o755)
        .file(folder.path().join("a"), "/notice", 0o100444)
        .label("org.opencontainers.image.version", "1")
        .env("B", "2")
        .env("A", "1")
        .user("65532:65532")
        .write(&archive)
        .unwrap();
    let imported = import(&archive);
    assert_eq!(image.reference, REFERENCE);
    assert_eq!(imported.index["manifests"][0]["digest"], image.digest);
    assert_eq!(
        imported.config["config"],
        serde_json::json!({
            "Entrypoint": ["/usr/bin/keryx-controller", "--leader-elect"],
            "Env": ["A=1", "B=2"],
            "Labels": {"org.opencontainers.image.version": "1"},
            "User": "65532:65532",
            "WorkingDir": "/",
        })
    );
    let found: Vec<_> = imported
        .layer
        .iter()
        .map(|(path, entry)| (path.as_str(), entry.mode, entry.bytes.as_slice()))
        .collect();
    assert_eq!(
        found,
        [
            ("notice", 0o444, b"controller".as_slice()),
            ("usr/", 0o755, b""),
            ("usr/bin/", 0o755, b""),
            ("usr/bin/keryx-controller", 0o755, b"controller"),
            ("usr/bin/keryx-speaker", 0o755, b"speaker"),
        ]
    );
    assert!(imported.layer.values().all(|entry| entry.mtime == 0 && entry.owner == (0, 0)));
}

#[test]
fn the_index_names_the_image_and_its_machine() {
    let folder = folder_with(&[]);
    for (architecture, name) in [(Architecture::Amd64, "amd64"), (Architecture::Arm64, "arm64")] {
        let archive = folder.path().join(name);
        ImageBuilder::new(REFERENCE, architecture).write(&archive).unwrap();
        let imported = import(&archive);
        let entry = &imported.index["manifests"][0];
        assert_eq!(entry["platform"], serde_json::json!({"architecture": name, "os": "linux"}));
        assert_eq!(entry["annotations"]["io.containerd.image.name"], REFERENCE);
        assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], REFERENCE);
        assert_eq!(imported.config["architecture"], name);
        let types = [
            (&imported.index["mediaType"], "index.v1+json"),
            (&entry["mediaType"], "manifest.v1+json"),
            (&imported.manifest["mediaType"], "manifest.v1+json"),
            (&imported.manifest["config"]["mediaType"], "config.v1+json"),
            (&imported.manifest["layers"][0]["mediaType"], "layer.v1.tar"),
        ];
        for (found, expected) in types {
            assert_eq!(found, &format!("application/vnd.oci.image.{expected}"));
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_another_input_another_digest() {
    let write = |text: &str, name: &str, reversed: bool| {
        let folder = folder_with(&[("a", text), ("b", "same")]);
        let mut files = vec![("a", "/a"), ("b", "/b")];
        let mut labels: Vec<_> = (0..20).map(|number| (format!("l{number}"), number.to_string())).collect();
        if reversed {
            files.reverse();
            labels.reverse();
        }
        let mut builder = ImageBuilder::new(REFERENCE, Architecture::Amd64);
        for (host_path, image_path) in files {
            builder = builder.file(folder.path().join(host_path), image_path, 0o755);
        }
        for (label, value) in labels {
            builder = builder.label(label, value);
        }
        let archive = folder.path().join(name);
        let image = builder.write(&archive).unwrap();
        (image.digest, fs::read(archive).unwrap())
    };
    let first = write("text", "first", false);
    assert_eq!(first, write("text", "second", true), "neither place, time nor order of calls shows");
    assert_ne!(first.0, write("other", "first", false).0);
}

#[test]
fn a_path_longer_than_a_plain_tar_header_is_kept() {
    let folder = folder_with(&[("a", "deep")]);
    let archive = folder.path().join("image.tar");
    let path = format!("/{}/{}", "d".repeat(120), "f".repeat(120));
    ImageBuilder::new(REFERENCE, Architecture::Amd64)
        .file(folder.path().join("a"), &path, 0o644)
        .write(&archive)
        .unwrap();
    assert_eq!(import(&archive).layer[&path[1..]].bytes, b"deep");
}

#[test]
fn what_cannot_be_an_image_is_refused_with_a_remedy() {
    let folder = folder_with(&[("a", "text")]);
    let host_path = folder.path().join("a");
    let write = |reference: &str, paths: &[&str]| {
        let mut builder = ImageBuilder::new(reference, Architecture::Amd64);
        for path in paths {
            builder = builder.file(&host_path, *path, 0o644);
        }
        builder.write(&folder.path().join("image.tar"))
    };
    for reference in
        ["", "keryx", "keryx:1", "keryx/keryx:1", "keryx.invalid/keryx", "keryx.invalid:5000/keryx"]
    {
        let refused = write(reference, &[]).unwrap_err();
        assert!(matches!(refused, ImageError::Reference(_)), "{reference}: {refused}");
    }
    for reference in ["keryx.invalid:5000/a/keryx:1", "localhost/keryx:1"] {
        write(reference, &[]).unwrap();
    }
    for path in ["usr/bin/a", "", "/", "/usr/../a", "/./a", "/usr//a", "/usr/"] {
        let refused = write(REFERENCE, &[path]).unwrap_err();
        assert!(matches!(refused, ImageError::Path(_)), "{path}: {refused}");
    }
    for paths in [["/a", "/a"], ["/a", "/a/b"], ["/a/b/c", "/a/b"]] {
        let refused = write(REFERENCE, &paths).unwrap_err();
        assert!(matches!(refused, ImageError::Taken(_)), "{paths:?}: {refused}");
    }
    let missing = ImageBuilder::new(REFERENCE, Architecture::Amd64)
        .file(folder.path().join("none"), "/a", 0o644)
        .write(&folder.path().join("image.tar"))
        .unwrap_err();
    assert!(missing.to_string().contains("none: No such file"), "{missing}");
}
