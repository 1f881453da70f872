//! BGP: what a router on the segment learns from the speakers of a real cluster, and where its packets go. Each test has a pool of its
//! own, with addresses that are on no segment.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::router::Bird;
use keryx_lab::{Host, Signal, probe};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::object::Object;
use keryx_tests::pool::{Pool, serving};
use keryx_tests::{Keryx, Space, wait};
use serde_json::{Value, json};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("bgp::every_node_advertises_a_service_of_policy_cluster_and_its_clients_are_served", cluster_policy),
    (
        "bgp::under_local_only_nodes_with_an_endpoint_advertise_and_the_last_one_takes_the_route_with_it",
        local_policy,
    ),
    ("bgp::a_gateway_is_advertised_where_its_endpoints_are_with_its_communities", gateway_routes),
    ("bgp::a_node_that_is_drained_is_marked_and_then_out_of_the_table", drained),
    ("bgp::a_killed_speaker_loses_no_route_with_graceful_restart", killed),
    ("bgp::a_password_comes_from_a_secret_and_its_absence_is_said", password),
    ("bgp::one_broken_peer_says_so_and_harms_no_other", broken),
];

const PORT: u16 = 7200;
const LOCAL_AS: u32 = 64_512;
const REMOTE_AS: u32 = 64_513;
/// One try of a client.
const TRY: Duration = Duration::from_millis(500);

/// A router with a session to each node, a pool that is advertised, and a namespace whose Services take from it.
struct Scene<'a> {
    keryx: &'a Keryx,
    // Dropped in this order: the Services before the pool.
    space: Space<'a>,
    _pool: Pool<'a>,
    bird: Bird,
}

impl<'a> Scene<'a> {
    fn new(keryx: &'a Keryx, name: &str, addresses: &str, more: &str) -> Result<Self> {
        let bird = router(keryx).bird(&config(keryx, more))?;
        let pool = Pool::in_force(keryx, name, serving(name, &[addresses]))?;
        let space = Space::new(keryx, name)?;
        Ok(Self { keryx, space, _pool: pool, bird })
    }

    fn peer(&self, more: Value) -> Result<Object<'a>> {
        let mut spec = json!({
            "myASN": LOCAL_AS, "peerASN": REMOTE_AS, "connectTime": "2s",
            "peerAddress": router(self.keryx).address_v4().to_string(),
        });
        spec.as_object_mut().context("an object")?.extend(more.as_object().cloned().unwrap_or_default());
        Object::apply(self.keryx, "BGPPeer", &self.space.name, spec)
    }

    fn advertisement(&self, mut spec: Value) -> Result<Object<'a>> {
        spec["ipAddressPools"] = json!([self.space.name]);
        Object::apply(self.keryx, "BGPAdvertisement", &self.space.name, spec)
    }

    /// The nodes whose route to an address the router has.
    fn advertisers(&self, address: IpAddr) -> Result<BTreeSet<String>> {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let routes = self.bird.routes()?;
        let paths = routes.get(&format!("{address}/{length}")).map(|route| &*route.paths).unwrap_or_default();
        Ok(paths.iter().map(|path| path.protocol.clone()).collect())
    }

    fn wait_advertisers(&self, address: IpAddr, nodes: &[&str]) -> Result<()> {
        let found = wait::until(&format!("{address} to be advertised by exactly {nodes:?}"), || {
            let advertisers = self.advertisers(address)?;
            Ok(advertisers.iter().map(String::as_str).eq(nodes.iter().copied()).then_some(()))
        });
        found.with_context(|| format!("the router has {:?}", self.bird.routes()))
    }

    /// An answer of the app, asked from the router.
    fn ask(&self, address: IpAddr) -> Result<probe::Answer> {
        let server = SocketAddr::new(address, PORT);
        let namespace = router(self.keryx).namespace();
        probe::until_answered(wait::LIMIT, Duration::from_millis(20), || {
            probe::tcp_once(&namespace, server, TRY)
        })
        .with_context(|| format!("no answer over TCP from {server}"))
    }
}

fn router(keryx: &Keryx) -> Host {
    keryx.lab.client_host(2)
}

/// A session with each node, named like the node; what it says becomes routes of the router's kernel, several paths at once. `more` is
/// said of each session.
fn config(keryx: &Keryx, more: &str) -> String {
    let router = router(keryx);
    let mut config = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{}}\n\
         protocol kernel {{ ipv4 {{ import none; export where source = RTS_BGP; }}; merge paths yes; }}\n",
        router.address_v4()
    );
    for node in keryx.lab.nodes() {
        let _ = writeln!(
            config,
            "protocol bgp {} {{ local {} as {REMOTE_AS}; neighbor {} as {LOCAL_AS}; {more} \
             error wait time 1, 2; connect retry time 1; ipv4 {{ import all; export none; }}; }}",
            node.name(),
            router.address_v4(),
            node.address_v4()
        );
    }
    config
}

fn cluster_policy(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-cluster", "198.51.100.0/28", "")?;
    let _peer = scene.peer(json!({}))?;
    let advertisement = scene.advertisement(json!({}))?;
    scene.space.run_app("web", 1, Some("n2"))?;
    scene.space.apply(service("web", "web", PORT, load_balancer()))?;
    let address = scene.space.service_address("web")?;
    scene.wait_advertisers(address, &["n1", "n2", "n3"])?;
    wait::until("three paths in the router's kernel", || {
        let kernel = keryx_tests::client::ip_route(&router(keryx), address)?;
        Ok((kernel.matches("nexthop via").count() == 3).then_some(()))
    })?;
    ensure!(scene.ask(address)?.node == "n2", "somebody else answers");

    // A SpeakerStatus is written every two seconds at most; while a session is missing, the command fails.
    wait::until("three sessions in the table", || {
        let table = keryx.cli(&["bgp"]).unwrap_or_default();
        Ok((table.lines().filter(|line| line.contains("Established")).count() == 3).then_some(()))
    })?;
    ensure!(keryx.client().announcers(address)?.is_empty(), "an address on no segment is announced by ARP");
    drop(advertisement);
    scene.wait_advertisers(address, &[])
}

fn local_policy(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-local", "198.51.100.16/28", "")?;
    let _peer = scene.peer(json!({}))?;
    let _advertisement = scene.advertisement(json!({}))?;
    scene.space.run_app("web", 1, Some("n1"))?;
    let mut local = load_balancer();
    local["externalTrafficPolicy"] = json!("Local");
    scene.space.apply(service("web", "web", PORT, local))?;
    let address = scene.space.service_address("web")?;
    scene.wait_advertisers(address, &["n1"])?;
    let answer = scene.ask(address)?;
    ensure!(answer.node == "n1", "{answer:?}");
    scene.space.run_app("web", 1, Some("n3"))?;
    scene.wait_advertisers(address, &["n3"])?;
    scene.space.kubectl(&["scale", "deployment/web", "--replicas=0"])?;
    scene.wait_advertisers(address, &[])
}

fn gateway_routes(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-gateway", "198.51.100.32/28", "")?;
    let _peer = scene.peer(json!({}))?;
    let _names = Object::apply(
        keryx,
        "Community",
        "names",
        json!({ "communities": [{ "name": "edge", "value": "64512:77" }] }),
    )?;
    let _advertisement =
        scene.advertisement(json!({ "communities": ["edge", "no-export"], "asPathPrepend": 1 }))?;
    scene.space.run_app("web", 1, Some("n3"))?;
    scene.space.apply(service("web", "web", PORT, json!({ "type": "ClusterIP" })))?;
    scene.space.apply(gateway("edge", &[("web", "TCP", PORT)], json!({})))?;
    scene.space.apply(route("TCPRoute", "web", "edge", "web", "web", PORT))?;
    let address = scene.space.gateway_address("edge")?;
    scene.wait_advertisers(address, &["n3"])?;
    let routes = scene.bird.routes()?;
    let path = &routes[&format!("{address}/32")].paths[0];
    let communities = path.attributes.get("BGP.community").map(String::as_str);
    ensure!(communities == Some("(64512,77) (65535,65281)"), "{path:?}");
    ensure!(path.attributes.get("BGP.as_path").map(String::as_str) == Some("64512 64512"), "{path:?}");
    ensure!(scene.ask(address)?.node == "n3", "somebody else answers");
    Ok(())
}

fn drained(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-drain", "198.51.100.48/28", "")?;
    let _peer = scene.peer(json!({}))?;
    let _advertisement = scene.advertisement(json!({}))?;
    scene.space.run_app("web", 1, None)?;
    scene.space.apply(service("web", "web", PORT, load_balancer()))?;
    let address = scene.space.service_address("web")?;
    scene.wait_advertisers(address, &["n1", "n2", "n3"])?;
    keryx.lab.kubectl(&["annotate", "node", "n1", "keryx.dev/drain="])?;
    let marked = wait::until("the mark of a graceful shutdown", || {
        let routes = scene.bird.routes()?;
        let paths = routes.get(&format!("{address}/32")).map(|route| &*route.paths).unwrap_or_default();
        let of_n1 = paths.iter().find(|path| path.protocol == "n1");
        let communities = of_n1.and_then(|path| path.attributes.get("BGP.community"));
        Ok(communities.is_some_and(|all| all.contains("(65535,0)")).then_some(()))
    });
    let gone = marked.and_then(|()| scene.wait_advertisers(address, &["n2", "n3"]));
    keryx.lab.kubectl(&["annotate", "node", "n1", "keryx.dev/drain-"])?;
    gone?;
    scene.wait_advertisers(address, &["n1", "n2", "n3"])
}

fn killed(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-restart", "198.51.100.64/28", "graceful restart on;")?;
    let _peer =
        scene.peer(json!({ "enableGracefulRestart": true, "gracefulRestart": { "restartTime": "60s" } }))?;
    let _advertisement = scene.advertisement(json!({}))?;
    scene.space.run_app("web", 1, Some("n2"))?;
    let mut local = load_balancer();
    local["externalTrafficPolicy"] = json!("Local");
    scene.space.apply(service("web", "web", PORT, local))?;
    let address = scene.space.service_address("web")?;
    scene.wait_advertisers(address, &["n2"])?;
    scene.ask(address)?;
    keryx.signal_speaker(&keryx.lab.node(2), Signal::SIGKILL)?;
    wait::until("the session to be gone", || {
        Ok((!scene.bird.state("n2")?.contains("Established")).then_some(()))
    })?;
    // The only path leads over the node whose speaker is away.
    let deadline = wait::now() + Duration::from_secs(60);
    while !scene.bird.state("n2")?.contains("Established") {
        ensure!(wait::now() < deadline, "the session does not come back");
        let answer = probe::tcp_once(&router(keryx).namespace(), SocketAddr::new(address, PORT), TRY);
        ensure!(answer.is_ok(), "a client was lost: {answer:?}");
    }
    keryx.wait_speakers()?;
    scene.wait_advertisers(address, &["n2"])
}

fn password(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-password", "198.51.100.80/28", "password \"s3cret\";")?;
    let _peer = scene.peer(json!({ "passwordSecret": { "name": "bgp-password" } }))?;
    let session = |part: &'static str| {
        let own = Space::existing(keryx, NAMESPACE);
        own.wait_for("speakerstatus", "n1", part, move |status| {
            let sessions = status.pointer("/status/sessions")?.as_array()?;
            let ours = sessions.iter().find(|session| session["peer"] == "bgp-password")?;
            ours.to_string().contains(part).then_some(())
        })
    };
    session("there is no Secret bgp-password")?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
        "metadata": { "name": "bgp-password", "namespace": NAMESPACE },
        "stringData": { "username": "", "password": "s3cret" },
    });
    keryx.lab.apply(&secret.to_string())?;
    let established = session("Established");
    keryx.lab.kubectl(&["-n", NAMESPACE, "delete", "secret", "bgp-password"])?;
    established
}

fn broken(keryx: &Keryx) -> Result<()> {
    let scene = Scene::new(keryx, "bgp-broken", "198.51.100.96/28", "")?;
    let _peer = scene.peer(json!({}))?;
    let _advertisement = scene.advertisement(json!({}))?;
    let broken = json!({
        "myASN": LOCAL_AS, "peerASN": REMOTE_AS, "peerAddress": "10.98.0.199", "bfdProfile": "missing",
    });
    let broken = Object::apply(keryx, "BGPPeer", "bgp-nowhere", broken)?;
    scene.space.run_app("web", 1, None)?;
    scene.space.apply(service("web", "web", PORT, load_balancer()))?;
    let address = scene.space.service_address("web")?;
    scene.wait_advertisers(address, &["n1", "n2", "n3"])?;
    // The router can have the routes before the SpeakerStatus tells of the sessions: it is written every two seconds at most.
    wait::until("the table to name what is missing", || {
        let table = keryx.cli_command(&["bgp", "--node", "n1"])?.output()?;
        let said = String::from_utf8_lossy(&table.stdout);
        ensure!(table.status.code() == Some(1), "no session is missing: {said}");
        ensure!(said.contains("there is no BFDProfile missing"), "{said}");
        Ok(Some(()))
    })?;
    let refused = json!({ "myASN": 0, "peerASN": REMOTE_AS, "peerAddress": "10.98.0.199" });
    ensure!(Object::apply(keryx, "BGPPeer", "bgp-zero", refused).is_err(), "AS 0 was taken");
    drop(broken);
    Ok(())
}
