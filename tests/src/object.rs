//! Objects of Keryx' own kinds that go with a value.

use anyhow::Result;
use serde_json::{Value, json};

use crate::keryx::{Keryx, NAMESPACE};
use crate::space::Space;

/// An object in Keryx' own namespace, deleted with this value.
pub struct Object<'a> {
    keryx: &'a Keryx,
    kind: &'static str,
    name: String,
}

impl<'a> Object<'a> {
    /// Applies an object.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn apply(keryx: &'a Keryx, kind: &'static str, name: &str, spec: Value) -> Result<Self> {
        let object = Self { keryx, kind, name: name.to_owned() };
        object.change(spec)?;
        Ok(object)
    }

    /// Gives it another spec.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn change(&self, spec: Value) -> Result<()> {
        let object = json!({
            "apiVersion": "keryx.dev/v1alpha1", "kind": self.kind,
            "metadata": { "name": self.name, "namespace": NAMESPACE }, "spec": spec,
        });
        self.keryx.lab.apply(&object.to_string())
    }

    /// Waits until a condition has this status, and returns its reason and message.
    ///
    /// # Errors
    /// It never has.
    pub fn condition(&self, type_: &str, status: &str) -> Result<(String, String)> {
        let space = Space::existing(self.keryx, NAMESPACE);
        space.condition((self.kind, &self.name), "/status/conditions", (type_, status))
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // The lab goes in any case; a failure here must not hide the test's own.
        let _ignored = self.keryx.lab.kubectl(&["-n", NAMESPACE, "delete", self.kind, &self.name]);
    }
}
