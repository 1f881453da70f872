//! Label selectors of Keryx' own kinds, read once.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{ParseExpressionError, Selector};

/// A selector that has no meaning: the API server does not check its operators. An object with one is in force for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableSelector {
    /// Path of the field, such as `spec.nodeSelectors[0]`.
    pub field: String,
    why: String,
}

impl fmt::Display for UnreadableSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot be read: {}; operators are In, NotIn (each with values), Exists and DoesNotExist",
            self.field, self.why
        )
    }
}

impl std::error::Error for UnreadableSelector {}

/// The selectors of a field.
///
/// # Errors
/// The first that cannot be read.
pub(crate) fn read_all(field: &str, all: &[LabelSelector]) -> Result<Vec<Selector>, UnreadableSelector> {
    let each = all.iter().enumerate();
    each.map(|(place, one)| read(format!("{field}[{place}]"), one)).collect()
}

/// One selector.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(field: String, selector: &LabelSelector) -> Result<Selector, UnreadableSelector> {
    selector
        .clone()
        .try_into()
        .map_err(|error: ParseExpressionError| UnreadableSelector { field, why: error.to_string() })
}
