//! Random histories of two ends: everything that can go wrong does. At every moment nobody is Up who was handed nothing for a
//! detection time, and nobody sends faster than was agreed ([`Link`] looks at both); when all is well again, both come
//! up and agree.

use super::link::{Faults, Link};
use super::*;

const SEEDS: u64 = 150;

fn any_config(link: &mut Link) -> Config {
    let [transmit_interval, receive_interval] =
        [0; 2].map(|_: u8| millis([10, 50, 300, 1_000, 3_000][link.below(5) as usize]));
    let detect_multiplier = NonZeroU8::new(1 + link.below(5) as u8).unwrap();
    Config { transmit_interval, receive_interval, detect_multiplier, ..Config::default() }
}

fn any_faults(link: &mut Link) -> Faults {
    let most = millis(1 + link.below(200));
    Faults {
        loss_percent: [0, 5, 20, 60][link.below(4) as usize],
        duplicate_percent: [0, 20][link.below(2) as usize],
        delay: (millis(1), most),
        is_ordered: link.below(2) == 0,
        is_cut: link.below(5) == 0,
    }
}

fn disturb(link: &mut Link) {
    let end = link.below(2) as usize;
    if link.ends[end].starved_until.is_some() {
        // Nobody can order anything of it.
        return;
    }
    match link.below(6) {
        0 => {
            let config = any_config(link);
            link.configure(end, config);
        }
        1 => {
            let config = any_config(link);
            link.restart(end, config);
        }
        2 => {
            let (session, now, is_enabled) = (link.ends[end].session, link.now, link.below(2) == 0);
            link.ends[end].sessions.set_enabled(session, is_enabled, now);
        }
        3 => {
            let late = link.below(2_000);
            link.ends[end].starved_until = Some(link.now + millis(late));
        }
        _ => link.faults[end] = any_faults(link),
    }
}

fn heal(link: &mut Link) {
    link.faults = [Faults::NONE; 2];
    for end in 0..2 {
        let (session, now) = (link.ends[end].session, link.now);
        link.ends[end].sessions.set_enabled(session, true, now);
        link.configure(end, Config::default());
    }
}

fn history(seed: u64) {
    let mut link = Link::new([Config::default(); 2], seed);
    link.grain = millis([0, 0, 1, 10][(seed % 4) as usize]);
    for _ in 0..30 {
        disturb(&mut link);
        let wait = link.below(4_000);
        link.run(millis(wait));
    }
    heal(&mut link);
    // What was agreed on before may be slow: a detection time of 5 × 3 s, and a packet each 3 s.
    link.run(Duration::from_secs(25));
    assert!(link.are_both_up(), "seed {seed}");
    let told = link.ends.each_ref().map(|end| end.events.len());
    link.run(Duration::from_secs(60));
    for (end, told) in link.ends.iter().zip(told) {
        assert_eq!(end.events.len(), told, "seed {seed}: quiet");
        let status = end.status();
        assert_eq!(
            (status.transmit_interval, status.detection_time),
            (millis(300), millis(900)),
            "seed {seed}"
        );
    }
}

#[test]
fn whatever_has_happened_both_come_up_and_agree_when_all_is_well_again() {
    for seed in 0..SEEDS {
        history(seed);
    }
}

#[test]
fn the_same_seed_makes_the_same_history() {
    let run = || {
        let mut link = Link::new([Config::default(); 2], 7);
        let began = link.now;
        link.faults =
            [Faults { loss_percent: 20, delay: (millis(1), millis(90)), is_ordered: false, ..Faults::NONE };
                2];
        link.run(Duration::from_secs(60));
        let sent = |end: usize| {
            link.ends[end].sent.iter().map(|(at, packet)| (*at - began, *packet)).collect::<Vec<_>>()
        };
        (sent(0), sent(1))
    };
    assert_eq!(run(), run());
}
