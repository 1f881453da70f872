//! Events: on Services and Gateways, who announces their addresses now, and which other station uses one; on BGPPeers, which
//! session stands and which has ended.
//!
//! They are for people: after a node has failed with thousands of VIPs, a few say what happened, and the API server is not
//! flooded. Metrics count all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use keryx_api::bgp_peer::BGPPeer;
use keryx_api::gateway_api;
use keryx_api::ledger::OwnerKind;
use keryx_daemon::events::Publisher;
use keryx_daemon::watch::Change;
use keryx_membership::takeover::Cause;
use keryx_plan::{Index, NodeName, Owner};
use kube::runtime::events::{Event, EventType};
use kube::{Resource as _, ResourceExt as _};

use crate::drivers::bgp::{Standing, Standings, State};
use crate::drivers::layer2::{Conflict, Report};

/// Events that may follow each other at once.
const BURST: u32 = 50;
/// Then one in each of these.
const INTERVAL: Duration = Duration::from_secs(1);

/// Turns reports of layer 2 into events.
pub(crate) struct Events {
    me: NodeName,
    publisher: Publisher,
    allowance: Allowance,
    /// Every BGPPeer, to write on.
    peers: BTreeMap<Arc<str>, ObjectReference>,
    /// Sessions that stand, as was told last.
    established: BTreeSet<Arc<str>>,
}

impl Events {
    /// Events in the name of the node `me`.
    pub(crate) fn new(me: NodeName, publisher: Publisher, now: Instant) -> Self {
        Self {
            me,
            publisher,
            allowance: Allowance { left: BURST, filled_at: now },
            peers: BTreeMap::new(),
            established: BTreeSet::new(),
        }
    }

    /// Learns which BGPPeers there are.
    pub(crate) fn note_peers(&mut self, change: &Change<BGPPeer>) {
        let entry = |peer: &BGPPeer| (Arc::from(peer.name_any()), peer.object_ref(&()));
        match change {
            Change::Apply(peer) => self.peers.extend([entry(peer)]),
            Change::Delete(peer) => drop(self.peers.remove(&*peer.name_any())),
            Change::Reset(all) => self.peers = all.iter().map(|peer| entry(peer)).collect(),
        }
    }

    /// Tells of sessions that have come to stand since the last time, or no longer do. A session whose BGPPeer is gone was ended on
    /// purpose.
    pub(crate) fn tell_sessions(&mut self, standings: &Standings, now: Instant) {
        let stands =
            |name: &Arc<str>| standings.get(name).is_some_and(|standing| standing.agreed().is_some());
        let names: BTreeSet<Arc<str>> = standings.keys().chain(&self.established).cloned().collect();
        for name in names {
            let (is_up, was_up) = (stands(&name), self.established.contains(&name));
            if is_up == was_up {
                continue;
            }
            if is_up {
                self.established.insert(Arc::clone(&name));
            } else {
                self.established.remove(&name);
            }
            let Some(about) = self.peers.get(&name).cloned() else { continue };
            if self.allowance.take(now) {
                self.publisher.publish(about, session_event(&self.me, standings.get(&name)));
            }
        }
    }

    /// Tells all owners of the addresses in a report.
    pub(crate) fn tell(&mut self, report: &Report, index: &Index, now: Instant) {
        let vips = match report {
            Report::Announced { vips, .. } => &**vips,
            Report::Conflict(conflict) => std::slice::from_ref(&conflict.vip),
        };
        let owners = vips.iter().flat_map(|vip| index.owners_of(vip));
        let told: BTreeSet<_> = owners
            .map(|(Owner { kind, name }, uid)| (kind, name, uid.to_owned()))
            .take_while(|_| self.allowance.take(now))
            .collect();
        for (kind, name, uid) in told {
            let about = reference(kind, &name.namespace, &name.name, uid);
            self.publisher.publish(about, event(&self.me, report));
        }
    }
}

fn event(me: &NodeName, report: &Report) -> Event {
    let (type_, reason, note) = match report {
        Report::Announced { vips, interfaces, from, cause } => {
            (EventType::Normal, "Announced", announced(me, vips, interfaces, from.as_deref(), *cause))
        }
        Report::Conflict(conflict) => (EventType::Warning, "AddressConflict", conflicting(me, conflict)),
    };
    let (reason, action) = (reason.to_owned(), "Announce".to_owned());
    Event { type_, reason, note: Some(note), action, secondary: None }
}

/// What became of the session of node `me` with a peer; `None` if it is none any more.
fn session_event(me: &NodeName, standing: Option<&Standing>) -> Event {
    let (type_, reason, note) = match standing {
        Some(Standing { state: State::Established(agreed), .. }) => {
            let families: Vec<String> = agreed.families.iter().map(ToString::to_string).collect();
            let note = format!(
                "Node {me} has a session with AS {}, for {}",
                agreed.remote_as,
                families.join(" and ")
            );
            (EventType::Normal, "SessionEstablished", note)
        }
        Some(Standing { last_error: Some(why), .. }) => {
            (EventType::Warning, "SessionLost", format!("Node {me} has no session any more: {why}"))
        }
        Some(_) | None => (EventType::Normal, "SessionEnded", format!("Node {me} has ended its session")),
    };
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Advertise".to_owned(),
        secondary: None,
    }
}

fn announced(
    me: &NodeName,
    vips: &[IpAddr],
    interfaces: &[String],
    from: Option<&str>,
    cause: Cause,
) -> String {
    let vips: Vec<String> = vips.iter().map(IpAddr::to_string).collect();
    let interfaces: BTreeSet<&str> = interfaces.iter().map(String::as_str).collect();
    let interfaces: Vec<&str> = interfaces.into_iter().collect();
    let before = match from {
        Some(from) if from != me.as_str() => format!(", in place of Node {from}: {cause}"),
        Some(_) | None => String::new(),
    };
    format!("Node {me} announces {} on {}{before}", vips.join(", "), interfaces.join(", "))
}

fn conflicting(me: &NodeName, conflict: &Conflict) -> String {
    let Conflict { vip, interface, mac, announced } = conflict;
    let outcome = if *announced {
        "Both answer for it now, so connections may break"
    } else {
        "It is not announced until that station is gone"
    };
    format!(
        "A station with the hardware address {mac}, no node of the cluster, uses {vip} on the segment of {interface} \
         of Node {me}. {outcome}: find the station, or take the address out of the pool"
    )
}

fn reference(kind: OwnerKind, namespace: &str, name: &str, uid: String) -> ObjectReference {
    let api_version = match kind {
        OwnerKind::Gateway => format!("{}/v1", gateway_api::GROUP),
        OwnerKind::Service => "v1".to_owned(),
    };
    ObjectReference {
        api_version: Some(api_version),
        kind: Some(kind.as_str().to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid),
        ..ObjectReference::default()
    }
}

/// How many events may still be published.
struct Allowance {
    left: u32,
    filled_at: Instant,
}

impl Allowance {
    /// True if one more may be.
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.filled_at).as_secs() / INTERVAL.as_secs();
        let earned = u32::try_from(earned).unwrap_or(BURST).min(BURST);
        if earned > 0 {
            self.left = (self.left + earned).min(BURST);
            self.filled_at = now;
        }
        let permitted = self.left > 0;
        self.left -= u32::from(permitted);
        permitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_flood_is_cut_off_and_one_a_second_goes_on() {
        let now = clock::now();
        let mut allowance = Allowance { left: BURST, filled_at: now };
        let taken = |allowance: &mut Allowance, now| (0..1_000).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(&mut allowance, now), 50);
        assert_eq!(taken(&mut allowance, now + Duration::from_millis(999)), 0);
        assert_eq!(taken(&mut allowance, now + Duration::from_secs(2)), 2);
        assert_eq!(taken(&mut allowance, now + Duration::from_secs(86_400)), 50);
    }

    #[test]
    fn an_announcement_names_addresses_interfaces_and_the_node_before() {
        let vips = ["192.0.2.1", "2001:db8::1"].map(|vip| vip.parse().unwrap());
        let interfaces = ["eth0", "eth0"].map(str::to_owned);
        let note = |from| announced(&NodeName::from("n1"), &vips, &interfaces, from, Cause::HolderDead);
        assert_eq!(note(None), "Node n1 announces 192.0.2.1, 2001:db8::1 on eth0");
        assert_eq!(
            note(Some("n2")),
            "Node n1 announces 192.0.2.1, 2001:db8::1 on eth0, in place of Node n2: that node is dead"
        );
        assert_eq!(note(Some("n1")), note(None), "nobody before but itself");
    }
}
