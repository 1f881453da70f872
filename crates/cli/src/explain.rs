//! `keryx explain`: joins allocation, status, clones, endpoints and announcement into one page.

mod bgp;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use anyhow::{Context as _, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use keryx_api::exposure::{Exposure, ServedBy};
use keryx_api::layer2::{GroupState, Layer2State, VipState};
use keryx_api::ledger::OwnerKind;
use keryx_api::names;
use keryx_plan::{
    Family, GroupExplanation, NodeName, ObjectName, Owner, OwnerKey, PortEndpoints, TrafficPolicy, VipPlan,
};
use kube::ResourceExt as _;

use crate::args::Target;
use crate::cluster::Cluster;

/// A node, and what its speaker says.
type Live = (NodeName, anyhow::Result<Layer2State>);

/// What is known of one owner apart from who announces its addresses.
struct About {
    page: String,
    addresses: Vec<IpAddr>,
    /// `None` for a Gateway that exposes nothing.
    owner: Option<OwnerKey>,
}

/// The page about `target`.
pub(crate) async fn explain(cluster: &Cluster, target: &Target) -> anyhow::Result<String> {
    let (mut page, about) = match target {
        Target::Gateway(namespace, name) => (String::new(), gateway(cluster, namespace, name)?),
        Target::Service(namespace, name) => (String::new(), service(cluster, namespace, name)?),
        Target::Address(address) => match cluster.index.plan().vips.get(address) {
            Some(vip) => held(cluster, &vip.owners)?,
            None => (String::new(), unannounced(cluster, *address)?),
        },
    };
    let live = live(cluster, &about).await;
    page.push_str(&announced(cluster, about, &live));
    Ok(page)
}

/// What the speakers say that may announce the addresses, or do.
async fn live(cluster: &Cluster, about: &About) -> Vec<Live> {
    let plan = cluster.index.plan();
    let group = about.addresses.iter().find_map(|address| plan.groups.get(&plan.vips.get(address)?.group));
    let nodes: Vec<NodeName> =
        group.into_iter().flat_map(|group| group.candidates.iter().chain(&group.unready)).cloned().collect();
    let mut live = cluster.speakers.layer2(&nodes).await;
    // The holder may be no candidate any more.
    let asked = |node: &NodeName| nodes.contains(node);
    let holders = live
        .iter()
        .filter_map(|(_, state)| group_of(state.as_ref().ok()?, &about.addresses)?.holder.as_deref());
    let holders: BTreeSet<NodeName> = holders.map(NodeName::from).filter(|node| !asked(node)).collect();
    live.extend(cluster.speakers.layer2(&Vec::from_iter(holders)).await);
    live
}

/// About an address that the plan knows: the pages of all owners but the last, and that one.
fn held(cluster: &Cluster, owners: &[Owner]) -> anyhow::Result<(String, About)> {
    let owners =
        owners.iter().map(|owner| about(cluster, owner.kind, &owner.name.namespace, &owner.name.name));
    let mut owners: Vec<About> = owners.collect::<anyhow::Result<_>>()?;
    let last = owners.pop().context("the plan names no owner of this address")?;
    Ok((owners.into_iter().map(|about| about.page + "\n").collect(), last))
}

/// An address that the plan does not know.
fn unannounced(cluster: &Cluster, address: IpAddr) -> anyhow::Result<About> {
    let Some(entry) = cluster.ledger.get(&address) else {
        bail!("{address} is held by nobody: no Gateway or Service of Keryx has it");
    };
    about(cluster, entry.kind, &entry.namespace, &entry.name)
}

fn about(cluster: &Cluster, kind: OwnerKind, namespace: &str, name: &str) -> anyhow::Result<About> {
    match kind {
        OwnerKind::Gateway => gateway(cluster, namespace, name),
        OwnerKind::Service => service(cluster, namespace, name),
    }
}

fn gateway(cluster: &Cluster, namespace: &str, name: &str) -> anyhow::Result<About> {
    let is_it = |meta: (Option<String>, String)| meta.0.as_deref() == Some(namespace) && meta.1 == name;
    let Some(gateway) = cluster.gateways.iter().find(|g| is_it((g.namespace(), g.name_any()))) else {
        bail!("there is no Gateway {namespace}/{name}");
    };
    let mut page = format!("Gateway {namespace}/{name}, class {}\n", gateway.spec.gateway_class_name);
    let status = gateway.status.clone().unwrap_or_default();
    let told = status.addresses.unwrap_or_default();
    let addresses: Vec<IpAddr> = told.iter().filter_map(|address| address.value.parse().ok()).collect();
    allocation(&mut page, cluster, &addresses);
    conditions(&mut page, "Gateway", &status.conditions.unwrap_or_default());
    for listener in status.listeners.unwrap_or_default() {
        conditions(&mut page, &format!("listener {}", listener.name), &listener.conditions);
    }
    let exposure = cluster
        .exposures
        .iter()
        .find(|(_, exposure)| exposure.gateway.namespace == namespace && exposure.gateway.name == name);
    let Some((key, exposure)) = exposure else { return Ok(About { page, addresses, owner: None }) };
    served(&mut page, exposure);
    let owner = Some(OwnerKey::Exposure(key.as_str().into()));
    Ok(About { page, addresses: exposure.addresses.clone(), owner })
}

fn service(cluster: &Cluster, namespace: &str, name: &str) -> anyhow::Result<About> {
    let is_it = |meta: (Option<String>, String)| meta.0.as_deref() == Some(namespace) && meta.1 == name;
    let Some(service) = cluster.services.iter().find(|s| is_it((s.namespace(), s.name_any()))) else {
        bail!("there is no Service {namespace}/{name} of type LoadBalancer");
    };
    if let Some(gateway) = service.annotations().get(names::ANNOTATION_GATEWAY)
        && let Some((gateway_namespace, gateway_name)) = gateway.split_once('/')
    {
        let about = self::gateway(cluster, gateway_namespace, gateway_name)?;
        let page = format!("Service {namespace}/{name} was made for this Gateway:\n\n{}", about.page);
        return Ok(About { page, ..about });
    }
    let class = service.spec.as_ref().and_then(|spec| spec.load_balancer_class.as_deref()).unwrap_or("none");
    let mut page = format!("Service {namespace}/{name}, class {class}\n");
    let status = service.status.clone().unwrap_or_default();
    let ingress = status.load_balancer.and_then(|balancer| balancer.ingress).unwrap_or_default();
    let addresses: Vec<IpAddr> =
        ingress.iter().filter_map(|entry| entry.ip.as_deref()?.parse().ok()).collect();
    allocation(&mut page, cluster, &addresses);
    conditions(&mut page, "Service", &status.conditions.unwrap_or_default());
    let owner = Some(OwnerKey::Service(ObjectName::new(namespace, name)));
    Ok(About { page, addresses, owner })
}

fn allocation(page: &mut String, cluster: &Cluster, addresses: &[IpAddr]) {
    if addresses.is_empty() {
        page.push_str("address         none\n");
    }
    for address in addresses {
        let ledger = match cluster.ledger.get(address) {
            Some(entry) => format!("pool {}", entry.pool),
            None => "not in the ledger".to_owned(),
        };
        line(page, "address", &format!("{address}, {ledger}"));
    }
}

/// The conditions that say no; a Gateway that is well has none.
fn conditions(page: &mut String, of: &str, conditions: &[Condition]) {
    let normal_when_false = |condition: &Condition| condition.type_ == "Conflicted";
    for condition in conditions.iter().filter(|c| c.status == "False" && !normal_when_false(c)) {
        line(
            page,
            "not well",
            &format!("{of} {}: {}: {}", condition.type_, condition.reason, condition.message),
        );
    }
}

fn served(page: &mut String, exposure: &Exposure) {
    for port in &exposure.ports {
        let by = match &port.served_by {
            ServedBy::Clone { namespace, name } => format!("clone {namespace}/{name}"),
            ServedBy::Anchor => "the anchor, which refuses: no route has a usable backend".to_owned(),
        };
        line(page, "port", &format!("{}/{}, served by {by}", port.port, port.protocol));
    }
}

/// The page of an owner, complete.
fn announced(cluster: &Cluster, about: About, live: &[Live]) -> String {
    let About { mut page, addresses, owner } = about;
    let Some(owner) = owner else {
        page.push_str("announced by    nobody: the Gateway exposes nothing yet; see the conditions above\n");
        return page;
    };
    let explanation = cluster.index.explain(&owner);
    let by_bgp = explanation.as_ref().and_then(|explanation| explanation.bgp.as_ref());
    let plan = cluster.index.plan();
    for &address in &addresses {
        let refusal = plan.refused.get(&(owner.clone(), address));
        let vip = plan.vips.get(&address);
        let sharing_key = explanation.as_ref().and_then(|explanation| explanation.sharing_key.as_deref());
        if let (Some(vip), None, Some(key)) = (vip, refusal, sharing_key) {
            let owners: Vec<String> = vip.owners.iter().map(ToString::to_string).collect();
            line(&mut page, "held by", &format!("{}; sharing key {key} ({address})", owners.join(", ")));
        }
        let text = match (vip, refusal) {
            (_, Some(refusal)) => format!("nobody for this owner: {}", refusal.reason),
            (Some(vip), None) => announcer(vip, address, live, by_bgp.is_some()),
            (None, None) => "nobody: Keryx does not know this address".to_owned(),
        };
        line(&mut page, "announced by", &format!("{text} ({address})"));
        if let Some(about) = explanation.as_ref().and_then(|it| it.advertisements.as_ref()?.get(&address)) {
            let about = if about.is_empty() { "none".to_owned() } else { about.join(", ") };
            line(&mut page, "advertisements", &format!("{about} ({address})"));
        }
        for conflict in conflicts(address, live) {
            line(&mut page, "in conflict", &conflict);
        }
    }
    for said in by_bgp.iter().flat_map(|by_bgp| bgp::lines(by_bgp, &addresses)) {
        line(&mut page, "by BGP", &said);
    }
    if let Some(explanation) = &explanation {
        candidates(&mut page, explanation);
    }
    for (node, state) in live {
        let text = match state {
            Ok(state) => standing(state, &addresses),
            Err(error) => format!("not asked: {error:#}"),
        };
        line(&mut page, "speaker", &format!("{node}: {text}"));
    }
    page
}

/// Who announces an address by ARP or NDP: the speakers that say so, or, if none does, the node that should by the plan.
fn announcer(vip: &VipPlan, address: IpAddr, live: &[Live], also_by_bgp: bool) -> String {
    let announcing: Vec<String> = live
        .iter()
        .filter_map(|(node, state)| {
            let interface = vip_of(state.as_ref().ok()?, address)?.interface.as_deref()?;
            Some(format!("Node {node} on {interface}"))
        })
        .collect();
    if !announcing.is_empty() {
        return announcing.join(" and ");
    }
    let asked = live.iter().any(|(_, state)| state.is_ok());
    match (&vip.announcer, &vip.decision) {
        (Some(node), _) if asked => format!("nobody now; Node {node} is to"),
        (Some(node), _) => format!("Node {node}, by the plan; no speaker could be asked"),
        (None, keryx_plan::Decision::Skip(reason)) if also_by_bgp => {
            format!("nobody by ARP or NDP: {reason}")
        }
        (None, keryx_plan::Decision::Skip(reason)) => format!("nobody: {reason}"),
        (None, keryx_plan::Decision::Announce) => "this machine".to_owned(),
    }
}

/// Stations that are no nodes and use an address, each with who saw it.
fn conflicts(address: IpAddr, live: &[Live]) -> Vec<String> {
    let seen = live.iter().filter_map(|(node, state)| {
        let mac = vip_of(state.as_ref().ok()?, address)?.conflict.as_deref()?;
        Some(format!("the station {mac} uses {address} too, seen by Node {node}"))
    });
    seen.collect()
}

/// What a speaker does for a group.
fn standing(state: &Layer2State, addresses: &[IpAddr]) -> String {
    let Some(group) = group_of(state, addresses) else { return "does not know these addresses".to_owned() };
    let hindered: BTreeSet<&str> = group.vips.iter().filter_map(|vip| vip.hindered.as_deref()).collect();
    let mut text = match (&group.holder, group.held) {
        (_, true) => format!("holds the group, term {}", group.term),
        (Some(holder), false) => format!("stands by for Node {holder}, term {}", group.term),
        (None, false) => "knows of no holder".to_owned(),
    };
    for why in hindered {
        text.push_str("; ");
        text.push_str(why);
    }
    text
}

fn group_of<'a>(state: &'a Layer2State, addresses: &[IpAddr]) -> Option<&'a GroupState> {
    state.groups.iter().find(|group| group.vips.iter().any(|vip| addresses.contains(&vip.address)))
}

fn vip_of(state: &Layer2State, address: IpAddr) -> Option<&VipState> {
    state.groups.iter().flat_map(|group| &group.vips).find(|vip| vip.address == address)
}

fn candidates(page: &mut String, explanation: &GroupExplanation) {
    let several_owners = explanation.owners.len() > 1;
    for port in &explanation.ports {
        let mut text = endpoints(port);
        if several_owners {
            let addresses: Vec<String> = port.addresses.iter().map(ToString::to_string).collect();
            text.push_str(&format!("; port of {} at {}", port.owner, addresses.join(", ")));
        }
        line(page, "endpoints", &text);
    }
    for candidate in &explanation.nodes {
        let standing = match &candidate.reason {
            None => "announces".to_owned(),
            Some(reason) => reason.to_string(),
        };
        line(page, "node", &format!("{}: {standing}", candidate.node));
    }
}

fn endpoints(port: &PortEndpoints) -> String {
    let mut places: Vec<String> = port.nodes.iter().map(ToString::to_string).collect();
    if port.without_node {
        places.push("places without a node name".to_owned());
    }
    let places = if places.is_empty() { "none".to_owned() } else { format!("on {}", places.join(", ")) };
    let policy = match port.policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    };
    let family = match port.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let mut text = format!("{}/{} {family}: {places}, policy {policy}", port.port, port.protocol);
    if port.terminating {
        text.push_str(", all of them terminating");
    }
    text
}

fn line(page: &mut String, label: &str, text: &str) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(page, "{label:<16}{text}");
}
