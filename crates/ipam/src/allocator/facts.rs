//! What is known of how owners share, and whether one fits to the others on an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::names::{NameId, Names};
use crate::sharing::{Backend, Protocol, Sharing};

/// How an owner shares, in few bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    key: NameId,
    across_namespaces: bool,
    /// Number of the text of [`Backend::Local`].
    local: Option<NameId>,
    /// Ascending.
    ports: Box<[(Protocol, u16)]>,
}

/// Scope of the keys of owners that share across namespaces, where those of others have the number of their namespace.
const ACROSS: NameId = NameId::MAX;

impl Facts {
    /// The scopes in which its addresses are found.
    fn scopes(&self, namespace: NameId) -> impl Iterator<Item = NameId> + use<> {
        [Some(namespace), self.across_namespaces.then_some(ACROSS)].into_iter().flatten()
    }
}

/// Why an owner does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    Key,
    Namespace,
    Backend,
    Port(Protocol, u16),
}

/// The keys in use and the addresses shared under each.
#[derive(Clone, Debug, Default)]
pub(super) struct Sharers {
    keys: Names,
    locals: Names,
    /// (key, namespace or [`ACROSS`], address)
    addresses: BTreeSet<(NameId, NameId, IpAddr)>,
}

/// The sharing asked for, unless its key is empty.
pub(super) fn keyed(sharing: Option<&Sharing>) -> Option<&Sharing> {
    sharing.filter(|sharing| !sharing.key.is_empty())
}

impl Sharers {
    /// Takes the facts of a request in.
    pub(super) fn take(&mut self, sharing: Option<&Sharing>) -> Option<Facts> {
        let sharing = keyed(sharing)?;
        Some(Facts {
            key: self.keys.take(&sharing.key),
            across_namespaces: sharing.across_namespaces,
            local: match &sharing.backend {
                Backend::Any => None,
                Backend::Local(text) => Some(self.locals.take(text)),
            },
            ports: sharing.ports.iter().copied().collect(),
        })
    }

    /// Drops facts that no owner has any more.
    pub(super) fn drop(&mut self, facts: Option<Box<Facts>>) {
        if let Some(facts) = facts {
            self.keys.drop(facts.key);
            if let Some(local) = facts.local {
                self.locals.drop(local);
            }
        }
    }

    /// Whether `facts` are those of `sharing`.
    pub(super) fn are(&self, facts: Option<&Facts>, sharing: Option<&Sharing>) -> bool {
        match (facts, keyed(sharing)) {
            (None, None) => true,
            (Some(facts), Some(sharing)) => {
                **self.keys.get(facts.key) == *sharing.key
                    && facts.across_namespaces == sharing.across_namespaces
                    && self.same_backend(facts, &sharing.backend)
                    && facts.ports.iter().eq(&sharing.ports)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The text of the key.
    pub(super) fn key(&self, facts: &Facts) -> &str {
        self.keys.get(facts.key)
    }

    /// Why an owner with `sharing` does not fit to one with `facts`, which is of the same namespace or not.
    pub(super) fn misfit(&self, sharing: &Sharing, facts: &Facts, same_namespace: bool) -> Option<Misfit> {
        if **self.keys.get(facts.key) != *sharing.key {
            return Some(Misfit::Key);
        }
        if !(same_namespace || facts.across_namespaces && sharing.across_namespaces) {
            return Some(Misfit::Namespace);
        }
        if !self.same_backend(facts, &sharing.backend) {
            return Some(Misfit::Backend);
        }
        let both = sharing.ports.iter().find(|port| facts.ports.binary_search(port).is_ok());
        both.map(|&(protocol, port)| Misfit::Port(protocol, port))
    }

    /// Lists an address under its holder's key.
    pub(super) fn list(&mut self, facts: &Facts, namespace: NameId, address: IpAddr) {
        for scope in facts.scopes(namespace) {
            self.addresses.insert((facts.key, scope, address));
        }
    }

    /// Takes an address from the list, as far as it does not stay there because of `others` that hold it.
    pub(super) fn unlist<'a>(
        &mut self,
        facts: &Facts,
        namespace: NameId,
        address: IpAddr,
        others: impl Iterator<Item = (&'a Facts, NameId)> + Clone,
    ) {
        for scope in facts.scopes(namespace) {
            let mut alike = others.clone().filter(|(other, _)| other.key == facts.key);
            if !alike.any(|(other, namespace)| other.scopes(namespace).any(|other| other == scope)) {
                self.addresses.remove(&(facts.key, scope, address));
            }
        }
    }

    /// Addresses that an owner with `sharing` in a namespace might join, each once or twice.
    pub(super) fn listed(
        &self,
        sharing: &Sharing,
        namespace: Option<NameId>,
    ) -> impl Iterator<Item = IpAddr> {
        let across = sharing.across_namespaces.then_some(ACROSS);
        let key = self.keys.find(&sharing.key);
        let scopes = [namespace, across].into_iter().flatten();
        let pairs = scopes.filter_map(move |scope| Some((key?, scope)));
        pairs.flat_map(|(key, scope)| {
            let first = (key, scope, IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
            let last = (key, scope, IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::MAX)));
            self.addresses.range(first..=last).map(|(_, _, address)| *address)
        })
    }

    fn same_backend(&self, facts: &Facts, backend: &Backend) -> bool {
        match (facts.local, backend) {
            (None, Backend::Any) => true,
            (Some(local), Backend::Local(text)) => **self.locals.get(local) == **text,
            (None, Backend::Local(_)) | (Some(_), Backend::Any) => false,
        }
    }
}
