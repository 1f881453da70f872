use super::*;

mod histories;
mod rules;
mod scenarios;
mod world;

const G: GroupId = GroupId(100);

#[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
