//! Names of what the plan speaks about. All are cheap to clone, since they stand in many places.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keryx_api::ledger::OwnerKind;
use serde::{Deserialize, Serialize};

use crate::texts::Texts;

/// Name of a Node, as in `spec.nodeName` of a Pod and `nodeName` of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Arc<str>> for NodeName {
    fn from(name: Arc<str>) -> Self {
        Self(name)
    }
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Namespace and name of a namespaced object. Prints as `namespace/name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl ObjectName {
    /// Joins the two parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// As [`ObjectName::new`], with both parts kept once.
    pub(crate) fn keep(texts: &mut Texts, namespace: &str, name: &str) -> Self {
        Self { namespace: texts.keep(namespace), name: texts.keep(name) }
    }

    /// The name in `metadata`; an absent part, which the API server never sends, is empty.
    pub(crate) fn of(texts: &mut Texts, metadata: &ObjectMeta) -> Self {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        Self::keep(texts, &part(&metadata.namespace), &part(&metadata.name))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Who holds an address. Prints as `Gateway namespace/name` or `Service namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Gateway or Service.
    pub kind: OwnerKind,
    /// Namespace and name.
    pub name: ObjectName,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// Key of one owner of addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OwnerKey {
    /// A Gateway, by the name of its exposure ConfigMap. That name, and not the Gateway's, because the exposure of a
    /// Gateway that was deleted can stand for a moment beside that of its successor of the same name.
    Exposure(Arc<str>),
    /// A plain Service.
    Service(ObjectName),
}

impl fmt::Display for OwnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exposure(name) => write!(f, "exposure/{name}"),
            Self::Service(name) => write!(f, "service/{name}"),
        }
    }
}

/// Key of a group, VIPs that one node announces together: the key of that owner in it which has the best right. So it
/// is the same on every node, and stays for as long as that owner does and none with a better right joins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupKey(pub OwnerKey);

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
