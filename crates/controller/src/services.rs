//! Services of type LoadBalancer: which ones are ours, what they ask for, and what their status should say.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service, ServicePort, ServiceSpec, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use keryx_api::assigned::Assigned;
use keryx_api::names;
use keryx_gateway::conditions::{self, Wanted};
use keryx_ipam::{Backend, Families, Family, OwnerKind, Protocol, Scope, Sharing};
use keryx_pools::wishes::{WishError, wishes};
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// Reason of the mark on a Service that has its addresses.
const ASSIGNED: &str = "Assigned";
/// Conditions that are ours to write and to take away.
const OWN_CONDITIONS: [&str; 4] = [
    names::CONDITION_ASSIGNED,
    names::CONDITION_REQUEST_UNMET,
    names::CONDITION_OUTSIDE_POOL,
    names::CONDITION_ADDRESS_CONFLICT,
];

/// Which Services this controller serves.
#[derive(Clone, Debug)]
pub(crate) struct ServicePolicy {
    /// `spec.loadBalancerClass` of ours.
    pub(crate) load_balancer_class: String,
    /// Whether Services without a class are served too.
    pub(crate) handle_classless: bool,
}

impl ServicePolicy {
    /// Whether `service` is ours to serve. A classless one that somebody else gave an address is not.
    pub(crate) fn serves(&self, service: &Service) -> bool {
        let Some(spec) = &service.spec else { return false };
        if spec.type_.as_deref() != Some("LoadBalancer") {
            return false;
        }
        match &spec.load_balancer_class {
            Some(class) => *class == self.load_balancer_class,
            None => {
                self.handle_classless && (ingress(service).is_empty() || Assigned::read(service).is_some())
            }
        }
    }
}

/// What a Service asks of IPAM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Families.
    pub(crate) families: Families,
    /// Addresses asked for by value.
    pub(crate) addresses: Vec<IpAddr>,
    /// The pool asked for.
    pub(crate) pool: Option<String>,
    /// With whom it would share its addresses.
    pub(crate) sharing: Option<Sharing>,
}

/// What `service` asks for, from `spec.ipFamilies`, `spec.ipFamilyPolicy`, `spec.loadBalancerIP` and its annotations, with
/// those of other programs where `foreign_annotations` says so. Without a sharing key of its own it shares within
/// `sharing_scope`.
pub(crate) fn demand(
    service: &Service,
    foreign_annotations: bool,
    sharing_scope: Option<&Scope>,
) -> Result<Demand, WishError> {
    let none = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&none);
    let listed: Vec<Family> = spec.ip_families.iter().flatten().filter_map(|name| family(name)).collect();
    let first = listed.first().copied();
    // A PreferDualStack Service of a single-stack cluster lists one family, and can be reached by that alone.
    let families = match (spec.ip_family_policy.as_deref(), first) {
        (Some("RequireDualStack"), Some(first)) => Families::Require(first),
        (Some("PreferDualStack"), Some(first)) if listed.len() > 1 => Families::Prefer(first),
        (_, first) => Families::Single(first),
    };
    let load_balancer_ip = spec.load_balancer_ip.as_deref();
    let wishes = wishes(OwnerKind::Service, service.annotations(), load_balancer_ip, foreign_annotations)?;
    let own = wishes.sharing_key.map(|key| (key, wishes.across_namespaces));
    let implied = || sharing_scope.map(|scope| (format!("allow-share-{scope}"), *scope == Scope::Global));
    let sharing = own.or_else(implied).map(|(key, across_namespaces)| Sharing {
        key,
        across_namespaces,
        ports: ports(spec),
        backend: backend(service, spec),
    });
    Ok(Demand { families, addresses: wishes.addresses, pool: wishes.pool, sharing })
}

fn ports(spec: &ServiceSpec) -> BTreeSet<(Protocol, u16)> {
    let port = |port: &ServicePort| {
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some(_) => Protocol::Sctp,
        };
        Some((protocol, u16::try_from(port.port).ok()?))
    };
    spec.ports.iter().flatten().filter_map(port).collect()
}

/// Under policy `Local` only nodes with a Pod of the Service serve it, so those who share its address need the same Pods.
fn backend(service: &Service, spec: &ServiceSpec) -> Backend {
    if spec.external_traffic_policy.as_deref() != Some("Local") {
        return Backend::Any;
    }
    let namespace = service.namespace().unwrap_or_default();
    let selector: Vec<String> =
        spec.selector.iter().flatten().map(|(label, value)| format!("{label}={value}")).collect();
    if selector.is_empty() {
        // Its endpoints are its own, whoever writes them.
        return Backend::Local(format!("{namespace}/{}", service.name_any()));
    }
    Backend::Local(format!("{namespace}: {}", selector.join(",")))
}

fn family(name: &str) -> Option<Family> {
    Family::ALL.into_iter().find(|family| family.as_str() == name)
}

/// The condition by which Keryx speaks about `service`.
pub(crate) fn condition(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == names::CONDITION_ASSIGNED)
}

/// What the status of a Service of ours should say.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It has these addresses.
    Assigned {
        /// Which, and from where.
        assigned: Assigned,
        /// Further conditions of ours: what else is to be known about these addresses.
        notes: Vec<Wanted>,
    },
    /// It gets none, for this reason.
    Refused {
        /// CamelCase code.
        reason: &'static str,
        /// Text for people.
        message: String,
    },
    /// It is not ours (any more): what Keryx wrote goes.
    NotOurs,
}

/// The `status` to write so that `service` says `verdict`; `None` if it says so already. A status without our mark is
/// only written if the Service is ours.
pub(crate) fn status(service: &Service, verdict: &Verdict, now: &Time) -> Option<Value> {
    let stored = service.status.clone().unwrap_or_default();
    let stored_conditions = stored.conditions.clone().unwrap_or_default();
    if matches!(verdict, Verdict::NotOurs) && condition(service).is_none() {
        return None;
    }
    let (wanted, addresses) = match verdict {
        Verdict::Assigned { assigned, notes } => {
            let mark = Wanted::yes(names::CONDITION_ASSIGNED, ASSIGNED, assigned.to_string());
            ([vec![mark], notes.clone()].concat(), assigned.addresses.clone())
        }
        Verdict::Refused { reason, message } => {
            (vec![Wanted::no(names::CONDITION_ASSIGNED, reason, message.clone())], Vec::new())
        }
        Verdict::NotOurs => (Vec::new(), Vec::new()),
    };
    let generation = service.metadata.generation.unwrap_or_default();
    let conditions = conditions::merge(&stored_conditions, &wanted, &OWN_CONDITIONS, generation, now);
    let ingress = match verdict {
        Verdict::NotOurs => foreign_ingress(service),
        Verdict::Assigned { .. } | Verdict::Refused { .. } => wanted_ingress(service, &addresses),
    };
    let same = conditions == stored_conditions && ingress == self::ingress(service);
    let status = json!({ "conditions": conditions, "loadBalancer": { "ingress": ingress } });
    (!same).then_some(status)
}

/// Ingress entries for `addresses`. An entry that stands already is kept as it is, port statuses of others included.
fn wanted_ingress(service: &Service, addresses: &[IpAddr]) -> Vec<LoadBalancerIngress> {
    let stored = ingress(service);
    let entry = |address: &IpAddr| {
        let text = address.to_string();
        let here = stored.iter().find(|entry| entry.ip.as_ref() == Some(&text)).cloned();
        let mut entry = here.unwrap_or_default();
        entry.ip = Some(text);
        entry.ip_mode = Some("VIP".to_owned());
        entry
    };
    addresses.iter().map(entry).collect()
}

/// What stands in the ingress and is not ours by the mark.
fn foreign_ingress(service: &Service) -> Vec<LoadBalancerIngress> {
    let marked = Assigned::read(service).map(|assigned| assigned.addresses).unwrap_or_default();
    let marked: Vec<String> = marked.iter().map(ToString::to_string).collect();
    let is_ours = |entry: &LoadBalancerIngress| entry.ip.as_ref().is_some_and(|ip| marked.contains(ip));
    ingress(service).into_iter().filter(|entry| !is_ours(entry)).collect()
}

fn ingress(service: &Service) -> Vec<LoadBalancerIngress> {
    let status: Option<&ServiceStatus> = service.status.as_ref();
    status.and_then(|status| status.load_balancer.as_ref()?.ingress.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
