//! Finding the only router of a link, and being found by it, for BGP sessions that are configured by an interface alone.
//!
//! Both sides advertise themselves as routers and take each other's link-local address from that. Ours has a router lifetime of 0 and no
//! prefix: no host takes this node for a default router or makes an address of it (RFC 4861 §6.2.3, §6.3.4). What counts of the other's is
//! that it came; it may have a lifetime of 0, too.
//!
//! Deviations, on purpose: a router whose lifetime is 0 is remembered for [`ROUTER_TIMEOUT`], where a host would forget it as a *default*
//! router (§6.3.4), which it never is here; a router that was not known is answered like a solicitation (§6.2.6), so that it need not wait for
//! the next advertisement.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::wire::MacAddr;
use crate::wire::router::RouterMessage;

/// All nodes of the link (RFC 4291 §2.7.1): where advertisements go.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of the link: where solicitations go.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// How long a router is remembered whose advertisements have no lifetime.
pub const ROUTER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// RFC 4861 §10: MAX_RTR_SOLICITATIONS, RTR_SOLICITATION_INTERVAL, MAX_RTR_SOLICITATION_DELAY.
const SOLICITATIONS_MAX: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const SOLICITATION_DELAY_MAX: Duration = Duration::from_secs(1);
/// RFC 4861 §10: MIN_DELAY_BETWEEN_RAS, MAX_RA_DELAY_TIME.
const BETWEEN_ADVERTISEMENTS_MIN: Duration = Duration::from_secs(3);
const ANSWER_DELAY_MAX: Duration = Duration::from_millis(500);
/// MinRtrAdvInterval and MaxRtrAdvInterval (RFC 4861 §6.2.1): as short as routers have them that speak BGP unnumbered, since a router which
/// has started anew knows us only after the next one.
const ADVERTISEMENT_INTERVAL_MIN: Duration = Duration::from_millis(3_300);
const ADVERTISEMENT_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From the ICMPv6 header on; hop limit 255, source a link-local address, checksum still 0.
    pub octets: Vec<u8>,
    /// The group that it goes to.
    pub destination: Ipv6Addr,
}

/// Router discovery on one interface, from when it can send. An interface that loses its carrier or its hardware address needs a new one.
///
/// It holds one router, the one heard last: forged messages of however many routers make it no larger.
#[derive(Debug)]
pub struct RouterDiscovery {
    mac: MacAddr,
    random: Random,
    router: Option<Heard>,
    /// Solicitations that may still be sent.
    solicitations: u8,
    solicit_at: Option<Instant>,
    advertise_at: Instant,
    /// When an advertisement was sent last.
    advertised_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    address: Ipv6Addr,
    until: Instant,
}

impl RouterDiscovery {
    /// Begins on an interface with this hardware address that has a link-local address and a carrier. Delays follow from `seed`, which should
    /// differ from node to node.
    #[must_use]
    pub fn new(mac: MacAddr, seed: u64, now: Instant) -> Self {
        let mut random = Random::new(seed);
        let solicit_at = now + random.between(Duration::ZERO, SOLICITATION_DELAY_MAX);
        let advertise_at = now + random.between(Duration::ZERO, ANSWER_DELAY_MAX);
        Self {
            mac,
            random,
            router: None,
            solicitations: SOLICITATIONS_MAX,
            solicit_at: Some(solicit_at),
            advertise_at,
            advertised_at: None,
        }
    }

    /// The router that was heard last, until its lifetime has passed, or [`ROUTER_TIMEOUT`] if that is 0.
    #[must_use]
    pub fn router(&self) -> Option<Ipv6Addr> {
        self.router.map(|heard| heard.address)
    }

    /// Takes in an ICMPv6 message that came from `source` with this hop limit. What is no valid message of a router or a host that looks for
    /// one changes nothing.
    pub fn handle_input(&mut self, octets: &[u8], source: Ipv6Addr, hop_limit: u8, now: Instant) {
        match RouterMessage::parse(octets, source, hop_limit) {
            Ok(RouterMessage::Solicitation { .. }) => self.answer(now),
            Ok(RouterMessage::Advertisement { lifetime_secs, .. }) => {
                if self.router() != Some(source) {
                    self.answer(now);
                }
                let lifetime = match lifetime_secs {
                    0 => ROUTER_TIMEOUT,
                    secs => Duration::from_secs(secs.into()),
                };
                self.router = Some(Heard { address: source, until: now + lifetime });
                self.solicit_at = None;
            }
            Err(_) => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) are due.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let others = [self.solicit_at, self.router.map(|heard| heard.until)];
        others.into_iter().flatten().fold(self.advertise_at, Instant::min)
    }

    /// Forgets a router whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.router = self.router.filter(|heard| now < heard.until);
    }

    /// The next message that is due, until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let source_mac = Some(self.mac);
        if self.solicit_at.is_some_and(|due| due <= now) {
            self.solicitations -= 1;
            self.solicit_at = (self.solicitations > 0).then(|| now + SOLICITATION_INTERVAL);
            let octets = RouterMessage::Solicitation { source_mac }.emit();
            return Some(Transmit { octets, destination: ALL_ROUTERS });
        }
        if self.advertise_at <= now {
            self.advertised_at = Some(now);
            self.advertise_at =
                now + self.random.between(ADVERTISEMENT_INTERVAL_MIN, ADVERTISEMENT_INTERVAL_MAX);
            let octets = RouterMessage::Advertisement { lifetime_secs: 0, source_mac }.emit();
            return Some(Transmit { octets, destination: ALL_NODES });
        }
        None
    }

    /// Advertises soon, if that is earlier than it would be anyway (RFC 4861 §6.2.6).
    fn answer(&mut self, now: Instant) {
        let soon = now + self.random.between(Duration::ZERO, ANSWER_DELAY_MAX);
        let earliest = self.advertised_at.map_or(soon, |last| soon.max(last + BETWEEN_ADVERTISEMENTS_MIN));
        self.advertise_at = self.advertise_at.min(earliest);
    }
}

#[cfg(test)]
mod tests;
