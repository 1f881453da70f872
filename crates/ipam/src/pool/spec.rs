//! Pools from `IPAddressPool` objects.

use std::sync::Arc;

use super::{Order, Pool, PoolSource, Ranges};
use crate::access::{Access, Allocation, Expression, Operator, Selector};
use crate::configmap::{KeyError, is_namespace, item};
use crate::family::Family;

/// The fields of an `IPAddressPool`, as its author wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSpec {
    /// `metadata.name`.
    pub name: String,
    /// Prefixes, ranges and single addresses, one in each entry.
    pub addresses: Vec<String>,
    /// What of them is never given, in the same form.
    pub reserved: Vec<String>,
    /// Give addresses to owners that ask for none in particular.
    pub auto_assign: bool,
    /// Leave out IPv4 addresses that end in .0 or .255.
    pub avoid_buggy_ips: bool,
    /// Which free address is given next.
    pub order: Order,
    /// How long a released address rests.
    pub reuse_after_secs: Option<u64>,
    /// Which Services it serves.
    pub services: Option<Allocation>,
    /// Which Gateways it serves.
    pub gateways: Option<Allocation>,
}

/// Why a pool gives nothing. Displayed as the end of "nothing can be given, because ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolProblem {
    /// The value of a ConfigMap key is wrong.
    #[error("its value is wrong: {0}")]
    Value(KeyError),
    /// A field of an `IPAddressPool` is wrong.
    #[error("{field} is wrong: {error}")]
    Field {
        /// Path of the field, such as `spec.addresses[2]`.
        field: String,
        /// What is wrong with it.
        error: FieldError,
    },
    /// A ConfigMap key has the name of this `IPAddressPool`, and keys come first.
    #[error("the address ConfigMap has a key {name}, which comes first; give the IPAddressPool another name")]
    NameTaken {
        /// The name of both.
        name: Arc<str>,
    },
}

/// What is wrong with a field of an `IPAddressPool`, and how to write it right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// An address, range or prefix.
    #[error(transparent)]
    Addresses(KeyError),
    /// One entry with several items.
    #[error("'{entry}' holds several items; write each as an entry of its own")]
    SeveralItems {
        /// The entry.
        entry: String,
    },
    /// The rules about ends and `spec.reserved` leave nothing.
    #[error(
        "none of these addresses can be given, because spec.reserved and the rule about .0 and .255 leave nothing; add \
         others"
    )]
    NothingLeft,
    /// Not the name of a namespace.
    #[error("'{text}' is no namespace name; write lower case letters, digits and '-', at most 63")]
    NotANamespace {
        /// The entry.
        text: String,
    },
    /// An expression without a label.
    #[error("key is empty; write the key of a label")]
    NoLabel,
    /// `In` or `NotIn` without values.
    #[error("values is empty; write at least one, or take the operator Exists or DoesNotExist")]
    NoValues,
    /// `Exists` or `DoesNotExist` with values.
    #[error("values is not empty; leave it out, or take the operator In or NotIn")]
    ValuesUnwanted,
    /// A word of a closed set, or of a form of its own, that is none. Set by those who make a [`PoolSpec`].
    #[error("'{text}' cannot be read; write {expected}")]
    Unreadable {
        /// What is written.
        text: String,
        /// What may stand there.
        expected: &'static str,
    },
}

impl Pool {
    /// Makes the pool that `spec` describes. Never fails: an entry that is wrong becomes [`Pool::problem`], the first of
    /// them in the order of the fields, and the pool then has no addresses.
    pub fn from_spec(spec: PoolSpec) -> Self {
        let parsed = addresses("spec.addresses", &spec.addresses)
            .and_then(|ranges| Ok((ranges, addresses("spec.reserved", &spec.reserved)?)))
            .and_then(|parsed| {
                allocation("spec.serviceAllocation", "serviceSelectors", spec.services.as_ref())?;
                allocation("spec.gatewayAllocation", "gatewaySelectors", spec.gateways.as_ref())?;
                Ok(parsed)
            });
        let (parsed, problem) = match parsed {
            Ok(parsed) => (parsed, None),
            Err(problem) => (Default::default(), Some(problem)),
        };
        let (ranges, reserved) = parsed;
        let mut pool = Self {
            name: spec.name.into(),
            source: PoolSource::Object(Access { services: spec.services, gateways: spec.gateways }),
            ranges,
            reserved,
            order: spec.order,
            avoid_buggy_ips: spec.avoid_buggy_ips,
            auto_assign: spec.auto_assign,
            reuse_after_secs: spec.reuse_after_secs,
            problem,
        };
        if pool.problem.is_none() && Family::ALL.into_iter().all(|family| pool.capacity(family) == 0) {
            let empty = spec.addresses.is_empty();
            let error = if empty { FieldError::Addresses(KeyError::Empty) } else { FieldError::NothingLeft };
            pool.problem = Some(PoolProblem::Field { field: "spec.addresses".to_owned(), error });
        }
        pool
    }
}

fn addresses(field: &str, entries: &[String]) -> Result<Ranges, PoolProblem> {
    let mut ranges = Ranges::default();
    for (index, entry) in entries.iter().enumerate() {
        let error = match item::entry(entry) {
            Ok((family, span)) => {
                ranges.insert(family, span);
                continue;
            }
            Err(KeyError::MissingComma { item }) => FieldError::SeveralItems { entry: item },
            Err(_) if entry.contains(',') => FieldError::SeveralItems { entry: item::excerpt(entry) },
            Err(error) => FieldError::Addresses(error),
        };
        return Err(PoolProblem::Field { field: format!("{field}[{index}]"), error });
    }
    Ok(ranges)
}

fn allocation(field: &str, owners: &str, allocation: Option<&Allocation>) -> Result<(), PoolProblem> {
    let Some(allocation) = allocation else { return Ok(()) };
    if let Some(index) = allocation.namespaces.iter().position(|name| !is_namespace(name)) {
        let error = FieldError::NotANamespace { text: item::excerpt(&allocation.namespaces[index]) };
        return Err(PoolProblem::Field { field: format!("{field}.namespaces[{index}]"), error });
    }
    selectors(&format!("{field}.namespaceSelectors"), &allocation.namespace_selectors)?;
    selectors(&format!("{field}.{owners}"), &allocation.owner_selectors)
}

fn selectors(field: &str, selectors: &[Selector]) -> Result<(), PoolProblem> {
    for (index, selector) in selectors.iter().enumerate() {
        for (place, expression) in selector.match_expressions.iter().enumerate() {
            if let Some(error) = wrong(expression) {
                let field = format!("{field}[{index}].matchExpressions[{place}]");
                return Err(PoolProblem::Field { field, error });
            }
        }
    }
    Ok(())
}

/// What the API server would say about such an expression.
fn wrong(expression: &Expression) -> Option<FieldError> {
    if expression.key.is_empty() {
        return Some(FieldError::NoLabel);
    }
    match (expression.operator, expression.values.is_empty()) {
        (Operator::In | Operator::NotIn, true) => Some(FieldError::NoValues),
        (Operator::Exists | Operator::DoesNotExist, false) => Some(FieldError::ValuesUnwanted),
        (Operator::In | Operator::NotIn, false) | (Operator::Exists | Operator::DoesNotExist, true) => None,
    }
}
