//! Namespaces, bridges, legs, routes and kernel settings of a lab. The picture is in the crate's documentation.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::address;
use crate::machine;
use crate::netns::Namespace;
use crate::state::State;

/// How many of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: u8,
    pub(crate) clients: u8,
    pub(crate) segments: u8,
}

/// The port of a host on the bridge of a segment.
pub(crate) fn segment_port(host: &str, segment: u8) -> String {
    format!("{host}-br{segment}")
}

/// The port of a host on the management bridge.
pub(crate) fn management_port(host: &str) -> String {
    format!("{host}-mg0")
}

/// The bridge of a segment.
pub(crate) fn segment_bridge(segment: u8) -> String {
    format!("br{segment}")
}

/// The bridge of the management network.
pub(crate) const MANAGEMENT_BRIDGE: &str = "mg0";

/// The bridge of the other half of a segment that is split; there only if it ever was.
pub(crate) fn split_bridge(segment: u8) -> String {
    format!("split{segment}")
}

struct Station {
    name: String,
    host: u8,
    /// The node's number, if it is a node.
    node: Option<u8>,
}

/// Makes the namespaces and all between them. `forwards` says that nodes must serve pods as a kube-proxy's host does.
pub(crate) fn create(state: &State, size: Size, forwards: bool) -> Result<()> {
    let nodes =
        (1..=size.nodes).map(|k| Station { name: format!("n{k}"), host: address::node(k), node: Some(k) });
    let clients =
        (1..=size.clients).map(|k| Station { name: format!("c{k}"), host: address::client(k), node: None });
    let stations: Vec<_> = nodes.chain(clients).collect();

    let switch = Namespace::create(&state.namespace("sw"))?;
    let control_plane = Namespace::create(&state.namespace("cp"))?;
    set(&control_plane, BEFORE_LINKS)?;
    set(&switch, &[("net/bridge/bridge-nf-call-*", "0"), ("net/ipv6/conf/*/disable_ipv6", "1")])?;
    let bridges = (0..size.segments).map(segment_bridge).chain([MANAGEMENT_BRIDGE.to_owned()]);
    let bridges = bridges.fold(String::new(), |mut lines, bridge| {
        let _ = writeln!(lines, "link add {bridge} type bridge forward_delay 0\nlink set {bridge} up");
        lines
    });
    ip(&switch, &bridges)?;

    let mut ports = String::new();
    let mut lines = String::new();
    management_leg(&mut lines, &mut ports, &switch, "cp", address::CONTROL_PLANE);
    ip(&control_plane, &lines)?;
    for station in &stations {
        let namespace = Namespace::create(&state.namespace(&station.name))?;
        set(&namespace, BEFORE_LINKS)?;
        let mut lines = String::new();
        for segment in 0..size.segments {
            segment_leg(&mut lines, &mut ports, &switch, station, segment);
        }
        management_leg(&mut lines, &mut ports, &switch, &station.name, station.host);
        ip(&namespace, &lines)?;
    }
    ip(&switch, &ports)?;

    // Routes come last: their links must have carrier.
    for station in stations.iter().filter(|station| station.node.is_some()) {
        let namespace = Namespace::named(&state.namespace(&station.name));
        set(&namespace, NODE)?;
        if forwards {
            require_bridge_filter(&namespace)?;
        }
        ip(&namespace, &node_routes(station, size.nodes))?;
    }
    ip(&control_plane, &control_plane_routes(size.nodes))
}

/// Settings that new links take over, whatever those of the machine are: addresses work at once, nobody hands out
/// others, and only nodes forward.
const BEFORE_LINKS: &[(&str, &str)] = &[
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv6/conf/*/accept_dad", "0"),
    ("net/ipv6/conf/*/accept_ra", "0"),
    ("net/ipv4/conf/*/send_redirects", "0"),
    ("net/ipv4/conf/*/rp_filter", "0"),
];

/// A node forwards. With redirects on, the refusal of a VIP without endpoints would be eaten by the limit on ICMP per
/// host. With bridged frames unseen by netfilter, pod → ClusterIP → pod of the same node would hang.
const NODE: &[(&str, &str)] = &[
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/bridge/bridge-nf-call-iptables", "1"),
    ("net/bridge/bridge-nf-call-ip6tables", "1"),
];

fn require_bridge_filter(namespace: &Namespace) -> Result<()> {
    let path = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if !namespace.run(|| path.exists()) {
        bail!("the kernel does not show bridged frames to netfilter; remedy: modprobe br_netfilter");
    }
    Ok(())
}

/// Makes a host's interface on a segment, as it was at the start.
pub(crate) fn make_segment_leg(
    switch: &Namespace,
    namespace: &Namespace,
    (name, host): (&str, u8),
    segment: u8,
) -> Result<()> {
    let (mut lines, mut ports) = (String::new(), String::new());
    let station = Station { name: name.to_owned(), host, node: None };
    segment_leg(&mut lines, &mut ports, switch, &station, segment);
    ip(namespace, &lines)?;
    ip(switch, &ports)
}

fn segment_leg(lines: &mut String, ports: &mut String, switch: &Namespace, station: &Station, segment: u8) {
    let (v4, v6) = (address::segment_v4(segment, station.host), address::segment_v6(segment, station.host));
    let (port, device) = (segment_port(&station.name, segment), format!("eth{segment}"));
    leg(lines, ports, switch, (&device, &port, &segment_bridge(segment)), v4);
    let _ = writeln!(lines, "addr add {v6}/64 dev {device} nodad");
}

fn management_leg(lines: &mut String, ports: &mut String, switch: &Namespace, name: &str, host: u8) {
    let port = management_port(name);
    leg(lines, ports, switch, ("mgmt0", &port, MANAGEMENT_BRIDGE), address::management(host));
}

fn leg(
    lines: &mut String,
    ports: &mut String,
    switch: &Namespace,
    (device, port, bridge): (&str, &str, &str),
    v4: std::net::Ipv4Addr,
) {
    let mac = address::mac_text(address::mac(v4));
    let _ =
        writeln!(lines, "link add {device} address {mac} type veth peer name {port} netns {}", switch.name());
    let _ = writeln!(lines, "link set {device} up\naddr add {v4}/24 dev {device}");
    let _ = writeln!(ports, "link set {port} master {bridge} up");
}

/// Pods of other nodes by the segment. The Service ranges need a route, or a node's own connect to a ClusterIP fails
/// before kube-proxy's rules see a packet; nothing has a default route, so that nothing leaves the lab.
fn node_routes(station: &Station, nodes: u8) -> String {
    let mut lines = String::new();
    for other in (1..=nodes).filter(|other| Some(*other) != station.node) {
        let [v4, v6] = address::pods(other);
        let host = address::node(other);
        let _ = writeln!(lines, "route add {v4} via {}", address::segment_v4(0, host));
        let _ = writeln!(lines, "route add {v6} via {}", address::segment_v6(0, host));
    }
    let _ = writeln!(
        lines,
        "route add {} dev eth0\nroute add {} dev eth0",
        address::SERVICES_V4,
        address::SERVICES_V6
    );
    lines
}

/// To kubelets and pods by the management network, and to Services (webhooks) by the first node's kube-proxy.
fn control_plane_routes(nodes: u8) -> String {
    let mut lines = String::new();
    for node in 1..=nodes {
        let host = address::node(node);
        let [pods, _] = address::pods(node);
        let _ = writeln!(
            lines,
            "route add {}/32 via {}",
            address::segment_v4(0, host),
            address::management(host)
        );
        let _ = writeln!(lines, "route add {pods} via {}", address::management(host));
    }
    if nodes > 0 {
        let first = address::management(address::node(1));
        let _ = writeln!(lines, "route add {} via {first}", address::SERVICES_V4);
    }
    lines
}

/// Runs many `ip` commands inside a namespace.
pub(crate) fn ip(namespace: &Namespace, lines: &str) -> Result<()> {
    machine::run_with_input(Command::new("ip").args(["-n", namespace.name(), "-batch", "-"]), lines).map(drop)
}

/// Writes kernel settings of a namespace. A `*` stands for `all` and `default`, or for the rest of a name; a setting
/// that the kernel does not have is left out.
fn set(namespace: &Namespace, settings: &[(&str, &str)]) -> Result<()> {
    let write = || -> Result<()> {
        for (name, value) in settings {
            for path in expand(name) {
                fs::write(&path, value).with_context(|| format!("{} cannot be set", path.display()))?;
            }
        }
        Ok(())
    };
    namespace.run(write)
}

fn expand(name: &str) -> Vec<std::path::PathBuf> {
    let root = Path::new("/proc/sys");
    let names = match name.split_once("/*/") {
        Some((before, after)) => ["all", "default"].map(|which| format!("{before}/{which}/{after}")).to_vec(),
        None if name.ends_with('*') => {
            ["iptables", "ip6tables", "arptables"].map(|which| name.replace('*', which)).to_vec()
        }
        None => vec![name.to_owned()],
    };
    names.into_iter().map(|name| root.join(name)).filter(|path| path.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_routes_to_the_pods_of_all_others_and_to_services_but_no_default_route() {
        let station = Station { name: "n2".to_owned(), host: address::node(2), node: Some(2) };
        let routes = node_routes(&station, 3);
        let expected = "\
            route add 10.97.1.0/24 via 10.98.0.11\nroute add fd97:0:0:1::/64 via fd98::11\n\
            route add 10.97.3.0/24 via 10.98.0.13\nroute add fd97:0:0:3::/64 via fd98::13\n\
            route add 10.96.0.0/16 dev eth0\nroute add fd96::/112 dev eth0\n";
        assert_eq!(routes, expected);
    }

    #[test]
    fn the_control_plane_reaches_nodes_and_pods_by_the_management_network() {
        let expected = "\
            route add 10.98.0.11/32 via 10.99.0.11\nroute add 10.97.1.0/24 via 10.99.0.11\n\
            route add 10.96.0.0/16 via 10.99.0.11\n";
        assert_eq!(control_plane_routes(1), expected);
        assert_eq!(control_plane_routes(0), "", "without a node nobody serves a ClusterIP");
    }
}
