//! `IPAddressPool` objects as pools of `ipam`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use keryx_api::ip_address_pool::{
    GatewayAllocation, IPAddressPool, IPAddressPoolSpec, PoolOrder, ServiceAllocation,
};
use keryx_ipam::{
    Allocation, Expression, FieldError, Operator, Order, Pool, PoolProblem, PoolSpec, Selector,
};

#[cfg(test)]
mod tests;

/// The pool that `object` describes. Never fails: what is wrong with it becomes [`Pool::problem`], and such a pool has no
/// addresses.
pub fn pool(object: &IPAddressPool) -> Pool {
    let mut wrong = None;
    let spec = spec(object, &mut wrong);
    let Some(problem) = wrong else { return Pool::from_spec(spec) };
    let mut pool = Pool::from_spec(PoolSpec { addresses: Vec::new(), reserved: Vec::new(), ..spec });
    pool.problem = Some(problem);
    pool
}

/// The fields of `object`; `wrong` gets the first of those that have no meaning.
fn spec(object: &IPAddressPool, wrong: &mut Option<PoolProblem>) -> PoolSpec {
    let spec: &IPAddressPoolSpec = &object.spec;
    let mut refuse = |field: String, error: FieldError| {
        wrong.get_or_insert(PoolProblem::Field { field, error });
    };
    let reuse_after_secs = spec.reuse_after.as_deref().and_then(|text| {
        let seconds = duration_secs(text);
        if seconds.is_none() {
            refuse("spec.reuseAfter".to_owned(), unreadable(text, DURATION));
        }
        seconds
    });
    let services = spec.service_allocation.as_ref().map(|allocation| {
        let ServiceAllocation { priority, namespaces, namespace_selectors, service_selectors } = allocation;
        let field = "spec.serviceAllocation";
        Allocation {
            priority: u32::try_from(*priority).unwrap_or(0),
            namespaces: namespaces.clone(),
            namespace_selectors: selectors(
                namespace_selectors,
                &format!("{field}.namespaceSelectors"),
                &mut refuse,
            ),
            owner_selectors: selectors(service_selectors, &format!("{field}.serviceSelectors"), &mut refuse),
        }
    });
    let gateways = spec.gateway_allocation.as_ref().map(|allocation| {
        let GatewayAllocation { priority, namespaces, namespace_selectors, gateway_selectors } = allocation;
        let field = "spec.gatewayAllocation";
        Allocation {
            priority: u32::try_from(*priority).unwrap_or(0),
            namespaces: namespaces.clone(),
            namespace_selectors: selectors(
                namespace_selectors,
                &format!("{field}.namespaceSelectors"),
                &mut refuse,
            ),
            owner_selectors: selectors(gateway_selectors, &format!("{field}.gatewaySelectors"), &mut refuse),
        }
    });
    PoolSpec {
        name: object.metadata.name.clone().unwrap_or_default(),
        addresses: spec.addresses.clone(),
        reserved: spec.reserved.clone(),
        auto_assign: spec.auto_assign,
        avoid_buggy_ips: spec.avoid_buggy_ips,
        order: match spec.order {
            PoolOrder::Lowest => Order::Lowest,
            PoolOrder::Highest => Order::Highest,
        },
        reuse_after_secs,
        services,
        gateways,
    }
}

fn selectors(
    selectors: &[LabelSelector],
    field: &str,
    refuse: &mut impl FnMut(String, FieldError),
) -> Vec<Selector> {
    let each = selectors.iter().enumerate();
    each.map(|(index, selector)| Selector {
        match_labels: selector.match_labels.clone().unwrap_or_default(),
        match_expressions: selector
            .match_expressions
            .iter()
            .flatten()
            .enumerate()
            .map(|(place, requirement)| {
                let field = format!("{field}[{index}].matchExpressions[{place}].operator");
                expression(requirement, field, refuse)
            })
            .collect(),
    })
    .collect()
}

fn expression(
    requirement: &LabelSelectorRequirement,
    field: String,
    refuse: &mut impl FnMut(String, FieldError),
) -> Expression {
    let LabelSelectorRequirement { key, operator, values } = requirement;
    let values = values.clone().unwrap_or_default();
    let operator = match operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => {
            refuse(field, unreadable(other, "In, NotIn, Exists or DoesNotExist"));
            // Without values it matches nothing: what is not understood closes the pool.
            return Expression { key: key.clone(), operator: Operator::In, values: Vec::new() };
        }
    };
    Expression { key: key.clone(), operator, values }
}

const DURATION: &str = "hours, minutes, seconds or milliseconds in whole numbers, such as 10m, 24h or 1h30m";

fn unreadable(text: &str, expected: &'static str) -> FieldError {
    FieldError::Unreadable { text: text.to_owned(), expected }
}

/// The seconds of a duration of Gateway API (GEP-2257): one to four terms of one to five digits and `h`, `m`, `s` or `ms`.
/// A broken second counts whole. `None` for any other text.
pub fn duration_secs(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut millis = 0;
    let mut terms = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=5).contains(&digits) || terms == 4 {
            return None;
        }
        let (number, unit) = rest.split_at(digits);
        // ms before m, which is its beginning.
        let (millis_of_unit, len) = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find_map(|(name, millis)| unit.starts_with(name).then_some((millis, name.len())))?;
        millis += number.parse::<u64>().ok()? * millis_of_unit;
        rest = &unit[len..];
        terms += 1;
    }
    (terms > 0).then(|| millis.div_ceil(1000))
}
