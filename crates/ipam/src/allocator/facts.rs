//! What is known of how owners share, and whether one fits to the others on an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::listed::Listed;
use super::name::Name;
use super::names::{NameId, Names, Stored as _};
use crate::sharing::{Backend, Protocol, Sharing};

/// How an owner shares, in few bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    key: NameId,
    across_namespaces: bool,
    /// Number of the text of [`Backend::Local`].
    local: Option<NameId>,
    ports: Ports,
}

/// Ports, ascending. Most owners have few, which are stored in place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ports {
    Few(u8, [(Protocol, u16); FEW_MAX]),
    Many(Box<[(Protocol, u16)]>),
}

/// Most ports that are stored in place.
const FEW_MAX: usize = 4;

impl Ports {
    fn new(ports: &BTreeSet<(Protocol, u16)>) -> Self {
        if ports.len() > FEW_MAX {
            return Self::Many(ports.iter().copied().collect());
        }
        let mut few = [(Protocol::Tcp, 0); FEW_MAX];
        few.iter_mut().zip(ports).for_each(|(place, port)| *place = *port);
        Self::Few(ports.len() as u8, few)
    }

    fn as_slice(&self) -> &[(Protocol, u16)] {
        match self {
            Self::Few(count, ports) => &ports[..usize::from(*count)],
            Self::Many(ports) => ports,
        }
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
    keys: Names<Name, Listed>,
    locals: Names<Name>,
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
            ports: Ports::new(&sharing.ports),
        })
    }

    /// Drops facts that no owner has any more.
    pub(super) fn drop(&mut self, facts: Option<Facts>) {
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
                self.keys.is(facts.key, &sharing.key)
                    && facts.across_namespaces == sharing.across_namespaces
                    && self.same_backend(facts, &sharing.backend)
                    && facts.ports.as_slice().iter().eq(&sharing.ports)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The text of the key.
    pub(super) fn key(&self, facts: &Facts) -> &str {
        self.keys.get(facts.key).as_str()
    }

    /// Number of a key that some owner has.
    pub(super) fn find_key(&self, key: &str) -> Option<NameId> {
        self.keys.find(key)
    }

    /// Why an owner with `sharing`, whose key has the number `key`, does not fit to one with `facts`, which is of the same
    /// namespace or not.
    pub(super) fn misfit(
        &self,
        (sharing, key): (&Sharing, Option<NameId>),
        facts: &Facts,
        same_namespace: bool,
    ) -> Option<Misfit> {
        if key != Some(facts.key) {
            return Some(Misfit::Key);
        }
        if !(same_namespace || facts.across_namespaces && sharing.across_namespaces) {
            return Some(Misfit::Namespace);
        }
        if !self.same_backend(facts, &sharing.backend) {
            return Some(Misfit::Backend);
        }
        let both = facts.ports.as_slice().iter().find(|port| sharing.ports.contains(port));
        both.map(|&(protocol, port)| Misfit::Port(protocol, port))
    }

    /// Lists an address under its holder's key.
    pub(super) fn list(&mut self, facts: &Facts, namespace: NameId, address: IpAddr) {
        self.keys.about_mut(facts.key).add(facts.across_namespaces, namespace, address);
    }

    /// Takes back what [`list`](Self::list) did for one holder.
    pub(super) fn unlist(&mut self, facts: &Facts, namespace: NameId, address: IpAddr) {
        self.keys.about_mut(facts.key).remove(facts.across_namespaces, namespace, address);
    }

    /// Addresses that an owner might join which has the key with the number `key`, in a namespace, each once or twice.
    pub(super) fn listed(
        &self,
        key: NameId,
        across_namespaces: bool,
        namespace: Option<NameId>,
    ) -> impl Iterator<Item = IpAddr> {
        self.keys.about(key).of(across_namespaces, namespace)
    }

    fn same_backend(&self, facts: &Facts, backend: &Backend) -> bool {
        match (facts.local, backend) {
            (None, Backend::Any) => true,
            (Some(local), Backend::Local(text)) => self.locals.is(local, text),
            (None, Backend::Local(_)) | (Some(_), Backend::Any) => false,
        }
    }
}
