use std::io;
use std::time::Duration;

use proptest::prelude::*;

use super::arp::{answer_to, request};
use super::flow::{question, split_answer};
use super::gap::{Answers, Probes, TIMELY};
use super::neighbour;
use super::{Answer, Gap, Neighbour, Pace, ProbeError, is_stopped, until_answered};
use crate::capture::{ArpOperation, MacAddr, Packet, decode};
use crate::clock;

const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const LINE: &str = "pod=web-1 node=n2 client=192.0.2.7:40000 local=[2001:db8::1]:8080";
const NO_TIME: Duration = Duration::ZERO;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn the_line_of_the_app_reads_back() {
    let answer = Answer {
        pod: "web-1".into(),
        node: "n2".into(),
        client: "192.0.2.7:40000".parse().unwrap(),
        local: "[2001:db8::1]:8080".parse().unwrap(),
        latency: ms(3),
    };
    assert_eq!(Answer::parse(LINE, ms(3)), Ok(answer));
}

#[test]
fn a_line_of_another_app_is_garbled() {
    let lines = ["", "220 mail", "pod=a node=b client=x local=192.0.2.1:1", &LINE.replace("node", "host")];
    for line in lines.into_iter().map(str::to_owned).chain([format!("{LINE} more=1")]) {
        assert_eq!(Answer::parse(&line, NO_TIME), Err(ProbeError::Garbled(line)));
    }
}

#[test]
fn errors_of_the_system_become_what_a_client_would_say() {
    let cases = [
        (nix::libc::ECONNREFUSED, ProbeError::Refused),
        (nix::libc::ETIMEDOUT, ProbeError::TimedOut),
        (nix::libc::EAGAIN, ProbeError::TimedOut),
        (nix::libc::ECONNRESET, ProbeError::Reset),
        (nix::libc::EPIPE, ProbeError::Reset),
        (nix::libc::EHOSTUNREACH, ProbeError::Unreachable),
        (nix::libc::ENETUNREACH, ProbeError::Unreachable),
    ];
    for (errno, error) in cases {
        assert_eq!(ProbeError::from(io::Error::from_raw_os_error(errno)), error);
    }
    let other = ProbeError::from(io::Error::from_raw_os_error(nix::libc::EADDRINUSE));
    assert!(other.to_string().starts_with("Address already in use"), "{other}");
}

#[test]
fn an_answer_tells_which_datagram_it_answers() {
    let datagram = format!("{LINE}\n{}", question(17));
    assert_eq!(split_answer(datagram.as_bytes()), Ok((17, LINE.into())));
    for other in ["", LINE, "x\ny", "x\nkeryx 1", "x\nkeryx one\n"] {
        assert_eq!(split_answer(other.as_bytes()), Err(ProbeError::Garbled(other.into())));
    }
}

#[test]
fn trying_until_answered_ends_with_the_first_answer_or_the_last_error() {
    let mut tries = 0;
    let answered = until_answered(ms(60_000), NO_TIME, || {
        tries += 1;
        if tries == 3 { Answer::parse(LINE, NO_TIME) } else { Err(ProbeError::Refused) }
    });
    assert_eq!((answered.map(|answer| answer.pod), tries), (Ok("web-1".into()), 3));
    let mut tries = 0;
    let given_up = until_answered(NO_TIME, ms(1), || {
        tries += 1;
        Err(ProbeError::TimedOut)
    });
    assert_eq!((given_up, tries), (Err(ProbeError::TimedOut), 1));
}

#[test]
fn a_pace_is_bounded_in_interval_time_and_count() {
    assert_eq!(Pace::new(ms(10), ms(95)).count(), 9);
    assert_eq!(Pace::new(NO_TIME, ms(95)).count(), 95, "at least 1 ms apart");
    assert_eq!(Pace::new(ms(1), Duration::MAX).count(), 1_000_000);
    assert_eq!(Pace::new(ms(1000), Duration::MAX).count(), 3600);
}

#[test]
fn probes_come_due_at_the_pace_and_missed_ones_are_left_out() {
    let start = clock::now();
    let mut ticks = Pace::new(ms(10), ms(60)).ticks(start);
    let mut due = |now| ticks.next(start + ms(now)).map(|due| (due - start).as_millis());
    assert_eq!(due(0), Some(0));
    assert_eq!(due(3), Some(10));
    assert_eq!(due(19), Some(20), "a little late keeps the beat");
    assert_eq!(due(47), Some(47), "30 and 40 are left out");
    assert_eq!(due(47), Some(57));
    assert_eq!(due(57), None, "the next would be after the end");
    assert_eq!(due(57), None);
}

proptest! {
    #[test]
    fn a_pace_never_gives_more_probes_than_its_count_nor_one_after_its_end(
        interval in 1..20_u64, duration in 0..400_u64, delays in proptest::collection::vec(0..60_u64, 600),
    ) {
        let start = clock::now();
        let pace = Pace::new(ms(interval), ms(duration));
        let mut ticks = pace.ticks(start);
        let (mut now, mut count) = (start, 0);
        for delay in delays {
            let Some(due) = ticks.next(now) else { break };
            prop_assert!(due >= start && due < start + ms(duration));
            count += 1;
            now = now.max(due) + ms(delay);
        }
        prop_assert!(count <= pace.count());
    }
}

#[test]
fn the_longest_gap_is_found_at_the_start_in_the_middle_and_at_the_end() {
    let cases: [(&[u64], u64, u64, u64); 5] = [
        (&[], 50, 0, 50),
        (&[30, 40, 50], 60, 0, 30),
        (&[10, 20, 60, 70], 80, 20, 40),
        (&[10, 20], 90, 20, 70),
        (&[10, 20, 30], 25, 0, 10),
    ];
    for (times, end, from, length) in cases {
        let mut answers = Answers::new(1_000_000_000);
        for at in times {
            answers.push(ms(*at));
        }
        let expected = Gap { from_nanos: 1_000_000_000 + from * 1_000_000, length: ms(length) };
        assert_eq!(answers.longest_gap(ms(end)), expected, "{times:?} until {end}");
        assert_eq!(answers.count() as usize, times.len());
    }
}

#[test]
fn an_outage_is_a_run_of_probes_that_nobody_answers_in_time() {
    let in_time = Some(TIMELY);
    let late = Some(TIMELY + ms(1));
    // The longest such run, and from the first that was lost to the last.
    let cases: [(&[Option<Duration>], u64, u64); 6] = [
        (&[], 0, 0),
        (&[in_time, in_time], 0, 0),
        (&[in_time, None, in_time], 10, 0),
        (&[None, None, in_time, None, in_time], 20, 30),
        (&[in_time, late, late, in_time], 20, 0),
        (&[in_time, None, None, None], 20, 20),
    ];
    for (answers, outage, lost) in cases {
        let mut probes = Probes::default();
        for (number, took) in answers.iter().enumerate() {
            let sent = ms(10) * u32::try_from(number).unwrap();
            probes.push(sent);
            if let Some(took) = took {
                assert!(probes.answer(number, sent + *took));
                assert!(!probes.answer(number, sent), "the first answer counts");
            }
        }
        assert_eq!(probes.longest_outage(), ms(outage), "{answers:?}");
        assert_eq!(probes.lost_span(), ms(lost), "{answers:?}");
        assert!(!probes.answer(answers.len(), ms(0)), "nobody asked");
    }
}

#[test]
fn an_arp_request_asks_everybody_in_the_name_of_the_client() {
    let (client, target) = ("192.0.2.1".parse().unwrap(), "192.0.2.50".parse().unwrap());
    let decoded = decode(&request(OWN, client, target).unwrap()).unwrap();
    let Packet::Arp(arp) = decoded.packet else { panic!("{decoded:?}") };
    assert_eq!((decoded.source_mac, decoded.destination_mac), (OWN, MacAddr::BROADCAST));
    assert_eq!((arp.operation, arp.sender_mac, arp.sender_ip), (ArpOperation::Request, OWN, client));
    assert_eq!((arp.target_mac, arp.target_ip), (MacAddr::UNSPECIFIED, target));
}

#[test]
fn only_a_reply_to_us_for_the_target_is_an_answer() {
    let target = "192.0.2.50".parse().unwrap();
    let reply = |to: MacAddr, operation: u8, sender_last: u8| {
        let mut frame = [to.0, OTHER.0].concat();
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend(OTHER.0);
        frame.extend([192, 0, 2, sender_last]);
        frame.extend(to.0);
        frame.extend([192, 0, 2, 1]);
        frame
    };
    assert_eq!(answer_to(&reply(OWN, 2, 50), OWN, target), Some(OTHER));
    let others = [
        ("to everybody", reply(MacAddr::BROADCAST, 2, 50)),
        ("a request", reply(OWN, 1, 50)),
        ("another address", reply(OWN, 2, 51)),
        ("our own request", request(OWN, target, target).unwrap()),
        ("nothing", Vec::new()),
    ];
    for (name, frame) in others {
        assert_eq!(answer_to(&frame, OWN, target), None, "{name}");
    }
}

#[test]
fn the_neighbour_table_reads_with_and_without_an_address() {
    let json = r#"[{"dst":"192.0.2.77","state":["INCOMPLETE"]},
        {"dst":"2001:db8::2","lladdr":"02:00:00:00:00:02","router":null,"state":["REACHABLE"]},
        {"dst":"192.0.2.78"}]"#;
    let row = |ip: &str, mac, state: &str| Neighbour { ip: ip.parse().unwrap(), mac, state: state.into() };
    let expected = [
        row("192.0.2.77", None, "INCOMPLETE"),
        row("2001:db8::2", Some(OTHER), "REACHABLE"),
        row("192.0.2.78", None, ""),
    ];
    assert_eq!(neighbour::parse(json).unwrap(), expected);
    assert!(neighbour::parse(r#"[{"dst":"192.0.2.1","lladdr":"nonsense"}]"#).is_err());
}

#[test]
fn a_closed_pipe_ends_a_wait_at_once() {
    let (stopped, stop) = io::pipe().unwrap();
    let far = clock::now() + ms(600_000);
    assert!(!is_stopped(&stopped, clock::now()));
    drop(stop);
    assert!(is_stopped(&stopped, far));
}
