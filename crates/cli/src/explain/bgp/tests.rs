use std::sync::Arc;

use keryx_plan::Reason;
use keryx_plan::bgp::BgpStanding;

use super::*;

const VIP: &str = "192.0.2.10";

fn address() -> IpAddr {
    VIP.parse().unwrap()
}

/// A node that tells this peer of the address alone.
fn advertising(node: &str, peer: &str) -> BgpStanding {
    let advertised = BgpAdvertised {
        prefix: "192.0.2.10/32".parse().unwrap(),
        advertisements: [Arc::from("edge")].into(),
        peers: [Arc::from(peer)].into(),
        left_out: [].into(),
        leaving: false,
    };
    BgpStanding {
        node: node.into(),
        addresses: [(address(), Ok(vec![advertised]))].into(),
        unusable: [].into(),
    }
}

fn silent(node: &str, reason: Reason) -> BgpStanding {
    BgpStanding { node: node.into(), addresses: [(address(), Err(reason))].into(), unusable: [].into() }
}

fn said(nodes: Vec<BgpStanding>) -> Vec<String> {
    lines(&BgpExplanation { nodes, ..BgpExplanation::default() }, &[address()])
}

#[test]
fn nodes_that_say_the_same_stand_in_one_line() {
    let nodes = vec![
        advertising("n1", "tor-1"),
        silent("n2", Reason::NodeShuttingDown),
        advertising("n3", "tor-1"),
        advertising("n4", "tor-2"),
    ];
    let expected = [
        "Nodes n1, n3: 192.0.2.10/32 to tor-1, by edge (192.0.2.10)",
        "Node n2: nothing: the Node is shutting down (192.0.2.10)",
        "Node n4: 192.0.2.10/32 to tor-2, by edge (192.0.2.10)",
    ];
    assert_eq!(said(nodes), expected);
    let nodes = vec![advertising("n1", "tor-1"), advertising("n2", "tor-1")];
    assert_eq!(said(nodes), ["every Node: 192.0.2.10/32 to tor-1, by edge (192.0.2.10)"]);
}

#[test]
fn of_a_route_it_is_said_that_it_leaves_and_what_does_not_fit() {
    let mut node = advertising("n1", "tor-1");
    for route in node.addresses.values_mut().flatten().flatten() {
        route.leaving = true;
        route.left_out.insert("more".into());
        route.peers.insert("tor-2".into());
    }
    let expected = "Node n1: 192.0.2.10/32 to tor-1, tor-2, by edge, without the communities of more, which do not fit a \
                    message, leaving (192.0.2.10)";
    assert_eq!(said(vec![node]), [expected]);
}

#[test]
fn the_advertisements_come_first_and_what_cannot_be_read_or_used_last() {
    let mut nodes = vec![advertising("n1", "tor-1"), advertising("n2", "tor-1")];
    for node in &mut nodes {
        node.unusable.insert("tor-2".into(), "there is no BFDProfile fast".into());
    }
    let unreadable = [(Arc::from("cheap"), "no such community".to_owned())].into();
    let advertisements = [(address(), vec![Arc::from("edge")])].into();
    let lines = lines(&BgpExplanation { advertisements, unreadable, nodes }, &[address()]);
    let expected = [
        "BGPAdvertisements edge (192.0.2.10)",
        "every Node: 192.0.2.10/32 to tor-1, by edge (192.0.2.10)",
        "BGPAdvertisement cheap cannot be read and is about nothing: no such community",
        "every Node: no session with BGPPeer tor-2: there is no BFDProfile fast",
    ];
    assert_eq!(lines, expected);
}
