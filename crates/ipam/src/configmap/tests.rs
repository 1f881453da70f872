use std::net::IpAddr;

use super::*;

fn parsed(entries: &[(&str, &str)]) -> Parsed {
    parse(&entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

/// The ranges of the only pool, as text: `first-last`, or the address alone.
fn ranges(pool: &Pool) -> Vec<String> {
    let text = |(first, last): (IpAddr, IpAddr)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    pool.ranges.iter().map(text).collect()
}

fn problems(parsed: &Parsed) -> Vec<String> {
    parsed.problems.iter().map(ToString::to_string).collect()
}

fn notices(parsed: &Parsed) -> Vec<String> {
    parsed.notices.iter().map(ToString::to_string).collect()
}

#[test]
fn content_tells_the_kind_of_each_item() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("a prefix", "192.0.2.0/28", &["192.0.2.0-192.0.2.15"]),
        ("a range", "192.0.2.10-192.0.2.20", &["192.0.2.10-192.0.2.20"]),
        ("a single address", "192.0.2.10", &["192.0.2.10"]),
        ("a range of one", "192.0.2.10-192.0.2.10", &["192.0.2.10"]),
        ("host bits are masked", "192.0.2.77/28", &["192.0.2.64-192.0.2.79"]),
        ("a /32", "192.0.2.10/32", &["192.0.2.10"]),
        ("a list of prefixes", "192.0.2.0/30,192.0.2.8/30", &["192.0.2.0-192.0.2.3", "192.0.2.8-192.0.2.11"]),
        (
            "kinds mixed",
            "192.0.2.0/30,192.0.2.9-192.0.2.10,192.0.2.20",
            &["192.0.2.0-192.0.2.3", "192.0.2.9-192.0.2.10", "192.0.2.20"],
        ),
        (
            "white space",
            " 192.0.2.1 - 192.0.2.3 ,\n 192.0.2.8 / 30\n",
            &["192.0.2.1-192.0.2.3", "192.0.2.8-192.0.2.11"],
        ),
        ("overlaps merge", "192.0.2.1-192.0.2.9,192.0.2.4-192.0.2.20", &["192.0.2.1-192.0.2.20"]),
        ("duplicates merge", "192.0.2.1,192.0.2.1", &["192.0.2.1"]),
        ("neighbours merge", "192.0.2.2,192.0.2.1", &["192.0.2.1-192.0.2.2"]),
        ("order of items is nothing", "192.0.2.9,192.0.2.1", &["192.0.2.1", "192.0.2.9"]),
        ("wider than a /24", "10.0.0.0-10.2.0.0", &["10.0.0.0-10.2.0.0"]),
        ("IPv6 prefix", "2001:db8::5/126", &["2001:db8::4-2001:db8::7"]),
        ("IPv6 range", "2001:db8::a-2001:db8::1:0", &["2001:db8::a-2001:db8::1:0"]),
        ("IPv6 single", "2001:DB8::A", &["2001:db8::a"]),
        ("both families", "2001:db8::1,192.0.2.1", &["192.0.2.1", "2001:db8::1"]),
        ("a wide IPv6 prefix", "2001:db8::/32", &["2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"]),
    ];
    for (what, value, expected) in cases {
        for key in ["cidr-global", "range-global", "cidr-team-a", "range-team-a"] {
            let parsed = parsed(&[(key, value)]);
            assert_eq!(problems(&parsed), [""; 0], "{what}");
            assert_eq!(ranges(&parsed.pools[0]), *expected, "{what}");
            assert_eq!(&*parsed.pools[0].name, key, "{what}");
        }
    }
}

#[test]
fn a_wrong_value_says_how_to_write_it() {
    let cases = [
        ("", "the value is empty"),
        ("  \n", "the value is empty"),
        ("0.0.0.0/32", "asks for an address by DHCP, which Keryx does not do"),
        ("0.0.0.0", "asks for an address by DHCP"),
        ("::", "asks for an address by DHCP"),
        ("192.0.2.1,", "a comma too many"),
        (",192.0.2.1", "a comma too many"),
        ("192.0.2.1,,192.0.2.2", "a comma too many"),
        ("192.0.2.1 192.0.2.2", "put a comma between them"),
        ("192.0.2.0/28\n192.0.3.0/28", "put a comma between them"),
        ("192.0.2.300", "'192.0.2.300' in '192.0.2.300' is no IP address"),
        ("192.0.2.10-20", "'20' in '192.0.2.10-20' is no IP address"),
        ("192.0.2.1-192.0.2.2-192.0.2.3", "is no IP address"),
        ("192.0.2.010", "is no IP address"),
        ("example.com", "is no IP address"),
        ("192.0.2.0/33", "needs a prefix length from 0 to 32"),
        ("192.0.2.0/255.255.255.0", "needs a prefix length from 0 to 32"),
        ("192.0.2.0/", "needs a prefix length from 0 to 32"),
        ("2001:db8::/129", "needs a prefix length from 0 to 128"),
        ("192.0.2.0/24-192.0.3.0/24", "needs a prefix length"),
        ("192.0.2.1-2001:db8::1", "mixes IPv4 and IPv6"),
        ("192.0.2.20-192.0.2.10", "ends before it starts; write 192.0.2.10-192.0.2.20"),
        ("2001:db8::2-2001:db8::1", "write 2001:db8::1-2001:db8::2"),
        ("0.0.0.0/0", "covers 0.0.0.0/8"),
        ("127.0.0.1", "covers 127.0.0.0/8, loopback"),
        ("223.0.0.1-225.0.0.1", "covers 224.0.0.0/4, multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("::/0", "the unspecified address"),
        ("::1", "loopback"),
        ("fe80::1-fe80::9", "link-local"),
        ("ff02::1", "multicast"),
        ("::ffff:192.0.2.1", "IPv4-mapped"),
        ("192.0.2.0", "no address of '192.0.2.0' can be given"),
        ("192.0.2.255-192.0.3.0", "no address of"),
    ];
    for (value, expected) in cases {
        let parsed = parsed(&[("cidr-global", value), ("range-other", "198.51.100.1")]);
        let [problem] = &problems(&parsed)[..] else { panic!("{value:?}: {:?}", parsed.problems) };
        assert!(problem.starts_with("cidr-global: ") && problem.contains(expected), "{value:?}: {problem}");
        // The broken key stays in its place in the order, and the other key stays in force.
        assert_eq!(parsed.pools.len(), 2, "{value:?}");
        assert_eq!(
            parsed.pools[0].problem,
            Some(PoolProblem::Value(parsed.problems[0].reason.clone())),
            "{value:?}"
        );
        assert_eq!(parsed.pools[1].problem, None, "{value:?}");
        assert_eq!(ranges(&parsed.pools[1]), ["198.51.100.1"], "{value:?}");
    }
}

#[test]
fn one_bad_item_breaks_its_whole_key() {
    let parsed = parsed(&[("cidr-global", "192.0.2.0/28,oops")]);
    assert_eq!(ranges(&parsed.pools[0]), [""; 0]);
    assert_eq!(parsed.pools[0].capacity(Family::V4), 0);
}

#[test]
fn problems_come_by_key() {
    let parsed =
        parsed(&[("cidr-a", ""), ("search-order", "up"), ("zone", ""), ("skip-end-ips-in-cidr", "1")]);
    let keys: Vec<&str> = parsed.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["cidr-a", "search-order", "skip-end-ips-in-cidr", "zone"]);
}

#[test]
fn mistyped_keys_are_named_with_the_nearest_right_one() {
    let cases = [
        ("cird-global", Some("cidr-global")),
        ("cdir-team-a", Some("cidr-team-a")),
        ("CIDR-global", Some("cidr-global")),
        ("cidr_global", Some("cidr-global")),
        ("cidr.team-a", Some("cidr-team-a")),
        ("cidrs-global", Some("cidr-global")),
        ("cidr", Some("cidr-global")),
        ("cidr-", Some("cidr-global")),
        ("ranges-team-a", Some("range-team-a")),
        ("Range-global", Some("range-global")),
        ("rnage-global", Some("range-global")),
        ("allowshare-team-a", Some("allow-share-team-a")),
        ("alow-share-global", Some("allow-share-global")),
        ("interfaces-global", Some("interface-global")),
        ("searchorder", Some("search-order")),
        ("search_order", Some("search-order")),
        ("search", Some("search-order")),
        ("skip-end-ips", Some("skip-end-ips-in-cidr")),
        ("skip-end-ip-in-cidrs", Some("skip-end-ips-in-cidr")),
        ("config", None),
        ("_example", None),
        ("-", None),
        ("pool-global", None),
    ];
    for (key, expected) in cases {
        let parsed = parsed(&[(key, "192.0.2.1"), ("range-other", "198.51.100.1")]);
        let nearest = expected.map(str::to_owned);
        assert_eq!(
            parsed.problems,
            [KeyProblem { key: key.to_owned(), reason: KeyError::UnknownKey { nearest } }],
            "{key}"
        );
        assert_eq!(parsed.pools.len(), 1, "{key}");
    }
    let texts = problems(&parsed(&[("cird-global", ""), ("config", "")]));
    assert_eq!(texts[0], "cird-global: unknown key; did you mean cidr-global?");
    assert!(texts[1].contains("known are cidr-, range-, allow-share- and interface- with"), "{}", texts[1]);
}

#[test]
fn a_scope_must_be_a_namespace_name() {
    for scope in ["Team", "team_a", "-a", "a-", "a.b", &"x".repeat(64)] {
        for prefix in ["cidr", "range", "allow-share", "interface"] {
            let parsed = parsed(&[(&format!("{prefix}-{scope}"), "192.0.2.1")]);
            assert_eq!(parsed.problems[0].reason, KeyError::NotANamespace { scope: scope.to_owned() });
            assert!(parsed.pools.is_empty());
        }
    }
}

#[test]
fn an_almost_global_namespace_is_asked_about() {
    for scope in ["gobal", "gloabl", "globall"] {
        let parsed = parsed(&[(&format!("range-{scope}"), "192.0.2.1")]);
        let PoolSource::Key(key) = &parsed.pools[0].source else { panic!("{scope}") };
        assert_eq!(key.scope, Scope::Namespace(scope.to_owned()));
        assert_eq!(
            notices(&parsed),
            [format!("range-{scope} serves only the namespace {scope}: did you mean range-global?")]
        );
    }
    assert!(parsed(&[("range-local", "192.0.2.1")]).notices.is_empty());
}

#[test]
fn a_key_that_is_never_looked_at_is_noticed() {
    let hidden = |entries: &[&str]| {
        let entries: Vec<(&str, &str)> = entries.iter().map(|key| (*key, "192.0.2.1")).collect();
        let pairs = parsed(&entries).notices.into_iter().filter_map(|notice| match notice {
            Notice::Hidden { key, by } => Some(format!("{by} hides {key}")),
            Notice::AlmostGlobal { .. } => None,
        });
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(hidden(&["cidr-global", "range-a"]), ["cidr-global hides range-a"]);
    assert_eq!(hidden(&["cidr-global", "range-global"]), ["cidr-global hides range-global"]);
    assert_eq!(hidden(&["cidr-a", "range-a"]), ["cidr-a hides range-a"]);
    assert_eq!(hidden(&["cidr-a", "cidr-global", "range-a"]), ["cidr-a hides range-a"]);
    assert_eq!(hidden(&["cidr-a", "range-b", "range-global"]), [""; 0]);
    assert_eq!(hidden(&["cidr-a", "cidr-global"]), [""; 0]);
    let broken = parsed(&[("cidr-global", ""), ("range-a", "192.0.2.1")]);
    assert_eq!(broken.notices.len(), 1, "a broken key hides as well");
}

#[test]
fn a_namespace_is_announced_on_the_interfaces_of_its_own_key_and_else_of_the_global_one() {
    let parsed = parsed(&[("interface-global", "eth1"), ("interface-a", " eth2 , bond0")]);
    assert_eq!((&parsed.problems, notices(&parsed)), (&vec![], vec![]));
    assert_eq!(parsed.interfaces_of("a"), ["eth2", "bond0"]);
    assert_eq!(parsed.interfaces_of("b"), ["eth1"]);
    assert!(super::parse(&BTreeMap::new()).interfaces_of("a").is_empty());
}

#[test]
fn a_name_that_no_interface_can_have_is_said_and_opens_no_other() {
    for wrong in ["", "eth1,,eth2", "a/b", "a b", "..", "sixteen-letters-"] {
        let parsed = parsed(&[("interface-a", wrong)]);
        assert_eq!(parsed.problems.len(), 1, "{wrong}");
        assert!(!parsed.interfaces_of("a").is_empty(), "{wrong}");
    }
}

#[test]
fn a_namespace_shares_as_its_own_key_says_and_else_as_the_global_one() {
    let parsed = parsed(&[("allow-share-a", "F"), ("allow-share-b", "1"), ("allow-share-global", "true")]);
    assert_eq!(parsed.problems, []);
    assert_eq!(parsed.sharing_scope("a"), None);
    assert_eq!(parsed.sharing_scope("b"), Some(Scope::Namespace("b".into())));
    assert_eq!(parsed.sharing_scope("c"), Some(Scope::Global));
    assert_eq!(super::parse(&BTreeMap::new()).sharing_scope("c"), None);
}

#[test]
fn a_value_of_allow_share_that_is_neither_is_said_and_taken_as_false() {
    let parsed = parsed(&[("allow-share-a", "yes"), ("allow-share-global", "true")]);
    assert_eq!(
        problems(&parsed),
        ["allow-share-a: 'yes' is taken as \"false\"; write \"true\" or \"false\""]
    );
    assert_eq!(parsed.sharing_scope("a"), None);
}

#[test]
fn the_rule_about_ends_can_be_switched_off() {
    let capacity = |value: &str| {
        let parsed = parsed(&[("range-global", "192.0.2.254-192.0.3.1"), ("avoid-buggy-ips", value)]);
        (parsed.pools[0].capacity(Family::V4), parsed.problems.len())
    };
    assert_eq!(capacity("true"), (2, 0));
    assert_eq!(capacity("false"), (4, 0));
    assert_eq!(capacity("no"), (2, 1));
}

#[test]
fn only_desc_turns_the_search_round() {
    let order = |value: &str| {
        let parsed = parsed(&[("range-global", "192.0.2.1-192.0.2.9"), ("search-order", value)]);
        (parsed.pools[0].order, problems(&parsed))
    };
    assert_eq!(order("desc"), (Order::Highest, vec![]));
    assert_eq!(order(" desc\n"), (Order::Highest, vec![]));
    assert_eq!(order("asc"), (Order::Lowest, vec![]));
    let text = "search-order: 'DESC' is taken as asc; write asc or desc";
    assert_eq!(order("DESC"), (Order::Lowest, vec![text.to_owned()]));
    assert_eq!(parsed(&[("range-global", "192.0.2.1")]).pools[0].order, Order::Lowest);
}

#[test]
fn prefix_ends_are_skipped_after_merging() {
    let cases: &[(&str, &[&str])] = &[
        ("192.0.2.200/30", &["192.0.2.201-192.0.2.202"]),
        ("192.0.2.200/31", &["192.0.2.200-192.0.2.201"]),
        ("192.0.2.200/32", &["192.0.2.200"]),
        ("192.0.2.200", &["192.0.2.200"]),
        ("192.0.2.200-192.0.2.203", &["192.0.2.200-192.0.2.203"]),
        ("2001:db8::/126", &["2001:db8::-2001:db8::3"]),
        // Two halves are one prefix; two neighbours that make no prefix stay two.
        ("192.0.2.0/30,192.0.2.4/30", &["192.0.2.1-192.0.2.6"]),
        ("192.0.2.4/30,192.0.2.8/30", &["192.0.2.5-192.0.2.6", "192.0.2.9-192.0.2.10"]),
        ("192.0.2.0/29,192.0.2.2/31", &["192.0.2.1-192.0.2.6"]),
        ("10.0.0.0/23", &["10.0.0.1-10.0.1.254"]),
        // A range keeps an address that is a prefix' end.
        ("192.0.2.4/30,192.0.2.7-192.0.2.9", &["192.0.2.5-192.0.2.9"]),
    ];
    for (value, expected) in cases {
        let data = [("cidr-global", *value), ("skip-end-ips-in-cidr", "true")];
        assert_eq!(ranges(&parsed(&data).pools[0]), *expected, "{value}");
    }
    for off in ["false", "True", "yes"] {
        let parsed = parsed(&[("cidr-global", "192.0.2.200/30"), ("skip-end-ips-in-cidr", off)]);
        assert_eq!(ranges(&parsed.pools[0]), ["192.0.2.200-192.0.2.203"]);
        assert_eq!(problems(&parsed).len(), usize::from(off != "false"), "{off}");
    }
}

#[test]
fn addresses_ending_in_0_or_255_are_left_out_unless_told_otherwise() {
    let mut pool =
        parsed(&[("range-global", "192.0.2.254-192.0.3.2,2001:db8::-2001:db8::ff")]).pools.remove(0);
    let contains = |pool: &Pool, text: &str| pool.contains(text.parse().unwrap());
    assert_eq!((pool.capacity(Family::V4), pool.capacity(Family::V6)), (3, 256));
    assert!(contains(&pool, "192.0.2.254") && contains(&pool, "192.0.3.1"));
    assert!(!contains(&pool, "192.0.2.255") && !contains(&pool, "192.0.3.0"));
    assert!(!contains(&pool, "192.0.2.253") && !contains(&pool, "192.0.3.3"));
    assert!(contains(&pool, "2001:db8::") && contains(&pool, "2001:db8::ff"));
    pool.avoid_buggy_ips = false;
    assert_eq!(pool.capacity(Family::V4), 5);
    assert!(contains(&pool, "192.0.2.255") && contains(&pool, "192.0.3.0"));
}

#[test]
fn capacity_of_wide_pools_does_not_overflow() {
    let parsed = parsed(&[("cidr-global", "10.0.0.0/8,2000::/3,4000::/3")]);
    assert_eq!(parsed.pools[0].capacity(Family::V4), 65_536 * 254);
    assert_eq!(parsed.pools[0].capacity(Family::V6), 1 << 126);
}

#[test]
fn the_namespace_global_shares_the_global_key() {
    let parsed = parsed(&[("cidr-global", "192.0.2.1")]);
    let key = PoolKey { prefix: KeyPrefix::Cidr, scope: Scope::Global };
    assert_eq!(parsed.pools[0].source, PoolSource::Key(key));
}

#[test]
fn a_long_value_gives_a_short_message() {
    let long = "c-".repeat(10_000);
    for value in ["192.0.2.1-".repeat(10_000), "192.0.2.0,".repeat(10_000) + "192.0.2.0", "é".repeat(10_000)]
    {
        let entries = [(&*long, "x"), ("cidr-global", &*value), ("search-order", &*value)];
        let parsed = parsed(&entries);
        assert_eq!(parsed.problems.len(), 3);
        assert!(parsed.problems.iter().all(|problem| problem.reason.to_string().len() < 600), "{parsed:?}");
    }
}
