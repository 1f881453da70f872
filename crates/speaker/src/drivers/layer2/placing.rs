//! Which interface of this node announces which VIP, and what hinders it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use keryx_layer2::interface::{self, Fit, Link, Named, NoInterface, Unfit};
use keryx_layer2::{IfIndex, MacAddr};
use keryx_membership::Obstacle;
use keryx_netio::link;

/// What decides where VIPs are announced.
#[derive(Debug, Default)]
pub(super) struct Placing {
    /// Names given by `--interface`.
    pub(super) only: BTreeSet<String>,
    /// The interfaces to which a VIP is limited by its advertisements; VIPs that are not are left out.
    advertised: BTreeMap<IpAddr, Arc<BTreeSet<Arc<str>>>>,
    /// All interfaces that are named there.
    named: BTreeSet<Arc<str>>,
    /// The interfaces of this node.
    pub(super) links: Vec<Link>,
    /// The Node's InternalIPs.
    pub(super) internal_ips: Vec<IpAddr>,
    /// The segments on which any other speaker has a working interface.
    pub(super) segments: BTreeSet<IpNet>,
    /// The interfaces on whose segments this node is cut off.
    pub(super) cut_off: BTreeSet<IfIndex>,
}

/// Why this node cannot announce a VIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hindered {
    /// For the takeover machine.
    pub(super) obstacle: Obstacle,
    /// For people.
    pub(super) why: String,
}

impl Placing {
    /// Without interfaces yet; `only` as given by `--interface`.
    pub(super) fn new(only: BTreeSet<String>) -> Self {
        Self { only, ..Self::default() }
    }

    /// The interface for `vip`. One that only carries the InternalIP is taken only if no speaker is on the VIP's segment.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn choose(&self, vip: IpAddr) -> Result<IfIndex, Hindered> {
        let cut_off = self.cut_off.iter().filter_map(|index| self.link(*index));
        if let Some(link) =
            cut_off.into_iter().find(|link| link.addresses.iter().any(|net| net.contains(&vip)))
        {
            return Err(Hindered {
                obstacle: Obstacle::CarrierLost,
                why: format!("no other node answers on {}, where {vip} belongs", link.name),
            });
        }
        let internal = self.internal_ips.iter().copied().find(|ip| ip.is_ipv4() == vip.is_ipv4());
        let advertised = self.advertised.get(&vip).map(|names| &**names);
        match interface::choose(&self.links, vip, internal, Named { only: Some(&self.only), advertised }) {
            Ok(choice) if choice.fit != Fit::InternalIp => Ok(choice.interface),
            Ok(choice) => match self.segments.iter().find(|segment| segment.contains(&vip)) {
                None => Ok(choice.interface),
                Some(segment) => Err(Hindered {
                    obstacle: self.obstacle_on(vip),
                    why: format!(
                        "no working interface of this node is in {segment}, where {vip} belongs, and other nodes have one"
                    ),
                }),
            },
            Err(none) => Err(Hindered { obstacle: obstacle_of(&none), why: none.to_string() }),
        }
    }

    /// Limits VIPs to these interfaces, and those that are left out to none. Says whether that changes anything.
    pub(super) fn limit(&mut self, advertised: BTreeMap<IpAddr, Arc<BTreeSet<Arc<str>>>>) -> bool {
        let changed = self.advertised != advertised;
        if changed {
            self.named = advertised.values().flat_map(|names| names.iter().cloned()).collect();
            self.advertised = advertised;
        }
        changed
    }

    /// The obstacle on the VIP's own segment.
    fn obstacle_on(&self, vip: IpAddr) -> Obstacle {
        let on_segment = |link: &&Link| link.addresses.iter().any(|net| net.contains(&vip));
        let is_dead = |link: &Link| !link.carrier || !link.up;
        let dead = self.links.iter().filter(on_segment).any(is_dead);
        if dead { Obstacle::CarrierLost } else { Obstacle::NoFitInterface }
    }

    /// The segments of each interface of this node.
    pub(super) fn segments_by_interface(&self) -> impl Iterator<Item = (IfIndex, BTreeSet<IpNet>)> {
        let segments =
            |link: &Link| link.addresses.iter().filter(|net| is_segment(net)).map(IpNet::trunc).collect();
        self.links.iter().map(move |link| (link.index, segments(link)))
    }

    /// The segments of this node's interfaces that do not work.
    pub(super) fn dead_segments(&self) -> BTreeSet<IpNet> {
        let dead = self.links.iter().filter(|link| !link.up || !link.carrier);
        dead.flat_map(|link| &link.addresses).filter(|net| is_segment(net)).map(IpNet::trunc).collect()
    }

    /// The link with this number.
    pub(super) fn link(&self, index: IfIndex) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// Interfaces that this node can announce from, as facts for the other speakers.
    pub(super) fn facts(&self) -> Vec<keryx_membership::Interface> {
        let usable = self.links.iter().filter_map(|link| Some((link, link.mac?)));
        let usable = usable.filter(|(link, _)| {
            // Any address of its own is on its segment, so this asks about the interface alone.
            link.addresses.iter().any(|net| {
                let is_named = self.named.contains(&*link.name);
                let named = Named { only: Some(&self.only), advertised: is_named.then_some(&self.named) };
                let fit = interface::fit(link, net.addr(), None, named);
                !matches!(
                    fit,
                    Err(Unfit::SkippedByName(_)
                        | Unfit::NotListed
                        | Unfit::NoBroadcast
                        | Unfit::NoArp
                        | Unfit::HasMaster)
                )
            })
        });
        usable
            .map(|(link, mac)| keryx_membership::Interface {
                index: link.index.0,
                name: link.name.clone(),
                mac: mac.0,
                carrier: link.carrier && link.up,
                prefixes: link.addresses.iter().copied().filter(is_segment).collect(),
            })
            .collect()
    }
}

/// A prefix of full length is one host, and a link-local one is the same on every segment.
fn is_segment(net: &IpNet) -> bool {
    let is_link_local = match net {
        IpNet::V4(net) => net.addr().is_link_local(),
        IpNet::V6(net) => net.addr().is_unicast_link_local(),
    };
    net.prefix_len() < net.max_prefix_len() && !is_link_local
}

fn obstacle_of(none: &NoInterface) -> Obstacle {
    let lost = none.unfit.iter().any(|(_, unfit)| matches!(unfit, Unfit::NoCarrier | Unfit::Down));
    if lost { Obstacle::CarrierLost } else { Obstacle::NoFitInterface }
}

/// An interface as the kernel tells it, in the words of layer 2.
pub(super) fn link(link: &link::Link) -> Link {
    Link {
        index: IfIndex(link.index),
        name: link.name.clone(),
        mac: link.mac.map(MacAddr),
        up: link.up,
        carrier: link.carrier,
        broadcast: link.broadcast,
        noarp: link.noarp,
        has_master: link.master.is_some(),
        addresses: link.addresses.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eth(index: u32, addresses: &[&str]) -> Link {
        Link {
            index: IfIndex(index),
            name: format!("eth{index}"),
            mac: Some(MacAddr([2, 0, 0, 0, 0, index as u8])),
            up: true,
            carrier: true,
            broadcast: true,
            noarp: false,
            has_master: false,
            addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    fn placing() -> Placing {
        Placing {
            links: vec![eth(1, &["192.0.2.1/24"]), eth(2, &["10.0.0.1/24"])],
            internal_ips: vec!["10.0.0.1".parse().unwrap()],
            ..Placing::default()
        }
    }

    #[test]
    fn a_vip_goes_only_to_interfaces_that_its_advertisements_name_if_they_name_any() {
        let mut placing = placing();
        let vip: IpAddr = "192.0.2.10".parse().unwrap();
        let limit = |names: &[&str]| {
            let names: BTreeSet<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
            BTreeMap::from([(vip, Arc::new(names))])
        };
        assert!(placing.limit(limit(&["eth1", "eth7"])));
        assert!(!placing.limit(limit(&["eth1", "eth7"])));
        assert_eq!(placing.choose(vip), Ok(IfIndex(1)));
        placing.limit(limit(&["eth7"]));
        let hindered = placing.choose(vip).unwrap_err();
        assert_eq!(hindered.obstacle, Obstacle::NoFitInterface);
        assert!(hindered.why.contains("not among the interfaces named for it"), "{}", hindered.why);
        assert_eq!(placing.choose("192.0.2.11".parse().unwrap()), Ok(IfIndex(1)), "others are not limited");
    }

    #[test]
    fn an_interface_that_is_skipped_by_its_name_is_used_and_told_if_an_advertisement_names_it() {
        let mut placing = placing();
        placing.links[0].name = "docker0".to_owned();
        let vip: IpAddr = "192.0.2.10".parse().unwrap();
        let told = |placing: &Placing| placing.facts().len();
        assert_eq!(told(&placing), 1);
        placing.limit(BTreeMap::from([(vip, Arc::new([Arc::from("docker0")].into()))]));
        assert_eq!(placing.choose(vip), Ok(IfIndex(1)));
        assert_eq!(told(&placing), 2);
    }

    #[test]
    fn a_vip_goes_to_its_segment_and_one_off_every_segment_to_the_internal_ip() {
        let placing = placing();
        assert_eq!(placing.choose("192.0.2.10".parse().unwrap()), Ok(IfIndex(1)));
        assert_eq!(placing.choose("198.51.100.1".parse().unwrap()), Ok(IfIndex(2)));
    }

    #[test]
    fn the_internal_ip_is_no_way_to_a_segment_that_another_node_is_on() {
        let mut placing = placing();
        placing.segments = BTreeSet::from(["198.51.100.0/24".parse().unwrap()]);
        let hindered = placing.choose("198.51.100.1".parse().unwrap()).unwrap_err();
        assert_eq!(hindered.obstacle, Obstacle::NoFitInterface);
        placing.segments = BTreeSet::from(["192.0.2.0/24".parse().unwrap()]);
        placing.links[0].carrier = false;
        let hindered = placing.choose("192.0.2.10".parse().unwrap()).unwrap_err();
        assert_eq!(hindered.obstacle, Obstacle::CarrierLost);
    }

    #[test]
    fn other_speakers_hear_of_interfaces_without_carrier_and_of_none_that_never_announce() {
        let mut placing = placing();
        placing.links[0].carrier = false;
        placing.links.push(Link { name: "cni0".to_owned(), ..eth(3, &["10.244.0.1/24"]) });
        placing.links.push(eth(4, &["fe80::1/64"]));
        let told: Vec<_> =
            placing.facts().into_iter().map(|fact| (fact.index, fact.carrier, fact.prefixes.len())).collect();
        assert_eq!(told, [(1, false, 1), (2, true, 1), (4, true, 0)]);
    }
}
