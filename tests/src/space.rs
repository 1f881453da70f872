//! A namespace of a test's own, deleted when the test ends.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::keryx::Keryx;
use crate::wait;

/// A Kubernetes namespace that lives as long as this value.
pub struct Space<'a> {
    /// Keryx and its lab.
    pub keryx: &'a Keryx,
    /// Name of the namespace.
    pub name: String,
    /// Whether it goes with this value.
    is_own: bool,
}

impl<'a> Space<'a> {
    /// Makes the namespace.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn new(keryx: &'a Keryx, name: &str) -> Result<Self> {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        keryx.lab.apply(&object.to_string())?;
        Ok(Self { keryx, name: name.to_owned(), is_own: true })
    }

    /// A namespace that somebody else made; it stays.
    pub fn existing(keryx: &'a Keryx, name: &str) -> Self {
        Self { keryx, name: name.to_owned(), is_own: false }
    }

    /// Applies an object; its namespace is set to this one if it names none.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn apply(&self, mut object: Value) -> Result<()> {
        let metadata = object["metadata"].as_object_mut().context("an object without metadata")?;
        metadata.entry("namespace").or_insert_with(|| self.name.clone().into());
        self.keryx.lab.apply(&object.to_string())
    }

    /// Reads an object of this namespace.
    ///
    /// # Errors
    /// kubectl fails.
    pub fn get(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        self.keryx.get(&self.name, kind, name)
    }

    /// Runs kubectl in this namespace.
    ///
    /// # Errors
    /// kubectl fails.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.keryx.lab.kubectl(&[&["-n", &self.name], args].concat())
    }

    /// Waits until `look` finds something in an object.
    ///
    /// # Errors
    /// It never does; the text holds the object as it is then.
    pub fn wait_for<T>(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        mut look: impl FnMut(&Value) -> Option<T>,
    ) -> Result<T> {
        let found = wait::until(what, || Ok(self.get(kind, name)?.as_ref().and_then(&mut look)));
        found.with_context(|| {
            let now = self.get(kind, name).ok().flatten().unwrap_or_default();
            format!("{kind} {}/{name} is {:#}", self.name, now)
        })
    }

    /// Waits for an event with this reason in the namespace, and returns its type and message.
    ///
    /// # Errors
    /// There never is one.
    pub fn event(&self, reason: &str) -> Result<(String, String)> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        wait::until(&format!("an event {reason}"), || {
            let events: Value = serde_json::from_str(&self.kubectl(&["get", "events", "-o", "json"])?)?;
            let items = events["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let found = items.iter().find(|event| event["reason"] == reason);
            Ok(found.map(|event| (text(event, "type"), text(event, "message"))))
        })
    }

    /// Waits until a condition of an object has this status, and returns its reason and message. `path` leads to the
    /// list of conditions, such as `/status/conditions`.
    ///
    /// # Errors
    /// It never has.
    pub fn condition(
        &self,
        (kind, name): (&str, &str),
        path: &str,
        (type_, status): (&str, &str),
    ) -> Result<(String, String)> {
        self.wait_for(kind, name, &format!("{type_}={status}"), |object| {
            let conditions = object.pointer(path)?.as_array()?;
            let found = conditions.iter().find(|c| c["type"] == type_ && c["status"] == status)?;
            Some((found["reason"].as_str()?.to_owned(), found["message"].as_str()?.to_owned()))
        })
    }
}

impl Drop for Space<'_> {
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        // The lab goes in any case; a failure here must not hide the test's own.
        let _ignored = self.keryx.lab.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}
