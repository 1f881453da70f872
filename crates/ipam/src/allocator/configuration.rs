//! What the cluster's configuration says: pools, and networks that are not to be given.

use super::*;

impl Allocator {
    /// Replaces all pools. Claims stay as they are, whatever the pools say now. A pool whose name a ConfigMap key has too gives
    /// nothing. Costs O(ranges + claims) if anything changed.
    pub fn set_pools(&mut self, pools: Vec<Pool>) {
        let pools = pools::arrange(pools);
        if pools.iter().eq(self.pools()) {
            return;
        }
        let before: Vec<names::NameId> = self.pools.states().iter().map(|state| state.id).collect();
        let numbered = pools.into_iter().map(|pool| {
            let id = self.pool_names.take(&pool.name);
            (pool, id)
        });
        self.pools = Pools::new(numbered.collect());
        before.into_iter().for_each(|id| self.drop_pool_name(id));
        self.find_current();
        for family in Family::ALL {
            for index in 0..self.pools.states().len() {
                self.refill(index, family, Span::all(family));
            }
            self.mark_held(family, Span::all(family));
        }
        let (named, pools) = (&self.named, &self.pools);
        self.rests.reschedule(|pool| {
            let current = named.get(pool as usize).and_then(|named| named.current);
            current.and_then(|index| pools.states()[index].pool.reuse_after_secs).unwrap_or(0)
        });
        self.wake_all();
    }

    /// Replaces the networks whose addresses must not become VIPs: Nodes' addresses, Service and Pod ranges. Where they
    /// nest, the smallest gives the reason. What is held stays held.
    pub fn set_reserved(&mut self, reserved: BTreeMap<IpNet, ReservedWhy>) {
        let before: BTreeSet<IpNet> = self.reserved.keys().copied().collect();
        let after: BTreeSet<IpNet> = reserved.keys().copied().collect();
        self.reserved = reserved;
        if before == after {
            return;
        }
        self.reserved_at = PerFamily::from_fn(|family| {
            let of_family = after.iter().filter(|net| Family::of(net.addr()) == family);
            Coverage::new(of_family.map(|net| (Span::of_network(*net), *net)))
        });
        for changed in before.symmetric_difference(&after) {
            let (family, span) = (Family::of(changed.addr()), Span::of_network(*changed));
            for index in self.pools.touching(family, span) {
                self.refill(index, family, span);
            }
            self.mark_held(family, span);
        }
        self.wake_all();
    }

    fn wake_all(&mut self) {
        self.touched.clear();
        self.waiting.wake_all();
    }

    /// Finds the pool of each name anew, and counts the claims that each does not cover.
    fn find_current(&mut self) {
        for named in &mut self.named {
            *named = Named { assigned: std::mem::take(&mut named.assigned), ..Named::default() };
        }
        for index in (0..self.pools.states().len()).rev() {
            // Of two pools of one name the first counts.
            let id = self.pools.states()[index].id;
            self.named_mut(id).current = Some(index);
        }
        for (address, holders) in self.holds.iter() {
            let mut counted = Vec::new();
            for pool in holders.iter().map(|holder| holder.pool()) {
                let named = &mut self.named[pool as usize];
                let covers = |index: usize| self.pools.states()[index].pool.contains(address);
                if !counted.contains(&pool) && !named.current.is_some_and(covers) {
                    *named.outside.get_mut(Family::of(address)) += 1;
                }
                if holders.len() > 1 {
                    counted.push(pool);
                }
            }
        }
    }

    /// Works out anew which addresses of one pool within `span` are free and which rest.
    fn refill(&mut self, index: usize, family: Family, span: Span) {
        let (pools, reserved) = (&mut self.pools, self.reserved_at.get(family));
        let covered: Vec<Span> = pools.states()[index].pool.ranges.of(family).overlapping(span).collect();
        for covered in covered {
            pools.mark(index, family, covered, true);
            for (reserved, _) in reserved.overlapping(covered) {
                pools.mark(index, family, reserved, false);
            }
            for (address, released_at_secs) in self.rests.within(family, covered) {
                let number = number(address);
                pools.mark_one(index, family, number, false);
                let is_reserved = !reserved.at(number).is_empty();
                pools.mark_resting(index, family, (released_at_secs, number), !is_reserved);
            }
        }
    }

    /// Marks what is held within `span` as not free, in all pools.
    fn mark_held(&mut self, family: Family, span: Span) {
        for number in self.holds.within(family, span) {
            let address = family.address(number);
            for place in 0..self.pools.covering(address).len() {
                let index = self.pools.covering(address)[place];
                self.pools.mark_one(index, family, number, false);
            }
        }
    }
}
