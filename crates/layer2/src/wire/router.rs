//! Router solicitations and advertisements (RFC 4861 §4.1, §4.2), from their ICMPv6 header on: sockets of the kernel read and write the
//! headers before it, and the checksum.

use std::net::Ipv6Addr;

use super::{MacAddr, ParseError};

/// ICMPv6 type of a router solicitation.
pub const SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ADVERTISEMENT: u8 = 134;
/// Hop limit of both: they have passed no router (RFC 4861 §6.1).
pub const HOP_LIMIT: u8 = 255;

const SOLICITATION_LEN: usize = 8;
const ADVERTISEMENT_LEN: usize = 16;
const OPTION_UNIT_LEN: usize = 8;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

/// What one of the two says, as far as anybody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterMessage {
    /// "Which routers are there?"
    Solicitation {
        /// Hardware address of the asker.
        source_mac: Option<MacAddr>,
    },
    /// "I am one." What it says of prefixes and the like is nothing to a speaker of BGP.
    Advertisement {
        /// For how long it may be a default router, in seconds; 0 = it is none.
        lifetime_secs: u16,
        /// Hardware address of the router.
        source_mac: Option<MacAddr>,
    },
}

impl RouterMessage {
    /// Reads a message that came from `source` with this hop limit, by all rules of RFC 4861 §6.1.1 and §6.1.2 but that of the checksum.
    ///
    /// # Errors
    /// Why it is to be dropped silently.
    pub fn parse(octets: &[u8], source: Ipv6Addr, hop_limit: u8) -> Result<Self, ParseError> {
        if hop_limit != HOP_LIMIT {
            return Err(ParseError::HopLimit(hop_limit));
        }
        let [kind, code, ..] = *octets else {
            return Err(ParseError::TooShort { required: SOLICITATION_LEN, actual: octets.len() });
        };
        let required = match (kind, code) {
            (SOLICITATION, 0) => SOLICITATION_LEN,
            (ADVERTISEMENT, 0) => ADVERTISEMENT_LEN,
            _ => return Err(ParseError::RouterIcmpType { kind, code }),
        };
        let (header, options) = octets
            .split_at_checked(required)
            .ok_or(ParseError::TooShort { required, actual: octets.len() })?;
        let source_mac = source_mac(options)?;
        if kind == ADVERTISEMENT {
            if !source.is_unicast_link_local() {
                return Err(ParseError::RouterSource(source));
            }
            let lifetime_secs = u16::from_be_bytes([header[6], header[7]]);
            return Ok(Self::Advertisement { lifetime_secs, source_mac });
        }
        if source.is_unspecified() && source_mac.is_some() {
            return Err(ParseError::DetectionSource);
        }
        Ok(Self::Solicitation { source_mac })
    }

    /// The message, its checksum left to the kernel. An advertisement says no more than that a router is here: no prefix, no hop limit, and
    /// no times, so that nobody makes an address of it.
    #[must_use]
    pub fn emit(self) -> Vec<u8> {
        let (mut octets, source_mac) = match self {
            Self::Solicitation { source_mac } => (vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0], source_mac),
            Self::Advertisement { lifetime_secs, source_mac } => {
                let mut octets = vec![0; ADVERTISEMENT_LEN];
                octets[0] = ADVERTISEMENT;
                octets[6..8].copy_from_slice(&lifetime_secs.to_be_bytes());
                (octets, source_mac)
            }
        };
        if let Some(MacAddr(mac)) = source_mac {
            octets.extend_from_slice(&[SOURCE_LINK_LAYER_ADDRESS, 1]);
            octets.extend_from_slice(&mac);
        }
        octets
    }
}

/// Walks over all options; the last hardware address counts.
fn source_mac(mut options: &[u8]) -> Result<Option<MacAddr>, ParseError> {
    let mut found = None;
    while let Some(&kind) = options.first() {
        let length = options.get(1).map_or(0, |units| usize::from(*units) * OPTION_UNIT_LEN);
        let (option, rest) = options
            .split_at_checked(length)
            .filter(|(option, _)| !option.is_empty())
            .ok_or(ParseError::OptionLength(kind))?;
        if kind == SOURCE_LINK_LAYER_ADDRESS {
            // Longer ones are of links that are no Ethernet.
            let mac = <[u8; 6]>::try_from(&option[2..]).map_err(|_| ParseError::OptionLength(kind))?;
            found = Some(MacAddr(mac));
        }
        options = rest;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    /// An advertisement as FRR sends it, with an MTU option (5) in front.
    const GOLDEN: [u8; 32] = [
        134, 0, 0x12, 0x34, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, // lifetime 1800 s
        5, 1, 0, 0, 0, 0, 5, 0xdc, // MTU 1500
        1, 1, 2, 0, 0, 0, 0, 0x0a, // hardware address
    ];

    fn parse(octets: &[u8]) -> Result<RouterMessage, ParseError> {
        RouterMessage::parse(octets, ROUTER, HOP_LIMIT)
    }

    #[test]
    fn an_advertisement_is_read_among_options_that_nobody_asks_for() {
        let expected = RouterMessage::Advertisement { lifetime_secs: 1800, source_mac: Some(MAC) };
        assert_eq!(parse(&GOLDEN), Ok(expected));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for source_mac in [None, Some(MAC)] {
            for message in [
                RouterMessage::Solicitation { source_mac },
                RouterMessage::Advertisement { lifetime_secs: 0, source_mac },
                RouterMessage::Advertisement { lifetime_secs: 9000, source_mac },
            ] {
                assert_eq!(parse(&message.emit()), Ok(message));
            }
        }
        let ours = RouterMessage::Advertisement { lifetime_secs: 0, source_mac: None }.emit();
        assert_eq!(ours[1..], [0; 15], "neither prefix, hop limit, flag nor time");
    }

    #[test]
    fn what_rfc_4861_tells_to_drop_is_dropped() {
        let with = |at: usize, octet: u8| {
            let mut octets = GOLDEN;
            octets[at] = octet;
            parse(&octets)
        };
        assert_eq!(with(1, 1), Err(ParseError::RouterIcmpType { kind: 134, code: 1 }));
        assert_eq!(with(0, 136), Err(ParseError::RouterIcmpType { kind: 136, code: 0 }));
        assert_eq!(with(17, 0), Err(ParseError::OptionLength(5)), "an option of no length");
        assert_eq!(with(25, 2), Err(ParseError::OptionLength(1)), "an option past the end");
        assert_eq!(RouterMessage::parse(&GOLDEN, ROUTER, 254), Err(ParseError::HopLimit(254)));
        let global = "2001:db8::1".parse().unwrap();
        let refused = RouterMessage::parse(&GOLDEN, global, HOP_LIMIT);
        assert_eq!(refused, Err(ParseError::RouterSource(global)));
        let asks = RouterMessage::Solicitation { source_mac: Some(MAC) }.emit();
        let refused = RouterMessage::parse(&asks, Ipv6Addr::UNSPECIFIED, HOP_LIMIT);
        assert_eq!(refused, Err(ParseError::DetectionSource));
        for length in 0..GOLDEN.len() {
            assert_eq!(parse(&GOLDEN[..length]).is_ok(), length == 16 || length == 24, "{length} octets");
        }
    }
}
