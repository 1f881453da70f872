//! Which owners an `IPAddressPool` serves.

use std::collections::BTreeMap;

use crate::owner::OwnerKind;

/// How an expression of a [`Selector`] looks at a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The label is there with one of the values.
    In,
    /// The label is not there, or with none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

/// One requirement of a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// The label's key.
    pub key: String,
    /// How to look at it.
    pub operator: Operator,
    /// Values, for [`Operator::In`] and [`Operator::NotIn`] at least one, for the others none.
    pub values: Vec<String>,
}

impl Expression {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// A label selector, with the meaning of Kubernetes' `LabelSelector`: all requirements hold, and an empty one matches
/// everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels that must be there with these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    pub match_expressions: Vec<Expression>,
}

impl Selector {
    /// Whether an object with `labels` is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|expression| expression.matches(labels))
    }
}

/// Which owners of one kind a pool serves, and how early it is looked at.
///
/// An owner is served if its namespace is named or selected, and it is selected itself. A part that is left empty lets
/// every owner pass; selectors that match nothing close the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Lower comes first; 0 comes last.
    pub priority: u32,
    /// Names of namespaces.
    pub namespaces: Vec<String>,
    /// Selectors for labels of namespaces; one that matches is enough, as is a name.
    pub namespace_selectors: Vec<Selector>,
    /// Selectors for labels of the owner; one that matches is enough.
    pub owner_selectors: Vec<Selector>,
}

impl Allocation {
    fn selects_namespace(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        let everywhere = self.namespaces.is_empty() && self.namespace_selectors.is_empty();
        everywhere
            || self.namespaces.iter().any(|name| name == namespace)
            || self.namespace_selectors.iter().any(|selector| selector.matches(labels))
    }

    fn selects_owner(&self, labels: &BTreeMap<String, String>) -> bool {
        self.owner_selectors.is_empty()
            || self.owner_selectors.iter().any(|selector| selector.matches(labels))
    }

    /// Priority as it sorts: 0 after all others.
    pub(crate) fn rank(&self) -> u64 {
        if self.priority == 0 { u64::from(u32::MAX) + 1 } else { u64::from(self.priority) }
    }
}

/// Whom an `IPAddressPool` serves, by kind of owner.
///
/// The allocation for a kind pins the pool to the owners that it selects and closes it to others of that kind. Where only the
/// other kind has one, its namespaces hold here too, and if it selects owners the pool is closed here. Without any, the
/// pool is open to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// For Services.
    pub services: Option<Allocation>,
    /// For Gateways.
    pub gateways: Option<Allocation>,
}

/// How a pool stands to an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It gives this owner nothing.
    Closed,
    /// It selects this owner.
    Pinned,
    /// It serves everybody.
    Open,
}

/// What is known of an owner to select it by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant<'a> {
    pub(crate) kind: OwnerKind,
    pub(crate) namespace: &'a str,
    pub(crate) namespace_labels: &'a BTreeMap<String, String>,
    pub(crate) labels: &'a BTreeMap<String, String>,
}

impl Access {
    /// The allocation for `kind`, and whether it is meant for that kind rather than borrowed from the other.
    pub(crate) fn allocation(&self, kind: OwnerKind) -> Option<(&Allocation, bool)> {
        let (own, other) = match kind {
            OwnerKind::Service => (&self.services, &self.gateways),
            OwnerKind::Gateway => (&self.gateways, &self.services),
        };
        own.as_ref().map(|own| (own, true)).or_else(|| other.as_ref().map(|other| (other, false)))
    }

    /// How the pool stands to `owner`.
    pub(crate) fn standing(&self, owner: Applicant<'_>) -> Standing {
        let Some((allocation, own)) = self.allocation(owner.kind) else { return Standing::Open };
        let selected =
            if own { allocation.selects_owner(owner.labels) } else { allocation.owner_selectors.is_empty() };
        if selected && allocation.selects_namespace(owner.namespace, owner.namespace_labels) {
            Standing::Pinned
        } else {
            Standing::Closed
        }
    }
}
