//! How what the watches tell gets into the index.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use keryx_api::exposure::Exposure;
use keryx_daemon::watch::Change;
use keryx_plan::{Index, NodeName};
use kube::{Resource, ResourceExt as _};
use tracing::warn;

use super::Core;
use crate::watches::Input;

impl Core {
    /// Takes in one change.
    pub(super) fn apply(&mut self, input: Input) {
        match input {
            Input::Services(change) => {
                self.synced("Service", &change);
                match change {
                    Change::Apply(service) => self.index.apply_service(&service),
                    Change::Delete(service) => {
                        self.index.delete_service(&namespace_of(&*service), &service.name_any())
                    }
                    Change::Reset(all) => self.index.reset_services(each(&all)),
                }
            }
            Input::EndpointSlices(change) => {
                self.synced("EndpointSlice", &change);
                match change {
                    Change::Apply(slice) => self.index.apply_endpoint_slice(&slice),
                    Change::Delete(slice) => {
                        self.index.delete_endpoint_slice(&namespace_of(&*slice), &slice.name_any());
                    }
                    Change::Reset(all) => self.index.reset_endpoint_slices(each(&all)),
                }
            }
            Input::Nodes(change) => self.apply_nodes(change),
            Input::SpeakerPods(change) => {
                self.synced("Pod", &change);
                match change {
                    Change::Apply(pod) => self.index.apply_speaker_pod(&pod),
                    Change::Delete(pod) => {
                        self.index.delete_speaker_pod(&namespace_of(&*pod), &pod.name_any())
                    }
                    Change::Reset(all) => self.index.reset_speaker_pods(each(&all)),
                }
            }
            Input::Exposures(change) => self.apply_exposures(change),
            Input::AddressPools(change) => {
                self.synced("IPAddressPool", &change);
                let reset = |index: &mut Index, all: &[Arc<_>]| index.reset_address_pools(each(all));
                self.follow(change, Index::apply_address_pool, Index::delete_address_pool, reset);
            }
            Input::L2Advertisements(change) => {
                self.synced("L2Advertisement", &change);
                let reset = |index: &mut Index, all: &[Arc<_>]| index.reset_l2_advertisements(each(all));
                self.follow(change, Index::apply_l2_advertisement, Index::delete_l2_advertisement, reset);
            }
            Input::BgpPeers(change) => {
                self.synced("BGPPeer", &change);
                self.events.note_peers(&change);
                let reset = |index: &mut Index, all: &[Arc<_>]| index.reset_bgp_peers(each(all));
                self.follow(change, Index::apply_bgp_peer, Index::delete_bgp_peer, reset);
            }
            Input::BgpAdvertisements(change) => {
                self.synced("BGPAdvertisement", &change);
                let reset = |index: &mut Index, all: &[Arc<_>]| index.reset_bgp_advertisements(each(all));
                self.follow(change, Index::apply_bgp_advertisement, Index::delete_bgp_advertisement, reset);
            }
            Input::BfdProfiles(change) => {
                self.synced("BFDProfile", &change);
                let reset = |index: &mut Index, all: &[Arc<_>]| index.reset_bfd_profiles(each(all));
                self.follow(change, Index::apply_bfd_profile, Index::delete_bfd_profile, reset);
            }
            Input::Communities(change) => {
                self.synced("Community", &change);
                let reset = |index: &mut Index, all: &[Arc<_>]| index.reset_communities(each(all));
                self.follow(change, Index::apply_community, Index::delete_community, reset);
            }
        }
    }

    /// Takes in a change of a kind whose objects are all in one namespace, so that a name says which one it is.
    fn follow<K: Resource>(
        &mut self,
        change: Change<K>,
        apply: fn(&mut Index, &K),
        delete: fn(&mut Index, &str),
        reset: impl FnOnce(&mut Index, &[Arc<K>]),
    ) {
        match change {
            Change::Apply(object) => apply(&mut self.index, &object),
            Change::Delete(object) => delete(&mut self.index, &object.name_any()),
            Change::Reset(all) => reset(&mut self.index, &all),
        }
    }

    fn apply_nodes(&mut self, change: Change<Node>) {
        self.synced("Node", &change);
        match change {
            Change::Apply(node) => {
                self.note_node(&node);
                self.index.apply_node(&node);
            }
            Change::Delete(node) => {
                self.nodes_changed |= self.nodes.remove(&NodeName::from(&*node.name_any())).is_some();
                self.index.delete_node(&node.name_any());
            }
            Change::Reset(all) => {
                let known = std::mem::take(&mut self.nodes);
                all.iter().for_each(|node| self.note_node(node));
                self.nodes_changed = self.nodes != known;
                self.index.reset_nodes(each(&all));
            }
        }
    }

    fn note_node(&mut self, node: &Node) {
        let name = NodeName::from(&*node.name_any());
        if name == self.me {
            let draining = keryx_plan::is_draining(node);
            self.nodes_changed |= draining != self.draining;
            self.draining = draining;
        }
        let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let internal = addresses.filter(|address| address.type_ == "InternalIP");
        let internal: Vec<IpAddr> = internal.filter_map(|address| address.address.parse().ok()).collect();
        if self.nodes.get(&name) != Some(&internal) {
            self.nodes.insert(name, internal);
            self.nodes_changed = true;
        }
    }

    fn apply_exposures(&mut self, change: Change<ConfigMap>) {
        self.synced("ConfigMap", &change);
        match change {
            Change::Apply(object) => match read_exposure(&object) {
                Some(exposure) => self.index.apply_exposure(&object.name_any(), &exposure),
                None => self.index.delete_exposure(&object.name_any()),
            },
            Change::Delete(object) => self.index.delete_exposure(&object.name_any()),
            Change::Reset(all) => {
                let readable =
                    all.iter().filter_map(|object| Some((object.name_any(), read_exposure(object)?)));
                let readable: Vec<_> = readable.collect();
                self.index.reset_exposures(readable.iter().map(|(name, exposure)| (name.as_str(), exposure)));
            }
        }
    }

    fn synced<K>(&mut self, kind: &'static str, change: &Change<K>) {
        if matches!(change, Change::Reset(_)) {
            self.unsynced.remove(kind);
        }
    }
}

fn each<K>(all: &[Arc<K>]) -> impl Iterator<Item = &K> {
    all.iter().map(|object| &**object)
}

/// An exposure that this build can read; one that it cannot announces nothing.
fn read_exposure(object: &ConfigMap) -> Option<Exposure> {
    let exposure = Exposure::read(object.data.as_ref());
    exposure.inspect_err(|error| warn!(name = object.name_any(), "exposure cannot be read: {error}")).ok()
}

fn namespace_of<K: kube::Resource>(object: &K) -> String {
    object.namespace().unwrap_or_default()
}
