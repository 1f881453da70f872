//! IPAddressPools of tests.

use anyhow::Result;
use serde_json::{Value, json};

use crate::keryx::{Keryx, NAMESPACE};
use crate::space::Space;

/// An IPAddressPool that goes with this value.
pub struct Pool<'a> {
    keryx: &'a Keryx,
    name: String,
}

impl<'a> Pool<'a> {
    /// Applies the pool.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn apply(keryx: &'a Keryx, name: &str, spec: Value) -> Result<Self> {
        let object = json!({
            "apiVersion": "keryx.dev/v1alpha1", "kind": "IPAddressPool",
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        });
        keryx.lab.apply(&object.to_string())?;
        Ok(Self { keryx, name: name.to_owned() })
    }

    /// As [`Pool::apply`], and waits until the controller has seen it and gives from it.
    ///
    /// # Errors
    /// The API server refuses it, or the controller does.
    pub fn in_force(keryx: &'a Keryx, name: &str, spec: Value) -> Result<Self> {
        let pool = Self::apply(keryx, name, spec)?;
        let space = Space::existing(keryx, NAMESPACE);
        space.wait_for("ipaddresspool", name, "a status of its generation", |object| {
            let seen = object.pointer("/status/observedGeneration")?;
            (seen == object.pointer("/metadata/generation")?).then_some(())
        })?;
        pool.condition("Ready", "True")?;
        Ok(pool)
    }

    /// Waits until the status has this at `path`.
    ///
    /// # Errors
    /// It never has.
    pub fn shows(&self, path: &str, wanted: &Value) -> Result<()> {
        let space = Space::existing(self.keryx, NAMESPACE);
        let what = format!("{path} to be {wanted}");
        space.wait_for("ipaddresspool", &self.name, &what, |pool| {
            (pool.pointer(&format!("/status{path}"))? == wanted).then_some(())
        })
    }

    /// Waits until a condition has this status, and returns its reason and message.
    ///
    /// # Errors
    /// It never has.
    pub fn condition(&self, type_: &str, status: &str) -> Result<(String, String)> {
        let space = Space::existing(self.keryx, NAMESPACE);
        space.condition(("ipaddresspool", &self.name), "/status/conditions", (type_, status))
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        // The lab goes in any case; a failure here must not hide the test's own.
        let _ignored = self.keryx.lab.kubectl(&["-n", NAMESPACE, "delete", "ipaddresspool", &self.name]);
    }
}

/// A pool of these addresses for one namespace alone.
pub fn serving(namespace: &str, addresses: &[&str]) -> Value {
    json!({ "addresses": addresses, "serviceAllocation": { "priority": 1, "namespaces": [namespace] } })
}
