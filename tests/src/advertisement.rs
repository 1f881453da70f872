//! L2Advertisements of tests.

use anyhow::Result;
use serde_json::{Value, json};

use crate::keryx::{Keryx, NAMESPACE};
use crate::pool::{Pool, serving};
use crate::space::Space;

/// Label of pools that only a test's own advertisements are about.
const LABEL: &str = "keryx-tests/advertised";

/// A pool of a test's own and the advertisements about it. The tests share a cluster, so there is always one more
/// advertisement, about every other pool.
pub struct Advertised<'a> {
    keryx: &'a Keryx,
    /// Dropped before the advertisement about the other pools.
    _pool: Pool<'a>,
    _others: Advertisement<'a>,
    name: String,
}

/// An L2Advertisement that goes with this value.
pub struct Advertisement<'a> {
    keryx: &'a Keryx,
    name: String,
}

impl<'a> Advertised<'a> {
    /// A pool with these addresses for the namespace of the same name, and no advertisement about it yet.
    ///
    /// # Errors
    /// The API server refuses an object, or the controller the pool.
    pub fn new(keryx: &'a Keryx, name: &str, addresses: &[&str]) -> Result<Self> {
        let unlabelled = json!({ "matchExpressions": [{ "key": LABEL, "operator": "DoesNotExist" }] });
        let others =
            Advertisement::apply(keryx, "others", json!({ "ipAddressPoolSelectors": [unlabelled] }))?;
        let pool = Pool::in_force(keryx, name, serving(name, addresses))?;
        keryx.lab.kubectl(&["-n", NAMESPACE, "label", "ipaddresspool", name, &format!("{LABEL}={name}")])?;
        Ok(Self { keryx, _pool: pool, _others: others, name: name.to_owned() })
    }

    /// Says something about the pool. What was said under the same name before is replaced.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn say(&self, name: &str, mut spec: Value) -> Result<Advertisement<'a>> {
        spec["ipAddressPools"] = json!([self.name]);
        Advertisement::apply(self.keryx, &format!("{}-{name}", self.name), spec)
    }
}

impl<'a> Advertisement<'a> {
    /// Applies an advertisement.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn apply(keryx: &'a Keryx, name: &str, spec: Value) -> Result<Self> {
        let object = json!({
            "apiVersion": "keryx.dev/v1alpha1", "kind": "L2Advertisement",
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        });
        keryx.lab.apply(&object.to_string())?;
        Ok(Self { keryx, name: name.to_owned() })
    }

    /// Waits until a condition has this status, and returns its reason and message.
    ///
    /// # Errors
    /// It never has.
    pub fn condition(&self, type_: &str, status: &str) -> Result<(String, String)> {
        let space = Space::existing(self.keryx, NAMESPACE);
        space.condition(("l2advertisement", &self.name), "/status/conditions", (type_, status))
    }
}

impl Drop for Advertisement<'_> {
    fn drop(&mut self) {
        // The lab goes in any case; a failure here must not hide the test's own.
        let _ignored = self.keryx.lab.kubectl(&["-n", NAMESPACE, "delete", "l2advertisement", &self.name]);
    }
}
