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
    Verdict::Assigned { assigned: "192.0.2.10 from pool range-global".parse().unwrap(), unmet: None }
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
        demand(&service).unwrap().families
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
    let text = demand(&service).unwrap_err().to_string();
    assert_eq!(
        text,
        "spec.loadBalancerIP \"here\" is no IP address; give an IPv4 or IPv6 address, or none to get any"
    );
}

#[test]
fn the_status_says_address_mode_and_mark_and_is_written_once() {
    let written = status(&service(None), &assigned(), &now()).unwrap();
    assert_eq!(written["loadBalancer"]["ingress"][0]["ip"], "192.0.2.10");
    assert_eq!(written["loadBalancer"]["ingress"][0]["ipMode"], "VIP");
    let after = stored(service(None), written);
    assert_eq!(mark(&after).unwrap().to_string(), "192.0.2.10 from pool range-global");
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
    assert!(mark(&after).is_none());
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
