//! The value of a pool's key: prefixes, ranges and single addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net};

use super::KeyError;
use crate::family::{Family, number};
use crate::interval::Span;
use crate::pool::Ranges;

/// Networks that no load balancer can announce, and what they are for (RFC 6890, RFC 4291).
const SPECIAL_USE: [(IpNet, &str); 9] = [
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8)), "\"this network\""),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)), "loopback"),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)), "multicast"),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)), "broadcast"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128)), "the unspecified address"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)), "loopback"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96)), "IPv4-mapped addresses"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)), "link-local"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)), "multicast"),
];

/// One item of a value.
#[derive(Clone, Copy)]
struct Item {
    family: Family,
    span: Span,
    /// Written with a slash, so `skip-end-ips-in-cidr` applies.
    is_prefix: bool,
}

/// Reads a value; the first item that is wrong makes the whole value wrong.
pub(crate) fn ranges(value: &str, skip_end_ips: bool) -> Result<Ranges, KeyError> {
    let value = value.trim();
    if value.is_empty() {
        return Err(KeyError::Empty);
    }
    refuse_dhcp(value)?;
    let mut ranges = Ranges::default();
    let mut prefixes = Ranges::default();
    for text in value.split(',') {
        let item = item(text.trim())?;
        let target = if skip_end_ips && item.is_prefix && item.family == Family::V4 {
            &mut prefixes
        } else {
            &mut ranges
        };
        target.insert(item.family, item.span);
    }
    for span in prefixes.of(Family::V4).spans() {
        for span in without_ends(span) {
            ranges.insert(Family::V4, span);
        }
    }
    Ok(ranges)
}

/// Reads one item that stands alone.
pub(crate) fn entry(text: &str) -> Result<(Family, Span), KeyError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    refuse_dhcp(text)?;
    item(text).map(|item| (item.family, item.span))
}

/// kube-vip-cloud-provider knows the first form, kube-vip the others.
fn refuse_dhcp(value: &str) -> Result<(), KeyError> {
    match value {
        "0.0.0.0/32" | "0.0.0.0" | "::/128" | "::" => Err(KeyError::Dhcp { text: value.to_owned() }),
        _ => Ok(()),
    }
}

/// The prefixes that make up a merged run of IPv4 prefixes, each without its first and last address, as
/// kube-vip-cloud-provider does it; a /31 and a /32 keep theirs.
fn without_ends(run: Span) -> impl Iterator<Item = Span> {
    let v4 = |number| match Family::V4.address(number) {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => unreachable!("an address of family IPv4 is an IPv4 address"),
    };
    Ipv4Subnets::new(v4(run.first), v4(run.last), 0).map(|net| {
        let span = Span::of_network(IpNet::V4(net));
        if net.prefix_len() >= 31 { span } else { Span { first: span.first + 1, last: span.last - 1 } }
    })
}

fn item(text: &str) -> Result<Item, KeyError> {
    if text.is_empty() {
        return Err(KeyError::EmptyItem);
    }
    let item = if let Some((base, length)) = text.split_once('/') {
        let base = address(text, base)?;
        let max = if base.is_ipv4() { 32 } else { 128 };
        let bad_length = || {
            let several = length.trim().contains(char::is_whitespace);
            let item = excerpt(text);
            if several { KeyError::MissingComma { item } } else { KeyError::PrefixLength { item, max } }
        };
        let length = length.trim().parse().map_err(|_| bad_length())?;
        let net = IpNet::new(base, length).map_err(|_| bad_length())?;
        Item { family: Family::of(base), span: Span::of_network(net), is_prefix: true }
    } else if let Some((first, last)) = text.split_once('-') {
        range(text, address(text, first)?, address(text, last)?)?
    } else {
        let single = address(text, text)?;
        Item { family: Family::of(single), span: Span::single(number(single)), is_prefix: false }
    };
    refuse_special_use(text, item)?;
    Ok(item)
}

fn range(text: &str, first: IpAddr, last: IpAddr) -> Result<Item, KeyError> {
    let family = Family::of(first);
    if family != Family::of(last) {
        return Err(KeyError::MixedFamilies { item: excerpt(text) });
    }
    if first > last {
        return Err(KeyError::Reversed { item: excerpt(text), swapped: format!("{last}-{first}") });
    }
    Ok(Item { family, span: Span { first: number(first), last: number(last) }, is_prefix: false })
}

fn address(item: &str, text: &str) -> Result<IpAddr, KeyError> {
    let text = text.trim();
    text.parse().map_err(|_| {
        if text.contains(char::is_whitespace) {
            KeyError::MissingComma { item: excerpt(item) }
        } else {
            KeyError::NotAnAddress { item: excerpt(item), text: excerpt(text) }
        }
    })
}

/// The beginning of `text`, short enough that a message with it fits into an event.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(100) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn refuse_special_use(text: &str, item: Item) -> Result<(), KeyError> {
    let touches = |net: &IpNet| {
        Family::of(net.addr()) == item.family && Span::of_network(*net).intersection(item.span).is_some()
    };
    match SPECIAL_USE.into_iter().find(|(net, _)| touches(net)) {
        None => Ok(()),
        Some((net, use_of_it)) => {
            Err(KeyError::SpecialUse { item: excerpt(text), network: net.to_string(), use_of_it })
        }
    }
}
