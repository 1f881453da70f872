//! Who holds an address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Kind of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// A Gateway.
    Gateway,
    /// A Service of type LoadBalancer.
    Service,
}

/// What stays the same when an owner is deleted and created again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId {
    /// Gateway or Service.
    pub kind: OwnerKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            OwnerKind::Gateway => "Gateway",
            OwnerKind::Service => "Service",
        };
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

/// The Gateway or Service that holds addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind, namespace and name.
    pub id: OwnerId,
    /// `metadata.uid`.
    pub uid: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// One owner's hold on an address, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Who holds it.
    pub owner: Arc<Owner>,
    /// Name of the pool that it was taken from, which may have gone since.
    pub pool: Arc<str>,
}

/// Two owners were observed on one address. The first keeps it; the second's claim was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is held by {holder}, so {refused} cannot hold it too: give one of them another address")]
pub struct Conflict {
    /// The address.
    pub address: IpAddr,
    /// The owner that was observed first and keeps it.
    pub holder: Arc<Owner>,
    /// The owner that does not get it.
    pub refused: Arc<Owner>,
}
