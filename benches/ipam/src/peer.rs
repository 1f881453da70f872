//! The peer: an allocator that looks at one address after the other until one is not in use, as MetalLB's does.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::clock::nanos;

/// Allocations that are timed.
const TIMED: u32 = 64;

/// Nanoseconds that a first-fit scan takes for an allocation, at the middle of filling a pool of `count` addresses. Over the
/// whole of the filling the mean is the same.
pub(crate) fn scan_nanos(count: usize) -> f64 {
    let first = Ipv4Addr::new(10, 0, 0, 0).to_bits();
    let half = (count / 2) as u32;
    let mut in_use: HashMap<Ipv4Addr, String> = HashMap::new();
    for number in 0..half.saturating_sub(TIMED / 2) {
        in_use.insert(Ipv4Addr::from_bits(first + number), format!("team-0000000/frontend-{number:07}"));
    }
    let (total, ()) = nanos(|| {
        for number in 0..TIMED {
            let free = (first..).map(Ipv4Addr::from_bits).find(|address| !in_use.contains_key(address));
            in_use.extend(free.map(|address| (address, format!("team-0000000/frontend-{number:07}"))));
        }
    });
    total / f64::from(TIMED)
}
