//! `bgp-sender`: Keryx' driver of BGP alone in a process, with a plan of many prefixes for one router, so that `make bench-bgp` can weigh
//! it like any other BGP speaker. It says `ready` once the plan is made, hands it to the driver at SIGUSR1, and runs until it is killed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use ipnet::{IpNet, Ipv4Net};
use keryx_plan::Plan;
use keryx_plan::bgp::{BgpPlan, PeerPlan, Remote, RemoteAs, RouteAttributes, RoutePlan};
use keryx_speaker::drivers::bgp::{Channels, Standings};
use keryx_speaker::{Metrics, Orders, drivers};
use nix::sys::signal::{SigSet, Signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Name of the only peer.
const PEER: &str = "router";

fn main() -> Result<()> {
    // Before there are threads, which take this over.
    let mut go = SigSet::empty();
    go.add(Signal::SIGUSR1);
    go.thread_block()?;
    let wanted = Wanted::from_arguments()?;
    let orders = Orders {
        plan: Arc::new(Plan { bgp: wanted.plan()?, ..Plan::default() }),
        internal_ips: vec![wanted.local.into()],
        ..Orders::default()
    };
    let (told, orders_seen) = watch::channel(Orders::default());
    let (_passwords, passwords) = watch::channel(None);
    let (standings, _standings) = watch::channel(Standings::default());
    let channels = Channels { orders: orders_seen, passwords, standings };
    let (metrics, stop) = (Metrics::default(), CancellationToken::new());
    let (bfd, _bfd_thread) = drivers::bfd::start(metrics.clone(), stop.clone())?;
    let driver = drivers::bgp::start(channels, PEER.to_owned(), bfd, metrics, stop)?;
    println!("ready");
    go.wait()?;
    told.send_replace(orders);
    driver.join().ok().context("the driver panicked")
}

/// What the arguments say: own and the router's address, own and the router's AS, a community, and how many prefixes.
struct Wanted {
    local: Ipv4Addr,
    remote: Ipv4Addr,
    local_as: NonZeroU32,
    remote_as: NonZeroU32,
    community: u32,
    prefixes: u32,
}

impl Wanted {
    fn from_arguments() -> Result<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [local, remote, local_as, remote_as, community, prefixes] = arguments.as_slice() else {
            anyhow::bail!("usage: bgp-sender LOCAL REMOTE LOCAL_AS REMOTE_AS COMMUNITY PREFIXES");
        };
        Ok(Self {
            local: local.parse()?,
            remote: remote.parse()?,
            local_as: local_as.parse()?,
            remote_as: remote_as.parse()?,
            community: community.parse()?,
            prefixes: prefixes.parse()?,
        })
    }

    /// Host routes from 10.0.0.0 on, as plan and index make them: each with an entry of its own, attributes shared.
    fn plan(&self) -> Result<BgpPlan> {
        ensure!(self.prefixes <= 1 << 24, "10.0.0.0/8 has no more addresses than 2^24");
        let first = Ipv4Addr::new(10, 0, 0, 0).to_bits();
        let attributes =
            RouteAttributes { communities: [self.community].into(), ..RouteAttributes::default() };
        let to = Arc::new(BTreeMap::from([(Arc::from(PEER), Arc::new(attributes))]));
        let route = |number: u32| {
            let address = Ipv4Addr::from_bits(first + number);
            let route = RoutePlan { to: Arc::clone(&to), leaving: false };
            (IpNet::V4(Ipv4Net::from(address)), Arc::new(route))
        };
        let peers = [(PEER.into(), Arc::new(self.peer()))].into();
        Ok(BgpPlan { peers, routes: (0..self.prefixes).map(route).collect(), ..BgpPlan::default() })
    }

    fn peer(&self) -> PeerPlan {
        PeerPlan {
            remote: Remote::Address(self.remote.into()),
            port: 179,
            local_as: self.local_as,
            remote_as: RemoteAs::Number(self.remote_as),
            source_address: None,
            router_id: None,
            hold_time_secs: 90,
            keepalive_time_secs: None,
            connect_time_secs: Some(1),
            dial: true,
            accept: false,
            ebgp_multi_hop: false,
            ttl_security: false,
            vrf: None,
            password: None,
            ipv4: true,
            ipv6: false,
            graceful_restart: None,
            bfd: None,
            admin_down: None,
        }
    }
}
