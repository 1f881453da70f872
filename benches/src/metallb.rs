//! MetalLB as a peer: its own programs and its own manifest, as they are, in pods as Keryx is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use keryx_lab::image::{Architecture, ImageBuilder};
use keryx_tests::{Keryx, wait};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::side::Side;

/// Names the folder with what is in [`PROGRAMS`] and [`MANIFEST`].
const VARIABLE: &str = "METALLB_BIN";
/// Containers of the manifest, each with the program of its name.
const PROGRAMS: [&str; 2] = ["controller", "speaker"];
/// From the folder `config/manifests` of MetalLB's module.
const MANIFEST: &str = "metallb-native.yaml";

/// An object that says how addresses are announced: version, kind and spec.
pub type Announced = (&'static str, &'static str, Value);

/// The programs, and the manifest that installs them.
#[derive(Debug)]
pub struct MetalLb {
    folder: PathBuf,
    manifest: String,
    /// Name of a container and its image.
    images: Vec<(String, String)>,
}

impl MetalLb {
    /// The peer that `METALLB_BIN` gives; `None` if it is not set.
    ///
    /// # Errors
    /// The folder lacks something.
    pub fn from_environment() -> Result<Option<Self>> {
        let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) else {
            return Ok(None);
        };
        let folder = PathBuf::from(folder);
        for name in PROGRAMS.iter().chain([&MANIFEST]) {
            let remedy = "docs/reference/benchmarks.md tells how to fill it";
            ensure!(folder.join(name).is_file(), "{VARIABLE}: {} has no {name}; {remedy}", folder.display());
        }
        let manifest = std::fs::read_to_string(folder.join(MANIFEST))?;
        let images = images(&manifest)?;
        Ok(Some(Self { folder, manifest, images }))
    }

    /// That the pool is announced by layer 2.
    pub fn layer2() -> Announced {
        ("v1beta1", "L2Advertisement", json!({ "ipAddressPools": ["bench"] }))
    }

    /// Installs it with one pool of the addresses in `range`, called `bench`, and waits until it is ready. `announced` are the objects that
    /// say how: version, kind and spec.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn install(&self, keryx: &Keryx, range: &str, announced: &[Announced]) -> Result<()> {
        let lab = &keryx.lab;
        let folder = tempfile::tempdir()?;
        for (program, image) in &self.images {
            let archive = folder.path().join(program);
            write_image(image, &self.folder.join(program), &archive)?;
            lab.load_image(&archive, &lab.nodes())?;
        }
        lab.apply(&self.manifest)?;
        Side::METALLB.wait_ready(keryx)?;
        let metadata = json!({ "name": "bench", "namespace": Side::METALLB.namespace() });
        let pool = ("v1beta1", "IPAddressPool", json!({ "addresses": [range] }));
        for (version, kind, spec) in [&pool].into_iter().chain(announced) {
            let object = json!({
                "apiVersion": format!("metallb.io/{version}"), "kind": kind, "metadata": metadata, "spec": spec,
            });
            // Its webhook may need a moment more than its readiness probe says.
            wait::until(&format!("an {kind}"), || lab.apply(&object.to_string()).map(Some))?;
        }
        Ok(())
    }
}

fn write_image(image: &str, program: &Path, archive: &Path) -> Result<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => Architecture::Amd64,
        "aarch64" => Architecture::Arm64,
        other => bail!("the lab makes no images for {other}"),
    };
    let inside = format!("/{}", program.file_name().unwrap_or_default().to_string_lossy());
    let builder = ImageBuilder::new(image, architecture).entrypoint([&inside]);
    builder.file(program, &inside, 0o755).write(archive)?;
    Ok(())
}

/// Containers and images of the manifest's workloads.
fn images(manifest: &str) -> Result<Vec<(String, String)>> {
    let mut images = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifest) {
        let object = Value::deserialize(document).context("the manifest is not YAML")?;
        let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let text = |field: &str| container[field].as_str().map(str::to_owned);
            images.extend(text("name").zip(text("image")));
        }
    }
    let names: Vec<&str> = images.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == PROGRAMS, "the manifest runs {names:?}; wanted is that for native BGP, {PROGRAMS:?}");
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str) -> String {
        format!(
            "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      \
             - name: {name}\n        image: lab.invalid/{name}:v1\n"
        )
    }

    #[test]
    fn the_images_of_the_manifest_are_those_of_its_containers() {
        let manifest =
            format!("kind: Namespace\n---\n{}---\n{}", workload("controller"), workload("speaker"));
        let image = |name: &str| (name.to_owned(), format!("lab.invalid/{name}:v1"));
        assert_eq!(images(&manifest).unwrap(), [image("controller"), image("speaker")]);
    }

    #[test]
    fn a_manifest_with_other_containers_is_refused_by_name() {
        let manifest = format!("{}---\n{}", workload("controller"), workload("frr"));
        let error = images(&manifest).unwrap_err().to_string();
        assert!(error.contains("frr"), "{error}");
    }
}
