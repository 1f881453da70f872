//! Who may do what in the cluster: the one table from which the RBAC objects and their reference page are written.

use anyhow::Result;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use keryx_api::names;
use serde_json::{Value, json};

use crate::yaml::{Document, document};

/// A workload that talks to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// `keryx-controller`.
    Controller,
    /// `keryx-speaker`.
    Speaker,
}

impl Who {
    /// Both workloads, in the order of the generated files.
    pub const ALL: [Self; 2] = [Self::Controller, Self::Speaker];

    /// Name of the ServiceAccount, of the roles and of the workload.
    pub fn name(self) -> &'static str {
        match self {
            Self::Controller => "keryx-controller",
            Self::Speaker => "keryx-speaker",
        }
    }
}

/// Where a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In every namespace, and for objects without one.
    Cluster,
    /// In Keryx' own namespace only.
    OwnNamespace,
}

/// One row: `who` may use `verbs` on `resources` of `group`, because of `why`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The workload.
    pub who: Who,
    /// Where.
    pub scope: Scope,
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Plural names, with `/subresource` where one is meant.
    pub resources: &'static [&'static str],
    /// Verbs as RBAC spells them.
    pub verbs: &'static [&'static str],
    /// What breaks without it, as a phrase for the reference page.
    pub why: &'static str,
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";
const READ: &[&str] = &["get", "list", "watch"];
const PATCH: &[&str] = &["patch"];

/// Every permission of Keryx.
pub const RULES: &[Rule] = &[
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "",
        resources: &["services"],
        verbs: &["get", "list", "watch", "create", "update", "delete"],
        why: "serve LoadBalancer Services; keep clones beside their backends and anchors beside their Gateways",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "",
        resources: &["services/status"],
        verbs: PATCH,
        why: "write the address and the `keryx.dev/Assigned` condition",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "",
        resources: &["namespaces"],
        verbs: READ,
        why: "match `allowedRoutes` by namespace labels",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "",
        resources: &["nodes"],
        verbs: READ,
        why: "never give out an address that belongs to a Node",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "networking.k8s.io",
        resources: &["servicecidrs"],
        verbs: READ,
        why: "never give out an address from which the cluster makes ClusterIPs",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "apiextensions.k8s.io",
        resources: &["customresourcedefinitions"],
        verbs: READ,
        why: "see which kinds and versions of Gateway API and of Keryx are served, and when that changes",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: "events.k8s.io",
        resources: &["events"],
        verbs: &["create", "patch"],
        why: "say on the object what is wrong with it",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: GATEWAY_API,
        resources: &["gatewayclasses", "referencegrants", "tcproutes", "udproutes"],
        verbs: READ,
        why: "decide what attaches to which Gateway",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: GATEWAY_API,
        resources: &["gateways"],
        verbs: &["get", "list", "watch", "patch"],
        why: "serve Gateways; set and clear the finalizer while clones stand in other namespaces",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::Cluster,
        group: GATEWAY_API,
        resources: &["gatewayclasses/status", "gateways/status", "tcproutes/status", "udproutes/status"],
        verbs: PATCH,
        why: "write addresses and conditions",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::Cluster,
        group: "events.k8s.io",
        resources: &["events"],
        verbs: &["create", "patch"],
        why: "say on Services and Gateways which node announces their addresses, and which other station uses one",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::OwnNamespace,
        group: "",
        resources: &["secrets"],
        verbs: &["create", "get"],
        why: "make the key by which speakers know each other, where there is none",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::OwnNamespace,
        group: "",
        resources: &["configmaps"],
        verbs: &["get", "list", "watch", "create", "update", "patch", "delete"],
        why: "read the address ranges; keep the ledger and the exposures",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::OwnNamespace,
        group: names::GROUP,
        resources: &[
            "ipaddresspools",
            "l2advertisements",
            "bgppeers",
            "bgpadvertisements",
            "bfdprofiles",
            "communities",
            "speakerstatuses",
        ],
        verbs: READ,
        why: "know the pools, what is said of them, and which addresses other stations use",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::OwnNamespace,
        group: names::GROUP,
        resources: &[
            "ipaddresspools/status",
            "l2advertisements/status",
            "bgppeers/status",
            "bgpadvertisements/status",
            "bfdprofiles/status",
            "communities/status",
        ],
        verbs: PATCH,
        why: "write how many addresses of a pool are in use, and what is wrong with a pool or an advertisement",
    },
    Rule {
        who: Who::Controller,
        scope: Scope::OwnNamespace,
        group: "coordination.k8s.io",
        resources: &["leases"],
        verbs: &["get", "list", "watch", "create", "update"],
        why: "elect the one replica that writes; another learns by the watch that it may",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::Cluster,
        group: "",
        resources: &["nodes", "services"],
        verbs: READ,
        why: "know which addresses are Keryx' and which nodes are eligible",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::Cluster,
        group: "discovery.k8s.io",
        resources: &["endpointslices"],
        verbs: READ,
        why: "announce from nodes that have ready endpoints",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::Cluster,
        group: "apiextensions.k8s.io",
        resources: &["customresourcedefinitions"],
        verbs: READ,
        why: "see whether Keryx' own kinds are there to be watched, and when that changes",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::OwnNamespace,
        group: names::GROUP,
        resources: &[
            "ipaddresspools",
            "l2advertisements",
            "bgppeers",
            "bgpadvertisements",
            "bfdprofiles",
            "communities",
        ],
        verbs: READ,
        why: "know which nodes and interfaces announce the addresses of which pool, and to which routers",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::OwnNamespace,
        group: "",
        resources: &["secrets"],
        verbs: &["list", "watch"],
        why: "read the passwords of BGP sessions; only Secrets of type `kubernetes.io/basic-auth` are asked for",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::OwnNamespace,
        group: names::GROUP,
        resources: &["speakerstatuses", "speakerstatuses/status"],
        verbs: &["create", "patch"],
        why: "say how many addresses the node announces, which of them another station uses, and how its BGP sessions stand",
    },
    Rule {
        who: Who::Speaker,
        scope: Scope::OwnNamespace,
        group: "",
        resources: &["configmaps", "pods"],
        verbs: READ,
        why: "read the exposures; know which other speakers are Ready",
    },
];

/// The rows of one workload and scope, as the `rules` of a role.
fn policy_rules(who: Who, scope: Scope) -> Vec<Value> {
    RULES
        .iter()
        .filter(|rule| rule.who == who && rule.scope == scope)
        .map(|rule| json!({"apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs}))
        .collect()
}

/// Roles and bindings of both workloads.
///
/// # Errors
/// If a rendered object does not fit its Kubernetes type.
pub fn documents() -> Result<Vec<Document>> {
    const API: &str = "rbac.authorization.k8s.io/v1";
    let mut documents = Vec::new();
    for who in Who::ALL {
        let name = who.name();
        let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": names::NAMESPACE}]);
        let role_ref =
            |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
        documents.push(document::<ClusterRole>(&json!({
            "apiVersion": API, "kind": "ClusterRole", "metadata": {"name": name},
            "rules": policy_rules(who, Scope::Cluster),
        }))?);
        documents.push(document::<ClusterRoleBinding>(&json!({
            "apiVersion": API, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": role_ref("ClusterRole"), "subjects": subjects,
        }))?);
        documents.push(document::<Role>(&json!({
            "apiVersion": API, "kind": "Role", "metadata": {"name": name, "namespace": names::NAMESPACE},
            "rules": policy_rules(who, Scope::OwnNamespace),
        }))?);
        documents.push(document::<RoleBinding>(&json!({
            "apiVersion": API, "kind": "RoleBinding", "metadata": {"name": name, "namespace": names::NAMESPACE},
            "roleRef": role_ref("Role"), "subjects": subjects,
        }))?);
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(rule: &Rule) -> bool {
        rule.verbs.iter().any(|verb| !READ.contains(verb))
    }

    #[test]
    fn speakers_write_events_and_their_own_statuses_alone() {
        let writing = RULES.iter().filter(|rule| rule.who == Who::Speaker && writes(rule));
        let written: Vec<&str> = writing.flat_map(|rule| rule.resources).copied().collect();
        assert_eq!(written, ["events", "speakerstatuses", "speakerstatuses/status"]);
    }

    #[test]
    fn ledger_exposures_and_leases_are_reached_in_the_own_namespace_only() {
        for rule in RULES.iter().filter(|rule| rule.scope == Scope::Cluster) {
            for resource in ["configmaps", "leases", "secrets", "pods"] {
                assert!(!rule.resources.contains(&resource), "{rule:?}");
            }
        }
    }

    #[test]
    fn no_rule_is_a_wildcard_or_reaches_roles() {
        for rule in RULES {
            let words = rule.resources.iter().chain(rule.verbs).chain([&rule.group]);
            assert!(words.into_iter().all(|word| !word.contains('*')), "{rule:?}");
            assert_ne!(rule.group, "rbac.authorization.k8s.io", "{rule:?}");
        }
    }

    #[test]
    fn every_row_says_why_and_no_row_repeats_another() {
        for (position, rule) in RULES.iter().enumerate() {
            assert!(!rule.why.is_empty(), "{rule:?}");
            for other in &RULES[position + 1..] {
                let same_place = (rule.who, rule.scope, rule.group) == (other.who, other.scope, other.group);
                assert!(
                    !(same_place && rule.resources.iter().any(|r| other.resources.contains(r))),
                    "{rule:?}"
                );
            }
        }
    }
}
