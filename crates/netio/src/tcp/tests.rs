use std::io::ErrorKind;

use super::*;

const V4: &str = "192.0.2.1:179";
const V6: &str = "[2001:db8::1]:179";

/// A socket that is never connected.
fn socket(address: &str) -> Socket {
    open(address.parse().unwrap(), None).unwrap()
}

#[test]
fn a_connection_sends_without_delay_marked_as_internetwork_control() {
    // DSCP 48 is CS6; the two low bits are for congestion.
    let (v4, v6) = (socket(V4), socket(V6));
    assert!(v4.tcp_nodelay().unwrap() && v6.tcp_nodelay().unwrap());
    assert_eq!(v4.tos_v4().unwrap(), 48 << 2);
    assert_eq!(v6.tclass_v6().unwrap(), 48 << 2);
}

#[test]
fn each_ttl_is_what_leaves_in_both_families_and_takes_the_place_of_the_one_before() {
    let (v4, v6) = (socket(V4), socket(V6));
    for (ttl, sent) in [(Ttl::Security, 255), (Ttl::Hops(1), 1), (Ttl::Default, 64)] {
        ttl::apply(&v4, false, ttl).unwrap();
        ttl::apply(&v6, true, ttl).unwrap();
        assert_eq!(v4.ttl_v4().unwrap(), sent, "{ttl:?}");
        assert_eq!(v6.unicast_hops_v6().unwrap(), sent, "{ttl:?}");
    }
}

#[test]
fn no_hops_at_all_are_refused_in_both_families() {
    for address in [V4, V6] {
        let refused = ttl::apply(&socket(address), address == V6, Ttl::Hops(0));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput, "{address}");
    }
}

#[test]
fn a_key_has_1_to_80_octets() {
    let set = |len: usize| md5::set(&socket(V4), "192.0.2.1/32".parse().unwrap(), &vec![7; len]);
    for len in [0, 81] {
        assert_eq!(set(len).unwrap_err().kind(), ErrorKind::InvalidInput, "{len} octets");
    }
    for len in [1, 80] {
        set(len).unwrap();
    }
}

#[test]
fn to_remove_a_key_that_is_not_there_is_no_error() {
    md5::remove(&socket(V4), "192.0.2.1/32".parse().unwrap()).unwrap();
    md5::remove(&socket(V6), "2001:db8::/64".parse().unwrap()).unwrap();
}

#[test]
fn a_port_that_may_not_be_listened_on_names_the_capability() {
    let refused = listener::in_words(ErrorKind::PermissionDenied.into(), 179);
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(
        refused.to_string().contains("TCP port 179, the process needs the capability CAP_NET_BIND_SERVICE")
    );
    assert_eq!(listener::in_words(ErrorKind::AddrInUse.into(), 179).kind(), ErrorKind::AddrInUse);
}
