//! Two controllers that both believe to lead, over one ledger that refuses who has not read its latest state.

use super::*;

#[derive(Clone, Debug, Default)]
struct Ledger {
    version: u64,
    claims: BTreeMap<IpAddr, (OwnerId, String)>,
}

struct Leader {
    allocator: Allocator,
    read: u64,
}

impl Leader {
    fn new(ledger: &Ledger, pools: &[Pool]) -> Self {
        let mut allocator = Allocator::default();
        allocator.set_pools(pools.to_vec());
        for (address, (id, uid)) in &ledger.claims {
            let owner = Owner { id: id.clone(), uid: uid.clone() };
            allocator.observe(Claim { address: *address, owner: owner.into(), pool: "p".into() }).unwrap();
        }
        Self { allocator, read: ledger.version }
    }

    /// Writes if nobody else has since this one read; else it begins anew.
    fn write(&mut self, ledger: &mut Ledger, pools: &[Pool], change: impl FnOnce(&mut Ledger)) {
        if self.read == ledger.version {
            change(ledger);
            ledger.version += 1;
            self.read = ledger.version;
        } else {
            *self = Self::new(ledger, pools);
        }
    }
}

proptest! {
    #[test]
    fn a_leader_that_wakes_up_late_takes_nothing_from_anybody(
        first in layout(),
        steps in prop::collection::vec((0..2_usize, 0..OWNERS.len(), prop::bool::weighted(0.7)), 1..60),
    ) {
        let pools = first.pools();
        let mut ledger = Ledger::default();
        let mut leaders = [Leader::new(&ledger, &pools), Leader::new(&ledger, &pools)];
        for (leader, owner, asks) in steps {
            let leader = &mut leaders[leader];
            let before = ledger.clone();
            let id = Game::id(owner);
            let owner = Owner { id: id.clone(), uid: "u".to_owned() };
            if asks {
                let Ok(assignment) = leader.allocator.request(&Request::new(owner), NOW) else { continue };
                let new: Vec<IpAddr> = assignment
                    .addresses
                    .iter()
                    .filter(|assigned| assigned.change == Change::New)
                    .map(|assigned| assigned.address)
                    .collect();
                leader.write(&mut ledger, &pools, |ledger| {
                    ledger.claims.extend(new.into_iter().map(|address| (address, (id.clone(), "u".to_owned()))));
                });
            } else {
                let freed = leader.allocator.release(&id, NOW);
                leader.write(&mut ledger, &pools, |ledger| {
                    freed.iter().for_each(|freed| drop(ledger.claims.remove(&freed.address)));
                });
            }
            for (address, (holder, _)) in &before.claims {
                let now = ledger.claims.get(address).map(|(holder, _)| holder);
                prop_assert!(now == Some(holder) || now.is_none() && *holder == id, "{} went from {} to {:?}", address, holder, now);
            }
        }
    }
}
