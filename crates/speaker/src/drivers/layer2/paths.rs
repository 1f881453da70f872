//! On which segments the other speakers are heard, for nodes that have several.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use keryx_layer2::IfIndex;
use keryx_membership::NodeId;

use super::placing::Placing;

/// So many members at least must be silent on a segment, and none heard there, before this node takes itself for the one
/// that is cut off: of two that do not hear each other neither knows which one it is.
const SILENT_MIN: usize = 2;

/// Which addresses of the neighbours are heard. A single address of a node is not listed: then it is dead or alive.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<(NodeId, IpAddr), bool>);

impl Paths {
    /// Notes whether an address of a node is heard.
    pub(super) fn set(&mut self, node: NodeId, address: IpAddr, up: bool) {
        self.0.insert((node, address), up);
    }

    /// The interfaces on whose segments no living neighbour is heard, and at least two are heard elsewhere: those silent
    /// ones.
    pub(super) fn silent(
        &self,
        placing: &Placing,
        is_alive: impl Fn(NodeId) -> bool,
    ) -> BTreeMap<IfIndex, BTreeSet<NodeId>> {
        let silent_on = |segments: BTreeSet<IpNet>| {
            let on_it = |address: &IpAddr| segments.iter().any(|segment| segment.contains(address));
            let neighbours = self.0.iter().filter(|((node, address), _)| on_it(address) && is_alive(*node));
            let (heard, silent): (Vec<_>, Vec<_>) = neighbours.partition(|(_, up)| **up);
            let silent: BTreeSet<NodeId> = silent.into_iter().map(|((node, _), _)| *node).collect();
            (heard.is_empty() && silent.len() >= SILENT_MIN).then_some(silent)
        };
        placing
            .segments_by_interface()
            .filter_map(|(index, segments)| Some((index, silent_on(segments)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use keryx_layer2::MacAddr;
    use keryx_layer2::interface::Link;

    use super::*;

    fn placing() -> Placing {
        let link = Link {
            index: IfIndex(1),
            name: "eth0".to_owned(),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
            up: true,
            carrier: true,
            broadcast: true,
            noarp: false,
            has_master: false,
            addresses: vec!["192.0.2.1/24".parse().unwrap(), "2001:db8::1/64".parse().unwrap()],
        };
        let mut placing = Placing::default();
        placing.links.push(link);
        placing
    }

    #[test]
    fn a_segment_is_silent_where_no_living_neighbour_of_two_is_heard() {
        let mut paths = Paths::default();
        let [two, three] = [2, 3].map(NodeId);
        paths.set(two, "192.0.2.2".parse().unwrap(), false);
        assert!(paths.silent(&placing(), |_| true).is_empty(), "one alone may be cut off itself");
        paths.set(three, "192.0.2.3".parse().unwrap(), false);
        paths.set(three, "10.0.0.3".parse().unwrap(), true);
        let expected = BTreeMap::from([(IfIndex(1), BTreeSet::from([two, three]))]);
        assert_eq!(paths.silent(&placing(), |_| true), expected);
        assert!(paths.silent(&placing(), |node| node == two).is_empty(), "the other one is dead");
        paths.set(three, "192.0.2.3".parse().unwrap(), true);
        assert!(paths.silent(&placing(), |_| true).is_empty());
    }
}
