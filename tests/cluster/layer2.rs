//! Failover on a segment: who answers for a VIP when nodes, cables and speakers fail. Each test mends what it broke.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::{Host, Signal};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::{Keryx, Space, wait};
use serde_json::json;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("layer2::speakers_find_each_other", joined),
    ("layer2::an_ipv6_vip_is_found_by_neighbor_discovery_and_moves_too", ipv6),
    ("layer2::a_holder_that_is_unplugged_is_replaced_and_gets_nothing_back", unplugged),
    ("layer2::a_holder_without_carrier_is_replaced", carrier),
    ("layer2::a_speaker_that_is_killed_is_replaced", killed),
    ("layer2::a_frozen_speaker_that_goes_on_never_answers_beside_its_successor", frozen),
    ("layer2::a_drained_node_hands_over_while_it_still_answers", drained),
    ("layer2::a_rolling_update_of_all_speakers_changes_no_announcer", rolled),
    ("layer2::speakers_that_start_without_the_api_server_go_on_from_their_last_plan", started_without_api),
    ("layer2::with_gossip_blocked_there_is_one_announcer_of_old_and_of_new_vips", gossip_blocked),
    ("layer2::failover_needs_no_api_server", without_api),
    ("layer2::events_say_which_node_announces_and_why_that_changed", events),
    ("layer2::a_rebalance_moves_a_vip_to_its_first_choice_and_explain_says_so", rebalanced),
    ("layer2::each_speaker_has_a_status_that_goes_with_its_pod", statuses),
    ("layer2::a_vip_that_another_station_has_waits_and_says_for_whom", stranger),
];

const PORT: u16 = 7000;
/// Far above what the benchmark measures and far below what the API server would need to notice: a test on a busy machine
/// must not mistake its own hiccup for a fault.
const OUTAGE_MAX: Duration = Duration::from_millis(1500);
/// Until every kube-proxy has heard that a Pod has moved; it looks once a second.
const KUBE_PROXIES: Duration = Duration::from_secs(2);
/// An address of the ranges that another station has.
const STRANGERS: &str = "10.98.0.238";
const SETTLE: Duration = Duration::from_secs(3);

/// A Service of policy Cluster, announced by one node and served by a Pod on another.
struct Served<'a> {
    keryx: &'a Keryx,
    space: Space<'a>,
    address: IpAddr,
}

impl<'a> Served<'a> {
    fn new(keryx: &'a Keryx, name: &str) -> Result<Self> {
        let space = Space::new(keryx, name)?;
        space.run_app("web", 1, None)?;
        space.apply(service("web", "web", PORT, load_balancer()))?;
        let address = space.service_address("web")?;
        let served = Self { keryx, space, address };
        let holder = served.holder()?;
        // What fails is the announcer; a Pod that is lost with it would be another fault.
        let nodes = keryx.lab.nodes();
        let other =
            nodes.iter().find(|node| node.name() != holder.name()).context("there is one node only")?;
        served.space.run_app("web", 1, Some(other.name()))?;
        wait::until("an answer from the other node", || {
            let answer = keryx.client().udp(address, PORT)?;
            Ok((answer.node == other.name()).then_some(()))
        })?;
        std::thread::sleep(KUBE_PROXIES);
        ensure!(served.holder()?.name() == holder.name(), "the announcer moved with the Pod");
        Ok(served)
    }

    /// The node that announces it.
    fn holder(&self) -> Result<Host> {
        let name = self.keryx.client().announcer(self.address)?;
        self.keryx.lab.nodes().into_iter().find(|node| node.name() == name).context("no such node")
    }

    /// Waits until another node than `old` announces it, and it alone.
    fn moved_from(&self, old: &Host) -> Result<Host> {
        wait::until("another announcer", || {
            let announcers = self.keryx.client().announcers(self.address)?;
            let moved = announcers.len() == 1 && !announcers.contains(old.name());
            Ok(moved.then_some(()))
        })?;
        self.holder()
    }

    /// Waits until exactly one node answers, as after a heal, and looks for a while whether that stays so.
    fn one_again(&self, duration: Duration) -> Result<()> {
        self.holder()?;
        self.never_two(duration).map(drop)
    }

    /// Looks for a while whether ever more than one node answers.
    fn never_two(&self, duration: Duration) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        let until = wait::now() + duration;
        while wait::now() < until {
            let announcers = self.keryx.client().announcers(self.address)?;
            ensure!(announcers.len() < 2, "{announcers:?} answer");
            all.extend(announcers);
        }
        Ok(all)
    }

    fn outage(&self, fault: impl FnOnce() -> Result<()>) -> Result<Duration> {
        Ok(self.keryx.client().outage((self.address, PORT), SETTLE, fault)?.silence)
    }
}

fn joined(keryx: &Keryx) -> Result<()> {
    for node in keryx.lab.nodes() {
        wait::until("two members beside each speaker", || {
            Ok((keryx.speaker_metric(&node, "keryx_speaker_members ")? >= 2.0).then_some(()))
        })?;
    }
    Ok(())
}

fn ipv6(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "layer2-ipv6")?;
    let spec = json!({
        "addresses": ["fd98::f0-fd98::ff"],
        "serviceAllocation": { "priority": 1, "namespaces": ["layer2-ipv6"] },
    });
    let _pool = keryx_tests::pool::Pool::in_force(keryx, "layer2-ipv6", spec)?;
    space.run_app("web", 3, None)?;
    let mut spec = load_balancer();
    spec["ipFamilies"] = json!(["IPv6"]);
    space.apply(service("web", "web", PORT, spec))?;
    let address = space.service_address("web")?;
    ensure!(address.is_ipv6(), "{address}");
    keryx.client().tcp(address, PORT)?;
    keryx.client().udp(address, PORT).map(drop)
}

fn unplugged(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-unplugged")?;
    let holder = served.holder()?;
    let outage = served.outage(|| holder.unplug(0));
    let mended = (|| {
        let outage = outage?;
        ensure!(outage < OUTAGE_MAX, "no answer for {outage:?}");
        served.moved_from(&holder)
    })();
    holder.plug(0)?;
    let successor = mended?;
    // The one that comes back hears who holds the group, and stays silent.
    let seen = served.never_two(Duration::from_secs(3))?;
    ensure!(seen == BTreeSet::from([successor.name().to_owned()]), "answered by {seen:?}");
    Ok(())
}

fn carrier(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-carrier")?;
    let holder = served.holder()?;
    let outage = served.outage(|| holder.set_carrier(0, false));
    let moved = outage.and_then(|outage| {
        ensure!(outage < OUTAGE_MAX, "no answer for {outage:?}");
        served.moved_from(&holder).map(drop)
    });
    holder.set_carrier(0, true)?;
    moved?;
    served.never_two(Duration::from_secs(2)).map(drop)
}

fn killed(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-killed")?;
    let holder = served.holder()?;
    keryx.signal_speaker(&holder, Signal::SIGKILL)?;
    served.moved_from(&holder)?;
    keryx.wait_speakers()?;
    served.never_two(Duration::from_secs(2)).map(drop)
}

fn frozen(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-frozen")?;
    let holder = served.holder()?;
    keryx.signal_speaker(&holder, Signal::SIGSTOP)?;
    let moved = served.moved_from(&holder);
    keryx.signal_speaker(&holder, Signal::SIGCONT)?;
    let successor = moved?;
    let seen = served.never_two(Duration::from_secs(3))?;
    ensure!(seen == BTreeSet::from([successor.name().to_owned()]), "answered by {seen:?}");
    Ok(())
}

fn drained(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-drained")?;
    let holder = served.holder()?;
    let outage = served
        .outage(|| keryx.lab.kubectl(&["annotate", "node", holder.name(), "keryx.dev/drain="]).map(drop));
    let moved = served.moved_from(&holder);
    keryx.lab.kubectl(&["annotate", "node", holder.name(), "keryx.dev/drain-"])?;
    let outage = outage?;
    moved?;
    ensure!(outage < Duration::from_millis(200), "no answer for {outage:?}");
    Ok(())
}

fn rolled(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-rolled")?;
    let holder = served.holder()?;
    let outage = served.outage(|| {
        keryx.lab.kubectl(&["-n", NAMESPACE, "rollout", "restart", "daemonset/keryx-speaker"])?;
        keryx.wait_speakers()
    })?;
    ensure!(served.holder()?.name() == holder.name(), "the announcer changed from {}", holder.name());
    ensure!(outage < Duration::from_millis(500), "no answer for {outage:?}");
    Ok(())
}

/// Drops the speakers' datagrams at every node until this value goes.
struct Blocked<'a>(&'a Keryx);

impl<'a> Blocked<'a> {
    fn everywhere(keryx: &'a Keryx) -> Result<Self> {
        let blocked = Self(keryx);
        for node in keryx.lab.nodes() {
            node.set_udp_loss(7947, 100)?;
        }
        Ok(blocked)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        for node in self.0.lab.nodes() {
            // A failure shows in the next test; here it would hide this one's.
            let _ignored = node.set_udp_loss(7947, 0);
        }
    }
}

fn gossip_blocked(keryx: &Keryx) -> Result<()> {
    let old = Served::new(keryx, "layer2-blocked")?;
    let holder = old.holder()?;
    let blocked = Blocked::everywhere(keryx)?;
    let seen = old.never_two(Duration::from_secs(3))?;
    ensure!(seen == BTreeSet::from([holder.name().to_owned()]), "answered by {seen:?}");
    old.space.apply(service("later", "web", PORT, load_balancer()))?;
    let address = old.space.service_address("later")?;
    let new = Served { keryx, space: Space::existing(keryx, "layer2-blocked"), address };
    new.holder()?;
    let seen = new.never_two(Duration::from_secs(2))?;
    ensure!(seen.len() == 1, "answered by {seen:?}");
    // And one that is really dead is found to be so without gossip.
    holder.unplug(0)?;
    let moved = old.moved_from(&holder);
    holder.plug(0)?;
    moved?;
    drop(blocked);
    old.one_again(Duration::from_secs(3))?;
    new.one_again(Duration::from_secs(1))
}

/// Comes after the rolling update: the kubelet restarts a container at once only the first time.
fn started_without_api(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-snapshot")?;
    let nodes = keryx.lab.nodes();
    // The plan is noted at most every five seconds.
    wait::until("the plan on every node", || {
        let address = served.address.to_string();
        let noted = nodes.iter().map(|node| keryx.speaker_file(node, "plan.json"));
        let noted = noted.collect::<Result<Vec<_>>>()?;
        Ok(noted.iter().all(|plan| plan.contains(&address)).then_some(()))
    })?;
    for node in &nodes {
        node.cut_management()?;
    }
    let outcome = (|| {
        for node in &nodes {
            keryx.signal_speaker(node, Signal::SIGKILL)?;
        }
        for node in &nodes {
            wait::until("a speaker that says that its plan is stale", || {
                // It does not listen yet.
                let stale = keryx.speaker_metric(node, "keryx_speaker_plan_is_stale ").unwrap_or_default();
                Ok((stale == 1.0).then_some(()))
            })?;
        }
        served.holder()?;
        keryx.client().udp(served.address, PORT).map(drop)
    })();
    for node in &nodes {
        node.restore_management()?;
    }
    outcome?;
    for node in &nodes {
        wait::until("a plan of its own", || {
            Ok((keryx.speaker_metric(node, "keryx_speaker_plan_is_stale ")? == 0.0).then_some(()))
        })?;
    }
    keryx.wait_speakers()?;
    served.one_again(Duration::from_secs(1))
}

fn without_api(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-api")?;
    let holder = served.holder()?;
    for node in keryx.lab.nodes() {
        node.cut_management()?;
    }
    let outage = served.outage(|| holder.unplug(0));
    holder.plug(0)?;
    for node in keryx.lab.nodes() {
        node.restore_management()?;
    }
    let outage = outage?;
    ensure!(outage < OUTAGE_MAX, "no answer for {outage:?}");
    served.one_again(Duration::from_secs(2))
}

/// The notes of a Service's events, one a line.
fn notes(space: &Space<'_>, service: &str) -> Result<String> {
    let selector = format!("--field-selector=involvedObject.name={service}");
    space.kubectl(&["get", "events", &selector, "-o", "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}"])
}

fn wait_note(space: &Space<'_>, service: &str, words: &[&str]) -> Result<()> {
    wait::until(&format!("an event with {words:?}"), || {
        let notes = notes(space, service)?;
        Ok(notes.lines().any(|note| words.iter().all(|word| note.contains(word))).then_some(()))
    })
}

fn events(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-events")?;
    let holder = served.holder()?;
    let address = served.address.to_string();
    wait_note(&served.space, "web", &[&format!("Node {} announces {address} on eth0", holder.name())])?;
    keryx.lab.kubectl(&["annotate", "node", holder.name(), "keryx.dev/drain="])?;
    let moved = served.moved_from(&holder);
    keryx.lab.kubectl(&["annotate", "node", holder.name(), "keryx.dev/drain-"])?;
    let successor = moved?;
    let text =
        format!("Node {} announces {address} on eth0, in place of Node {}", successor.name(), holder.name());
    wait_note(&served.space, "web", &[&text, "drained"])?;
    let notes = notes(&served.space, "web")?;
    ensure!(notes.lines().filter(|note| note.contains("announces")).count() == 2, "{notes}");
    Ok(())
}

fn rebalanced(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-rebalance")?;
    let holder = served.holder()?;
    let target = served.address.to_string();
    let page = keryx.cli(&["explain", &target])?;
    ensure!(page.contains(&format!("announced by    Node {} on eth0 ({target})", holder.name())), "{page}");
    // The Pod has gone to another node, which is the first choice since then.
    let outage = served.outage(|| keryx.cli(&["rebalance"]).map(drop))?;
    let successor = served.moved_from(&holder)?;
    ensure!(outage < Duration::from_millis(200), "no answer for {outage:?}");
    let page = keryx.cli(&["explain", &target])?;
    ensure!(
        page.contains(&format!("announced by    Node {} on eth0 ({target})", successor.name())),
        "{page}"
    );
    ensure!(page.contains(&format!("{}: stands by for Node {}", holder.name(), successor.name())), "{page}");
    Ok(())
}

fn stranger(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "layer2-stranger")?;
    space.run_app("web", 3, None)?;
    let client = keryx.lab.client_host(1);
    let address = |what: &str| -> Result<()> {
        let status = client
            .command("ip")
            .args(["address", what, &format!("{STRANGERS}/24"), "dev", "eth0"])
            .status()?;
        ensure!(status.success(), "ip address {what}: {status}");
        Ok(())
    };
    address("add")?;
    let seen = (|| {
        let mut spec = load_balancer();
        spec["loadBalancerIP"] = json!(STRANGERS);
        space.apply(service("web", "web", PORT, spec))?;
        wait_note(&space, "web", &["hardware address", STRANGERS, "not announced"])?;
        let page = keryx.cli(&["explain", STRANGERS])?;
        ensure!(page.contains("in conflict") && page.contains("nobody now"), "{page}");
        let said = space.condition(
            ("service", "web"),
            "/status/conditions",
            ("keryx.dev/AddressConflict", "True"),
        )?;
        ensure!(said.1.contains(STRANGERS) && said.1.contains("not announced until"), "{}", said.1);
        Ok(())
    })();
    address("del")?;
    seen?;
    keryx.client().udp(STRANGERS.parse()?, PORT)?;
    space.wait_for("service", "web", "no condition AddressConflict", |object| {
        let conditions = object.pointer("/status/conditions")?.as_array()?;
        let conflict = conditions.iter().any(|condition| condition["type"] == "keryx.dev/AddressConflict");
        (!conflict).then_some(())
    })
}

/// Every speaker has a status with the number of addresses that it announces, and a new Pod writes it anew.
fn statuses(keryx: &Keryx) -> Result<()> {
    let served = Served::new(keryx, "layer2-status")?;
    let holder = served.holder()?;
    let own = Space::existing(keryx, NAMESPACE);
    let of_pod = |what: &str, pod: &str| {
        own.wait_for("speakerstatus", holder.name(), what, |object| {
            let owner = object.pointer("/metadata/ownerReferences/0/name")?.as_str()?;
            let announced = object.pointer("/status/announced")?.as_u64()?;
            let members = object.pointer("/status/members")?.as_u64()?;
            (owner != pod && announced > 0 && members == 2).then(|| owner.to_owned())
        })
    };
    let pod = of_pod("a status with an announced address", "")?;
    keryx.lab.kubectl(&["-n", NAMESPACE, "delete", "pod", &pod])?;
    keryx.wait_speakers()?;
    of_pod("a status of the new Pod", &pod).map(drop)
}
