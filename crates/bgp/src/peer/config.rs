//! What can be set about a peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::values::{Asn, HoldTime, PerFamily, RouterId};
use crate::wire::NextHop;

/// One peer, and who we are to it. A driver that is told another one makes a new [`Peer`](super::Peer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Our AS, as this peer is to see it.
    pub local_as: Asn,
    /// Which AS the peer may be in.
    pub remote_as: RemoteAs,
    /// Our BGP identifier.
    pub router_id: RouterId,
    /// The hold time that we offer; the lower of both sides' is used (RFC 4271 §4.2).
    pub hold_time: HoldTime,
    /// Between two KEEPALIVEs, before jitter, and never more than a third of the hold time in use; `None` = that third.
    pub keepalive_interval: Option<Duration>,
    /// The longest wait between two attempts, at least 1 s. Waits begin with 1 s, double, and have jitter; a session that has stood
    /// for 30 s sets them back.
    pub connect_retry_max: Duration,
    /// Whether we dial the peer.
    pub dial: bool,
    /// Whether the peer may dial us.
    pub accept: bool,
    /// Which families are offered; with none, no session comes to stand.
    pub families: PerFamily<bool>,
    /// What the peer is told as next hop.
    pub next_hops: NextHops,
    /// `None`: the peer drops our routes when the session ends.
    pub graceful_restart: Option<GracefulRestart>,
}

impl Config {
    /// Dials, offers both families, and has the times that RFC 4271 §10 suggests.
    #[must_use]
    pub fn new(local_as: Asn, remote_as: RemoteAs, router_id: RouterId) -> Self {
        Self {
            local_as,
            remote_as,
            router_id,
            hold_time: HoldTime::SUGGESTED,
            keepalive_interval: None,
            connect_retry_max: Duration::from_secs(120),
            dial: true,
            accept: false,
            families: PerFamily { ipv4: true, ipv6: true },
            next_hops: NextHops::default(),
            graceful_restart: None,
        }
    }
}

/// Which AS a peer may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAs {
    /// This one, which may be our own.
    Number(Asn),
    /// Any but our own.
    External,
    /// Our own.
    Internal,
}

impl RemoteAs {
    pub(super) fn permits(self, local: Asn, remote: Asn) -> bool {
        match self {
            Self::Number(number) => number == remote,
            Self::External => local != remote,
            Self::Internal => local == remote,
        }
    }
}

/// Next hops that are told instead of the connection's local address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHops {
    /// For IPv4. `None`: the connection's local address, or, on an IPv6 connection with a peer that permits it, the
    /// one for IPv6 (RFC 8950).
    pub ipv4: Option<Ipv4Addr>,
    /// For IPv6. `None`: the connection's local address, if it is an IPv6 one.
    pub ipv6: Option<Ipv6Addr>,
    /// Our link-local address on the link that we share with the peer, told beside a global one (RFC 2545 §3).
    pub link_local: Option<Ipv6Addr>,
}

impl NextHops {
    /// The next hops on a connection; `None` for a family that has none.
    pub(super) fn resolve(self, local: IpAddr, ipv4_over_ipv6: bool) -> PerFamily<Option<NextHop>> {
        let (local_ipv4, local_ipv6) = match local {
            IpAddr::V4(address) => (Some(address), None),
            IpAddr::V6(address) => (None, Some(address)),
        };
        let ipv6 = self.ipv6.or(local_ipv6).map(|global| NextHop::Ipv6 {
            global,
            link_local: self.link_local.filter(|_| !global.is_unicast_link_local()),
        });
        let ipv4 = self.ipv4.or(local_ipv4).map(NextHop::Ipv4);
        PerFamily { ipv4: ipv4.or(ipv6.filter(|_| ipv4_over_ipv6)), ipv6 }
    }
}

/// Graceful restart (RFC 4724, RFC 8538): the peer keeps our routes over a restart. We keep none of its routes, having
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GracefulRestart {
    /// How long the peer is to keep them, in whole seconds up to 4,095.
    pub restart_time: Duration,
    /// Over a NOTIFICATION and a hold timer that expired, too (RFC 8538).
    pub over_notification: bool,
    /// Over BFD that calls the path down, too. Off: the peer is told to drop our routes, as when it found out itself.
    /// On: a path that is really broken keeps its traffic until the restart time is over (RFC 5882 §4.3.2).
    pub over_bfd_down: bool,
    /// This speaker has just started again: the R bit is set until all End-of-RIBs are sent.
    pub restarting: bool,
}
