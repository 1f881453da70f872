use k8s_openapi::api::core::v1::{LoadBalancerStatus, ServiceSpec};
use k8s_openapi::jiff::Timestamp;

use super::*;

fn policy() -> ServicePolicy {
    ServicePolicy { load_balancer_class: names::LOAD_BALANCER_CLASS.into(), handle_classless: true }
}

fn service(class: Option<&str>) -> Service {
    let spec = ServiceSpec {
        type_: Some("LoadBalancer".into()),
        load_balancer_class: class.map(Into::into),
        ip_families: Some(vec!["IPv4".into()]),
        ip_family_policy: Some("SingleStack".into()),
        ..ServiceSpec::default()
    };
    let mut service = Service { spec: Some(spec), ..Service::default() };
    service.metadata.generation = Some(3);
    service
}

fn with_ingress(mut service: Service, ip: &str) -> Service {
    let entry = LoadBalancerIngress { ip: Some(ip.into()), ..LoadBalancerIngress::default() };
    let balancer = LoadBalancerStatus { ingress: Some(vec![entry]) };
    service.status = Some(ServiceStatus { load_balancer: Some(balancer), ..ServiceStatus::default() });
    service
}

fn now() -> Time {
    Time(Timestamp::UNIX_EPOCH)
}

fn assigned() -> Verdict {
    Verdict::Assigned { assigned: "192.0.2.10 from pool range-global".parse().unwrap(), notes: Vec::new() }
}

/// `service` with `status` stored.
fn stored(mut service: Service, status: Value) -> Service {
    service.status = Some(serde_json::from_value(status).unwrap());
    service
}

#[test]
fn a_service_of_another_class_is_not_ours() {
    assert!(policy().serves(&service(Some(names::LOAD_BALANCER_CLASS))));
    assert!(!policy().serves(&service(Some("cloud.example/lb"))));
}

#[test]
fn a_classless_service_is_ours_unless_another_gave_it_an_address() {
    assert!(policy().serves(&service(None)));
    assert!(!policy().serves(&with_ingress(service(None), "198.51.100.1")));
    let ours = stored(service(None), status(&service(None), &assigned(), &now()).unwrap());
    assert!(policy().serves(&ours));
    let off = ServicePolicy { handle_classless: false, ..policy() };
    assert!(!off.serves(&service(None)));
}

#[test]
fn a_service_of_another_type_is_not_ours() {
    let mut other = service(None);
    other.spec.as_mut().unwrap().type_ = Some("ClusterIP".into());
    assert!(!policy().serves(&other));
}

#[test]
fn families_follow_the_policy() {
    let demand_of = |families: &[&str], policy: &str| {
        let mut service = service(None);
        let spec = service.spec.as_mut().unwrap();
        spec.ip_families = Some(families.iter().map(|family| (*family).to_owned()).collect());
        spec.ip_family_policy = Some(policy.into());
        demand(&service, true, None).unwrap().families
    };
    assert_eq!(demand_of(&["IPv6"], "SingleStack"), Families::Single(Some(Family::V6)));
    assert_eq!(demand_of(&["IPv6", "IPv4"], "PreferDualStack"), Families::Prefer(Family::V6));
    assert_eq!(demand_of(&["IPv4"], "PreferDualStack"), Families::Single(Some(Family::V4)));
    assert_eq!(demand_of(&["IPv4", "IPv6"], "RequireDualStack"), Families::Require(Family::V4));
}

#[test]
fn a_requested_address_that_is_none_is_named() {
    let mut service = service(None);
    service.spec.as_mut().unwrap().load_balancer_ip = Some("here".into());
    let text = demand(&service, true, None).unwrap_err().to_string();
    assert!(text.contains("spec.loadBalancerIP") && text.contains("'here'"), "{text}");
}

#[test]
fn annotations_of_others_are_followed_unless_that_is_switched_off() {
    let mut service = service(None);
    let wish = ("metallb.io/address-pool".to_owned(), "edge".to_owned());
    service.metadata.annotations = Some([wish].into());
    assert_eq!(demand(&service, true, None).unwrap().pool.as_deref(), Some("edge"));
    assert_eq!(demand(&service, false, None).unwrap().pool, None);
}

#[test]
fn who_shares_says_its_ports_and_under_policy_local_its_pods() {
    let mut service = service(None);
    service.metadata.namespace = Some("apps".into());
    service.metadata.name = Some("dns".into());
    service.metadata.annotations = Some([("keryx.dev/sharing-key".to_owned(), "edge".to_owned())].into());
    let spec = service.spec.as_mut().unwrap();
    let port = |protocol: Option<&str>| ServicePort {
        port: 53,
        protocol: protocol.map(Into::into),
        ..ServicePort::default()
    };
    spec.ports = Some(vec![port(None), port(Some("UDP"))]);
    let sharing = demand(&service, true, None).unwrap().sharing.unwrap();
    assert_eq!(sharing.key, "edge");
    assert_eq!(sharing.ports, [(Protocol::Tcp, 53), (Protocol::Udp, 53)].into());
    assert_eq!(sharing.backend, Backend::Any);

    let local = |service: &mut Service, selector: &[(&str, &str)]| {
        let spec = service.spec.as_mut().unwrap();
        spec.external_traffic_policy = Some("Local".into());
        spec.selector = Some(selector.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        demand(service, true, None).unwrap().sharing.unwrap().backend
    };
    assert_eq!(local(&mut service, &[("app", "dns")]), Backend::Local("apps: app=dns".into()));
    assert_eq!(local(&mut service, &[]), Backend::Local("apps/dns".into()), "endpoints of its own");
}

#[test]
fn without_a_key_of_its_own_a_service_shares_as_the_configmap_allows() {
    let mut service = service(None);
    let key = |service: &Service, scope: Option<&Scope>| {
        let sharing = demand(service, true, scope).unwrap().sharing;
        sharing.map(|sharing| (sharing.key, sharing.across_namespaces))
    };
    assert_eq!(key(&service, None), None);
    assert_eq!(key(&service, Some(&Scope::Global)), Some(("allow-share-global".into(), true)));
    let namespace = Scope::Namespace("apps".into());
    assert_eq!(key(&service, Some(&namespace)), Some(("allow-share-apps".into(), false)));
    service.metadata.annotations = Some([("keryx.dev/sharing-key".to_owned(), "own".to_owned())].into());
    assert_eq!(key(&service, Some(&Scope::Global)), Some(("own".into(), false)));
}

#[test]
fn what_else_is_to_be_known_stands_beside_the_mark_and_goes_when_it_is_over() {
    let note = Wanted::yes(names::CONDITION_REQUEST_UNMET, "PoolExhausted", "no second address");
    let Verdict::Assigned { assigned: mark, .. } = assigned() else { panic!("no mark") };
    let noted = Verdict::Assigned { assigned: mark, notes: vec![note] };
    let with_note = stored(service(None), status(&service(None), &noted, &now()).unwrap());
    assert!(status(&with_note, &noted, &now()).is_none());
    assert!(Assigned::read(&with_note).is_some());
    let after = status(&with_note, &assigned(), &now()).unwrap();
    assert_eq!(after["conditions"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_status_says_address_mode_and_mark_and_is_written_once() {
    let written = status(&service(None), &assigned(), &now()).unwrap();
    assert_eq!(written["loadBalancer"]["ingress"][0]["ip"], "192.0.2.10");
    assert_eq!(written["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    let after = stored(service(None), written);
    assert_eq!(Assigned::read(&after).unwrap().to_string(), "192.0.2.10 from pool range-global");
    assert!(status(&after, &assigned(), &now()).is_none());
}

#[test]
fn a_refusal_says_why_and_takes_no_foreign_condition_away() {
    let mut before = service(None);
    let foreign = conditions::merge(&[], &[Wanted::yes("example.com/Seen", "Seen", "seen")], &[], 1, &now());
    before.status = Some(ServiceStatus { conditions: Some(foreign.clone()), ..ServiceStatus::default() });
    let refused = Verdict::Refused { reason: "PoolExhausted", message: "no free address".into() };
    let after = stored(before.clone(), status(&before, &refused, &now()).unwrap());
    let conditions = after.status.as_ref().unwrap().conditions.as_ref().unwrap();
    assert_eq!(conditions[0], foreign[0]);
    assert_eq!((conditions[1].status.as_str(), conditions[1].reason.as_str()), ("False", "PoolExhausted"));
    assert!(Assigned::read(&after).is_none());
}

#[test]
fn a_service_that_left_us_is_cleared_once_and_a_foreign_one_never_touched() {
    let foreign = with_ingress(service(Some("cloud.example/lb")), "198.51.100.1");
    assert!(status(&foreign, &Verdict::NotOurs, &now()).is_none());
    let ours = stored(service(None), status(&service(None), &assigned(), &now()).unwrap());
    let cleared = stored(ours.clone(), status(&ours, &Verdict::NotOurs, &now()).unwrap());
    assert!(condition(&cleared).is_none());
    assert!(status(&cleared, &Verdict::NotOurs, &now()).is_none());
}

#[test]
fn a_service_without_a_generation_is_written_once() {
    let mut service = service(None);
    service.metadata.generation = None;
    let written = status(&service, &assigned(), &now()).unwrap();
    assert!(!written.to_string().contains("observedGeneration"), "the API server would drop it: {written}");
    assert_eq!(status(&stored(service, written), &assigned(), &now()), None);
}

#[test]
fn what_somebody_else_put_into_the_ingress_stays_when_a_service_is_left() {
    let theirs = LoadBalancerIngress { ip: Some("198.51.100.7".into()), ..LoadBalancerIngress::default() };
    let mut service = service(None);
    let written = status(&service, &assigned(), &now()).unwrap();
    service = stored(service, written);
    let ingress = &mut service.status.as_mut().unwrap().load_balancer.as_mut().unwrap().ingress;
    ingress.as_mut().unwrap().push(theirs.clone());
    let left = status(&service, &Verdict::NotOurs, &now()).unwrap();
    assert_eq!(left["loadBalancer"]["ingress"], json!([theirs]));
    assert_eq!(left["conditions"], json!([]));
}
