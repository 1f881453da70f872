//! What a route says beside its prefix.

use std::collections::BTreeSet;
use std::ops::Deref;

/// Octets that all communities of one route may take together. With it, attributes and one prefix always fit a message.
pub const COMMUNITIES_MAX_LEN: usize = 2048;
/// How often the own AS may be prepended.
pub const PREPEND_MAX: u8 = 64;

/// ORIGIN (RFC 4271 §5.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Interior to the originating AS. What a load balancer says of its own prefixes.
    #[default]
    Igp,
    /// Learned by EGP.
    Egp,
    /// Learned by some other means.
    Incomplete,
}

/// The values of a route's attributes. NEXT_HOP is not among them: it follows from the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeValues {
    /// ORIGIN.
    pub origin: Origin,
    /// How often the own AS stands in the AS_PATH beside the one time that it must (RFC 4271 §5.1.2). Only said to
    /// external peers: an internal one would see its own AS and refuse the route.
    pub prepend: u8,
    /// MULTI_EXIT_DISC (RFC 4271 §5.1.4).
    pub med: Option<u32>,
    /// LOCAL_PREF, only said to internal peers (RFC 4271 §5.1.5), where `None` is 100.
    pub local_pref: Option<u32>,
    /// COMMUNITIES (RFC 1997).
    pub communities: BTreeSet<u32>,
    /// EXTENDED COMMUNITIES (RFC 4360), type included.
    pub extended_communities: BTreeSet<[u8; 8]>,
    /// LARGE_COMMUNITY (RFC 8092): global administrator and two parts of local data.
    pub large_communities: BTreeSet<[u32; 3]>,
}

/// Attribute values that fit a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attributes(AttributeValues);

impl Attributes {
    /// Checks the limits.
    ///
    /// # Errors
    /// More than [`COMMUNITIES_MAX_LEN`] octets of communities, or more than [`PREPEND_MAX`] prepended.
    pub fn new(values: AttributeValues) -> Result<Self, AttributesError> {
        let length = values.communities.len() * 4
            + values.extended_communities.len() * 8
            + values.large_communities.len() * 12;
        if length > COMMUNITIES_MAX_LEN {
            return Err(AttributesError::Communities(length));
        }
        if values.prepend > PREPEND_MAX {
            return Err(AttributesError::Prepend(values.prepend));
        }
        Ok(Self(values))
    }
}

impl Deref for Attributes {
    type Target = AttributeValues;

    fn deref(&self) -> &AttributeValues {
        &self.0
    }
}

/// Why attributes cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributesError {
    /// Too many communities; the octets that they take.
    #[error("communities take {0} octets, and {COMMUNITIES_MAX_LEN} are the limit; attach fewer of them")]
    Communities(usize),
    /// Prepended too often.
    #[error("the AS is prepended {0} times, and {PREPEND_MAX} are the limit")]
    Prepend(u8),
}
