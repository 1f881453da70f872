//! Named faults in the world.

use super::world::World;
use super::*;

/// `count` nodes at rest, with nothing wrong.
fn at_rest(count: usize, groups: u64, seed: u64) -> World {
    let mut world = World::new(count, groups, seed);
    world.run(ms(3000));
    world.check_rest();
    world.checks.overlap_max = Duration::ZERO;
    world.checks.outage_max = Duration::ZERO;
    world.checks.disturbed_until = Some(world.now);
    world
}

/// Who announces each group.

#[test]
fn a_cluster_that_starts_comes_to_one_announcer_for_each_group() {
    for seed in 0..20 {
        for count in [1, 2, 3, 7] {
            at_rest(count, 6, seed);
        }
    }
}
