//! Keryx' drivers of BGP and BFD on a node, with a test in place of the plan.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use keryx_lab::Host;
use keryx_plan::Plan;
use keryx_plan::bgp::{BgpPlan, PeerPlan, RemoteAs, RouteAttributes, RoutePlan};
use keryx_speaker::drivers::bgp::{Channels, Passwords, Standing, Standings, State};
use keryx_speaker::{Metrics, Orders, drivers};
use keryx_tests::wait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::scene::LIMIT;
use crate::worker::Worker;

/// Our AS.
pub(crate) const LOCAL_AS: u32 = 64_512;
/// That of external routers.
pub(crate) const REMOTE_AS: u32 = 64_513;
/// Name of the only peer of most tests.
pub(crate) const PEER: &str = "router";

/// Running drivers. Dropping them is a regular stop: of BGP first.
pub(crate) struct Speaker {
    internal_ips: Vec<IpAddr>,
    orders: watch::Sender<Orders>,
    passwords: watch::Sender<Passwords>,
    standings: watch::Receiver<Standings>,
    _bgp: Worker,
    _bfd: Worker,
}

impl Speaker {
    /// Starts on a node, with these orders.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start(node: &Host, plan: BgpPlan) -> Result<Self> {
        Self::start_with(node, vec![node.address_v4().into(), node.address_v6().into()], plan)
    }

    /// The same on a Node that has these InternalIPs.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start_with(node: &Host, internal_ips: Vec<IpAddr>, plan: BgpPlan) -> Result<Self> {
        // The driver waits for the first orders that come after its start.
        let (orders, orders_seen) = watch::channel(Orders::default());
        let (passwords, passwords_seen) = watch::channel(None);
        let (standings, standings_seen) = watch::channel(Standings::default());
        let metrics = Metrics::default();
        let (bgp_stop, bfd_stop) = (CancellationToken::new(), CancellationToken::new());
        let channels = Channels { orders: orders_seen, passwords: passwords_seen, standings };
        let (bfd_thread, bgp_thread) = node.namespace().run(|| -> Result<_> {
            let (bfd, bfd_thread) = drivers::bfd::start(metrics.clone(), bfd_stop.clone())?;
            let name = node.name().to_owned();
            let bgp_thread = drivers::bgp::start(channels, name, bfd, metrics.clone(), bgp_stop.clone())?;
            Ok((bfd_thread, bgp_thread))
        })?;
        let speaker = Self {
            internal_ips,
            orders,
            passwords,
            standings: standings_seen,
            _bgp: Worker::new(bgp_stop, bgp_thread),
            _bfd: Worker::new(bfd_stop, bfd_thread),
        };
        speaker.order(plan);
        Ok(speaker)
    }

    /// Gives it a new plan instead of the earlier one.
    pub(crate) fn order(&self, bgp: BgpPlan) {
        let internal_ips = self.internal_ips.clone();
        let plan = Arc::new(Plan { bgp, ..Plan::default() });
        self.orders.send_replace(Orders { plan, internal_ips, ..Orders::default() });
    }

    /// What Secrets say from now on.
    pub(crate) fn set_passwords(&self, passwords: &[(&str, &str)]) {
        let each = passwords.iter().map(|(name, password)| ((*name).to_owned(), password.as_bytes().into()));
        self.passwords.send_replace(Some(Arc::new(each.collect::<BTreeMap<_, _>>())));
    }

    /// How the session with [`PEER`] stands.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn standing(&self) -> Result<Standing> {
        self.standings.borrow().get(PEER).cloned().context("nothing is said of the peer")
    }

    /// Waits until the session stands.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn wait_established(&self) -> Result<Standing> {
        self.wait("a session", |standing| matches!(standing.state, State::Established(_)))
    }

    /// Waits until there is no session, and why is as `is_why` says.
    ///
    /// # Errors
    /// It does not come to that.
    pub(crate) fn wait_error(&self, part: &str) -> Result<Standing> {
        let is_it = |standing: &Standing| {
            standing.agreed().is_none() && standing.last_error.as_ref().is_some_and(|why| why.contains(part))
        };
        self.wait(&format!("the error '{part}'"), is_it)
    }

    /// Waits until the session stands as `is_it` says.
    ///
    /// # Errors
    /// It does not come to that.
    pub(crate) fn wait(&self, what: &str, is_it: impl Fn(&Standing) -> bool) -> Result<Standing> {
        let found = wait::until_within(LIMIT, what, || Ok(self.standing().ok().filter(&is_it)));
        found.with_context(|| format!("the session stands so: {:?}", self.standing().ok()))
    }
}

/// The session with a router at an address: external, with all defaults.
pub(crate) fn peer(remote: IpAddr) -> PeerPlan {
    PeerPlan {
        remote: remote.into(),
        port: 179,
        local_as: asn(LOCAL_AS),
        remote_as: RemoteAs::Number(asn(REMOTE_AS)),
        source_address: None,
        router_id: None,
        hold_time_secs: 90,
        keepalive_time_secs: None,
        connect_time_secs: Some(2),
        dial: true,
        accept: false,
        ebgp_multi_hop: false,
        ttl_security: false,
        vrf: None,
        password: None,
        ipv4: true,
        ipv6: true,
        graceful_restart: None,
        bfd: None,
        admin_down: None,
    }
}

pub(crate) fn asn(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("it is not 0")
}

/// A plan with one peer, which is told of these prefixes.
pub(crate) fn telling(peer: PeerPlan, prefixes: &[&str]) -> BgpPlan {
    let routes = prefixes.iter().map(|prefix| (*prefix, RouteAttributes::default()));
    telling_with(peer, &routes.collect::<Vec<_>>())
}

/// A plan with one peer, which is told of these prefixes, each with its attributes.
pub(crate) fn telling_with(peer: PeerPlan, routes: &[(&str, RouteAttributes)]) -> BgpPlan {
    let route = |attributes: &RouteAttributes| RoutePlan {
        to: Arc::new([(Arc::from(PEER), Arc::new(attributes.clone()))].into()),
        leaving: false,
    };
    let routes = routes
        .iter()
        .map(|(prefix, attributes)| (prefix.parse().expect("it is a prefix"), Arc::new(route(attributes))));
    BgpPlan { peers: [(PEER.into(), Arc::new(peer))].into(), routes: routes.collect(), ..BgpPlan::default() }
}
