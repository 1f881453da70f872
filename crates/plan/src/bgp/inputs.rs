//! The objects that BGP is set up by, on their way into the index.

use keryx_api::bfd_profile::BFDProfile;
use keryx_api::bgp_advertisement::BGPAdvertisement;
use keryx_api::bgp_peer::BGPPeer;
use keryx_api::community::Community;

use crate::Index;

impl Index {
    /// Takes in a BGPPeer of Keryx' own namespace.
    pub fn apply_bgp_peer(&mut self, object: &BGPPeer) {
        self.bgp.apply_peer(object);
    }

    /// Forgets a BGPPeer.
    pub fn delete_bgp_peer(&mut self, name: &str) {
        self.bgp.delete_peer(name);
    }

    /// Replaces all of them.
    pub fn reset_bgp_peers<'a>(&mut self, all: impl IntoIterator<Item = &'a BGPPeer>) {
        self.bgp.reset_peers(all);
    }

    /// Takes in a BGPAdvertisement of Keryx' own namespace.
    pub fn apply_bgp_advertisement(&mut self, object: &BGPAdvertisement) {
        self.bgp.apply_advertisement(object);
    }

    /// Forgets a BGPAdvertisement.
    pub fn delete_bgp_advertisement(&mut self, name: &str) {
        self.bgp.delete_advertisement(name);
    }

    /// Replaces all of them.
    pub fn reset_bgp_advertisements<'a>(&mut self, all: impl IntoIterator<Item = &'a BGPAdvertisement>) {
        self.bgp.reset_advertisements(all);
    }

    /// Takes in a BFDProfile of Keryx' own namespace.
    pub fn apply_bfd_profile(&mut self, object: &BFDProfile) {
        self.bgp.apply_profile(object);
    }

    /// Forgets a BFDProfile.
    pub fn delete_bfd_profile(&mut self, name: &str) {
        self.bgp.delete_profile(name);
    }

    /// Replaces all of them.
    pub fn reset_bfd_profiles<'a>(&mut self, all: impl IntoIterator<Item = &'a BFDProfile>) {
        self.bgp.reset_profiles(all);
    }

    /// Takes in a Community of Keryx' own namespace.
    pub fn apply_community(&mut self, object: &Community) {
        self.bgp.apply_community(object);
    }

    /// Forgets a Community.
    pub fn delete_community(&mut self, name: &str) {
        self.bgp.delete_community(name);
    }

    /// Replaces all of them.
    pub fn reset_communities<'a>(&mut self, all: impl IntoIterator<Item = &'a Community>) {
        self.bgp.reset_communities(all);
    }
}
