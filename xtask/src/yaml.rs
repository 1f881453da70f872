//! Kubernetes objects as YAML text, always in the same order of fields.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One object as a YAML document, without the leading `---`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document(String);

/// Renders `value` by way of its Kubernetes type `T`, so fields stand in the order of the type.
///
/// # Errors
/// If `value` has a field that `T` does not know, or lacks one that `T` needs.
pub fn document<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Document> {
    let place = || format!("{} {}", value["kind"], value["metadata"]["name"]);
    let typed: T = serde_json::from_value(value.clone()).with_context(place)?;
    let again = serde_json::to_value(&typed).with_context(place)?;
    if again != *value {
        bail!(
            "{}: a field is unknown to its Kubernetes type; the type keeps {again}, given was {value}",
            place()
        );
    }
    Ok(Document(serde_yaml::to_string(&typed).with_context(place)?))
}

/// A file of several documents below a comment `header` (lines without `#`).
pub fn file(header: &[&str], documents: &[Document]) -> String {
    let mut text = String::new();
    for line in header {
        let _ = writeln!(text, "# {line}");
    }
    for Document(document) in documents {
        let _ = write!(text, "---\n{document}");
    }
    text
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_the_type_does_not_know_is_refused() {
        let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "lable": {}}});
        assert!(document::<Namespace>(&value).unwrap_err().to_string().contains("unknown"));
    }

    #[test]
    fn fields_stand_in_the_order_of_the_type_whatever_the_order_given() {
        let value = json!({"metadata": {"name": "a"}, "kind": "Namespace", "apiVersion": "v1"});
        let text = file(&["made"], &[document::<Namespace>(&value).unwrap()]);
        assert_eq!(text, "# made\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n");
    }
}
