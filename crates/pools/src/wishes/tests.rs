use super::*;

type Written = [(&'static str, &'static str)];

fn annotations(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn of_service(list: &[(&str, &str)]) -> Result<Wishes, WishError> {
    wishes(OwnerKind::Service, &annotations(list), None, true)
}

fn addresses(list: &[&str]) -> Wishes {
    let addresses = list.iter().map(|text| text.parse().unwrap()).collect();
    Wishes { addresses, ..Wishes::default() }
}

#[test]
fn each_annotation_is_read_for_what_it_means() {
    for annotation in &ANNOTATIONS {
        let (value, expected) = match annotation.wish {
            Wish::Addresses => ("2001:db8::1 , 192.0.2.1", addresses(&["2001:db8::1", "192.0.2.1"])),
            Wish::Pool => ("edge", Wishes { pool: Some("edge".to_owned()), ..Wishes::default() }),
            Wish::SharingKey => ("k", Wishes { sharing_key: Some("k".to_owned()), ..Wishes::default() }),
            Wish::ShareAcrossNamespaces => ("*", Wishes { across_namespaces: true, ..Wishes::default() }),
        };
        assert_eq!(of_service(&[(annotation.name, value)]), Ok(expected), "{}", annotation.name);
        assert_eq!(of_service(&[(annotation.name, " ")]), Ok(Wishes::default()), "{}", annotation.name);
    }
}

#[test]
fn annotations_of_other_programs_are_not_looked_at_when_switched_off() {
    for annotation in ANNOTATIONS.iter().filter(|annotation| annotation.vendor != Vendor::Keryx) {
        let list = annotations(&[(annotation.name, "nonsense, even")]);
        assert_eq!(wishes(OwnerKind::Service, &list, None, false), Ok(Wishes::default()));
    }
}

#[test]
fn those_that_contradict_each_other_are_both_named_and_equal_ones_are_fine() {
    let cases: [(&Written, Option<&str>); 7] = [
        (
            &[("keryx.dev/addresses", "192.0.2.1"), ("metallb.io/loadBalancerIPs", "192.0.2.1,2001:db8::1")],
            Some("annotation keryx.dev/addresses and annotation metallb.io/loadBalancerIPs contradict"),
        ),
        (
            &[("keryx.dev/pool", "a"), ("metallb.io/address-pool", "b")],
            Some(
                "annotation keryx.dev/pool and annotation metallb.io/address-pool contradict each other: give both the \
                 same value, or remove one of them",
            ),
        ),
        (&[("keryx.dev/pool", "a"), ("metallb.io/address-pool", "a")], None),
        (
            &[
                ("metallb.io/loadBalancerIPs", "192.0.2.1,2001:db8::1"),
                ("io.cilium/lb-ipam-ips", "2001:db8::1,192.0.2.1"),
            ],
            None,
        ),
        (
            &[
                ("metallb.io/loadBalancerIPs", "192.0.2.1,2001:db8::1"),
                ("io.cilium/lb-ipam-ips", "192.0.2.1"),
            ],
            Some("annotation metallb.io/loadBalancerIPs and annotation io.cilium/lb-ipam-ips contradict"),
        ),
        (
            &[("keryx.dev/sharing-key", "a"), ("metallb.universe.tf/allow-shared-ip", "b")],
            Some(
                "annotation keryx.dev/sharing-key and annotation metallb.universe.tf/allow-shared-ip contradict",
            ),
        ),
        (
            &[
                ("keryx.dev/share-across-namespaces", "false"),
                ("lbipam.cilium.io/sharing-cross-namespace", "*"),
            ],
            Some(
                "annotation keryx.dev/share-across-namespaces and annotation lbipam.cilium.io/sharing-cross",
            ),
        ),
    ];
    for (list, expected) in cases {
        let error = of_service(list).err().map(|error| error.to_string());
        match expected {
            None => assert_eq!(error, None, "{list:?}"),
            Some(text) => assert!(error.as_ref().unwrap().starts_with(text), "{error:?}"),
        }
    }
}

#[test]
fn the_field_agrees_with_an_annotation_that_lists_its_address() {
    let list = annotations(&[("kube-vip.io/loadbalancerIPs", "192.0.2.1,2001:db8::1")]);
    let with = |field| wishes(OwnerKind::Service, &list, Some(field), true);
    assert_eq!(with("192.0.2.1"), Ok(addresses(&["192.0.2.1", "2001:db8::1"])));
    assert_eq!(with(""), with("2001:db8::1"));
    assert_eq!(
        with("192.0.2.2").unwrap_err().to_string(),
        "annotation kube-vip.io/loadbalancerIPs and spec.loadBalancerIP contradict each other: give both the same value, \
         or remove one of them"
    );
    let alone = wishes(OwnerKind::Service, &BTreeMap::new(), Some("192.0.2.2"), true);
    assert_eq!(alone, Ok(addresses(&["192.0.2.2"])));
}

#[test]
fn values_that_cannot_be_followed_say_where_and_what_would_mend_it() {
    let cases = [
        ("keryx.dev/addresses", "192.0.2.1,x", "annotation keryx.dev/addresses: 'x' is no IP address: write"),
        ("keryx.dev/addresses", "192.0.2.1,", "annotation keryx.dev/addresses: '' is no IP address: write"),
        (
            "keryx.dev/addresses",
            "192.0.2.1,192.0.2.2",
            "annotation keryx.dev/addresses has more than one IPv4 address: write",
        ),
        (
            "kube-vip.io/loadbalancerIPs",
            "0.0.0.0",
            "annotation kube-vip.io/loadbalancerIPs: 0.0.0.0 asks for an address by DHCP",
        ),
        (
            "kube-vip.io/loadbalancerIPs",
            "::",
            "annotation kube-vip.io/loadbalancerIPs: :: asks for an address by DHCP",
        ),
        (
            "keryx.dev/share-across-namespaces",
            "yes",
            "annotation keryx.dev/share-across-namespaces: 'yes' is neither",
        ),
        (
            "lbipam.cilium.io/sharing-cross-namespace",
            "a,b",
            "annotation lbipam.cilium.io/sharing-cross-namespace: 'a,b' lists namespaces",
        ),
    ];
    for (name, value, beginning) in cases {
        let error = of_service(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(beginning), "{error}");
    }
}

#[test]
fn one_address_written_twice_is_one() {
    assert_eq!(of_service(&[("keryx.dev/addresses", "192.0.2.1, 192.0.2.1")]), Ok(addresses(&["192.0.2.1"])));
}

#[test]
fn a_gateway_takes_pool_and_sharing_but_no_addresses_from_annotations() {
    let of_gateway = |list| wishes(OwnerKind::Gateway, &annotations(list), None, true);
    let all = of_gateway(&[
        ("keryx.dev/pool", "edge"),
        ("keryx.dev/sharing-key", "k"),
        ("keryx.dev/share-across-namespaces", "true"),
    ]);
    let expected = Wishes {
        addresses: Vec::new(),
        pool: Some("edge".to_owned()),
        sharing_key: Some("k".to_owned()),
        across_namespaces: true,
    };
    assert_eq!(all, Ok(expected));
    assert_eq!(
        of_gateway(&[("keryx.dev/addresses", "192.0.2.1")]).unwrap_err().to_string(),
        "annotation keryx.dev/addresses has no effect on a Gateway: write the addresses in spec.addresses"
    );
}
