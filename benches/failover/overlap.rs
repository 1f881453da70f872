//! For how long two nodes answered for one address.

use std::net::IpAddr;
use std::time::Duration;

use keryx_lab::capture::{Event, MacAddr};

/// The longest time in which an earlier announcer was still heard after another had announced itself. A node that goes on
/// where it was before counts from the other's last word.
pub(crate) fn longest(events: &[Event], address: IpAddr, since_nanos: u64) -> Duration {
    let mut words = events
        .iter()
        .filter(|event| event.at_nanos >= since_nanos)
        .filter_map(|event| Some((event.at_nanos, event.packet.claimed_by(address)?)));
    let Some((_, mut current)) = words.next() else { return Duration::ZERO };
    let mut longest = 0;
    // When the current one took over, and from whom.
    let mut taken: Option<(u64, MacAddr)> = None;
    for (at, who) in words {
        if who == current {
            continue;
        }
        match taken {
            // The one before is still heard.
            Some((since, before)) if before == who => longest = longest.max(at - since),
            Some(_) | None => {
                taken = Some((at, current));
                current = who;
            }
        }
    }
    Duration::from_nanos(longest)
}
