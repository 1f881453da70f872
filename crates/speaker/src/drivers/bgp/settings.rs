//! From what the plan says of a peer to what the machine and the sockets take.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;
use std::time::Duration;

use keryx_bgp::peer::{GracefulRestart, NextHops, RemoteAs};
use keryx_bgp::{Asn, Config, HoldTime, PerFamily, RouterId};
use keryx_netio::tcp::Ttl;
use keryx_plan::bgp::{self, BfdPlan, PeerPlan, Remote};

/// What the machine is told of a peer. `internal_ips` are the Node's; `restarting` says that this process has just started.
///
/// # Errors
/// A number that no BGP speaker may use, in words. The kinds' rules refuse them before.
pub(super) fn config(
    peer: &PeerPlan,
    internal_ips: &[IpAddr],
    node: &str,
    restarting: bool,
) -> Result<Config, String> {
    let asn = |number: std::num::NonZeroU32| Asn::new(number.get()).ok_or("an AS number is 0");
    let remote_as = match peer.remote_as {
        bgp::RemoteAs::Number(number) => RemoteAs::Number(asn(number)?),
        bgp::RemoteAs::External => RemoteAs::External,
        bgp::RemoteAs::Internal => RemoteAs::Internal,
    };
    let router_id = RouterId::new(peer.router_id.unwrap_or_else(|| router_id(internal_ips, node)));
    let hold_time = HoldTime::from_secs(peer.hold_time_secs);
    let defaults = Config::new(asn(peer.local_as)?, remote_as, router_id.ok_or("the router ID is 0.0.0.0")?);
    Ok(Config {
        hold_time: hold_time.ok_or("a hold time is 0, or at least 3 s")?,
        keepalive_interval: peer.keepalive_time_secs.map(|secs| Duration::from_secs(secs.into())),
        connect_retry_max: peer
            .connect_time_secs
            .map_or(defaults.connect_retry_max, |secs| Duration::from_secs(secs.into())),
        dial: peer.dial,
        accept: peer.accept,
        families: PerFamily { ipv4: peer.ipv4, ipv6: peer.ipv6 },
        next_hops: next_hops(peer, internal_ips),
        graceful_restart: peer.graceful_restart.map(|restart| GracefulRestart {
            restart_time: Duration::from_secs(restart.restart_time_secs.into()),
            over_notification: true,
            over_bfd_down: restart.over_bfd_down,
            restarting,
        }),
        ..defaults
    })
}

/// The Node's first IPv4 address, by custom; else a number that follows from its name (RFC 6286 §2.1 only asks that it is
/// unique in the AS and not 0).
fn router_id(internal_ips: &[IpAddr], node: &str) -> Ipv4Addr {
    let ipv4 = internal_ips.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    // FNV-1a: the same on every start and with every build.
    let hash = || {
        node.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    };
    ipv4.unwrap_or_else(|| Ipv4Addr::from_bits(hash().max(1)))
}

/// A session carries routes of the other family with the Node's own address of that family as next hop.
fn next_hops(peer: &PeerPlan, internal_ips: &[IpAddr]) -> NextHops {
    let remote = match peer.remote {
        Remote::Address(remote) => remote,
        // The link-local address of the connection, for both families (RFC 2545 §3, RFC 8950): no other is known to the link.
        Remote::Interface(_) => return NextHops::default(),
    };
    let mut hops = NextHops::default();
    for address in internal_ips {
        match address {
            IpAddr::V4(address) if remote.is_ipv6() => hops.ipv4 = hops.ipv4.or(Some(*address)),
            IpAddr::V6(address) if remote.is_ipv4() => hops.ipv6 = hops.ipv6.or(Some(*address)),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
    hops
}

/// Whether the peer is of another AS, as far as that is known before its OPEN.
fn is_external(peer: &PeerPlan) -> bool {
    match peer.remote_as {
        bgp::RemoteAs::Number(number) => number != peer.local_as,
        bgp::RemoteAs::External => true,
        bgp::RemoteAs::Internal => false,
    }
}

/// With which TTL packets go, and which are taken: an external peer is one hop away unless it is said otherwise.
pub(super) fn ttl(peer: &PeerPlan) -> Ttl {
    if peer.ttl_security {
        Ttl::Security
    } else if is_external(peer) && (!peer.ebgp_multi_hop || peer.remote.interface().is_some()) {
        Ttl::Hops(1)
    } else {
        Ttl::Default
    }
}

/// Whether BFD has to reach over routers (RFC 5883). An internal peer may be anywhere; one that shares a link with this node is taken
/// for one hop away, as every router does.
pub(super) fn is_multi_hop(peer: &PeerPlan, shares_link: bool) -> bool {
    match peer.remote {
        Remote::Interface(_) => false,
        Remote::Address(_) if is_external(peer) => peer.ebgp_multi_hop,
        Remote::Address(_) => !shares_link,
    }
}

/// What the BFD machine is asked for.
pub(super) fn bfd(plan: &BfdPlan) -> keryx_bfd::Config {
    let interval = |millis: u32| Duration::from_millis(millis.into());
    let defaults = keryx_bfd::Config::default();
    keryx_bfd::Config {
        receive_interval: interval(plan.receive_interval_millis),
        transmit_interval: interval(plan.transmit_interval_millis),
        detect_multiplier: NonZeroU8::new(plan.detect_multiplier).unwrap_or(defaults.detect_multiplier),
        role: if plan.passive { keryx_bfd::Role::Passive } else { keryx_bfd::Role::Active },
        minimum_ttl: plan.minimum_ttl,
    }
}
