//! What each route is told about its parents.

use crate::attach::Parent;
use crate::backends::Traffic;
use crate::conditions::Wanted;
use crate::listeners::Listener;
use crate::reason::{ACCEPTED, NotServed, OLDER_ROUTE, ROUTE_PROGRAMMED, SERVICE_REFUSED, UNSUPPORTED_VALUE};
use crate::serve::{JudgedRoute, ServedPort};
use crate::{ParentOutcome, RouteOutcome};

use keryx_api::names::CONDITION_CONFLICTED;

/// The outcome of every route, in the order given.
pub(crate) fn outcomes(
    listeners: &[Listener<'_>],
    routes: &[JudgedRoute<'_>],
    winners: &[Option<usize>],
    served: &[ServedPort<'_>],
) -> Vec<RouteOutcome> {
    let table = Table { listeners, routes, winners, served };
    let each = routes.iter().enumerate();
    each.map(|(at, route)| RouteOutcome {
        kind: route.kind,
        key: route.key(),
        parents: route
            .parents
            .iter()
            .map(|parent| ParentOutcome {
                parent_ref: parent.parent_ref.clone(),
                conditions: table.conditions(at, parent),
            })
            .collect(),
    })
    .collect()
}

struct Table<'a, 'b> {
    listeners: &'a [Listener<'b>],
    routes: &'a [JudgedRoute<'b>],
    winners: &'a [Option<usize>],
    served: &'a [ServedPort<'b>],
}

impl Table<'_, '_> {
    fn conditions(&self, route: usize, parent: &Parent) -> Vec<Wanted> {
        let backends = &self.routes[route].backends;
        let not_served = match &backends.traffic {
            Traffic::NotServed(cause) => Some(cause),
            Traffic::Forward(_) | Traffic::Refuse => None,
        };
        let mut conditions = vec![accepted(parent, not_served), backends.resolved_refs()];
        if let (Ok(attached), None) = (&parent.attached, not_served) {
            conditions.extend(self.conflicted(route, attached));
            conditions.extend(self.refused(route, attached));
        }
        conditions
    }

    /// Names the older route for each port that this route lost.
    fn conflicted(&self, route: usize, attached: &[usize]) -> Option<Wanted> {
        let lost = attached.iter().filter_map(|at| {
            let winner = &self.routes[self.winners[*at].filter(|winner| *winner != route)?];
            let listener = self.listeners[*at].spec;
            Some(format!(
                "Port {}/{} of listener {} belongs to the older {} {}",
                listener.port,
                listener.protocol,
                listener.name,
                winner.kind.as_str(),
                winner.key()
            ))
        });
        let lost: Vec<String> = lost.collect();
        (!lost.is_empty()).then(|| {
            let message = format!("{}; attach this route to another listener", lost.join(". "));
            Wanted::yes(CONDITION_CONFLICTED, OLDER_ROUTE, message)
        })
    }

    /// Says which Service was refused that should serve a port that this route won.
    fn refused(&self, route: usize, attached: &[usize]) -> Option<Wanted> {
        let won = |port: &&ServedPort<'_>| {
            attached.contains(&port.listener) && self.winners[port.listener] == Some(route)
        };
        let refusal = self.served.iter().filter(won).find_map(|port| port.refusal.as_ref())?;
        Some(Wanted::no(ROUTE_PROGRAMMED, SERVICE_REFUSED, refusal.to_string()))
    }
}

fn accepted(parent: &Parent, not_served: Option<&NotServed>) -> Wanted {
    match (&parent.attached, not_served) {
        (Err(problem), _) => Wanted::no(ACCEPTED, problem.reason(), problem.to_string()),
        (Ok(_), Some(cause)) => Wanted::no(ACCEPTED, UNSUPPORTED_VALUE, cause.to_string()),
        (Ok(_), None) => Wanted::yes(ACCEPTED, ACCEPTED, "The route is valid and attached"),
    }
}
