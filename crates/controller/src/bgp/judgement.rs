//! What is said of each object.

use std::collections::BTreeSet;
use std::net::IpAddr;

use keryx_api::bfd_profile::BFDProfile;
use keryx_api::bgp_advertisement::BGPAdvertisement;
use keryx_api::bgp_peer::BGPPeer;
use keryx_api::community::Community;
use keryx_api::status::{CONDITION_READY, CONDITION_RESOLVED_REFS, ConditionsStatus};
use keryx_gateway::conditions::Wanted;

use super::{Judged, Known};

impl Judged for BGPPeer {
    fn stored(&self) -> Option<&ConditionsStatus> {
        self.status.as_ref()
    }

    fn judge(&self, known: &Known) -> Vec<Wanted> {
        let spec = &self.spec;
        let is_address =
            |text: &Option<String>| text.as_ref().is_none_or(|text| text.parse::<IpAddr>().is_ok());
        let invalid = match spec.selectors() {
            Err(error) => Some(error.to_string()),
            Ok(_) if !is_address(&spec.peer_address) => Some("spec.peerAddress is no IP address".to_owned()),
            Ok(_) if !is_address(&spec.source_address) => {
                Some("spec.sourceAddress is no IP address".to_owned())
            }
            Ok(_) => None,
        };
        let profile = Some(&spec.bfd_profile).filter(|profile| !profile.is_empty());
        let missing = profile.filter(|profile| !known.profiles.contains(*profile));
        let missing = missing.map(|profile| format!("there is no BFDProfile {profile}"));
        vec![ready(invalid, "no node has a session because of it"), resolved("ProfileNotFound", missing)]
    }
}

impl Judged for BGPAdvertisement {
    fn stored(&self) -> Option<&ConditionsStatus> {
        self.status.as_ref()
    }

    fn judge(&self, known: &Known) -> Vec<Wanted> {
        let spec = &self.spec;
        let community = || spec.communities.iter().find_map(|text| known.aliases.read(text).err());
        let invalid = match spec.selectors() {
            Err(error) => Some(error.to_string()),
            Ok(_) => community().map(|error| format!("spec.communities: {error}")),
        };
        let pools = missing(&spec.ip_address_pools, &known.pools);
        let peers = missing(&spec.peers, &known.peers);
        let (reason, message) = match (pools, peers) {
            (Some(pools), _) => (
                "PoolNotFound",
                Some(format!(
                    "there is no pool {pools}: neither an IPAddressPool of this namespace nor a key of the address \
                     ConfigMap has that name"
                )),
            ),
            (None, Some(peers)) => ("PeerNotFound", Some(format!("there is no BGPPeer {peers}"))),
            (None, None) => ("", None),
        };
        vec![ready(invalid, "nothing is advertised because of it"), resolved(reason, message)]
    }
}

impl Judged for BFDProfile {
    fn stored(&self) -> Option<&ConditionsStatus> {
        self.status.as_ref()
    }

    fn judge(&self, _: &Known) -> Vec<Wanted> {
        let message = if self.spec.echo_mode {
            "the speakers follow it, but for echoMode: the echo function is left out"
        } else {
            FOLLOWED
        };
        vec![Wanted::yes(CONDITION_READY, "InForce", message)]
    }
}

impl Judged for Community {
    fn stored(&self) -> Option<&ConditionsStatus> {
        self.status.as_ref()
    }

    fn judge(&self, known: &Known) -> Vec<Wanted> {
        let names = self.spec.communities.iter().map(|alias| &alias.name);
        let errors: BTreeSet<String> =
            names.filter_map(|name| known.aliases.read(name).err()).map(|error| error.to_string()).collect();
        let invalid = errors.into_iter().reduce(|all, next| format!("{all}; {next}"));
        vec![ready(invalid, "some names have no meaning")]
    }
}

const FOLLOWED: &str = "the speakers follow it";

/// Ready, unless there is a reason against it; then also with what follows from that.
fn ready(invalid: Option<String>, consequence: &str) -> Wanted {
    match invalid {
        None => Wanted::yes(CONDITION_READY, "InForce", FOLLOWED),
        Some(why) => Wanted::no(CONDITION_READY, "Invalid", format!("{consequence}: {why}")),
    }
}

fn resolved(reason: &'static str, missing: Option<String>) -> Wanted {
    match missing {
        None => Wanted::yes(CONDITION_RESOLVED_REFS, "ResolvedRefs", "everything that it names exists"),
        Some(message) => Wanted::no(CONDITION_RESOLVED_REFS, reason, message),
    }
}

/// The names that are not known, listed.
fn missing(named: &[String], known: &BTreeSet<String>) -> Option<String> {
    let missing: Vec<&str> = named.iter().filter(|name| !known.contains(*name)).map(String::as_str).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keryx_api::community::{Aliases, CommunitySpec};
    use serde_json::{Value, json};

    use super::*;

    fn known() -> Known {
        let communities: CommunitySpec = serde_json::from_value(json!({"communities": [
            {"name": "cheap", "value": "64512:1"}, {"name": "odd", "value": "64512"},
            {"name": "twice", "value": "1:1"}, {"name": "twice", "value": "1:2"},
        ]}))
        .unwrap();
        Known {
            pools: Arc::new(["edge".to_owned()].into()),
            peers: ["tor".to_owned()].into(),
            profiles: ["fast".to_owned()].into(),
            aliases: Aliases::of([&communities]),
        }
    }

    fn said(object: &impl Judged) -> Vec<String> {
        let each = object.judge(&known()).into_iter();
        each.map(|wanted| format!("{}={}/{}: {}", wanted.type_, wanted.status, wanted.reason, wanted.message))
            .collect()
    }

    fn peer(more: Value) -> Vec<String> {
        let mut spec = json!({"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said(&BGPPeer::new("x", serde_json::from_value(spec).unwrap()))
    }

    fn advertisement(spec: Value) -> Vec<String> {
        said(&BGPAdvertisement::new("x", serde_json::from_value(spec).unwrap()))
    }

    #[test]
    fn what_is_right_is_in_force_and_resolved() {
        let whole =
            json!({"ipAddressPools": ["edge"], "peers": ["tor"], "communities": ["cheap", "no-export"]});
        let unnumbered = peer(json!({"peerAddress": null, "interface": "eth0"}));
        for said in
            [unnumbered, peer(json!({"bfdProfile": "fast"})), advertisement(whole), advertisement(json!({}))]
        {
            assert!(said[0].starts_with("Ready=true/InForce"), "{said:?}");
            assert!(said[1].starts_with("ResolvedRefs=true"), "{said:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = peer(json!({"bfdProfile": "slow"}));
        assert_eq!(said[1], "ResolvedRefs=false/ProfileNotFound: there is no BFDProfile slow");
        let said = advertisement(json!({"ipAddressPools": ["edge", "egde"], "peers": ["spine"]}));
        assert!(said[1].starts_with("ResolvedRefs=false/PoolNotFound: there is no pool egde:"), "{said:?}");
        let said = advertisement(json!({"peers": ["tor", "spine", "leaf"]}));
        assert_eq!(said[1], "ResolvedRefs=false/PeerNotFound: there is no BGPPeer spine, leaf");
    }

    #[test]
    fn what_has_no_meaning_is_not_in_force_and_says_why() {
        let bad = json!([{"matchExpressions": [{"key": "a", "operator": "Is"}]}]);
        assert!(peer(json!({"nodeSelectors": bad}))[0].contains("spec.nodeSelectors[0]"));
        assert!(peer(json!({"peerAddress": "tor"}))[0].contains("spec.peerAddress is no IP address"));
        assert!(peer(json!({"sourceAddress": "me"}))[0].contains("spec.sourceAddress is no IP address"));
        let said = advertisement(json!({"communities": ["unheard-of"]}));
        assert!(said[0].starts_with("Ready=false/Invalid: nothing is advertised"), "{said:?}");
        assert!(said[0].contains("no Community object gives the name 'unheard-of'"), "{said:?}");
        assert!(advertisement(json!({"communities": ["twice"]}))[0].contains("several"));
    }

    #[test]
    fn a_community_says_which_of_its_names_have_no_meaning() {
        let spec = |names: [&str; 2]| {
            let entry = |name: &&str| json!({"name": name, "value": "1:1"});
            serde_json::from_value(json!({"communities": names.iter().map(entry).collect::<Vec<_>>()}))
                .unwrap()
        };
        let said_of = |names| said(&Community::new("x", spec(names)));
        assert!(said_of(["cheap", "cheap"])[0].starts_with("Ready=true"));
        let said = said_of(["twice", "odd"]);
        assert!(said[0].contains("'twice'") && said[0].contains("'odd'"), "{said:?}");
    }

    #[test]
    fn a_profile_with_echo_says_that_it_is_left_out() {
        let said_of = |spec| said(&BFDProfile::new("x", serde_json::from_value(spec).unwrap()));
        assert!(!said_of(json!({}))[0].contains("echo"));
        assert!(said_of(json!({"echoMode": true}))[0].contains("the echo function is left out"));
    }
}
