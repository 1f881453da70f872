//! UPDATE (RFC 4271 §4.3), as it is sent.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::octets::{put_u16_at, with_length_u16};
use super::{MESSAGE_MAX_LEN, MessageType, write_message};
use crate::attributes::{Attributes, Origin};
use crate::values::{Asn, Family, PerFamily, SAFI_UNICAST};

const WELL_KNOWN: u8 = 0x40;
const OPTIONAL: u8 = 0x80;
const OPTIONAL_TRANSITIVE: u8 = 0xc0;
const EXTENDED_LENGTH: u8 = 0x10;
const AS_SEQUENCE: u8 = 2;
/// RFC 4271 §5.1.5 leaves it to policy; this is what routers take.
const LOCAL_PREF_USUAL: u32 = 100;

pub(super) const ORIGIN: u8 = 1;
pub(super) const AS_PATH: u8 = 2;
pub(super) const NEXT_HOP: u8 = 3;
pub(super) const MULTI_EXIT_DISC: u8 = 4;
pub(super) const LOCAL_PREF: u8 = 5;
pub(super) const COMMUNITIES: u8 = 8;
pub(super) const MP_REACH_NLRI: u8 = 14;
pub(super) const MP_UNREACH_NLRI: u8 = 15;
pub(super) const EXTENDED_COMMUNITIES: u8 = 16;
pub(super) const AS4_PATH: u8 = 17;
pub(super) const LARGE_COMMUNITY: u8 = 32;

/// Where a peer sends what it has for our prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// For IPv4 in NEXT_HOP and the NLRI field.
    Ipv4(Ipv4Addr),
    /// For IPv6, and for IPv4 by RFC 8950, in MP_REACH_NLRI.
    Ipv6 {
        global: Ipv6Addr,
        /// Stands beside the global one if the peer is on the same link (RFC 2545 §3).
        link_local: Option<Ipv6Addr>,
    },
}

/// How routes are said to one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub(crate) local_as: Asn,
    /// The peer is in another AS.
    pub(crate) external: bool,
    /// AS_PATH with four octets per number (RFC 6793).
    pub(crate) four_octet_as: bool,
    /// `None`: the family cannot be said.
    pub(crate) next_hops: PerFamily<Option<NextHop>>,
}

impl Encoding {
    /// Appends one UPDATE that announces as many of `prefixes` as fit, all of `family`, in their order; gives how many.
    /// Nothing, and 0, if there is no next hop for the family.
    pub(crate) fn announce(
        &self,
        family: Family,
        attributes: &Attributes,
        prefixes: impl Iterator<Item = IpNet>,
        out: &mut Vec<u8>,
    ) -> usize {
        let Some(next_hop) = self.next_hops[family] else { return 0 };
        let limit = out.len() + MESSAGE_MAX_LEN;
        let mut fitted = 0;
        write_message(out, MessageType::Update, |out| {
            out.extend_from_slice(&[0, 0]);
            match next_hop {
                NextHop::Ipv4(next_hop) => {
                    with_length_u16(out, |out| self.attributes(attributes, Some(next_hop), out));
                    fitted = pack(prefixes, limit, out);
                }
                NextHop::Ipv6 { global, link_local } => with_length_u16(out, |out| {
                    // First among the attributes (RFC 7606 §5.1), so what follows is measured before it is known.
                    let mut others = Vec::new();
                    self.attributes(attributes, None, &mut others);
                    multiprotocol(MP_REACH_NLRI, family, out, |out| {
                        with_next_hop(global, link_local, out);
                        fitted = pack(prefixes, limit - others.len(), out);
                    });
                    out.extend_from_slice(&others);
                }),
            }
        });
        fitted
    }

    /// Appends one UPDATE that withdraws as many of `prefixes` as fit; gives how many.
    pub(crate) fn withdraw(
        &self,
        family: Family,
        prefixes: impl Iterator<Item = IpNet>,
        out: &mut Vec<u8>,
    ) -> usize {
        let limit = out.len() + MESSAGE_MAX_LEN;
        let mut fitted = 0;
        write_message(out, MessageType::Update, |out| {
            if matches!(self.next_hops[family], Some(NextHop::Ipv4(_))) {
                with_length_u16(out, |out| fitted = pack(prefixes, limit - 2, out));
                out.extend_from_slice(&[0, 0]);
            } else {
                out.extend_from_slice(&[0, 0]);
                with_length_u16(out, |out| {
                    multiprotocol(MP_UNREACH_NLRI, family, out, |out| fitted = pack(prefixes, limit, out));
                });
            }
        });
        fitted
    }

    /// Appends all attributes but those that carry prefixes.
    fn attributes(&self, values: &Attributes, next_hop: Option<Ipv4Addr>, out: &mut Vec<u8>) {
        let origin = match values.origin {
            Origin::Igp => 0,
            Origin::Egp => 1,
            Origin::Incomplete => 2,
        };
        attribute(WELL_KNOWN, ORIGIN, out, |out| out.push(origin));
        let length = if self.external { usize::from(values.prepend) + 1 } else { 0 };
        attribute(WELL_KNOWN, AS_PATH, out, |out| self.as_path(length, self.four_octet_as, out));
        if let Some(next_hop) = next_hop {
            attribute(WELL_KNOWN, NEXT_HOP, out, |out| out.extend_from_slice(&next_hop.octets()));
        }
        if let Some(med) = values.med {
            attribute(OPTIONAL, MULTI_EXIT_DISC, out, |out| out.extend_from_slice(&med.to_be_bytes()));
        }
        if !self.external {
            let preference = values.local_pref.unwrap_or(LOCAL_PREF_USUAL).to_be_bytes();
            attribute(WELL_KNOWN, LOCAL_PREF, out, |out| out.extend_from_slice(&preference));
        }
        let communities = values.communities.iter().map(|value| value.to_be_bytes());
        list(COMMUNITIES, communities, out);
        list(EXTENDED_COMMUNITIES, values.extended_communities.iter().copied(), out);
        // RFC 6793 §4.2.2: only if the path of two octets does not say it all.
        if length > 0 && !self.four_octet_as && u16::try_from(self.local_as.get()).is_err() {
            attribute(OPTIONAL_TRANSITIVE, AS4_PATH, out, |out| self.as_path(length, true, out));
        }
        let large = values.large_communities.iter().map(|parts| {
            let [a, b, c] = parts.map(u32::to_be_bytes);
            let mut octets = [0; 12];
            octets[..4].copy_from_slice(&a);
            octets[4..8].copy_from_slice(&b);
            octets[8..].copy_from_slice(&c);
            octets
        });
        list(LARGE_COMMUNITY, large, out);
    }

    /// One sequence of the own AS, `length` times, or nothing.
    fn as_path(&self, length: usize, four_octets: bool, out: &mut Vec<u8>) {
        let Ok(count @ 1..) = u8::try_from(length) else { return };
        out.extend_from_slice(&[AS_SEQUENCE, count]);
        for _ in 0..count {
            if four_octets {
                out.extend_from_slice(&self.local_as.get().to_be_bytes());
            } else {
                out.extend_from_slice(&self.local_as.two_octets().to_be_bytes());
            }
        }
    }
}

/// Appends the End-of-RIB marker of a family (RFC 4724 §2).
pub(crate) fn write_end_of_rib(family: Family, out: &mut Vec<u8>) {
    write_message(out, MessageType::Update, |out| {
        out.extend_from_slice(&[0, 0]);
        with_length_u16(out, |out| match family {
            Family::Ipv4 => {}
            Family::Ipv6 => multiprotocol(MP_UNREACH_NLRI, family, out, |_| ()),
        });
    });
}

/// Appends prefixes (RFC 4271 §4.3) while `out` stays within `limit`; gives how many.
fn pack(prefixes: impl Iterator<Item = IpNet>, limit: usize, out: &mut Vec<u8>) -> usize {
    let mut packed = 0;
    for prefix in prefixes {
        let length = usize::from(prefix.prefix_len()).div_ceil(8);
        if out.len() + 1 + length > limit {
            break;
        }
        out.push(prefix.prefix_len());
        match prefix {
            IpNet::V4(prefix) => out.extend_from_slice(&prefix.network().octets()[..length]),
            IpNet::V6(prefix) => out.extend_from_slice(&prefix.network().octets()[..length]),
        }
        packed += 1;
    }
    packed
}

/// Appends MP_REACH_NLRI or MP_UNREACH_NLRI of a family (RFC 4760 §3, §4).
fn multiprotocol(kind: u8, family: Family, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[OPTIONAL | EXTENDED_LENGTH, kind]);
    with_length_u16(out, |out| {
        out.extend_from_slice(&family.afi().to_be_bytes());
        out.push(SAFI_UNICAST);
        body(out);
    });
}

/// Appends a next hop with its length, and the reserved octet behind it.
fn with_next_hop(global: Ipv6Addr, link_local: Option<Ipv6Addr>, out: &mut Vec<u8>) {
    out.push(if link_local.is_some() { 32 } else { 16 });
    out.extend_from_slice(&global.octets());
    out.extend(link_local.into_iter().flat_map(|address| address.octets()));
    out.push(0);
}

/// Appends a list of communities, or nothing for an empty one.
fn list<const N: usize>(kind: u8, values: impl ExactSizeIterator<Item = [u8; N]>, out: &mut Vec<u8>) {
    if values.len() != 0 {
        attribute(OPTIONAL_TRANSITIVE, kind, out, |out| {
            values.for_each(|value| out.extend_from_slice(&value))
        });
    }
}

/// Appends an attribute, with a length of two octets if one does not do.
fn attribute(flags: u8, kind: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[flags | EXTENDED_LENGTH, kind, 0, 0]);
    body(out);
    let length = out.len() - at - 4;
    if let Ok(length) = u8::try_from(length) {
        out[at] = flags;
        out.remove(at + 2);
        out[at + 2] = length;
    } else {
        put_u16_at(out, at + 2, length);
    }
}
