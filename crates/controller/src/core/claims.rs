//! The allocator, and what of its changes the ledger does not have yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node, Service};
use keryx_api::gateway_api::Gateway;
use keryx_api::ledger::LedgerEntry;
use keryx_ipam::{
    Allocator, Assignment, Change, Claim, Family, Owner, OwnerId, OwnerKind, Pool, Reason, Request,
    ReservedWhy, Rest, Usage,
};
use keryx_pools::ledger::{self, Damaged, Remembered};
use kube::ResourceExt as _;
use tracing::warn;

use crate::clock;
use crate::index::{Key, Subject};
use crate::ledger::Changes;

/// Name of the pool of a claim that was found in a status alone, when its mark names none.
const POOL_UNKNOWN: &str = "unknown";

/// Who holds what, ahead of the ledger by the changes not written yet. Whoever holds this writes the ledger before any
/// status tells of a claim; if that fails, the whole value is thrown away and built anew.
#[derive(Default)]
pub(crate) struct Claims {
    allocator: Allocator,
    /// Addresses about which the ledger may say something else.
    unwritten: BTreeSet<IpAddr>,
    /// Blocks of the ledger with an entry that cannot be read.
    withheld: BTreeSet<IpNet>,
    /// Addresses of such entries, which are left as they are: who repairs them must see what stood there.
    damaged: BTreeSet<IpAddr>,
}

impl Claims {
    /// Takes in the ledger as it was read.
    pub(crate) fn observe_ledger(&mut self, entries: BTreeMap<IpAddr, LedgerEntry>) {
        for (address, entry) in entries {
            match ledger::remembered(address, &entry) {
                Remembered::Held(claims) => {
                    claims.into_iter().for_each(|claim| self.allocator.observe_shared(claim));
                }
                Remembered::Resting(rest) => self.allocator.observe_released(rest),
            }
        }
    }

    /// Takes in addresses that stand in a status and not in the ledger; they are written to it. Owners whose marks carry
    /// the same sharing key hold an address together.
    pub(crate) fn observe_status(
        &mut self,
        owner: Owner,
        addresses: &[IpAddr],
        pools: &[String],
        is_shared: bool,
    ) {
        for &address in addresses {
            let pool = pools.first().map_or(POOL_UNKNOWN, String::as_str).into();
            if self.allocator.claims_of(&owner.id).any(|claim| claim.address == address) {
                continue;
            }
            let claim = Claim { address, owner: Arc::new(owner.clone()), pool };
            if is_shared {
                self.allocator.observe_shared(claim);
            } else if let Err(conflict) = self.allocator.observe(claim) {
                warn!("{conflict}");
                continue;
            }
            self.unwritten.insert(address);
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
                self.forget(claim.address, owner);
            }
        }
    }

    /// Replaces the pools. Claims stay; returns the owners of which something else is to be said now.
    pub(crate) fn set_pools(&mut self, pools: Vec<Pool>) -> Vec<Subject> {
        let before = self.allocator.strays();
        self.allocator.set_pools(pools);
        before.symmetric_difference(&self.allocator.strays()).map(subject).collect()
    }

    /// Keeps back what the cluster uses itself: the Nodes' own addresses, Pod and Service ranges, and the blocks of the
    /// ledger that cannot be read. Claims stay, as in [`Claims::set_pools`].
    pub(crate) fn reserve<'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a Arc<Node>>,
        service_ranges: impl Iterator<Item = IpNet>,
    ) -> Vec<Subject> {
        let mut reserved: BTreeMap<_, _> =
            self.withheld.iter().map(|block| (*block, ReservedWhy::DamagedLedger)).collect();
        reserved.extend(service_ranges.map(|range| (range, ReservedWhy::ServiceCidr)));
        for node in nodes {
            let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
            for address in addresses.filter_map(|address| address.address.parse::<IpAddr>().ok()) {
                reserved.insert(address.into(), ReservedWhy::Node(node.name_any()));
            }
            let ranges = node.spec.iter().flat_map(|spec| spec.pod_cidrs.iter().flatten());
            reserved.extend(ranges.filter_map(|range| Some((range.parse().ok()?, ReservedWhy::PodCidr))));
        }
        let before = self.allocator.strays();
        self.allocator.set_reserved(reserved);
        before.symmetric_difference(&self.allocator.strays()).map(subject).collect()
    }

    /// Meets `request`, and notes what the ledger must say before anybody is told.
    pub(crate) fn request(&mut self, request: &Request) -> Result<Assignment, Reason> {
        let assignment = self.allocator.request(request, clock::wall_secs())?;
        let changed = assignment.addresses.iter().filter(|assigned| assigned.change != Change::Kept);
        self.unwritten.extend(changed.map(|assigned| assigned.address));
        if assignment.addresses.iter().any(|assigned| assigned.change == Change::TakenOver) {
            self.unwritten.extend(assignment.surplus.iter().map(|claim| claim.address));
        }
        Ok(assignment)
    }

    /// Addresses that the owner holds.
    pub(crate) fn held(&self, owner: &OwnerId) -> Vec<Claim> {
        self.allocator.claims_of(owner).collect()
    }

    /// Ends the owner's claim on one address. Its status no longer shows it.
    pub(crate) fn forget(&mut self, address: IpAddr, owner: &OwnerId) {
        if self.allocator.forget(address, owner, clock::wall_secs()).is_some() {
            self.unwritten.insert(address);
        }
    }

    /// Ends whatever claims the owner has.
    pub(crate) fn release(&mut self, owner: &OwnerId) {
        let freed = self.allocator.release(owner, clock::wall_secs());
        self.unwritten.extend(freed.iter().map(|freed| freed.address));
    }

    /// Gives nothing out of the block of an entry that cannot be read, because somebody may hold any of it.
    pub(crate) fn withhold(&mut self, damaged: &Damaged) {
        self.withheld.extend(damaged.network());
        self.damaged.extend(damaged.address);
    }

    /// Number of owners that wait for an address, or for one of a second family.
    pub(crate) fn waiting(&self) -> usize {
        self.allocator.waiting().len()
    }

    /// Those of a namespace among them.
    pub(crate) fn waiting_in(&self, namespace: &str) -> Vec<Subject> {
        self.allocator.waiting().filter(|owner| owner.namespace == namespace).map(subject).collect()
    }

    /// Owners that wait and may get something now, oldest first.
    pub(crate) fn take_ready(&mut self) -> Vec<Subject> {
        self.allocator.take_ready().iter().map(subject).collect()
    }

    /// When the rest of an address ends next, in seconds since 1970.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.allocator.next_expiry()
    }

    /// Ends the rests that are over.
    pub(crate) fn expire(&mut self) {
        self.unwritten.extend(self.allocator.expire(clock::wall_secs()));
    }

    /// What the ledger must be told now; it counts as told.
    pub(crate) fn take_unwritten(&mut self) -> Changes {
        let unwritten = std::mem::take(&mut self.unwritten);
        let written = unwritten.into_iter().filter(|address| !self.damaged.contains(address));
        written.map(|address| (address, self.entry(address))).collect()
    }

    /// What the ledger should say of an address; `None` if it should say nothing.
    fn entry(&self, address: IpAddr) -> Option<LedgerEntry> {
        let claims: Vec<Claim> = self.allocator.claims_on(address).collect();
        if let Some(first) = claims.first() {
            return Some(ledger::held_entry(&first.pool, claims.iter().map(|claim| claim.owner.as_ref())));
        }
        let Rest { owner, pool, released_at_secs, .. } = self.allocator.rest_of(address)?;
        Some(ledger::resting_entry(&pool, &Owner { id: owner, uid: String::new() }, released_at_secs))
    }

    /// The owners of these addresses. Looks at every claim.
    pub(crate) fn owners_of(&self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<Subject> {
        let claims = self.allocator.claims().filter(|claim| addresses.contains(&claim.address));
        claims.map(|claim| subject(&claim.owner.id)).collect()
    }

    /// Every owner with a claim.
    pub(crate) fn owners(&self) -> BTreeSet<Subject> {
        self.allocator.claims().map(|claim| subject(&claim.owner.id)).collect()
    }

    /// Whether the owner has any claim.
    pub(crate) fn holds(&self, owner: &OwnerId) -> bool {
        self.allocator.claims_of(owner).next().is_some()
    }

    /// The key by which the owner shares its addresses now.
    pub(crate) fn sharing_key(&self, owner: &OwnerId) -> Option<String> {
        self.allocator.sharing_key_of(owner).map(str::to_owned)
    }

    /// How much of a pool is in use.
    pub(crate) fn usage(&self, pool: &str) -> Option<Usage> {
        self.allocator.usage(pool)
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
