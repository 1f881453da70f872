//! How objects are named and looked up.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keryx_api::gateway_api::ReferenceGrant;

/// Namespace and name of an object whose kind is known from the context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The key of `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key that stands in an object's metadata; absent fields are empty.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a decision looks up in the cluster: lookups in memory, of one consistent snapshot.
pub trait Cluster {
    /// The Service of that name, clones and anchors included.
    fn service(&self, namespace: &str, name: &str) -> Option<&Service>;
    /// Labels of a Namespace; `None` if it does not exist.
    fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>>;
    /// Every ReferenceGrant in a namespace, in any order.
    fn reference_grants(&self, namespace: &str) -> Vec<&ReferenceGrant>;
}
