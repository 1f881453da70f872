//! Which addresses a Gateway asks for, and what IPAM answered.

use std::net::IpAddr;

use keryx_api::gateway_api::{Gateway, GatewayAddresses};
use thiserror::Error;

/// The address type of everything in `status.addresses`.
pub const IP_ADDRESS: &str = "IPAddress";
/// The address type whose value is the name of a pool: one address of that pool.
pub const POOL: &str = "keryx.dev/pool";

/// What IPAM should give to a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// `spec.addresses` is empty: one address of each family that the pool has.
    EachAvailable,
    /// One address for each entry of `spec.addresses`, in its order.
    Listed(Vec<WantedAddress>),
}

/// One entry of `spec.addresses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedAddress {
    /// This address and no other.
    Exact(IpAddr),
    /// Type without value: any one address, of either family.
    AnyOfType,
    /// Any one address of the pool of this name, of either family.
    FromPool(String),
}

/// Why `spec.addresses` cannot be asked of IPAM at all. [`crate::decide()`] finds it too and says it on the Gateway
/// before anything that [`AddressState`] says; claims that the Gateway has from before are given there as `held`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressProblem {
    /// A type other than [`IP_ADDRESS`] and [`POOL`]: the Gateway is not Accepted, `UnsupportedAddress`.
    #[error(
        "Addresses of type {type_} are not supported; use type {IP_ADDRESS}, with or without a value, or type {POOL} \
         with the name of a pool"
    )]
    UnsupportedType {
        /// The type asked for.
        type_: String,
    },
    /// A value that is no IP address: the Gateway is not Programmed, `AddressNotUsable`.
    #[error("{value:?} in spec.addresses is no IP address; give an IPv4 or IPv6 address, or none to get any")]
    NotAnAddress {
        /// The value asked for.
        value: String,
    },
    /// Type [`POOL`] without a value: the Gateway is not Programmed, `AddressNotUsable`.
    #[error("An entry of type {POOL} in spec.addresses needs the name of a pool as its value")]
    PoolNotNamed,
    /// Entries of two pools: the Gateway is not Programmed, `AddressNotUsable`.
    #[error(
        "spec.addresses names the pools {first} and {second}; name one pool, in as many entries as addresses"
    )]
    SeveralPools {
        /// The pool named first.
        first: String,
        /// Another.
        second: String,
    },
}

/// IPAM's answer for one Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressState {
    /// The demand is met: the claims, in the order of `status.addresses`.
    Assigned(Vec<IpAddr>),
    /// The demand is not met.
    Refused {
        /// Which kind of "no".
        reason: RefusalReason,
        /// The cause for people, with what would mend it.
        message: String,
        /// Claims that the Gateway has from before and keeps: they stay in use while the new demand cannot be met.
        held: Vec<IpAddr>,
    },
    /// IPAM has not answered yet.
    Pending,
}

impl AddressState {
    /// The addresses that the Gateway has now.
    pub fn held(&self) -> &[IpAddr] {
        match self {
            Self::Assigned(held) | Self::Refused { held, .. } => held,
            Self::Pending => &[],
        }
    }
}

/// Why a Gateway does not get its addresses; the reason of `Programmed=False`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No address is free, or no pool serves the Gateway.
    AddressNotAssigned,
    /// An address that was asked for by value is bad, in no pool, or another's.
    AddressNotUsable,
}

impl RefusalReason {
    /// The condition reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AddressNotAssigned => crate::reason::ADDRESS_NOT_ASSIGNED,
            Self::AddressNotUsable => crate::reason::ADDRESS_NOT_USABLE,
        }
    }
}

/// What IPAM must give, from `spec.addresses`. An unsupported type is found before a bad value.
pub fn demand(gateway: &Gateway) -> Result<Demand, AddressProblem> {
    let listed = gateway.spec.addresses.as_deref().unwrap_or_default();
    let mut types = listed.iter().filter_map(|entry| entry.r#type.as_deref());
    if let Some(type_) = types.find(|type_| ![IP_ADDRESS, POOL].contains(type_)) {
        return Err(AddressProblem::UnsupportedType { type_: type_.to_owned() });
    }
    if listed.is_empty() {
        return Ok(Demand::EachAvailable);
    }
    let wanted: Vec<WantedAddress> = listed.iter().map(wanted).collect::<Result<_, _>>()?;
    let mut pools = wanted.iter().filter_map(WantedAddress::pool);
    if let Some(first) = pools.next()
        && let Some(second) = pools.find(|pool| *pool != first)
    {
        return Err(AddressProblem::SeveralPools { first: first.to_owned(), second: second.to_owned() });
    }
    Ok(Demand::Listed(wanted))
}

impl WantedAddress {
    /// The pool named.
    pub fn pool(&self) -> Option<&str> {
        match self {
            Self::FromPool(pool) => Some(pool),
            Self::Exact(_) | Self::AnyOfType => None,
        }
    }
}

fn wanted(entry: &GatewayAddresses) -> Result<WantedAddress, AddressProblem> {
    let is_pool = entry.r#type.as_deref() == Some(POOL);
    match entry.value.as_deref() {
        None | Some("") if is_pool => Err(AddressProblem::PoolNotNamed),
        None | Some("") => Ok(WantedAddress::AnyOfType),
        Some(pool) if is_pool => Ok(WantedAddress::FromPool(pool.to_owned())),
        Some(value) => value
            .parse()
            .map(WantedAddress::Exact)
            .map_err(|_| AddressProblem::NotAnAddress { value: value.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
