//! Why an owner does not get what it asks for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::family::Family;
use crate::owner::Owner;
use crate::pool::PoolProblem;
use crate::sharing::Protocol;

/// Why an address must not become a VIP, whatever the pools say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservedWhy {
    /// An address of this Node.
    Node(String),
    /// The cluster gives ClusterIPs from here.
    ServiceCidr,
    /// The cluster gives Pods their addresses from here.
    PodCidr,
    /// Its entry in the ledger cannot be read, so somebody may hold it.
    DamagedLedger,
}

impl fmt::Display for ReservedWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "an address of Node {node}"),
            Self::ServiceCidr => f.write_str("part of the cluster's Service range"),
            Self::PodCidr => f.write_str("part of the cluster's Pod range"),
            Self::DamagedLedger => f.write_str("an address whose ledger entry cannot be read"),
        }
    }
}

/// Why a request cannot be met, or only in part. The text can stand in a condition or event as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No pool serves the owner.
    #[error(
        "no address range serves namespace {namespace}: add key cidr-{namespace}, cidr-global, range-{namespace} or \
         range-global to the address ConfigMap, or an IPAddressPool"
    )]
    NoPool {
        /// The owner's namespace.
        namespace: String,
    },
    /// The pool asked for does not exist, or not for this owner.
    #[error("namespace {namespace} has no pool {pool}: ask for one that serves it, or for none")]
    PoolUnknown {
        /// The name asked for.
        pool: String,
        /// The owner's namespace.
        namespace: String,
    },
    /// The pool that decides is broken.
    #[error("nothing can be given from pool {pool}, because {problem}")]
    PoolInvalid {
        /// The pool.
        pool: Arc<str>,
        /// What is wrong with it.
        problem: PoolProblem,
    },
    /// All addresses of that family are taken or reserved.
    #[error(
        "pool {pool} has no free {family} address ({capacity} in all{}): widen it, or delete an owner",
        kept_back(*reserved)
    )]
    PoolExhausted {
        /// The pool.
        pool: Arc<str>,
        /// The family asked for.
        family: Family,
        /// Addresses of that family in the pool.
        capacity: u128,
        /// How many of them [`crate::Allocator::set_reserved`] keeps back.
        reserved: u128,
    },
    /// The pool has no address of that family at all.
    #[error("pool {pool} has no {family} addresses: add some, or do not ask for {family}")]
    FamilyNotInPool {
        /// The pool.
        pool: Arc<str>,
        /// The family asked for.
        family: Family,
    },
    /// Several pools serve the owner, and none of them can give.
    #[error(
        "no pool has an address for this owner: {}",
        tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    PoolsExhausted {
        /// Why each of them cannot, in the order in which they were tried; never fewer than two.
        tried: Vec<Reason>,
    },
    /// The address asked for belongs to another owner.
    #[error("{address} is held by {owner}: ask for another address, or delete that owner")]
    AddressTaken {
        /// The address asked for.
        address: IpAddr,
        /// Who holds it.
        owner: Arc<Owner>,
    },
    /// The address asked for lies in no pool that the owner may use.
    #[error("{address} is in no address range that serves namespace {namespace}: ask for one that is")]
    AddressOutsidePools {
        /// The address asked for.
        address: IpAddr,
        /// The owner's namespace.
        namespace: String,
    },
    /// The address and the pool asked for do not fit together.
    #[error("{address} is not in pool {pool}: ask for an address of that pool, or do not name the pool")]
    AddressNotInPool {
        /// The address asked for.
        address: IpAddr,
        /// The pool asked for.
        pool: Arc<str>,
    },
    /// The pool covers the address, but never gives addresses with that last octet.
    #[error(
        "{address} is never given, because it ends in .0 or .255, which some clients cannot reach: ask for another"
    )]
    AddressAvoided {
        /// The address asked for.
        address: IpAddr,
    },
    /// The address asked for is kept back by its pool.
    #[error("{address} is never given, because pool {pool} reserves it: ask for another address")]
    AddressKeptBack {
        /// The address asked for.
        address: IpAddr,
        /// The pool whose `spec.reserved` has it.
        pool: Arc<str>,
    },
    /// The address asked for is used by the cluster itself.
    #[error("{address} cannot be given, because it is {why}: ask for another address")]
    AddressReserved {
        /// The address asked for.
        address: IpAddr,
        /// What it is used for.
        why: ReservedWhy,
    },
    /// An address is of a family that is not asked for, or the second one of its family.
    #[error(
        "{address} is one too many, or of the wrong family: ask for at most one address of each of {families}"
    )]
    AddressNotWanted {
        /// The address asked for.
        address: IpAddr,
        /// The families of the owner, as text.
        families: String,
    },
    /// The holder has no sharing key, or another one.
    #[error(
        "{address} is held by {by}, whose sharing key differs: set the same key on both, or ask for another address"
    )]
    SharingKeyDiffers {
        /// The address.
        address: IpAddr,
        /// Who holds it.
        by: Arc<Owner>,
    },
    /// How the holder shares is not known yet, because it has not asked since the start.
    #[error(
        "{address} is held by {by}, of which it is not known yet how it shares: wait, this is tried again by itself"
    )]
    SharingUnknown {
        /// The address.
        address: IpAddr,
        /// Who holds it.
        by: Arc<Owner>,
    },
    /// The holder is of another namespace, and this owner does not share across namespaces.
    #[error(
        "{address} is held by {by} of another namespace: let both share across namespaces under one key, or ask for \
         another address"
    )]
    NamespaceDiffers {
        /// The address.
        address: IpAddr,
        /// Who holds it.
        by: Arc<Owner>,
    },
    /// The holder serves a port that this owner serves too.
    #[error(
        "{protocol} port {port} of {address} is served by {by}: change one of the ports, or ask for another address"
    )]
    PortTaken {
        /// The address.
        address: IpAddr,
        /// Protocol of the port.
        protocol: Protocol,
        /// The port, the first that both have.
        port: u16,
        /// Who serves it.
        by: Arc<Owner>,
    },
    /// The two are not served by the same nodes.
    #[error(
        "{address} is held by {by}, which other nodes serve: set external traffic policy Cluster on both, or Local with \
         the same selector, or ask for another address"
    )]
    BackendDiffers {
        /// The address.
        address: IpAddr,
        /// Who holds it.
        by: Arc<Owner>,
    },
    /// The owner holds the address with others, and by an edit of its own no longer fits to them.
    #[error("{why}; {address} stays with those who share it")]
    Forfeited {
        /// The address, which this owner must give up: [`crate::Allocator::forget`] it.
        address: IpAddr,
        /// Why it does not fit.
        why: Box<Reason>,
    },
}

/// The part of a text that is only there if addresses are reserved.
fn kept_back(reserved: u128) -> String {
    if reserved == 0 {
        String::new()
    } else {
        format!(", {reserved} of them used by Nodes, Pods or ClusterIPs")
    }
}

impl Reason {
    /// A stable CamelCase word for metric labels and condition reasons.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPool { .. } => "NoPool",
            Self::PoolUnknown { .. } => "PoolUnknown",
            Self::PoolInvalid { .. } => "PoolInvalid",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::FamilyNotInPool { .. } => "FamilyNotInPool",
            Self::AddressTaken { .. } => "AddressTaken",
            Self::AddressOutsidePools { .. } => "AddressOutsidePools",
            Self::AddressNotInPool { .. } => "AddressNotInPool",
            Self::AddressAvoided { .. } => "AddressAvoided",
            Self::AddressReserved { .. } => "AddressReserved",
            Self::AddressNotWanted { .. } => "AddressNotWanted",
            Self::PoolsExhausted { .. } => "PoolsExhausted",
            Self::AddressKeptBack { .. } => "AddressKeptBack",
            Self::SharingKeyDiffers { .. } => "SharingKeyDiffers",
            Self::SharingUnknown { .. } => "SharingUnknown",
            Self::NamespaceDiffers { .. } => "NamespaceDiffers",
            Self::PortTaken { .. } => "PortTaken",
            Self::BackendDiffers { .. } => "BackendDiffers",
            Self::Forfeited { why, .. } => why.code(),
        }
    }

    /// The address that the owner holds and must give up, because it no longer fits to those who share it.
    pub fn forfeits(&self) -> Option<IpAddr> {
        if let Self::Forfeited { address, .. } = self { Some(*address) } else { None }
    }
}
