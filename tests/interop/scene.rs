//! Nodes with Keryx' drivers, and a router on their segment.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::router::{Bird, BirdPath, Frr, GoBgp};
use keryx_lab::{Host, Lab, Tier};
use keryx_tests::wait;
use serde_json::Value;

/// Longest wait for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// One node and one router, or more.
pub(crate) struct Scene {
    lab: Lab,
}

impl Scene {
    /// One node and one router.
    ///
    /// # Errors
    /// The lab cannot be started.
    pub(crate) fn start() -> Result<Self> {
        Self::of(1, 1)
    }

    /// Nodes, and clients of which the first is the router.
    ///
    /// # Errors
    /// The lab cannot be started.
    pub(crate) fn of(nodes: u8, clients: u8) -> Result<Self> {
        let wire = Lab::builder().tier(Tier::Wire).nodes(nodes).clients(clients);
        Ok(Self { lab: wire.routers(true).start()? })
    }

    /// The first node.
    pub(crate) fn node(&self) -> Host {
        self.lab.node(1)
    }

    pub(crate) fn nodes(&self) -> Vec<Host> {
        self.lab.nodes()
    }

    /// A client that is no speaker of BGP.
    pub(crate) fn second_client(&self) -> Host {
        self.lab.client_host(2)
    }

    pub(crate) fn router(&self) -> Host {
        self.lab.client_host(1)
    }

    /// The router's IPv4 address.
    pub(crate) fn remote(&self) -> IpAddr {
        self.router().address_v4().into()
    }

    /// The router's IPv6 address.
    pub(crate) fn remote_v6(&self) -> IpAddr {
        self.router().address_v6().into()
    }

    /// Starts BIRD with a configuration in which `@NODE4@`, `@NODE6@`, `@ROUTER4@` and `@ROUTER6@` stand for addresses.
    pub(crate) fn bird(&self, config: &str) -> Result<Bird> {
        self.router().bird(&self.filled(config))
    }

    /// Starts FRR in the same way, bgpd and bfdd with a configuration each.
    pub(crate) fn frr(&self, bgpd: &str, bfdd: &str) -> Result<Frr> {
        self.router().frr(&self.filled(bgpd), bfdd)
    }

    /// Starts GoBGP in the same way.
    pub(crate) fn gobgp(&self, config: &str) -> Result<GoBgp> {
        self.router().gobgp(&self.filled(config))
    }

    pub(crate) fn filled(&self, config: &str) -> String {
        let (node, router) = (self.node(), self.router());
        config
            .replace("@NODE4@", &node.address_v4().to_string())
            .replace("@NODE6@", &node.address_v6().to_string())
            .replace("@ROUTER4@", &router.address_v4().to_string())
            .replace("@ROUTER6@", &router.address_v6().to_string())
    }
}

/// Waits until BIRD has exactly these routes from BGP, and gives each one's best path.
pub(crate) fn wait_bird_routes(bird: &Bird, prefixes: &[&str]) -> Result<BTreeMap<String, BirdPath>> {
    let what = format!("exactly {prefixes:?} in BIRD's table");
    let found = wait::until_within(LIMIT, &what, || {
        let routes = bird.routes()?;
        let is_it = routes.keys().map(String::as_str).eq(prefixes.iter().copied());
        Ok(is_it.then_some(routes))
    });
    let routes = found.with_context(|| format!("BIRD has {:?}", bird.routes()))?;
    let best = |(prefix, route): (String, keryx_lab::router::BirdRoute)| {
        let path = route.paths.into_iter().next();
        Ok((prefix, path.context("a route without a path")?))
    };
    routes.into_iter().map(best).collect()
}

/// An attribute of a path, by BIRD's name for it.
pub(crate) fn attribute<'a>(path: &'a BirdPath, name: &str) -> Result<&'a str> {
    let value = path.attributes.get(name).with_context(|| format!("no {name} in {:?}", path.attributes))?;
    Ok(value)
}

/// The routes that FRR has in a family (`ipv4` or `ipv6`), by prefix.
pub(crate) fn frr_routes(frr: &Frr, family: &str) -> Result<BTreeMap<String, Value>> {
    let table = frr.json("bgpd", &format!("show bgp {family} unicast json"))?;
    let routes = table["routes"].as_object().cloned().unwrap_or_default();
    Ok(routes.into_iter().map(|(prefix, paths)| (prefix, paths[0].clone())).collect())
}

/// Waits until FRR has exactly these routes.
pub(crate) fn wait_frr_routes(frr: &Frr, family: &str, prefixes: &[&str]) -> Result<BTreeMap<String, Value>> {
    let what = format!("exactly {prefixes:?} in FRR's table");
    let found = wait::until_within(LIMIT, &what, || {
        let routes = frr_routes(frr, family)?;
        Ok(routes.keys().map(String::as_str).eq(prefixes.iter().copied()).then_some(routes))
    });
    found.with_context(|| format!("FRR has {:?}", frr_routes(frr, family)))
}

/// What FRR says of its neighbour at an address.
pub(crate) fn frr_neighbour(frr: &Frr, address: IpAddr) -> Result<Value> {
    let all = frr.json("bgpd", "show bgp neighbors json")?;
    let neighbour = all[address.to_string()].clone();
    ensure!(neighbour.is_object(), "FRR knows no neighbour {address}");
    Ok(neighbour)
}
