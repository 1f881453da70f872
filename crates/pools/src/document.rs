//! Documents of a user's files: which of them declare pools, and what of them the API server would refuse.

use std::collections::BTreeMap;

use keryx_api::ip_address_pool::{self, IPAddressPool};
use keryx_api::names;
use serde_json::Value;

pub use crate::schema::FieldProblem;
use crate::schema::problems;

#[cfg(test)]
mod tests;

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A ConfigMap, perhaps the one with address ranges.
    ConfigMap {
        /// Its namespace, if it says.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// Its `data`.
        data: BTreeMap<String, String>,
    },
    /// An `IPAddressPool`.
    Pool(Box<IPAddressPool>),
    /// Anything else.
    Other {
        /// Kind and name.
        what: String,
    },
}

/// A document that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not an object of Kubernetes.
    #[error("a document has no kind; write whole objects, with apiVersion, kind and metadata")]
    NoKind,
    /// An object without a name.
    #[error("{kind} without a name; give it metadata.name")]
    NoName {
        /// Its kind.
        kind: String,
    },
    /// An `IPAddressPool` of another group or version.
    #[error("IPAddressPool {name} is of {version}; write apiVersion: {expected}")]
    OtherVersion {
        /// Its name.
        name: String,
        /// Its `apiVersion`.
        version: String,
        /// The right one.
        expected: String,
    },
    /// A field that the API server would refuse or drop.
    #[error("{what}: {problem}")]
    Field {
        /// Kind and name.
        what: String,
        /// What is wrong.
        problem: FieldProblem,
    },
    /// An object that does not fit its kind in another way.
    #[error("{what}: {error}")]
    Unfit {
        /// Kind and name.
        what: String,
        /// What is wrong.
        error: String,
    },
}

/// The schema of the spec of an `IPAddressPool`.
pub(crate) fn spec_schema() -> Value {
    let versions = ip_address_pool::definition().spec.versions;
    let schema = versions.into_iter().find_map(|version| version.schema?.open_api_v3_schema);
    let spec = schema.and_then(|schema| schema.properties?.remove("spec"));
    serde_json::to_value(spec).unwrap_or_default()
}

/// Reads one document; a list is read as what is in it. Empty documents are skipped.
pub fn read(document: Value) -> (Vec<Document>, Vec<DocumentError>) {
    let mut read = (Vec::new(), Vec::new());
    take_in(document, &mut read.0, &mut read.1);
    read
}

fn take_in(mut document: Value, documents: &mut Vec<Document>, errors: &mut Vec<DocumentError>) {
    if document.is_null() {
        return;
    }
    let Some(kind) = text(&document, "/kind") else { return errors.push(DocumentError::NoKind) };
    if kind.ends_with("List")
        && let Some(Value::Array(items)) = document.get_mut("items").map(Value::take)
    {
        return items.into_iter().for_each(|item| take_in(item, documents, errors));
    }
    let Some(name) = text(&document, "/metadata/name") else {
        return errors.push(DocumentError::NoName { kind });
    };
    let version = text(&document, "/apiVersion").unwrap_or_default();
    let namespace = text(&document, "/metadata/namespace");
    let what = format!("{kind} {name}");
    match kind.as_str() {
        "ConfigMap" if version == "v1" => {
            let data = config_map_data(&what, &document["data"], errors);
            documents.push(Document::ConfigMap { namespace, name, data });
        }
        "IPAddressPool" => {
            let expected = format!("{}/v1alpha1", names::GROUP);
            if version != expected {
                return errors.push(DocumentError::OtherVersion { name, version, expected });
            }
            let found = problems(&spec_schema(), "spec", &document["spec"]);
            let refused = !found.is_empty();
            let field = |problem| DocumentError::Field { what: what.clone(), problem };
            errors.extend(found.into_iter().map(field));
            match serde_json::from_value(document) {
                Ok(pool) => documents.push(Document::Pool(Box::new(pool))),
                // Where a field was named already, this says no more.
                Err(_) if refused => {}
                Err(error) => errors.push(DocumentError::Unfit { what, error: error.to_string() }),
            }
        }
        _ => documents.push(Document::Other { what }),
    }
}

fn text(document: &Value, pointer: &str) -> Option<String> {
    document.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// The `data` of a ConfigMap; values that are no text are errors, and left out.
fn config_map_data(what: &str, data: &Value, errors: &mut Vec<DocumentError>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (key, value) in data.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) => {
                texts.insert(key.clone(), text.to_owned());
            }
            None => {
                let (path, expected) = (format!("data.{key}"), "string".to_owned());
                let problem = FieldProblem::WrongType { path, found: value.to_string(), expected };
                errors.push(DocumentError::Field { what: what.to_owned(), problem });
            }
        }
    }
    texts
}
