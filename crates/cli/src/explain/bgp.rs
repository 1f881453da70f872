//! The part about BGP: which nodes advertise an address, with which prefixes and to whom, or why they do not.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use keryx_plan::NodeName;
use keryx_plan::bgp::{BgpAdvertised, BgpExplanation};

/// What is said of `addresses` by BGP, one text per line. Nodes that say the same stand together.
pub(super) fn lines(explanation: &BgpExplanation, addresses: &[IpAddr]) -> Vec<String> {
    let every = explanation.nodes.len();
    let mut lines = Vec::new();
    for address in addresses {
        let about = explanation.advertisements.get(address).filter(|about| !about.is_empty());
        lines.extend(about.map(|about| format!("BGPAdvertisements {} ({address})", about.join(", "))));
        let each = explanation.nodes.iter().filter_map(|standing| {
            let text = match standing.addresses.get(address)? {
                Ok(routes) => routes.iter().map(route).collect::<Vec<_>>().join("; "),
                Err(reason) => format!("nothing: {reason}"),
            };
            Some((text, &standing.node))
        });
        let said = together(each);
        lines.extend(said.iter().map(|(text, nodes)| format!("{}: {text} ({address})", names(nodes, every))));
    }
    for (name, why) in &explanation.unreadable {
        lines.push(format!("BGPAdvertisement {name} cannot be read and is about nothing: {why}"));
    }
    let each = explanation.nodes.iter().flat_map(|standing| {
        let unusable = standing.unusable.iter();
        unusable.map(|(peer, why)| (format!("no session with BGPPeer {peer}: {why}"), &standing.node))
    });
    let unusable = together(each);
    lines.extend(unusable.iter().map(|(text, nodes)| format!("{}: {text}", names(nodes, every))));
    lines
}

fn route(route: &BgpAdvertised) -> String {
    let list = |names: &BTreeSet<Arc<str>>| Vec::from_iter(names.iter().map(|name| &**name)).join(", ");
    let mut text = format!("{} to {}, by {}", route.prefix, list(&route.peers), list(&route.advertisements));
    if !route.left_out.is_empty() {
        let left_out = list(&route.left_out);
        text.push_str(&format!(", without the communities of {left_out}, which do not fit a message"));
    }
    if route.leaving {
        text.push_str(", leaving");
    }
    text
}

/// The nodes of which the same is said, in the order in which they come.
fn together<'a>(each: impl Iterator<Item = (String, &'a NodeName)>) -> Vec<(String, Vec<&'a NodeName>)> {
    let mut together: Vec<(String, Vec<&NodeName>)> = Vec::new();
    for (text, node) in each {
        match together.iter_mut().find(|(known, _)| *known == text) {
            Some((_, nodes)) => nodes.push(node),
            None => together.push((text, vec![node])),
        }
    }
    together
}

fn names(nodes: &[&NodeName], every: usize) -> String {
    match nodes {
        [node] => format!("Node {node}"),
        all if all.len() == every => "every Node".to_owned(),
        some => {
            let names: Vec<&str> = some.iter().map(|node| node.as_str()).collect();
            format!("Nodes {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
