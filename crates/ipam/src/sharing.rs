//! Under which conditions several owners may hold one address.

use std::collections::BTreeSet;
use std::fmt;

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// Which nodes can serve an owner's traffic. Owners on one address must agree, since one node announces it for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Every node (external traffic policy `Cluster`).
    Any,
    /// Nodes with a Pod behind the owner (policy `Local`). The text tells one set of Pods from another: the selector, the
    /// namespace included.
    Local(String),
}

/// An owner's consent to hold its addresses together with others.
///
/// Several owners may hold one address if all of them have the same key, which is not empty; are of one namespace, or all say
/// `across_namespaces`; have no (protocol, port) in common; and have the same backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// The sharing key. Empty is the same as no sharing at all.
    pub key: String,
    /// Share with owners of other namespaces that say so too.
    pub across_namespaces: bool,
    /// Every port that the owner serves.
    pub ports: BTreeSet<(Protocol, u16)>,
    /// Which nodes can serve it.
    pub backend: Backend,
}
