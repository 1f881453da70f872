//! Stations that are no members and use VIPs: known from questions before a VIP is announced, and from their claims while
//! it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use keryx_layer2::{IfIndex, MacAddr, QuestionId};
use keryx_membership::{GroupId, ProbeResult};
use tracing::{info, warn};

use super::machines::Machines;
use super::questions::{Found, Stranger};
use super::reports::Report;

/// So many stations that answer for anything are remembered; more is a flood of made-up addresses.
const PROXIES_MAX: usize = 64;

/// At most one for each VIP.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    by_vip: BTreeMap<IpAddr, (IfIndex, MacAddr)>,
    /// Stations that answer for anything, so that each is said once.
    proxies: BTreeSet<(IfIndex, MacAddr)>,
}

impl Conflicts {
    /// A station uses the VIP. True if that is new.
    pub(super) fn begin(&mut self, Stranger { vip, interface, mac }: Stranger) -> bool {
        self.by_vip.insert(vip, (interface, mac)) != Some((interface, mac))
    }

    /// Nobody but members uses the VIP, as far as is known. The station that did, if one did.
    pub(super) fn end(&mut self, vip: IpAddr) -> Option<MacAddr> {
        self.by_vip.remove(&vip).map(|(_, mac)| mac)
    }

    /// Ends what does not matter here any more.
    pub(super) fn retain(&mut self, matters: impl Fn(IpAddr) -> bool) {
        self.by_vip.retain(|vip, _| matters(*vip));
    }

    /// A station answers for anything. True the first time, unless there are too many to remember.
    pub(super) fn note_proxy(&mut self, proxy: Stranger) -> bool {
        self.proxies.len() < PROXIES_MAX && self.proxies.insert((proxy.interface, proxy.mac))
    }

    pub(super) fn get(&self, vip: IpAddr) -> Option<MacAddr> {
        self.by_vip.get(&vip).map(|(_, mac)| *mac)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, IfIndex, MacAddr)> {
        self.by_vip.iter().map(|(vip, (interface, mac))| (*vip, *interface, *mac))
    }

    pub(super) fn len(&self) -> usize {
        self.by_vip.len()
    }
}

impl Machines {
    /// Puts strangers to the test by asking each for an address that nobody has.
    pub(super) fn test_strangers(&mut self, group: GroupId, strangers: BTreeSet<Stranger>, now: Instant) {
        let test = |stranger: Stranger| Some((self.test(stranger, now)?, stranger));
        let asked: Vec<_> = strangers.into_iter().filter_map(test).collect();
        if let Some(found) = self.questions.asked_tests(group, asked) {
            self.take_holder(found, now);
        }
    }

    /// Puts a stranger to the test that claims a VIP which is announced here.
    pub(super) fn test_claimant(&mut self, stranger: Stranger, now: Instant) {
        match self.test(stranger, now) {
            Some(question) => self.questions.asked_claimant(question, stranger),
            None => self.begin_conflict(stranger),
        }
    }

    fn test(&mut self, stranger: Stranger, now: Instant) -> Option<QuestionId> {
        let Stranger { interface, mac, .. } = stranger;
        self.announcer.ask_station(interface, stranger.nobodys_address(), mac, now).ok()
    }

    /// A stranger answers for anything.
    pub(super) fn note_proxy(&mut self, proxy: Stranger) {
        if self.conflicts.note_proxy(proxy) {
            let (mac, interface) = (proxy.mac, self.interface_name(proxy.interface));
            warn!(%mac, interface, "this station answers for any address (proxy ARP); its answers are passed over");
        }
    }

    /// Takes who answers for a group.
    pub(super) fn take_holder(&mut self, found: Found, now: Instant) {
        let Found { group, answer, strangers, proxies } = found;
        proxies.into_iter().for_each(|proxy| self.note_proxy(proxy));
        let vips = self.groups.get(&group).map(|group| group.vips().to_vec()).unwrap_or_default();
        for vip in vips.iter().filter(|vip| strangers.iter().all(|stranger| stranger.vip != **vip)) {
            self.end_conflict(*vip);
        }
        strangers.into_iter().for_each(|stranger| self.begin_conflict(stranger));
        self.takeover.handle_probe(ProbeResult::Holder { group, answer }, now);
    }

    /// A station that is no member uses a VIP.
    pub(super) fn begin_conflict(&mut self, stranger: Stranger) {
        if !self.conflicts.begin(stranger) {
            return;
        }
        let Stranger { vip, interface, mac } = stranger;
        self.metrics.conflicts.inc();
        let conflict = self.conflict(vip, interface, mac);
        let outcome =
            if conflict.announced { "announced here all the same" } else { "not announced until that ends" };
        warn!(%vip, %mac, interface = conflict.interface, "a station that is no node of the cluster uses this VIP; {outcome}");
        self.reports.push(Report::Conflict(conflict));
    }

    /// Nobody but members uses the VIP any more.
    pub(super) fn end_conflict(&mut self, vip: IpAddr) {
        if let Some(mac) = self.conflicts.end(vip) {
            info!(%vip, %mac, "the other station does not use this VIP any more");
        }
    }

    /// Ends conflicts that are not this node's matter any more: it neither announces the VIP nor waits to do so.
    pub(super) fn forget_conflicts(&mut self) {
        if self.conflicts.len() == 0 {
            return;
        }
        let Self { conflicts, on_wire, group_of, takeover, .. } = self;
        conflicts.retain(|vip| {
            on_wire.contains_key(&vip)
                || group_of.get(&vip).is_some_and(|group| takeover.holder(*group).is_none())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_stations_that_answer_for_anything_is_not_remembered_and_each_of_few_is_said_once() {
        let proxy = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let mac = MacAddr([2, 0, 0, 0, high, low]);
            Stranger { vip: IpAddr::from([192, 0, 2, 1]), interface: IfIndex(1), mac }
        };
        let mut conflicts = Conflicts::default();
        assert_eq!([conflicts.note_proxy(proxy(0)), conflicts.note_proxy(proxy(0))], [true, false]);
        let said = (1..1_000).filter(|number| conflicts.note_proxy(proxy(*number))).count();
        assert_eq!((said, conflicts.proxies.len()), (PROXIES_MAX - 1, PROXIES_MAX));
    }
}
