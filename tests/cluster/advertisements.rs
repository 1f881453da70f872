//! L2Advertisements: who announces what, on which interface. Each test has a pool of its own.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_tests::advertisement::{Advertised, Advertisement};
use keryx_tests::app::{gateway, load_balancer, route, service};
use keryx_tests::keryx::{NAMESPACE, manifest};
use keryx_tests::{Keryx, Space, wait};
use serde_json::{Value, json};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "advertisements::the_selected_node_announces_and_after_an_edit_another_while_clients_are_served",
        selected,
    ),
    ("advertisements::a_node_that_lacks_the_interface_is_no_candidate", interface),
    ("advertisements::a_preferred_node_announces_and_takes_its_address_back_only_with_revert", preferred),
    ("advertisements::an_address_that_none_is_about_is_silent_and_explain_says_so", silent),
    ("advertisements::one_that_cannot_be_read_or_names_no_pool_says_so_and_harms_no_other", unreadable),
    ("advertisements::an_address_without_endpoints_refuses_clients_if_one_says_so", without_endpoints),
    ("advertisements::a_gateway_is_announced_by_a_node_without_endpoint_if_one_says_so", any_node),
    ("advertisements::full_conflict_detection_asks_before_the_first_announcement_as_rfc_5227_says", full),
    ("advertisements::without_their_kind_everything_is_announced_and_with_it_they_count_again", definition),
];

const PORT: u16 = 7100;

fn on_node(name: &str) -> Value {
    json!([{ "matchLabels": { "kubernetes.io/hostname": name } }])
}

/// A Service with an endpoint on every node, in a namespace and pool of its own.
struct Served<'a> {
    // Dropped in this order: the Service before the pool.
    space: Space<'a>,
    advertised: Advertised<'a>,
    keryx: &'a Keryx,
}

impl<'a> Served<'a> {
    fn new(keryx: &'a Keryx, name: &str, address: &str) -> Result<Self> {
        let advertised = Advertised::new(keryx, name, &[address])?;
        let space = Space::new(keryx, name)?;
        space.run_app("web", 3, None)?;
        Ok(Self { space, advertised, keryx })
    }

    fn expose(&self) -> Result<IpAddr> {
        self.space.apply(service("web", "web", PORT, load_balancer()))?;
        self.space.service_address("web")
    }

    fn announced_by(&self, address: IpAddr, node: &str) -> Result<()> {
        wait::until(&format!("{node} to announce {address}"), || {
            let announcers = self.keryx.client().announcers(address)?;
            ensure!(announcers.len() < 2, "{announcers:?} answer");
            Ok(announcers.contains(node).then_some(()))
        })
    }

    fn is_silent(&self, address: IpAddr) -> Result<()> {
        wait::until(&format!("nobody to announce {address}"), || {
            Ok(self.keryx.client().announcers(address)?.is_empty().then_some(()))
        })
    }

    fn explain(&self, address: IpAddr, expected: &[&str]) -> Result<()> {
        let page = self.keryx.cli(&["explain", &address.to_string()])?;
        for expected in expected {
            ensure!(page.contains(expected), "no {expected:?} in\n{page}");
        }
        Ok(())
    }
}

fn selected(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-selected", "10.98.0.150")?;
    let one = served.advertised.say("one", json!({ "nodeSelectors": on_node("n1") }))?;
    one.condition("Ready", "True")?;
    let address = served.expose()?;
    served.announced_by(address, "n1")?;
    keryx.client().udp(address, PORT)?;
    served.explain(
        address,
        &["advertisements  adv-selected-one", "n2: no L2Advertisement about this address"],
    )?;
    let mut edited = None;
    let outage = keryx.client().outage((address, PORT), Duration::from_secs(3), || {
        edited = Some(served.advertised.say("one", json!({ "nodeSelectors": on_node("n3") }))?);
        Ok(())
    })?;
    served.announced_by(address, "n3")?;
    ensure!(outage.silence < Duration::from_millis(200), "no answer: {outage:?}");
    Ok(())
}

/// The first choice by weight has not got the interface that it may use; the others have theirs.
fn interface(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-interface", "10.98.0.151")?;
    let prefer =
        json!([{ "weight": 100, "preference": { "matchLabels": { "kubernetes.io/hostname": "n1" } } }]);
    let lacking =
        json!({ "nodeSelectors": on_node("n1"), "interfaces": ["eth9"], "preferredNodeSelectors": prefer });
    let _lacking = served.advertised.say("lacking", lacking)?;
    let having = json!({ "nodeSelectors": on_node("n2"), "interfaces": ["eth0", "eth9"] });
    let _having = served.advertised.say("having", having)?;
    let address = served.expose()?;
    served.announced_by(address, "n2")?;
    served.explain(
        address,
        &["is not among the interfaces named for it by L2Advertisements and the address ConfigMap"],
    )?;
    keryx.client().udp(address, PORT)?;

    // An interface of that name that comes makes the node the first choice, but what is held stays where it is.
    let _nowhere = served.advertised.say("having", json!({ "interfaces": ["eth9"] }))?;
    served.is_silent(address)?;
    let _again = served.advertised.say("having", json!({ "interfaces": ["eth0"] }))?;
    keryx.client().announcer(address).map(drop)
}

fn preferred(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-preferred", "10.98.0.152")?;
    let spec = |revert: bool| {
        let preference = json!({ "matchLabels": { "kubernetes.io/hostname": "n2" } });
        json!({ "preferredNodeSelectors": [{ "weight": 1, "preference": preference }], "revert": revert })
    };
    let _sticky = served.advertised.say("one", spec(false))?;
    let address = served.expose()?;
    served.announced_by(address, "n2")?;
    keryx.lab.kubectl(&["annotate", "node", "n2", "keryx.dev/drain="])?;
    let moved = wait::until("another announcer than n2", || {
        let announcers = keryx.client().announcers(address)?;
        Ok((announcers.len() == 1 && !announcers.contains("n2")).then_some(()))
    });
    keryx.lab.kubectl(&["annotate", "node", "n2", "keryx.dev/drain-"])?;
    moved?;
    // Longer than it takes with revert.
    std::thread::sleep(Duration::from_secs(7));
    ensure!(keryx.client().announcer(address)? != "n2", "it moved back by itself");
    let _reverting = served.advertised.say("one", spec(true))?;
    served.announced_by(address, "n2")
}

fn silent(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-silent", "10.98.0.153")?;
    let address = served.expose()?;
    served.is_silent(address)?;
    let why = "no L2Advertisement is about this address";
    served.explain(address, &[why, "advertisements  none"])?;
    let _any = served.advertised.say("any", json!({}))?;
    keryx.client().udp(address, PORT).map(drop)
}

fn unreadable(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-bad", "10.98.0.154")?;
    let requirement = json!({ "key": "kubernetes.io/hostname", "operator": "Equals", "values": ["n1"] });
    let bad =
        served.advertised.say("bad", json!({ "nodeSelectors": [{ "matchExpressions": [requirement] }] }))?;
    let (reason, message) = bad.condition("Ready", "False")?;
    ensure!(reason == "Invalid" && message.contains("spec.nodeSelectors[0]"), "{reason}: {message}");
    let good = served.advertised.say("good", json!({ "nodeSelectors": on_node("n2") }))?;
    let address = served.expose()?;
    served.announced_by(address, "n2")?;
    good.condition("ResolvedRefs", "True")?;

    let lost = Advertisement::apply(keryx, "adv-bad-lost", json!({ "ipAddressPools": ["adv-bda"] }))?;
    let (reason, message) = lost.condition("ResolvedRefs", "False")?;
    ensure!(reason == "PoolNotFound" && message.contains("adv-bda"), "{reason}: {message}");
    for refused in [
        json!({ "interfaces": ["far too long a name"] }),
        json!({ "preferredNodeSelectors": [{ "weight": 101, "preference": {} }] }),
        json!({ "conflictDetection": "Some" }),
        json!({ "ipAddressPools": ["twice", "twice"] }),
    ] {
        let applied = Advertisement::apply(keryx, "adv-bad-refused", refused.clone());
        ensure!(applied.is_err(), "{refused} was taken");
    }
    Ok(())
}

fn without_endpoints(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-refuse", "10.98.0.155")?;
    let _refuse = served.advertised.say("one", json!({ "withoutEndpoints": "Refuse" }))?;
    let address = served.expose()?;
    keryx.client().tcp(address, PORT)?;
    served.space.run_app("web", 0, None)?;
    keryx.client().tcp_refused(address, PORT)?;
    // The client knows the node still; whether it is announced, a new question shows.
    std::thread::sleep(Duration::from_secs(1));
    ensure!(keryx.client().announcers(address)?.len() == 1, "nobody announces it");
    let _withdraw = served.advertised.say("one", json!({ "withoutEndpoints": "Withdraw" }))?;
    served.is_silent(address)
}

fn any_node(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-any-node", "10.98.0.156")?;
    served.space.run_app("web", 1, Some("n1"))?;
    let spec = json!({ "announceFrom": "AnyNode", "nodeSelectors": on_node("n3") });
    let _any = served.advertised.say("one", spec)?;
    served.space.apply(service("backend", "web", PORT, json!({})))?;
    served.space.apply(gateway("edge", &[("tcp", "TCP", PORT)], json!({})))?;
    served.space.apply(route("TCPRoute", "web", "edge", "tcp", "backend", PORT))?;
    let address = served.space.gateway_address("edge")?;
    served.announced_by(address, "n3")?;
    let answer = keryx.client().tcp(address, PORT)?;
    ensure!(answer.node == "n1", "answered by {}", answer.node);
    // By its own default it is announced from the node with the endpoint alone.
    let _default = served.advertised.say("one", json!({}))?;
    served.announced_by(address, "n1")
}

fn full(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-full", "10.98.0.157")?;
    let _full = served.advertised.say("one", json!({ "conflictDetection": "Full" }))?;
    let begin = wait::now();
    let address = served.expose()?;
    keryx.client().announcer(address)?;
    let taken = begin.elapsed();
    // Three probes 1 to 2 s apart and 2 s of silence after the last, at the least.
    ensure!(taken > Duration::from_secs(3), "announced after {taken:?}");
    // Later moves do not wait.
    let holder = keryx.client().announcer(address)?;
    let outage = keryx.client().outage((address, PORT), Duration::from_secs(3), || {
        keryx.lab.kubectl(&["annotate", "node", &holder, "keryx.dev/drain="]).map(drop)
    });
    keryx.lab.kubectl(&["annotate", "node", &holder, "keryx.dev/drain-"])?;
    ensure!(outage?.silence < Duration::from_secs(1), "a move waited");
    Ok(())
}

fn definition(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "adv-kind", "10.98.0.158")?;
    let nowhere = json!({ "interfaces": ["eth9"] });
    let one = served.advertised.say("one", nowhere.clone())?;
    let address = served.expose()?;
    served.is_silent(address)?;
    keryx.lab.kubectl(&["delete", "crd", "l2advertisements.keryx.dev"])?;
    let announced = keryx.client().announcer(address);
    drop(one);
    let install = manifest("install.yaml")?;
    let kind =
        install.split("\n---\n").find(|document| document.contains("name: l2advertisements.keryx.dev"));
    keryx.lab.apply(kind.context("install.yaml lacks the kind")?)?;
    announced?;
    let _others = wait::until("the kind to be served again", || {
        Ok(Advertised::new(keryx, "adv-kind", &["10.98.0.158"]).ok())
    })?;
    let _again = served.advertised.say("one", nowhere)?;
    served.is_silent(address)?;
    ensure!(
        keryx.get(NAMESPACE, "l2advertisement", "others")?.is_some(),
        "no advertisement about other pools"
    );
    keryx.get("adv-kind", "service", "web")?.context("the Service is gone").map(drop)
}
