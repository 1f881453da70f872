//! Between plan and announcement: a VIP is announced only once the guard stands for it. Untranslated packets that come
//! in before would leave connection tracking entries that never heal.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use keryx_daemon::endpoints::Ready;
use keryx_plan::{Decision, VipPlan};
use tokio::sync::watch;

use crate::orders::Orders;

/// The VIPs that the guard stands for; `None` as long as it never stood.
pub type Guarded = Option<Arc<BTreeSet<IpAddr>>>;

/// Passes orders on to `announce`, without the VIPs that are not guarded yet, until a sender is gone. Withdrawals wait
/// for nothing. Sets `ready` when the guard stands for the first time: a node that cannot guard must not be chosen.
pub async fn run(
    mut orders: watch::Receiver<Orders>,
    mut guarded: watch::Receiver<Guarded>,
    announce: watch::Sender<Orders>,
    ready: Ready,
) {
    loop {
        let wanted = orders.borrow_and_update().clone();
        if let Some(guarded) = guarded.borrow_and_update().as_deref() {
            ready.set();
            announce.send_replace(without_unguarded(wanted, guarded));
        }
        let changed = tokio::select! {
            changed = orders.changed() => changed,
            changed = guarded.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// `orders` less the VIPs that would be announced and are not guarded, and less the prefixes within which no VIP is guarded.
fn without_unguarded(mut orders: Orders, guarded: &BTreeSet<IpAddr>) -> Orders {
    let is_early =
        |vip: &IpAddr, plan: &VipPlan| plan.while_holding == Decision::Announce && !guarded.contains(vip);
    if orders.plan.vips.iter().any(|(vip, plan)| is_early(vip, plan)) {
        Arc::make_mut(&mut orders.plan).vips.retain(|vip, plan| !is_early(vip, plan));
    }
    let is_guarded = |prefix: &IpNet| guarded.range(prefix.network()..=prefix.broadcast()).next().is_some();
    if !orders.plan.bgp.routes.keys().all(is_guarded) {
        Arc::make_mut(&mut orders.plan).bgp.routes.retain(|prefix, _| is_guarded(prefix));
    }
    orders
}

#[cfg(test)]
mod tests {
    use keryx_api::ledger::OwnerKind;
    use keryx_plan::bgp::RoutePlan;
    use keryx_plan::{GroupKey, ObjectName, Owner, OwnerKey, Plan};

    use super::*;

    fn announcing(vips: &[&str]) -> Orders {
        let name = ObjectName::new("shop", "web");
        let vip_plan = VipPlan {
            owners: [Owner { kind: OwnerKind::Service, name: name.clone() }].into(),
            group: GroupKey(OwnerKey::Service(name)),
            decision: Decision::Announce,
            while_holding: Decision::Announce,
            announcer: None,
            interfaces: None,
            conflict_detection: Default::default(),
            bgp: Default::default(),
        };
        let vips = vips.iter().map(|vip| (vip.parse().unwrap(), Arc::new(vip_plan.clone()))).collect();
        Orders { plan: Arc::new(Plan { vips, ..Plan::default() }), ..Orders::default() }
    }

    fn guarding(vips: &[&str]) -> Guarded {
        Some(Arc::new(vips.iter().map(|vip| vip.parse().unwrap()).collect()))
    }

    fn announced(orders: &watch::Receiver<Orders>) -> Vec<String> {
        orders.borrow().plan.vips.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_prefix_is_advertised_once_an_address_within_is_guarded() {
        let route = Arc::new(RoutePlan { to: Arc::default(), leaving: false });
        let prefixes = ["192.0.2.0/28", "192.0.2.16/28", "192.0.2.32/32", "2001:db8::/64"];
        let mut plan = Plan::default();
        plan.bgp.routes =
            prefixes.iter().map(|prefix| (prefix.parse().unwrap(), Arc::clone(&route))).collect();
        let orders = Orders { plan: Arc::new(plan), ..Orders::default() };
        let guarded = ["192.0.2.15", "192.0.2.32", "2001:db8:0:1::"].map(|vip| vip.parse().unwrap());
        let passed = without_unguarded(orders, &guarded.into());
        let passed: Vec<String> = passed.plan.bgp.routes.keys().map(ToString::to_string).collect();
        assert_eq!(passed, ["192.0.2.0/28", "192.0.2.32/32"]);
    }

    #[tokio::test]
    async fn a_vip_is_announced_once_its_guard_stands_and_withdrawn_without_waiting() {
        let (orders, orders_seen) = watch::channel(announcing(&["192.0.2.1", "192.0.2.2"]));
        let (guarded, guarded_seen) = watch::channel(None);
        let (announce, mut announce_seen) = watch::channel(Orders::default());
        tokio::spawn(run(orders_seen, guarded_seen, announce, Ready::default()));
        tokio::task::yield_now().await;
        assert!(!announce_seen.has_changed().unwrap(), "announced before any guard stood");
        guarded.send_replace(guarding(&["192.0.2.1"]));
        announce_seen.changed().await.unwrap();
        assert_eq!(announced(&announce_seen), ["192.0.2.1"]);
        guarded.send_replace(guarding(&["192.0.2.1", "192.0.2.2"]));
        announce_seen.changed().await.unwrap();
        assert_eq!(announced(&announce_seen), ["192.0.2.1", "192.0.2.2"]);
        orders.send_replace(announcing(&["192.0.2.2"]));
        announce_seen.changed().await.unwrap();
        assert_eq!(announced(&announce_seen), ["192.0.2.2"]);
    }
}
