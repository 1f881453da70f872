use super::*;

const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x0a]);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

#[expect(clippy::disallowed_methods, reason = "a virtual clock needs some instant to count from")]
fn start() -> Instant {
    Instant::now()
}

fn advertisement(lifetime_secs: u16) -> Vec<u8> {
    RouterMessage::Advertisement { lifetime_secs, source_mac: None }.emit()
}

/// Lets time pass until `until`; what was sent, each with its time since `start`.
fn run(machine: &mut RouterDiscovery, start: Instant, until: Duration) -> Vec<(Duration, Ipv6Addr)> {
    let mut sent = Vec::new();
    while machine.poll_timeout() <= start + until {
        let now = machine.poll_timeout();
        machine.handle_timeout(now);
        while let Some(transmit) = machine.poll_transmit(now) {
            sent.push((now - start, transmit.destination));
        }
        assert!(machine.poll_timeout() > now, "nothing is due twice");
    }
    sent
}

fn times_to(sent: &[(Duration, Ipv6Addr)], group: Ipv6Addr) -> Vec<Duration> {
    sent.iter().filter(|(_, destination)| *destination == group).map(|(at, _)| *at).collect()
}

#[test]
fn without_a_router_three_solicitations_go_out_four_seconds_apart() {
    for seed in 0..20 {
        let start = start();
        let mut machine = RouterDiscovery::new(OWN, seed, start);
        let asked = times_to(&run(&mut machine, start, Duration::from_secs(600)), ALL_ROUTERS);
        assert!(asked[0] <= SOLICITATION_DELAY_MAX, "{asked:?}");
        let gaps: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [SOLICITATION_INTERVAL; 2]);
    }
}

#[test]
fn a_router_that_is_heard_is_known_and_no_longer_asked_for() {
    let start = start();
    let mut machine = RouterDiscovery::new(OWN, 1, start);
    machine.handle_input(&advertisement(1800), ROUTER, 255, start);
    assert_eq!(machine.router(), Some(ROUTER));
    assert_eq!(times_to(&run(&mut machine, start, Duration::from_secs(60)), ALL_ROUTERS), []);
}

#[test]
fn a_router_is_forgotten_when_its_lifetime_has_passed() {
    for (lifetime, passes) in [(9, Duration::from_secs(9)), (0, ROUTER_TIMEOUT)] {
        let start = start();
        let mut machine = RouterDiscovery::new(OWN, 1, start);
        machine.handle_input(&advertisement(lifetime), ROUTER, 255, start);
        run(&mut machine, start, passes - Duration::from_millis(1));
        assert_eq!(machine.router(), Some(ROUTER), "lifetime {lifetime}");
        run(&mut machine, start, passes);
        assert_eq!(machine.router(), None, "lifetime {lifetime}");
    }
}

#[test]
fn of_several_routers_the_one_that_was_heard_last_counts() {
    let start = start();
    let mut machine = RouterDiscovery::new(OWN, 1, start);
    for router in [ROUTER, OTHER, ROUTER] {
        machine.handle_input(&advertisement(0), router, 255, start);
        assert_eq!(machine.router(), Some(router));
    }
}

#[test]
fn it_advertises_itself_every_few_seconds_as_nobodys_default_router() {
    let start = start();
    let mut machine = RouterDiscovery::new(OWN, 1, start);
    let told = times_to(&run(&mut machine, start, Duration::from_secs(600)), ALL_NODES);
    assert!(told[0] <= ANSWER_DELAY_MAX);
    for pair in told.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((ADVERTISEMENT_INTERVAL_MIN..=ADVERTISEMENT_INTERVAL_MAX).contains(&gap), "{gap:?}");
    }
    let transmit = machine.poll_transmit(machine.poll_timeout()).unwrap();
    let message = RouterMessage::parse(&transmit.octets, ROUTER, 255);
    let expected = RouterMessage::Advertisement { lifetime_secs: 0, source_mac: Some(OWN) };
    assert_eq!(message, Ok(expected));
}

#[test]
fn solicitations_and_new_routers_are_answered_soon_but_never_by_a_storm() {
    let asks = RouterMessage::Solicitation { source_mac: None }.emit();
    for octets in [asks, advertisement(0)] {
        let begin = start();
        let mut machine = RouterDiscovery::new(OWN, 1, begin);
        let first = run(&mut machine, begin, ANSWER_DELAY_MAX);
        let first = times_to(&first, ALL_NODES)[0];
        let mut now = begin + first;
        let mut sent = Vec::new();
        for round in 0..3_000_u32 {
            // A hundred times a second, from ever other addresses.
            now += Duration::from_millis(10);
            let source = if round % 2 == 0 { ROUTER } else { OTHER };
            machine.handle_input(&octets, source, 255, now);
            while let Some(transmit) = machine.poll_transmit(now) {
                sent.push((now - begin, transmit.destination));
            }
        }
        let told = times_to(&sent, ALL_NODES);
        assert!(told[0] - first <= BETWEEN_ADVERTISEMENTS_MIN + ANSWER_DELAY_MAX, "{told:?}");
        for pair in told.windows(2) {
            assert!(pair[1] - pair[0] >= BETWEEN_ADVERTISEMENTS_MIN, "{told:?}");
        }
    }
}

#[test]
fn what_is_not_valid_changes_nothing() {
    let start = start();
    let mut machine = RouterDiscovery::new(OWN, 1, start);
    machine.handle_input(&advertisement(1800), ROUTER, 254, start);
    machine.handle_input(&advertisement(1800), "2001:db8::1".parse().unwrap(), 255, start);
    machine.handle_input(&[], ROUTER, 255, start);
    assert_eq!(machine.router(), None);
}
