use super::*;

fn link(index: u32, name: &str, addresses: &[&str]) -> Link {
    Link {
        index: IfIndex(index),
        name: name.to_owned(),
        mac: Some(MacAddr([2, 0, 0, 0, 0, index as u8])),
        up: true,
        carrier: true,
        broadcast: true,
        noarp: false,
        has_master: false,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_interface_is_fit_only_with_every_property() {
    let good = || link(2, "eth0", &["192.0.2.1/24", "2001:db8::1/64"]);
    let cases: Vec<(Link, &str, Result<Fit, Unfit>)> = vec![
        (good(), "192.0.2.10", Ok(Fit::OnSegment(24))),
        (good(), "2001:db8::10", Ok(Fit::OnSegment(64))),
        (good(), "198.51.100.1", Err(Unfit::OffSegment(ip("198.51.100.1")))),
        (Link { up: false, ..good() }, "192.0.2.10", Err(Unfit::Down)),
        (Link { carrier: false, ..good() }, "192.0.2.10", Err(Unfit::NoCarrier)),
        (Link { broadcast: false, ..good() }, "192.0.2.10", Err(Unfit::NoBroadcast)),
        (Link { noarp: true, ..good() }, "192.0.2.10", Err(Unfit::NoArp)),
        (Link { mac: None, ..good() }, "192.0.2.10", Err(Unfit::NotEthernet)),
        (Link { has_master: true, ..good() }, "192.0.2.10", Err(Unfit::HasMaster)),
        // A host route says nothing about a segment, not even about the VIP itself.
        (
            link(2, "eth0", &["192.0.2.10/32", "2001:db8::10/128"]),
            "192.0.2.10",
            Err(Unfit::OffSegment(ip("192.0.2.10"))),
        ),
        (link(2, "eth0", &["192.0.2.10/31"]), "192.0.2.11", Ok(Fit::OnSegment(31))),
    ];
    for (link, vip, expected) in cases {
        assert_eq!(fit(&link, ip(vip), None, Named::default()), expected, "{link:?} for {vip}");
    }
}

#[test]
fn interfaces_of_runtimes_and_cnis_are_skipped_by_name() {
    let skipped = [
        "docker0",
        "cbr0",
        "virbr0",
        "veth1a2b3c",
        "cali0123",
        "tunl0",
        "flannel.1",
        "kube-ipvs0",
        "cni0",
        "nodelocaldns",
        "lxcbr0",
    ];
    for name in skipped {
        let unfit = fit(&link(3, name, &["192.0.2.1/24"]), ip("192.0.2.10"), None, Named::default());
        assert!(matches!(unfit, Err(Unfit::SkippedByName(_))), "{name}: {unfit:?}");
    }
    for name in ["eth0", "bond0.100", "br0", "local0", "enp3s0"] {
        let fit = fit(&link(3, name, &["192.0.2.1/24"]), ip("192.0.2.10"), None, Named::default());
        assert_eq!(fit, Ok(Fit::OnSegment(24)), "{name}");
    }
}

#[test]
fn named_interfaces_restrict_and_override_the_skipping_by_name() {
    let only = names(&["veth7"]);
    let vip = ip("192.0.2.10");
    let links = [link(2, "eth0", &["192.0.2.1/24"]), link(3, "veth7", &["192.0.2.2/24"])];
    assert_eq!(
        fit(&links[0], vip, None, Named { only: Some(&only), advertised: None }),
        Err(Unfit::NotListed)
    );
    let choice = Choice { interface: IfIndex(3), fit: Fit::OnSegment(24) };
    assert_eq!(choose(&links, vip, None, Named { only: Some(&only), advertised: None }), Ok(choice));
    let advertised: BTreeSet<Arc<str>> = [Arc::from("eth0")].into();
    let by_advertisement = Named { only: None, advertised: Some(&advertised) };
    assert_eq!(fit(&links[1], vip, None, by_advertisement), Err(Unfit::NotAdvertised));
    assert_eq!(choose(&links, vip, None, by_advertisement).map(|choice| choice.interface), Ok(IfIndex(2)));
    // Of two restrictions both count.
    let both = Named { only: Some(&only), advertised: Some(&advertised) };
    assert_eq!(
        links.each_ref().map(|link| fit(link, vip, None, both)),
        [Err(Unfit::NotListed), Err(Unfit::NotAdvertised)]
    );
    let advertised: BTreeSet<Arc<str>> = [Arc::from("veth7")].into();
    let by_advertisement = Named { only: None, advertised: Some(&advertised) };
    assert_eq!(fit(&links[1], vip, None, by_advertisement), Ok(Fit::OnSegment(24)));
    // Being named does not make an interface able.
    let down = Link { up: false, ..links[1].clone() };
    assert_eq!(fit(&down, vip, None, Named { only: Some(&only), advertised: None }), Err(Unfit::Down));
}

#[test]
fn the_longest_prefix_wins_then_the_lowest_number() {
    let vip = ip("10.1.2.3");
    let wide = link(2, "eth0", &["10.0.0.1/8"]);
    let narrow = link(7, "eth5", &["172.16.0.1/12", "10.1.0.1/16"]);
    let twin = link(9, "eth7", &["10.1.0.2/16"]);
    let chosen = |links: &[&Link]| {
        choose(links.iter().copied(), vip, None, Named::default()).map(|choice| choice.interface)
    };
    assert_eq!(chosen(&[&wide, &narrow, &twin]), Ok(IfIndex(7)));
    assert_eq!(chosen(&[&twin, &narrow, &wide]), Ok(IfIndex(7)));
    assert_eq!(chosen(&[&wide]), Ok(IfIndex(2)));
}

#[test]
fn the_interface_of_the_internal_ip_stands_in_when_no_prefix_contains_the_vip() {
    let vip = ip("203.0.113.5");
    let internal = Some(ip("192.0.2.1"));
    let links = [link(2, "eth0", &["192.0.2.1/24"]), link(3, "eth1", &["198.51.100.1/24"])];
    let choice = Choice { interface: IfIndex(2), fit: Fit::InternalIp };
    assert_eq!(choose(&links, vip, internal, Named::default()), Ok(choice));
    // One on the segment precedes it.
    let on_segment = Choice { interface: IfIndex(3), fit: Fit::OnSegment(24) };
    assert_eq!(choose(&links, ip("198.51.100.9"), internal, Named::default()), Ok(on_segment));
    // It must be able to announce all the same.
    let without_carrier = Link { carrier: false, ..links[0].clone() };
    assert!(choose([&without_carrier], vip, internal, Named::default()).is_err());
}

#[test]
fn an_internal_ip_with_a_full_length_prefix_still_names_its_interface() {
    let cloud = link(2, "eth0", &["192.0.2.1/32"]);
    let choice = choose([&cloud], ip("203.0.113.5"), Some(ip("192.0.2.1")), Named::default());
    assert_eq!(choice.map(|choice| choice.fit), Ok(Fit::InternalIp));
}

#[test]
fn the_refusal_names_each_interface_and_its_remedy() {
    let links = [
        link(5, "docker0", &["172.17.0.1/16"]),
        Link { carrier: false, ..link(2, "eth0", &["192.0.2.1/24"]) },
    ];
    let error = choose(&links, ip("192.0.2.10"), None, Named::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no interface of this node can announce 192.0.2.10: eth0 has no carrier (check its cable or switch port); \
         docker0 is skipped by its name prefix \"docker\" (name it with --interface, or in an L2Advertisement, to use it)"
    );
    let none = choose([], ip("192.0.2.10"), None, Named::default()).unwrap_err();
    assert_eq!(none.to_string(), "no interface of this node can announce 192.0.2.10");
}
