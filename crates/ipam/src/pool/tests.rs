use super::*;
use crate::access::{Access, Allocation, Expression, Operator, Selector};

fn spec(addresses: &[&str]) -> PoolSpec {
    let addresses = addresses.iter().map(|text| (*text).to_owned()).collect();
    PoolSpec { name: "p".to_owned(), addresses, ..PoolSpec::default() }
}

#[test]
fn an_object_takes_each_form_of_an_entry() {
    let pool = Pool::from_spec(PoolSpec {
        reserved: vec!["192.0.2.3".to_owned()],
        avoid_buggy_ips: true,
        reuse_after_secs: Some(60),
        ..spec(&["192.0.2.0/30", " 192.0.2.10 - 192.0.2.11 ", "2001:db8::7"])
    });
    assert_eq!(pool.problem, None);
    assert_eq!((&*pool.name, pool.reuse_after_secs), ("p", Some(60)));
    assert_eq!(pool.source, PoolSource::Object(Access::default()));
    // Of the /30, .0 is avoided and .3 is reserved.
    assert_eq!((pool.capacity(Family::V4), pool.capacity(Family::V6)), (4, 1));
    for (address, contained) in
        [("192.0.2.0", false), ("192.0.2.1", true), ("192.0.2.3", false), ("192.0.2.12", false)]
    {
        assert_eq!(pool.contains(address.parse().unwrap()), contained, "{address}");
    }
}

#[test]
fn a_wrong_field_is_named_with_the_right_form() {
    let allocation = |namespaces: &[&str], owner_selectors: Vec<Selector>| {
        let namespaces = namespaces.iter().map(|text| (*text).to_owned()).collect();
        Some(Allocation { namespaces, owner_selectors, ..Allocation::default() })
    };
    let expression = |key: &str, operator, values: &[&str]| {
        let values = values.iter().map(|text| (*text).to_owned()).collect();
        vec![Selector {
            match_expressions: vec![Expression { key: key.to_owned(), operator, values }],
            ..Selector::default()
        }]
    };
    let good = || spec(&["192.0.2.1"]);
    let cases = [
        (spec(&[]), "spec.addresses is wrong: the value is empty"),
        (spec(&["192.0.2.1", ""]), "spec.addresses[1] is wrong: the value is empty"),
        (
            spec(&["192.0.2.9-192.0.2.1"]),
            "spec.addresses[0] is wrong: '192.0.2.9-192.0.2.1' ends before it starts; write 192.0.2.1-192.0.2.9",
        ),
        (
            spec(&["192.0.2.1,192.0.2.2"]),
            "spec.addresses[0] is wrong: '192.0.2.1,192.0.2.2' holds several items; write each as an entry",
        ),
        (spec(&["192.0.2.1 192.0.2.2"]), "holds several items"),
        (spec(&["0.0.0.0/32"]), "asks for an address by DHCP"),
        (spec(&["127.0.0.1"]), "loopback"),
        (
            PoolSpec { reserved: vec!["x".to_owned()], ..good() },
            "spec.reserved[0] is wrong: 'x' in 'x' is no IP address",
        ),
        (
            PoolSpec { reserved: vec!["192.0.2.0/24".to_owned()], ..good() },
            "spec.addresses is wrong: none of these addresses can be given",
        ),
        (
            PoolSpec { services: allocation(&["a", "B"], vec![]), ..good() },
            "spec.serviceAllocation.namespaces[1] is wrong: 'B' is no namespace name",
        ),
        (
            PoolSpec { services: allocation(&[], expression("k", Operator::In, &[])), ..good() },
            "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0] is wrong: values is empty",
        ),
        (
            PoolSpec { gateways: allocation(&[], expression("k", Operator::Exists, &["v"])), ..good() },
            "spec.gatewayAllocation.gatewaySelectors[0].matchExpressions[0] is wrong: values is not empty",
        ),
        (
            PoolSpec { gateways: allocation(&[], expression("", Operator::Exists, &[])), ..good() },
            "key is empty",
        ),
    ];
    for (spec, expected) in cases {
        let pool = Pool::from_spec(spec);
        let problem = pool.problem.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(problem.contains(expected), "{problem:?} lacks {expected:?}");
        assert_eq!((pool.capacity(Family::V4), pool.capacity(Family::V6)), (0, 0), "{problem}");
    }
}

#[test]
fn selectors_mean_what_they_mean_in_kubernetes() {
    let labels: std::collections::BTreeMap<String, String> =
        [("app".to_owned(), "web".to_owned()), ("tier".to_owned(), "front".to_owned())].into();
    let cases = [
        ("app", Operator::In, &["db", "web"][..], true),
        ("app", Operator::In, &["db"], false),
        ("zone", Operator::In, &["web"], false),
        ("app", Operator::In, &[], false),
        ("app", Operator::NotIn, &["db"], true),
        ("app", Operator::NotIn, &["web"], false),
        ("zone", Operator::NotIn, &["web"], true),
        ("app", Operator::Exists, &[], true),
        ("zone", Operator::Exists, &[], false),
        ("app", Operator::DoesNotExist, &[], false),
        ("zone", Operator::DoesNotExist, &[], true),
    ];
    for (key, operator, values, expected) in cases {
        let values = values.iter().map(|text| (*text).to_owned()).collect();
        let expression = Expression { key: key.to_owned(), operator, values };
        let mut selector = Selector { match_expressions: vec![expression], ..Selector::default() };
        assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        selector.match_labels.insert("tier".to_owned(), "front".to_owned());
        assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        selector.match_labels.insert("tier".to_owned(), "back".to_owned());
        assert!(!selector.matches(&labels), "{selector:?}");
    }
    assert!(Selector::default().matches(&std::collections::BTreeMap::new()));
}
