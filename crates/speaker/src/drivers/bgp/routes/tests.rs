use keryx_plan::bgp::RouteAttributes;

use super::*;

fn attributes(med: u32) -> Arc<RouteAttributes> {
    Arc::new(RouteAttributes { med: Some(med), ..RouteAttributes::default() })
}

fn route(to: &[(&str, u32)], leaving: bool) -> Arc<RoutePlan> {
    let to = to.iter().map(|(peer, med)| (Arc::from(*peer), attributes(*med))).collect();
    Arc::new(RoutePlan { to: Arc::new(to), leaving })
}

fn plan(routes: &[(&str, Arc<RoutePlan>)]) -> BgpPlan {
    let routes = routes.iter().map(|(prefix, route)| (prefix.parse().unwrap(), Arc::clone(route)));
    BgpPlan { routes: routes.collect(), ..BgpPlan::default() }
}

fn told(changes: Vec<RouteChange>) -> Vec<(String, Option<u32>)> {
    let med = |attributes: Arc<Attributes>| attributes.med.unwrap();
    changes.into_iter().map(|(prefix, attributes)| (prefix.to_string(), attributes.map(med))).collect()
}

fn change(prefix: &str, med: Option<u32>) -> (String, Option<u32>) {
    (prefix.to_owned(), med)
}

fn routes() -> Routes {
    Routes::new("tor".into())
}

#[test]
fn a_peer_is_told_what_is_for_it_and_then_only_the_difference() {
    let (mut routes, now) = (routes(), clock());
    let kept = route(&[("tor", 1)], false);
    let first = plan(&[
        ("192.0.2.1/32", Arc::clone(&kept)),
        ("192.0.2.2/32", route(&[("other", 1)], false)),
        ("192.0.2.3/32", route(&[("tor", 1)], false)),
        ("192.0.2.4/32", route(&[("tor", 1)], false)),
    ]);
    let all = ["192.0.2.1/32", "192.0.2.3/32", "192.0.2.4/32"].map(|prefix| change(prefix, Some(1)));
    assert_eq!(told(routes.follow(&first, now)), all);
    assert_eq!(told(routes.follow(&first, now)), []);
    let second = plan(&[
        ("192.0.2.1/32", kept),
        ("192.0.2.2/32", route(&[("tor", 1)], false)),
        ("192.0.2.3/32", route(&[("tor", 7)], false)),
    ]);
    let difference =
        [change("192.0.2.2/32", Some(1)), change("192.0.2.3/32", Some(7)), change("192.0.2.4/32", None)];
    assert_eq!(told(routes.follow(&second, now)), difference);
    assert_eq!(routes.len(), 3);
}

#[test]
fn a_route_that_leaves_is_marked_first_and_withdrawn_later() {
    let (mut routes, now) = (routes(), clock());
    routes.follow(&plan(&[("192.0.2.1/32", route(&[("tor", 1)], false))]), now);
    let leaving = plan(&[("192.0.2.1/32", route(&[("tor", 1)], true))]);
    let changes = routes.follow(&leaving, now);
    let attributes = changes[0].1.as_ref().unwrap();
    assert!(attributes.communities.contains(&0xffff_0000), "RFC 8326 §4: 65535:0");
    assert_eq!(attributes.local_pref, Some(0));
    let due = routes.poll_timeout().unwrap();
    assert_eq!(due, now + LEAVE_AFTER);
    assert_eq!(told(routes.handle_timeout(due - Duration::from_millis(1))), []);
    assert_eq!(told(routes.handle_timeout(due)), [change("192.0.2.1/32", None)]);
    assert_eq!(routes.poll_timeout(), None);
    assert_eq!(told(routes.follow(&leaving, due)), [], "it stays withdrawn");
}

#[test]
fn a_drain_that_is_called_off_brings_every_route_back() {
    let (mut routes, now) = (routes(), clock());
    let staying = plan(&[("192.0.2.1/32", route(&[("tor", 1)], false))]);
    routes.follow(&staying, now);
    routes.follow(&plan(&[("192.0.2.1/32", route(&[("tor", 1)], true))]), now);
    let changes = routes.follow(&staying, now);
    assert!(changes[0].1.as_ref().unwrap().communities.is_empty());
    assert_eq!(routes.poll_timeout(), None);
    // The next drain has its full time again.
    let later = now + LEAVE_AFTER * 3;
    routes.follow(&plan(&[("192.0.2.1/32", route(&[("tor", 1)], true))]), later);
    assert_eq!(routes.poll_timeout(), Some(later + LEAVE_AFTER));
}

#[test]
fn what_leaves_already_is_not_announced_for_that() {
    let (mut routes, now) = (routes(), clock());
    let leaving = plan(&[("192.0.2.1/32", route(&[("tor", 1)], true))]);
    assert_eq!(told(routes.follow(&leaving, now)), []);
    assert_eq!(routes.poll_timeout(), None);
}

#[test]
fn equal_attributes_are_one_object_and_are_forgotten_with_their_last_route() {
    let (mut routes, now) = (routes(), clock());
    let two =
        plan(&[("192.0.2.1/32", route(&[("tor", 1)], false)), ("192.0.2.2/32", route(&[("tor", 1)], false))]);
    let changes = routes.follow(&two, now);
    let [first, second] = [0, 1].map(|index: usize| changes[index].1.as_ref().unwrap());
    assert!(Arc::ptr_eq(first, second));
    drop(changes);
    routes.follow(&plan(&[]), now);
    assert!(routes.known.is_empty());
}

fn clock() -> Instant {
    crate::clock::now()
}
