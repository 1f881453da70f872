//! Stations that are no nodes of the cluster and use addresses of owners, as the speakers see them, said on the owners.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use keryx_api::names::CONDITION_ADDRESS_CONFLICT;
use keryx_api::speaker_status::{AddressConflict, SpeakerStatus};
use keryx_daemon::watch::Change;
use keryx_gateway::conditions::Wanted;
use kube::ResourceExt as _;

use super::Core;

/// Reason of the condition.
const USED_BY_STATION: &str = "UsedByStation";

/// What the speakers see.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    by_node: BTreeMap<String, Vec<AddressConflict>>,
    /// The node whose word counts for each address: one that announces it, else the first by name.
    by_address: BTreeMap<IpAddr, (String, AddressConflict)>,
}

impl Conflicts {
    /// Takes in what speakers say. Gives the addresses of which something else is to be said now.
    fn apply(&mut self, change: &Change<SpeakerStatus>) -> BTreeSet<IpAddr> {
        match change {
            Change::Apply(object) => self.note(object),
            Change::Delete(object) => {
                self.by_node.remove(&object.name_any());
            }
            Change::Reset(all) => {
                self.by_node.clear();
                all.iter().for_each(|object| self.note(object));
            }
        }
        let mut by_address: BTreeMap<IpAddr, (String, AddressConflict)> = BTreeMap::new();
        for (node, conflict) in
            self.by_node.iter().flat_map(|(node, all)| all.iter().map(move |it| (node, it)))
        {
            let known = by_address.get(&conflict.address);
            if known.is_none_or(|(_, known)| conflict.announced && !known.announced) {
                by_address.insert(conflict.address, (node.clone(), conflict.clone()));
            }
        }
        let before = std::mem::replace(&mut self.by_address, by_address);
        let addresses: BTreeSet<IpAddr> = before.keys().chain(self.by_address.keys()).copied().collect();
        let differs = |address: &IpAddr| before.get(address) != self.by_address.get(address);
        addresses.into_iter().filter(differs).collect()
    }

    fn note(&mut self, object: &SpeakerStatus) {
        let conflicts = object.status.as_ref().map(|status| status.conflicts.clone()).unwrap_or_default();
        if conflicts.is_empty() {
            self.by_node.remove(&object.name_any());
        } else {
            self.by_node.insert(object.name_any(), conflicts);
        }
    }

    /// What is to be said on the owner of these addresses.
    pub(super) fn note_on(&self, addresses: &[IpAddr]) -> Option<Wanted> {
        let seen = addresses.iter().filter_map(|address| self.by_address.get(address));
        let sentences: Vec<String> = seen.map(|(node, conflict)| sentence(node, conflict)).collect();
        let message =
            || format!("{}. Give the address up there, or ask for another one here", sentences.join(". "));
        (!sentences.is_empty()).then(|| Wanted::yes(CONDITION_ADDRESS_CONFLICT, USED_BY_STATION, message()))
    }
}

fn sentence(node: &str, conflict: &AddressConflict) -> String {
    let AddressConflict { address, interface, hardware_address, announced } = conflict;
    let outcome =
        if *announced { "it is announced all the same" } else { "it is not announced until that ends" };
    format!(
        "{address} is used by the station with the hardware address {hardware_address}, which is no node of the cluster \
         (seen by Node {node} on {interface}); {outcome}"
    )
}

impl Core {
    /// Takes in what speakers say of themselves, and has the owners looked at whom it concerns.
    pub(super) fn apply_speaker_statuses(&mut self, change: &Change<SpeakerStatus>) {
        self.synced("SpeakerStatus", change);
        let addresses = self.conflicts.apply(change);
        if !addresses.is_empty() {
            self.index.dirty.extend(self.claims.owners_of(&addresses));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keryx_api::speaker_status::{SpeakerStatusSpec, SpeakerStatusStatus};

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn says(node: &str, conflicts: &[(u8, bool)]) -> Arc<SpeakerStatus> {
        let mut object = SpeakerStatus::new(node, SpeakerStatusSpec { node: node.to_owned() });
        let conflict = |(last, announced): &(u8, bool)| AddressConflict {
            address: ip(*last),
            interface: "eth0".to_owned(),
            hardware_address: "02:00:00:00:00:09".to_owned(),
            announced: *announced,
        };
        let conflicts: Vec<AddressConflict> = conflicts.iter().map(conflict).collect();
        object.status = Some(SpeakerStatusStatus { conflicts, ..SpeakerStatusStatus::default() });
        Arc::new(object)
    }

    #[test]
    fn a_conflict_is_said_on_the_owner_of_its_address_while_it_lasts() {
        let mut conflicts = Conflicts::default();
        assert_eq!(conflicts.note_on(&[ip(1)]), None);
        assert_eq!(conflicts.apply(&Change::Apply(says("n1", &[(1, false)]))), [ip(1)].into());
        let note = conflicts.note_on(&[ip(2), ip(1)]).unwrap();
        assert_eq!(
            note.to_string(),
            "keryx.dev/AddressConflict=True/UsedByStation: 192.0.2.1 is used by the station with the hardware address \
             02:00:00:00:00:09, which is no node of the cluster (seen by Node n1 on eth0); it is not announced until \
             that ends. Give the address up there, or ask for another one here"
        );
        assert_eq!(conflicts.note_on(&[ip(2)]), None);
        assert_eq!(conflicts.apply(&Change::Apply(says("n1", &[]))), [ip(1)].into());
        assert_eq!(conflicts.note_on(&[ip(1)]), None);
    }

    #[test]
    fn only_what_changes_is_looked_at_again() {
        let mut conflicts = Conflicts::default();
        conflicts.apply(&Change::Apply(says("n1", &[(1, false), (2, false)])));
        assert_eq!(conflicts.apply(&Change::Apply(says("n1", &[(1, false), (2, false)]))), [].into());
        assert_eq!(
            conflicts.apply(&Change::Apply(says("n1", &[(1, false), (3, false)]))),
            [ip(2), ip(3)].into()
        );
        // Another node sees the same.
        assert_eq!(conflicts.apply(&Change::Apply(says("n2", &[(1, false)]))), [].into());
        // One that announces the address knows more.
        assert_eq!(conflicts.apply(&Change::Apply(says("n2", &[(1, true)]))), [ip(1)].into());
        assert_eq!(conflicts.apply(&Change::Delete(says("n2", &[]))), [ip(1)].into());
        assert_eq!(conflicts.apply(&Change::Reset(vec![says("n3", &[(3, false)])])), [ip(1), ip(3)].into());
    }
}
