//! The allocator, and what of its changes the ledger does not have yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Service};
use keryx_api::gateway_api::Gateway;
use keryx_api::ledger::{LedgerEntry, OwnerKind as LedgerKind};
use keryx_ipam::{
    Allocator, Assignment, Change, Claim, Family, Owner, OwnerId, OwnerKind, Pool, Reason, Request,
    ReservedWhy,
};
use kube::ResourceExt as _;
use tracing::warn;

use crate::index::{Key, Subject};
use crate::ledger::Changes;

/// Name of the pool of a claim that was found in a status alone, when its mark names none.
const POOL_UNKNOWN: &str = "unknown";

/// Who holds what, ahead of the ledger by the changes not written yet. Whoever holds this writes the ledger before any
/// status tells of a claim; if that fails, the whole value is thrown away and built anew.
#[derive(Default)]
pub(crate) struct Claims {
    allocator: Allocator,
    unwritten: Changes,
    waiting: BTreeSet<Subject>,
    /// Whether an address was freed since this was last asked.
    freed: bool,
    /// Addresses whose ledger entry cannot be read.
    withheld: BTreeSet<IpAddr>,
}

impl Claims {
    /// Takes in the ledger as it was read.
    pub(crate) fn observe_ledger(&mut self, entries: BTreeMap<IpAddr, LedgerEntry>) {
        for (address, entry) in entries {
            let kind = match entry.kind {
                LedgerKind::Gateway => OwnerKind::Gateway,
                LedgerKind::Service => OwnerKind::Service,
            };
            let id = OwnerId { kind, namespace: entry.namespace, name: entry.name };
            self.observe(address, Owner { id, uid: entry.uid }, &entry.pool);
        }
    }

    /// Takes in addresses that stand in a status and not in the ledger; they are written to it.
    pub(crate) fn observe_status(&mut self, owner: Owner, addresses: &[IpAddr], pools: &[String]) {
        for &address in addresses {
            let known = self.allocator.claims_of(&owner.id).any(|claim| claim.address == address);
            let pool = pools.first().map_or(POOL_UNKNOWN, String::as_str);
            if !known && self.observe(address, owner.clone(), pool) {
                self.unwritten.insert(address, Some(entry(&owner, pool)));
            }
        }
    }

    /// Frees what the owner holds beside an address of the same family that its status shows: a change of address
    /// that was not carried through. Which of the two would be kept is else left to chance.
    pub(crate) fn forget_unshown(&mut self, owner: &OwnerId, shown: &[IpAddr]) {
        let (seen, unseen): (Vec<Claim>, Vec<Claim>) =
            self.held(owner).into_iter().partition(|claim| shown.contains(&claim.address));
        for claim in unseen {
            let family = Family::of(claim.address);
            if seen.iter().any(|other| Family::of(other.address) == family) {
                self.forget(claim.address);
            }
        }
    }

    fn observe(&mut self, address: IpAddr, owner: Owner, pool: &str) -> bool {
        let claim = Claim { address, owner: Arc::new(owner), pool: pool.into() };
        match self.allocator.observe(claim) {
            Ok(()) => true,
            Err(conflict) => {
                warn!("{conflict}");
                false
            }
        }
    }

    /// Replaces the pools. Claims stay.
    pub(crate) fn set_pools(&mut self, pools: Vec<Pool>) {
        self.allocator.set_pools(pools);
    }

    /// Keeps the Nodes' own addresses back.
    pub(crate) fn reserve_node_addresses<'a>(&mut self, nodes: impl Iterator<Item = &'a Arc<Node>>) {
        let mut reserved: BTreeMap<_, _> =
            self.withheld.iter().map(|address| ((*address).into(), ReservedWhy::DamagedLedger)).collect();
        for node in nodes {
            let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
            for address in addresses.filter_map(|address| address.address.parse::<IpAddr>().ok()) {
                reserved.insert(address.into(), ReservedWhy::Node(node.name_any()));
            }
            let ranges = node.spec.iter().flat_map(|spec| spec.pod_cidrs.iter().flatten());
            reserved.extend(ranges.filter_map(|range| Some((range.parse().ok()?, ReservedWhy::PodCidr))));
        }
        self.allocator.set_reserved(reserved);
    }

    /// Meets `request`, and notes what the ledger must say before anybody is told.
    pub(crate) fn request(&mut self, request: &Request) -> Result<Assignment, Reason> {
        let subject = subject(&request.owner.id);
        let outcome = self.allocator.request(request);
        match &outcome {
            Ok(assignment) => {
                for assigned in &assignment.addresses {
                    if assigned.change != Change::Kept {
                        let entry = entry(&request.owner, &assigned.pool);
                        self.unwritten.insert(assigned.address, Some(entry));
                    }
                }
                if assignment.partial.is_some() {
                    self.waiting.insert(subject);
                } else {
                    self.waiting.remove(&subject);
                }
            }
            Err(_) => {
                self.waiting.insert(subject);
            }
        }
        outcome
    }

    /// Addresses that the owner holds.
    pub(crate) fn held(&self, owner: &OwnerId) -> Vec<Claim> {
        self.allocator.claims_of(owner).collect()
    }

    /// Frees one address. Its owner's status no longer shows it.
    pub(crate) fn forget(&mut self, address: IpAddr) {
        if self.allocator.forget(address).is_some() {
            self.unwritten.insert(address, None);
            self.freed = true;
        }
    }

    /// Whether an address was freed since this was last asked, so that those who wait may try again.
    pub(crate) fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.freed)
    }

    /// Gives `address` to nobody, because somebody may hold it.
    pub(crate) fn withhold(&mut self, address: Option<IpAddr>) {
        self.withheld.extend(address);
    }

    /// Frees whatever the owner holds, and says whether that was anything.
    pub(crate) fn release(&mut self, owner: &OwnerId) -> bool {
        self.waiting.remove(&subject(owner));
        let held = self.held(owner);
        held.iter().for_each(|claim| self.forget(claim.address));
        !held.is_empty()
    }

    /// Owners that wait for an address, or for one of a second family.
    pub(crate) fn waiting(&self) -> &BTreeSet<Subject> {
        &self.waiting
    }

    /// What the ledger must be told now; it counts as told.
    pub(crate) fn take_unwritten(&mut self) -> Changes {
        std::mem::take(&mut self.unwritten)
    }

    /// Every owner with a claim.
    pub(crate) fn owners(&self) -> BTreeSet<Subject> {
        self.allocator.claims().map(|claim| subject(&claim.owner.id)).collect()
    }

    /// The allocator, to read.
    pub(crate) fn allocator(&self) -> &Allocator {
        &self.allocator
    }
}

/// The owner that `service` is.
pub(crate) fn service_owner(service: &Service) -> Owner {
    let key = Key::of(&service.metadata);
    Owner { id: owner_id(OwnerKind::Service, &key), uid: service.uid().unwrap_or_default() }
}

/// The owner that `gateway` is.
pub(crate) fn gateway_owner(gateway: &Gateway) -> Owner {
    let key = Key::of(&gateway.metadata);
    Owner { id: owner_id(OwnerKind::Gateway, &key), uid: gateway.uid().unwrap_or_default() }
}

/// The identity of an owner.
pub(crate) fn owner_id(kind: OwnerKind, key: &Key) -> OwnerId {
    OwnerId { kind, namespace: key.namespace.clone(), name: key.name.clone() }
}

fn subject(owner: &OwnerId) -> Subject {
    let key = Key::new(&owner.namespace, &owner.name);
    match owner.kind {
        OwnerKind::Gateway => Subject::Gateway(key),
        OwnerKind::Service => Subject::Service(key),
    }
}

fn entry(owner: &Owner, pool: &str) -> LedgerEntry {
    let kind = match owner.id.kind {
        OwnerKind::Gateway => LedgerKind::Gateway,
        OwnerKind::Service => LedgerKind::Service,
    };
    LedgerEntry {
        kind,
        namespace: owner.id.namespace.clone(),
        name: owner.id.name.clone(),
        uid: owner.uid.clone(),
        pool: pool.to_owned(),
    }
}
