//! What can be wrong with the ConfigMap, or surprise, in words for an event.

use std::fmt;

use super::{ALLOW_SHARE, AVOID_BUGGY_IPS, CIDR, GLOBAL, INTERFACE, RANGE, SEARCH_ORDER, SKIP_END_IPS};

/// A key that is wrong, or whose value is. Displayed as one sentence for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProblem {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub reason: KeyError,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

/// What is wrong with a key, and how to write it right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No program that reads this grammar knows the key.
    #[error("unknown key; {}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// The known key that it resembles most.
        nearest: Option<String>,
    },
    /// What follows the key's first word can be no namespace.
    #[error("'{scope}' is no namespace name; end the key in a namespace, or in global")]
    NotANamespace {
        /// The end of the key.
        scope: String,
    },
    /// The value holds nothing.
    #[error(
        "the value is empty; write prefixes (192.0.2.0/28), ranges (192.0.2.10-192.0.2.20) or single addresses"
    )]
    Empty,
    /// The value is the mark that asks kube-vip for DHCP.
    #[error(
        "{text} asks for an address by DHCP, which Keryx does not do; write prefixes, ranges or single addresses"
    )]
    Dhcp {
        /// The value.
        text: String,
    },
    /// Two commas in a row, or one at an end.
    #[error("there is a comma too many; write one comma between items and none at the ends")]
    EmptyItem,
    /// Words without a comma between them.
    #[error("'{item}' looks like several items; put a comma between them")]
    MissingComma {
        /// The item.
        item: String,
    },
    /// Not an address where one must be.
    #[error("'{text}' in '{item}' is no IP address; write it in full, such as 192.0.2.10 or 2001:db8::10")]
    NotAnAddress {
        /// The item.
        item: String,
        /// The part of it that should be an address.
        text: String,
    },
    /// The number after the slash is none, or too large.
    #[error("'{item}' needs a prefix length from 0 to {max} after the '/'")]
    PrefixLength {
        /// The item.
        item: String,
        /// Bits of an address of that family.
        max: u8,
    },
    /// A range from one family to the other.
    #[error("'{item}' mixes IPv4 and IPv6; write one range for each")]
    MixedFamilies {
        /// The item.
        item: String,
    },
    /// A range whose end comes before its start.
    #[error("'{item}' ends before it starts; write {swapped}")]
    Reversed {
        /// The item.
        item: String,
        /// The range the right way round.
        swapped: String,
    },
    /// Some addresses of the item can never be a VIP.
    #[error("'{item}' covers {network}, {use_of_it}, which can be no load balancer's address; leave it out")]
    SpecialUse {
        /// The item.
        item: String,
        /// The network that it must not touch.
        network: String,
        /// What that network is for (RFC 6890).
        use_of_it: &'static str,
    },
    /// The rules about ends leave nothing.
    #[error(
        "no address of '{text}' can be given, because addresses that end in .0 or .255 are left out; add others, or write \
         {AVOID_BUGGY_IPS}: \"false\""
    )]
    NothingLeft {
        /// The value.
        text: String,
    },
    /// A value of `search-order` that is neither.
    #[error("'{text}' is taken as asc; write asc or desc")]
    SearchOrder {
        /// The value.
        text: String,
    },
    /// A value of `avoid-buggy-ips` that is neither.
    #[error("'{text}' is taken as \"true\"; write \"true\" or \"false\"")]
    AvoidBuggyIps {
        /// The value.
        text: String,
    },
    /// A value of an `interface-` key that can be no interface's name.
    #[error(
        "'{text}' can be no interface's name, so nothing of its namespaces is announced there; write one, such as eth1, or several with \
         commas between"
    )]
    Interface {
        /// The name.
        text: String,
    },
    /// A value of `skip-end-ips-in-cidr`, or of an `allow-share-` key, that is neither.
    #[error("'{text}' is taken as \"false\"; write \"true\" or \"false\"")]
    Boolean {
        /// The value.
        text: String,
    },
}

/// The second half of [`KeyError::UnknownKey`].
fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!(
            "known are {CIDR}, {RANGE}, {ALLOW_SHARE} and {INTERFACE} with a namespace or {GLOBAL} after them, \
             {SEARCH_ORDER}, {SKIP_END_IPS} and {AVOID_BUGGY_IPS}"
        ),
    }
}

/// Something that is right but may surprise. Displayed as one sentence for an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// A key is never looked at, because another comes first.
    #[error("{key} is hidden by {by}: its addresses are only given to those who ask for one by value")]
    Hidden {
        /// The hidden key.
        key: String,
        /// The key that comes first.
        by: String,
    },
    /// A namespace that looks like a misspelt `global`.
    #[error("{key} serves only the namespace {namespace}: did you mean {meant}?")]
    AlmostGlobal {
        /// The key.
        key: String,
        /// The namespace it stands for.
        namespace: String,
        /// The key with `global`.
        meant: String,
    },
}
