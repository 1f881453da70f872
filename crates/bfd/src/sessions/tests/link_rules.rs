//! What two ends do over a link, one fault at a time.

use super::link::{Faults, Link};
use super::*;

const SEEDS: u64 = 60;
/// A second for each try, of which one in two fails at 20 % loss.
const UP_LIMIT: Duration = Duration::from_secs(20);

fn lossy(loss_percent: u64) -> Faults {
    Faults {
        loss_percent,
        duplicate_percent: 10,
        delay: (millis(1), millis(120)),
        is_ordered: false,
        is_cut: false,
    }
}

fn delayed(least: u64, most: u64) -> Faults {
    Faults { delay: (millis(least), millis(most)), ..Faults::NONE }
}

fn with(transmit: u64, receive: u64, multiplier: u8) -> Config {
    Config {
        transmit_interval: millis(transmit),
        receive_interval: millis(receive),
        detect_multiplier: NonZeroU8::new(multiplier).unwrap(),
        ..Config::default()
    }
}

/// Both ends Up, polls answered, at a time that differs from seed to seed.
fn up(configs: [Config; 2], faults: Faults, seed: u64) -> Link {
    let mut link = Link::new(configs, seed);
    link.faults = [faults; 2];
    link.run(millis(5_000));
    let more = link.below(1_000);
    link.run(millis(more));
    assert!(link.are_both_up(), "seed {seed}");
    link
}

fn downs(link: &Link, end: usize) -> Vec<(Instant, DownCause)> {
    let cause = |event: &Event| match *event {
        Event::Down { cause, .. } => Some(cause),
        Event::Up { .. } => None,
    };
    link.ends[end].events.iter().filter_map(|(at, event)| Some((*at, cause(event)?))).collect()
}

#[test]
fn over_a_good_link_both_are_up_after_a_round_trip_and_a_half() {
    let mut link = Link::new([Config::default(); 2], 1);
    assert!(link.run_while(millis(3), |link| !link.are_both_up()));
}

#[test]
fn over_a_good_link_nobody_ever_goes_down() {
    for (seed, grain) in [(1, 0), (2, 1), (3, 10), (4, 25)] {
        let mut link = up([with(50, 50, 3); 2], delayed(1, 20), seed);
        link.grain = millis(grain);
        link.run(Duration::from_secs(120));
        assert_eq!((downs(&link, 0), downs(&link, 1)), (vec![], vec![]), "grain {grain}");
    }
}

#[test]
fn with_multiplier_one_a_link_without_loss_holds() {
    let mut link = up([with(100, 100, 1); 2], delayed(1, 5), 1);
    link.run(Duration::from_secs(120));
    assert_eq!((downs(&link, 0), downs(&link, 1)), (vec![], vec![]));
}

#[test]
fn over_a_link_that_loses_every_fifth_packet_both_come_up_within_20_s() {
    for seed in 0..5 * SEEDS {
        let mut link = Link::new([Config::default(); 2], seed);
        link.faults = [lossy(20); 2];
        assert!(link.run_while(UP_LIMIT, |link| !link.are_both_up()), "seed {seed}");
    }
}

#[test]
fn a_passive_end_comes_up_with_an_active_one_and_two_passive_ones_say_nothing() {
    let passive = Config { role: crate::Role::Passive, ..Config::default() };
    for seed in 0..SEEDS {
        let mut link = Link::new([Config::default(), passive], seed);
        link.faults = [lossy(20); 2];
        assert!(link.run_while(UP_LIMIT, |link| !link.are_both_up()), "seed {seed}");
    }
    let mut link = Link::new([passive; 2], 1);
    link.run(Duration::from_secs(60));
    assert!(link.ends.iter().all(|end| end.sent.is_empty()));
}

#[test]
fn a_link_that_is_cut_one_way_is_found_dead_by_both_within_a_detection_time() {
    for seed in 0..SEEDS {
        let grain = millis([0, 10][(seed % 2) as usize]);
        let cut = (seed / 2 % 2) as usize;
        let mut link = up([with(50, 100, 3); 2], delayed(1, 10), seed);
        link.grain = grain;
        link.faults[cut].is_cut = true;
        let at = link.now;
        // The last packet was on its way for 10 ms. The answer takes as long. Each of both can wake up late.
        let limit = millis(300) + millis(10) + grain;
        assert!(link.run_while(limit, |link| link.are_both_up()), "seed {seed}");
        assert_eq!(link.state(1 - cut), State::Down, "seed {seed}: who hears nothing knows it first");
        assert!(link.run_while(millis(10) + 2 * grain, |link| link.state(cut) == State::Up), "seed {seed}");
        let told = DownCause::PeerDown(Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
        link.run(Duration::from_secs(30));
        assert_eq!(downs(&link, 1 - cut).len(), 1, "seed {seed}: it stays down");
        let [(down_at, cause)] = downs(&link, cut)[..] else {
            panic!("seed {seed}: {:?}", downs(&link, cut))
        };
        assert_eq!(cause, told, "seed {seed}");
        // Jitter lets a packet be a quarter older than the interval, and the first loss comes up to an interval late.
        assert!(down_at - at >= millis(200), "seed {seed}: not before packets were missed");
        link.faults[cut].is_cut = false;
        assert!(link.run_while(millis(3_000), |link| !link.are_both_up()), "seed {seed}: healed");
    }
}

#[test]
fn a_passive_end_that_hears_nothing_goes_down_and_the_other_follows_after_its_own_detection_time() {
    let passive = Config { role: crate::Role::Passive, ..with(50, 50, 3) };
    for seed in 0..SEEDS {
        let mut link = up([with(50, 50, 3), passive], delayed(1, 10), seed);
        link.faults[0].is_cut = true;
        assert!(link.run_while(millis(161), |link| link.are_both_up()), "seed {seed}");
        assert!(link.run_while(millis(161), |link| link.state(0) == State::Up), "seed {seed}");
        assert_eq!(downs(&link, 0)[0].1, DownCause::DetectionTimeExpired, "seed {seed}");
    }
}

#[test]
fn parameters_that_change_while_up_take_nobody_down_and_are_agreed_on() {
    for seed in 0..SEEDS {
        // Without loss, and with every fifth packet lost but enough of them to miss.
        let (loss_percent, multiplier) = [(0, 3), (20, 15)][(seed % 2) as usize];
        let mut link = up([with(50, 50, multiplier); 2], delayed(1, 40), seed);
        link.faults = [Faults { loss_percent, ..delayed(1, 40) }; 2];
        let mut last = [with(50, 50, multiplier); 2];
        for _ in 0..40 {
            let end = link.below(2) as usize;
            let [transmit, receive] = [0; 2].map(|_: u8| [20, 50, 300, 1_000, 2_500][link.below(5) as usize]);
            last[end] = with(transmit, receive, multiplier);
            link.configure(end, last[end]);
            let wait = link.below(1_000);
            link.run(millis(wait));
        }
        link.run(Duration::from_secs(60));
        assert_eq!((downs(&link, 0), downs(&link, 1)), (vec![], vec![]), "seed {seed}");
        for end in 0..2 {
            let (own, peer) = (last[end], last[1 - end]);
            let status = link.ends[end].status();
            let sending = own.transmit_interval.max(peer.receive_interval);
            let hearing = peer.transmit_interval.max(own.receive_interval);
            assert_eq!(
                (status.transmit_interval, status.detection_time),
                (sending, hearing * u32::from(multiplier)),
                "seed {seed}"
            );
            assert!(link.ends[end].sent.last().is_some_and(|(_, packet)| !packet.is_poll), "seed {seed}");
        }
    }
}

#[test]
fn an_end_that_is_starved_for_longer_than_its_detection_time_hears_what_lay_unread_and_stays_up() {
    // The first hears the other each 50 ms and gives it 150 ms; the other gives the first 1.5 s.
    for seed in 0..SEEDS {
        let mut link = up([with(50, 50, 30), with(50, 50, 3)], delayed(1, 10), seed);
        let late = 200 + link.below(1_000);
        link.ends[0].starved_until = Some(link.now + millis(late));
        link.run(millis(5_000));
        assert_eq!((downs(&link, 0), downs(&link, 1)), (vec![], vec![]), "seed {seed}, {late} ms");
    }
}

#[test]
fn an_end_that_begins_anew_is_found_out_at_once_and_comes_up_again() {
    for seed in 0..SEEDS {
        let mut link = up([Config::default(); 2], delayed(1, 10), seed);
        link.restart(0, Config::default());
        link.run(millis(12));
        assert_eq!(downs(&link, 1)[0].1, DownCause::PeerDown(Diagnostic::NONE), "seed {seed}");
        assert!(link.run_while(millis(100), |link| !link.are_both_up()), "seed {seed}");
    }
}

#[test]
fn at_rest_an_end_sends_no_more_than_the_interval_allows() {
    let mut link = up([with(100, 100, 3); 2], delayed(1, 1), 1);
    let before = link.ends[0].sent.len();
    link.run(Duration::from_secs(100));
    let sent = link.ends[0].sent.len() - before;
    // 87.5 ms on average.
    assert!((1_000..1_334).contains(&sent), "{sent}");
    assert!(link.ends[0].sent[before..].iter().all(|(_, packet)| !packet.is_poll && !packet.is_final));
}
