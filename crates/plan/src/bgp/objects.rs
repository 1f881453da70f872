//! The objects that BGP is set up by, and what they mean for this node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keryx_api::bfd_profile::{BFDProfile, BFDProfileSpec};
use keryx_api::bgp_advertisement::{BGPAdvertisement, BGPAdvertisementSpec};
use keryx_api::bgp_peer::{BGPPeer, BGPPeerSpec};
use keryx_api::community::{Aliases, Community, CommunitySpec};
use kube::ResourceExt as _;

use super::advertisements::Advertisement;
use super::peers::{NodeValues, Sessions};
use crate::NodeName;
use crate::advertisements::About;
use crate::matching::Labels;
use crate::nodes::Nodes;

/// Objects of one kind, by name.
#[derive(Debug)]
pub(crate) struct Kind<S>(BTreeMap<Arc<str>, S>);

impl<S> Default for Kind<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: PartialEq> Kind<S> {
    /// True if that is a change.
    fn apply(&mut self, name: &str, spec: S) -> bool {
        if self.0.get(name) == Some(&spec) {
            return false;
        }
        self.0.insert(name.into(), spec);
        true
    }

    fn delete(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    fn reset(&mut self, all: impl Iterator<Item = (String, S)>) -> bool {
        let all = all.map(|(name, spec)| (Arc::from(name), spec)).collect();
        let changed = self.0 != all;
        self.0 = all;
        changed
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    peers: Kind<BGPPeerSpec>,
    profiles: Kind<BFDProfileSpec>,
    communities: Kind<CommunitySpec>,
    advertisements: Kind<BGPAdvertisementSpec>,
    stale: bool,
    /// What the advertisements say, or why one cannot be read.
    read: BTreeMap<Arc<str>, Result<Advertisement, String>>,
    sessions: Sessions,
}

/// What a refresh has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refreshed {
    pub(crate) advertisements: bool,
    pub(crate) sessions: bool,
}

/// The three ways in which a kind changes.
macro_rules! kind {
    ($kind:ident, $field:ident, $apply:ident, $delete:ident, $reset:ident) => {
        pub(crate) fn $apply(&mut self, object: &$kind) {
            self.stale |= self.$field.apply(&object.name_any(), object.spec.clone());
        }

        pub(crate) fn $delete(&mut self, name: &str) {
            self.stale |= self.$field.delete(name);
        }

        pub(crate) fn $reset<'a>(&mut self, all: impl IntoIterator<Item = &'a $kind>) {
            let each = all.into_iter().map(|object| (object.name_any(), object.spec.clone()));
            self.stale |= self.$field.reset(each);
        }
    };
}

impl Objects {
    kind!(BGPPeer, peers, apply_peer, delete_peer, reset_peers);
    kind!(BFDProfile, profiles, apply_profile, delete_profile, reset_profiles);
    kind!(Community, communities, apply_community, delete_community, reset_communities);
    kind!(BGPAdvertisement, advertisements, apply_advertisement, delete_advertisement, reset_advertisements);

    /// Whether there is any BGPAdvertisement, readable or not.
    pub(crate) fn are_advertised(&self) -> bool {
        !self.advertisements.0.is_empty()
    }

    /// Brings up to date what the objects mean for node `me`; `nodes_changed` says whether Nodes, or `me`, have changed since the
    /// last time.
    pub(crate) fn refresh(&mut self, nodes: &Nodes, me: &NodeName, nodes_changed: bool) -> Refreshed {
        if !std::mem::take(&mut self.stale) && !nodes_changed {
            return Refreshed::default();
        }
        let aliases = Aliases::of(self.communities.0.values());
        let specs = self.advertisements.0.iter();
        let read =
            specs.map(|(name, spec)| (Arc::clone(name), Advertisement::of(spec, &aliases, nodes))).collect();
        let sessions = self.sessions_of(nodes, me);
        let refreshed = Refreshed { advertisements: self.read != read, sessions: self.sessions != sessions };
        self.read = read;
        // Those that are as they were stay the very same.
        if refreshed.sessions {
            let before = std::mem::replace(&mut self.sessions, sessions);
            for (name, peer) in &mut self.sessions.peers {
                if let Some(known) = before.peers.get(name).filter(|known| *known == peer) {
                    *peer = Arc::clone(known);
                }
            }
        }
        refreshed
    }

    /// The sessions of this node.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The sessions of any node.
    pub(crate) fn sessions_of(&self, nodes: &Nodes, node: &NodeName) -> Sessions {
        let Some((labels, annotations)) = nodes.values(node) else { return Sessions::default() };
        Sessions::of(&self.peers.0, &self.profiles.0, NodeValues { labels, annotations })
    }

    /// One that can be read.
    pub(crate) fn advertisement(&self, name: &str) -> Option<&Advertisement> {
        self.read.get(name)?.as_ref().ok()
    }

    /// Those that cannot be read, each with the reason in words.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (&Arc<str>, &str)> {
        self.read.iter().filter_map(|(name, read)| Some((name, read.as_ref().err()?.as_str())))
    }

    /// Those about an address from a pool with these labels that one owner holds: a Gateway, or a Service with labels.
    pub(crate) fn about(&self, pool: Option<&str>, labels: &Labels, service: Option<&Labels>) -> About {
        let is_about = |it: &Advertisement| it.matching.is_about(pool, labels, service);
        let about = self.read.iter().filter(|(_, read)| read.as_ref().is_ok_and(is_about));
        about.map(|(name, _)| Arc::clone(name)).collect::<BTreeSet<_>>()
    }
}
