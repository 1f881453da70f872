//! What the annotations of a Service or Gateway ask for. The names are those of [`keryx_api::annotations`].

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use keryx_api::annotations::{ANNOTATIONS, Annotation, Vendor, Wish};
use keryx_ipam::{Family, OwnerKind};

#[cfg(test)]
mod tests;

/// What an owner asks for beside its families. By default nothing in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// These addresses, at most one of each family, in the order in which they are written.
    pub addresses: Vec<IpAddr>,
    /// An address of this pool.
    pub pool: Option<String>,
    /// To share with owners of this key.
    pub sharing_key: Option<String>,
    /// To share with those in other namespaces too.
    pub across_namespaces: bool,
}

/// Where a wish is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this annotation.
    Annotation(&'static str),
    /// In the Service's `spec.loadBalancerIP`.
    LoadBalancerIp,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(name) => write!(f, "annotation {name}"),
            Self::LoadBalancerIp => f.write_str("spec.loadBalancerIP"),
        }
    }
}

/// Why the wishes of an owner cannot be followed. The text can stand in a condition or event as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// Two places ask for different things.
    #[error("{0} and {1} contradict each other: give both the same value, or remove one of them")]
    Contradiction(Place, Place),
    /// Not an address where one must be.
    #[error("{place}: '{text}' is no IP address: write IPv4 or IPv6 addresses with a comma between them")]
    NotAnAddress {
        /// Where.
        place: Place,
        /// What stands there.
        text: String,
    },
    /// Two addresses of one family.
    #[error("{place} has more than one {family} address: write at most one of each family")]
    SecondOfFamily {
        /// Where.
        place: Place,
        /// The family.
        family: Family,
    },
    /// The mark by which kube-vip is asked for DHCP.
    #[error(
        "{place}: {text} asks for an address by DHCP, which Keryx does not do: write an address, or remove it"
    )]
    Dhcp {
        /// Where.
        place: Place,
        /// The mark.
        text: String,
    },
    /// A Gateway has a field for its addresses.
    #[error("{place} has no effect on a Gateway: write the addresses in spec.addresses")]
    OnGateway {
        /// Where.
        place: Place,
    },
    /// Neither yes nor no.
    #[error("{place}: '{text}' is neither \"true\" nor \"false\": write one of them")]
    NotABoolean {
        /// Where.
        place: Place,
        /// What stands there.
        text: String,
    },
    /// Cilium's list of namespaces.
    #[error(
        "{place}: '{text}' lists namespaces, and Keryx shares with all that say the same or with none: write *, or remove \
         it"
    )]
    NamespaceList {
        /// Where.
        place: Place,
        /// What stands there.
        text: String,
    },
}

impl WishError {
    /// A stable CamelCase word for metric labels and condition reasons.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Contradiction(..) => "ContradictingWishes",
            Self::NotAnAddress { .. } => "NotAnAddress",
            Self::SecondOfFamily { .. } => "SecondOfFamily",
            Self::Dhcp { .. } => "DhcpUnsupported",
            Self::OnGateway { .. } => "AddressesOnGateway",
            Self::NotABoolean { .. } => "NotABoolean",
            Self::NamespaceList { .. } => "NamespaceListUnsupported",
        }
    }
}

/// Reads what an owner of `kind` asks for by its `annotations`, with `foreign` those of other programs too, and by its
/// `spec.loadBalancerIP`. An empty value is as good as none.
///
/// # Errors
/// A value cannot be read, or two contradict each other. `spec.loadBalancerIP` has room for one address, so it contradicts
/// an annotation only if that does not list it.
pub fn wishes(
    kind: OwnerKind,
    annotations: &BTreeMap<String, String>,
    load_balancer_ip: Option<&str>,
    foreign: bool,
) -> Result<Wishes, WishError> {
    let mut addresses: Option<(Place, Vec<IpAddr>)> = None;
    let mut pool = None;
    let mut sharing_key = None;
    let mut across_namespaces = None;
    for &Annotation { name, wish, vendor } in &ANNOTATIONS {
        let Some(value) = annotations.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
        else {
            continue;
        };
        if vendor != Vendor::Keryx && !foreign {
            continue;
        }
        let place = Place::Annotation(name);
        match wish {
            Wish::Addresses if kind == OwnerKind::Gateway => return Err(WishError::OnGateway { place }),
            Wish::Addresses => {
                let written = addresses_in(place, value)?;
                let same = |a: &Vec<IpAddr>, b: &Vec<IpAddr>| {
                    a.len() == b.len() && a.iter().all(|address| b.contains(address))
                };
                agree(&mut addresses, place, written, same)?;
            }
            Wish::Pool => agree(&mut pool, place, value.to_owned(), String::eq)?,
            Wish::SharingKey => agree(&mut sharing_key, place, value.to_owned(), String::eq)?,
            Wish::ShareAcrossNamespaces => {
                agree(&mut across_namespaces, place, yes_or_no(place, vendor, value)?, bool::eq)?;
            }
        }
    }
    if let Some(text) = load_balancer_ip.map(str::trim).filter(|text| !text.is_empty()) {
        let place = Place::LoadBalancerIp;
        let written = addresses_in(place, text)?;
        let listed = |annotation: &Vec<IpAddr>, field: &Vec<IpAddr>| {
            field.iter().all(|address| annotation.contains(address))
        };
        agree(&mut addresses, place, written, listed)?;
    }
    let value = |(_, value)| value;
    Ok(Wishes {
        addresses: addresses.map(|(_, addresses)| addresses).unwrap_or_default(),
        pool: pool.map(value),
        sharing_key: sharing_key.map(value),
        across_namespaces: across_namespaces.is_some_and(|(_, yes)| yes),
    })
}

/// Puts down what `place` says, unless an earlier place said something else.
fn agree<T>(
    known: &mut Option<(Place, T)>,
    place: Place,
    value: T,
    same: impl Fn(&T, &T) -> bool,
) -> Result<(), WishError> {
    match known {
        Some((first, earlier)) if !same(earlier, &value) => Err(WishError::Contradiction(*first, place)),
        Some(_) => Ok(()),
        None => {
            *known = Some((place, value));
            Ok(())
        }
    }
}

fn addresses_in(place: Place, value: &str) -> Result<Vec<IpAddr>, WishError> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in value.split(',').map(str::trim) {
        let address: IpAddr =
            text.parse().map_err(|_| WishError::NotAnAddress { place, text: excerpt(text) })?;
        if address.is_unspecified() {
            return Err(WishError::Dhcp { place, text: text.to_owned() });
        }
        let family = Family::of(address);
        match addresses.iter().find(|other| Family::of(**other) == family) {
            None => addresses.push(address),
            Some(same) if *same == address => {}
            Some(_) => return Err(WishError::SecondOfFamily { place, family }),
        }
    }
    Ok(addresses)
}

fn yes_or_no(place: Place, vendor: Vendor, value: &str) -> Result<bool, WishError> {
    match (value, vendor) {
        ("true" | "*", _) => Ok(true),
        ("false", _) => Ok(false),
        (text, Vendor::Cilium) => Err(WishError::NamespaceList { place, text: excerpt(text) }),
        (text, Vendor::Keryx | Vendor::MetalLb | Vendor::KubeVip) => {
            Err(WishError::NotABoolean { place, text: excerpt(text) })
        }
    }
}

/// The beginning of `text`, short enough for a condition.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(100) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
