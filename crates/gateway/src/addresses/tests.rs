use super::*;

fn gateway(entries: &[(Option<&str>, Option<&str>)]) -> Gateway {
    let entry = |(type_, value): &(Option<&str>, Option<&str>)| GatewayAddresses {
        r#type: type_.map(str::to_owned),
        value: value.map(str::to_owned),
    };
    let mut gateway = Gateway::default();
    gateway.spec.addresses = Some(entries.iter().map(entry).collect());
    gateway
}

#[test]
fn no_list_and_an_empty_list_ask_for_one_address_of_each_family() {
    assert_eq!(demand(&Gateway::default()), Ok(Demand::EachAvailable));
    assert_eq!(demand(&gateway(&[])), Ok(Demand::EachAvailable));
}

#[test]
fn entries_ask_for_exact_addresses_or_any_in_their_order() {
    let entries = [
        (None, Some("2001:db8::10")),
        (Some("IPAddress"), None),
        (Some("IPAddress"), Some("192.0.2.10")),
        (None, Some("")),
    ];
    let exact = |text: &str| WantedAddress::Exact(text.parse().unwrap());
    let expected =
        vec![exact("2001:db8::10"), WantedAddress::AnyOfType, exact("192.0.2.10"), WantedAddress::AnyOfType];
    assert_eq!(demand(&gateway(&entries)), Ok(Demand::Listed(expected)));
}

#[test]
fn other_types_are_refused_by_name_before_bad_values() {
    for type_ in ["Hostname", "NamedAddress", "example.com/Pool", "ipaddress"] {
        let problem = AddressProblem::UnsupportedType { type_: type_.to_owned() };
        assert_eq!(demand(&gateway(&[(None, Some("bad")), (Some(type_), None)])), Err(problem));
    }
}

#[test]
fn a_value_that_is_no_address_is_refused_by_value() {
    for value in ["192.0.2.300", "edge.example", "192.0.2.0/24", " 192.0.2.1"] {
        let problem = AddressProblem::NotAnAddress { value: value.to_owned() };
        assert_eq!(demand(&gateway(&[(None, Some("192.0.2.1")), (None, Some(value))])), Err(problem));
    }
}

#[test]
fn a_pool_is_asked_for_by_an_entry_of_its_own_type() {
    let entries = [(Some(POOL), Some("edge")), (None, Some("192.0.2.10")), (Some(POOL), Some("edge"))];
    let pool = WantedAddress::FromPool("edge".into());
    let expected = vec![pool.clone(), WantedAddress::Exact("192.0.2.10".parse().unwrap()), pool];
    assert_eq!(demand(&gateway(&entries)), Ok(Demand::Listed(expected)));
}

#[test]
fn one_gateway_names_one_pool_and_names_it() {
    let two = [(Some(POOL), Some("edge")), (Some(POOL), Some("inner"))];
    let problem = AddressProblem::SeveralPools { first: "edge".into(), second: "inner".into() };
    assert_eq!(demand(&gateway(&two)), Err(problem));
    assert_eq!(demand(&gateway(&[(Some(POOL), None)])), Err(AddressProblem::PoolNotNamed));
}
