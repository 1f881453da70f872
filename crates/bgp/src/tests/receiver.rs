//! A router that takes routes: reads what we send with another implementation's decoder.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::path_attribute::{MpReach, MpUnreach, PathAttributeValue};
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;

use crate::attributes::Attributes;
use crate::{Family, MESSAGE_MAX_LEN, PerFamily};

/// What a router knows of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) next_hop: Option<IpAddr>,
    pub(crate) link_local: Option<IpAddr>,
    pub(crate) as_path: Vec<u32>,
    pub(crate) as4_path: Vec<u32>,
    pub(crate) med: Option<u32>,
    pub(crate) local_pref: Option<u32>,
    pub(crate) communities: BTreeSet<u32>,
    pub(crate) extended_communities: usize,
    pub(crate) large_communities: BTreeSet<[u32; 3]>,
}

impl Seen {
    /// What should be seen in a session between two speakers of four octets in different ASes.
    pub(crate) fn expected(attributes: &Attributes, local_as: u32, next_hop: IpAddr) -> Self {
        Self {
            next_hop: Some(next_hop),
            as_path: vec![local_as; usize::from(attributes.prepend) + 1],
            med: attributes.med,
            communities: attributes.communities.clone(),
            extended_communities: attributes.extended_communities.len(),
            large_communities: attributes.large_communities.clone(),
            ..Self::default()
        }
    }
}

/// Everything that one side of a connection has received.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    octets: Vec<u8>,
    context: Context,
    pub(crate) routes: BTreeMap<IpNet, Seen>,
    pub(crate) ended: PerFamily<usize>,
    pub(crate) messages: Vec<BgpMessage>,
    /// Prefixes of each UPDATE, withdrawn and announced.
    pub(crate) updates: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Context(BgpParsingContext);

impl Default for Context {
    fn default() -> Self {
        Self(BgpParsingContext::new(true, [].into(), [].into(), true, true, true, true))
    }
}

impl Receiver {
    /// Reads AS numbers of two octets.
    pub(crate) fn of_two_octets() -> Self {
        let mut receiver = Self::default();
        receiver.context.0.set_asn4(false);
        receiver
    }

    pub(crate) fn take(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
        while let Some(high_low) = self.octets.get(16..18) {
            let length = usize::from(u16::from_be_bytes([high_low[0], high_low[1]]));
            assert!((19..=MESSAGE_MAX_LEN).contains(&length), "{length}");
            if self.octets.len() < length {
                return;
            }
            let message: Vec<u8> = self.octets.drain(..length).collect();
            let message = BgpMessage::parse(&mut SliceReader::new(&message), &mut self.context.0).unwrap();
            if let BgpMessage::Update(update) = &message {
                self.apply(update);
            }
            self.messages.push(message);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is not listed is what we never send, whatever is added"
    )]
    fn apply(&mut self, update: &BgpUpdateMessage) {
        let mut withdrawn: Vec<IpNet> =
            update.withdraw_routes().iter().map(|route| IpNet::V4(route.network().address())).collect();
        let mut announced: Vec<IpNet> =
            update.nlri().iter().map(|route| IpNet::V4(route.network().address())).collect();
        let mut seen = Seen::default();
        for attribute in update.path_attributes() {
            match attribute.value() {
                PathAttributeValue::AsPath(path) => seen.as_path = path.clone().into(),
                PathAttributeValue::As4Path(path) => {
                    seen.as4_path =
                        path.segments().iter().flat_map(|segment| segment.as_numbers()).copied().collect();
                }
                PathAttributeValue::NextHop(next_hop) => seen.next_hop = Some(next_hop.next_hop().into()),
                PathAttributeValue::MultiExitDiscriminator(med) => seen.med = Some(med.metric()),
                PathAttributeValue::LocalPreference(preference) => {
                    seen.local_pref = Some(preference.metric())
                }
                PathAttributeValue::Communities(list) => {
                    seen.communities = list.communities().iter().map(|value| value.value()).collect();
                }
                PathAttributeValue::ExtendedCommunities(list) => {
                    seen.extended_communities = list.communities().len()
                }
                PathAttributeValue::LargeCommunities(list) => {
                    let parts = |value: &netgauze_bgp_pkt::community::LargeCommunity| {
                        [value.global_admin(), value.local_data1(), value.local_data2()]
                    };
                    seen.large_communities = list.communities().iter().map(parts).collect();
                }
                PathAttributeValue::MpReach(MpReach::Ipv6Unicast {
                    next_hop_global,
                    next_hop_local,
                    nlri,
                }) => {
                    seen.next_hop = Some((*next_hop_global).into());
                    seen.link_local = next_hop_local.map(IpAddr::from);
                    announced.extend(nlri.iter().map(|route| IpNet::V6(route.network().address())));
                }
                PathAttributeValue::MpReach(MpReach::Ipv4Unicast { next_hop, next_hop_local, nlri }) => {
                    seen.next_hop = Some(*next_hop);
                    seen.link_local = next_hop_local.map(IpAddr::from);
                    announced.extend(nlri.iter().map(|route| IpNet::V4(route.network().address())));
                }
                PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
                    withdrawn.extend(nlri.iter().map(|route| IpNet::V6(route.network().address())));
                }
                PathAttributeValue::MpUnreach(MpUnreach::Ipv4Unicast { nlri }) => {
                    withdrawn.extend(nlri.iter().map(|route| IpNet::V4(route.network().address())));
                }
                PathAttributeValue::Origin(_) => {}
                other => panic!("an attribute that we do not send: {other:?}"),
            }
        }
        if withdrawn.is_empty() && announced.is_empty() {
            let family = if update.path_attributes().is_empty() { Family::Ipv4 } else { Family::Ipv6 };
            self.ended[family] += 1;
            return;
        }
        self.updates.push((withdrawn.len(), announced.len()));
        for prefix in withdrawn {
            assert!(self.routes.remove(&prefix).is_some(), "{prefix} was withdrawn and not known");
        }
        self.routes.extend(announced.into_iter().map(|prefix| (prefix, seen.clone())));
    }
}
