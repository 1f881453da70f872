use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(transmit_millis: u64, multiplier: u8) -> Config {
    Config {
        transmit_interval: millis(transmit_millis),
        detect_multiplier: NonZeroU8::new(multiplier).unwrap(),
        ..Config::default()
    }
}

fn merged(wishes: &[Config]) -> Config {
    Config::merged(wishes.iter()).unwrap()
}

fn detection_time(config: &Config) -> Duration {
    config.transmit_interval * u32::from(config.detect_multiplier.get())
}

#[test]
fn the_default_is_that_of_metallbs_profiles() {
    let config = Config::default();
    assert_eq!((config.receive_interval, config.transmit_interval), (millis(300), millis(300)));
    assert_eq!((config.detect_multiplier.get(), config.role, config.minimum_ttl), (3, Role::Active, 254));
}

#[test]
fn intervals_are_between_10_ms_and_a_minute() {
    for (interval, is_allowed) in [(9, false), (10, true), (60_000, true), (60_001, false)] {
        let interval = millis(interval);
        let receive = Config { receive_interval: interval, ..Config::default() }.check();
        let transmit = Config { transmit_interval: interval, ..Config::default() }.check();
        let expected = |error| if is_allowed { Ok(()) } else { Err(error) };
        assert_eq!(receive, expected(ConfigError::ReceiveInterval(interval)));
        assert_eq!(transmit, expected(ConfigError::TransmitInterval(interval)));
    }
}

#[test]
fn nobodys_wish_is_no_configuration() {
    assert_eq!(Config::merged([].iter()), None);
}

#[test]
fn a_single_wish_is_taken_as_it_is() {
    let wish = Config { role: Role::Passive, minimum_ttl: 250, ..config(70, 5) };
    assert_eq!(merged(&[wish]), wish);
}

#[test]
fn the_shortest_intervals_win() {
    let a = Config { receive_interval: millis(50), ..config(400, 3) };
    let b = Config { receive_interval: millis(500), ..config(100, 3) };
    let merged = merged(&[a, b]);
    assert_eq!((merged.receive_interval, merged.transmit_interval), (millis(50), millis(100)));
}

#[test]
fn the_multiplier_gives_the_shortest_detection_time_that_was_asked_for_and_none_shorter() {
    // 1 s in steps of 50 ms, and 0.9 s in steps of 300 ms: 0.9 s in steps of 50 ms, not 0.15 s.
    assert_eq!(merged(&[config(50, 20), config(300, 3)]), config(50, 18));
    // 100 ms do not divide by 70 ms: rounded down, or the first would wait 140 ms.
    assert_eq!(merged(&[config(100, 1), config(70, 3)]), config(70, 1));
}

#[test]
fn a_session_is_passive_only_if_all_want_that() {
    let passive = Config { role: Role::Passive, ..Config::default() };
    assert_eq!(merged(&[passive, passive]).role, Role::Passive);
    assert_eq!(merged(&[passive, Config::default()]).role, Role::Active);
}

#[test]
fn the_strictest_minimum_ttl_wins() {
    let lax = Config { minimum_ttl: 1, ..Config::default() };
    assert_eq!(merged(&[lax, Config::default()]).minimum_ttl, 254);
}

proptest! {
    #[test]
    fn nobody_gets_a_slower_detection_and_no_multiplier_is_below_the_fastest_ones(
        wishes in prop::collection::vec((10..60_000_u64, 1..=u8::MAX), 1..6),
    ) {
        let wishes: Vec<Config> = wishes.into_iter().map(|(interval, multiplier)| config(interval, multiplier)).collect();
        let merged = merged(&wishes);
        let fastest = wishes.iter().min_by_key(|wish| detection_time(wish)).unwrap();
        prop_assert!(detection_time(&merged) <= detection_time(fastest));
        prop_assert!(detection_time(&merged) + merged.transmit_interval > detection_time(fastest));
        prop_assert!(merged.detect_multiplier >= fastest.detect_multiplier);
        prop_assert!(wishes.iter().all(|wish| merged.transmit_interval <= wish.transmit_interval));
    }
}
