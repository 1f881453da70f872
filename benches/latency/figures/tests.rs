use super::*;

/// A Service of `side` with its address `status` ms and its announcement `arp` ms after the POST.
fn service(side: Side, status: u64, arp: u64) -> Sample {
    let at = |ms: u64| 1_000_000_000 + ms * 1_000_000;
    Sample {
        side: side.name,
        arm: 1,
        name: "a".into(),
        address: "192.0.2.1".parse().unwrap(),
        posted: at(0),
        accepted: at(1),
        assigned: at(status),
        announced: at(arp),
        connected: None,
    }
}

fn report(keryx: u64, peer: Option<u64>) -> Report {
    let services =
        [Some(service(Side::KERYX, keryx, keryx)), peer.map(|peer| service(Side::METALLB, peer, peer))];
    let gateway = Sample { connected: Some(1_030_000_000), ..service(Side::KERYX, 10, 20) };
    let samples = Samples { services: services.into_iter().flatten().collect(), gateways: vec![gateway] };
    Report::new(&samples, vec!["a note".to_owned()])
}

#[test]
fn a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() {
    let values: Vec<f64> = (1..=200).map(f64::from).collect();
    let cases = [(50, 100.0), (99, 198.0), (100, 200.0)];
    for (percent, expected) in cases {
        assert_eq!(percentile(&values, percent), Some(expected), "{percent}");
    }
    assert_eq!(percentile(&[7.0], 1), Some(7.0));
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn as_fast_as_the_peer_is_within_and_slower_is_not() {
    for (keryx, within) in [(20, 4), (19, 4), (21, 0)] {
        let report = report(keryx, Some(20));
        assert_eq!((report.verdict(), report.is_met()), ((within, 4), within == 4), "{keryx} ms");
    }
}

#[test]
fn without_a_peer_no_figure_has_a_limit() {
    let report = report(20, None);
    assert_eq!((report.verdict(), report.is_met()), ((0, 0), true));
    assert!(report.to_string().contains("not given"));
}

#[test]
fn an_announcement_before_the_watcher_has_seen_the_status_is_a_negative_length_without_a_ratio() {
    let early = service(Side::KERYX, 20, 18);
    let lengths = lengths(&[&early], |s| Some((s.assigned, s.announced)));
    assert_eq!(lengths, [-2.0]);
    let figure = Figure { name: "a".into(), keryx: -2.0, peer: Some(1.0), is_limited: false };
    assert_eq!((figure.ratio(), figure.is_within()), (None, None));
}

#[test]
fn the_verdict_is_the_last_line_and_what_is_missed_says_so() {
    let text = report(30, Some(20)).to_string();
    assert_eq!(text.lines().last(), Some("bench latency: 0 of 4 within limit"));
    let row = text.lines().find(|line| line.starts_with("Service: create to status, p50")).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[5..], ["30.00", "20.00", "1.50", "1.00", "MISSED"]);
    assert!(text.starts_with("a note\n"));
}

#[test]
fn gateways_have_figures_of_their_own_and_no_peer() {
    let text = report(30, Some(20)).to_string();
    let row = text.lines().find(|line| line.starts_with("Gateway: create to first answer, max")).unwrap();
    assert!(row.contains(" 30.00 ") && row.contains("not given"), "{row}");
}
