//! Whether an owner may be on an address together with those who hold it.

use std::net::IpAddr;
use std::sync::Arc;

use super::Allocator;
use super::choice::Ask;
use super::facts::{Misfit, keyed};
use super::holds::Holder;
use super::names::NameId;
use super::owners::Handle;
use crate::owner::OwnerId;
use crate::reason::Reason;
use crate::sharing::Sharing;

/// An owner that is measured against the holders of an address.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) me: Option<Handle>,
    /// Number of its namespace; `None` if no owner of that namespace holds anything.
    pub(super) namespace: Option<NameId>,
    pub(super) sharing: Option<&'a Sharing>,
    /// Number of its key; `None` if no owner that holds something has it.
    pub(super) key: Option<NameId>,
}

impl Allocator {
    pub(super) fn candidate<'a>(&self, owner: &OwnerId, sharing: Option<&'a Sharing>) -> Candidate<'a> {
        let (me, sharing) = (self.owners.find(owner), keyed(sharing));
        Candidate {
            me,
            // Nobody else's matter without a key.
            namespace: sharing.and_then(|_| self.owners.find_namespace(&owner.namespace)),
            sharing,
            key: sharing.and_then(|sharing| self.sharers.find_key(&sharing.key)),
        }
    }

    /// Why the owner cannot be on `address`, which it `holds` or would join; `None` if it can, or if nobody else is there.
    pub(super) fn misfit(&self, ask: &Ask<'_>, address: IpAddr, holds: bool) -> Option<Reason> {
        let candidate = ask.candidate;
        let (other, misfit) = self.first_misfit(candidate, address, holds)?;
        let by = Arc::new(self.owners.owner(other));
        let namespace = *self.owners.namespace(other) == *ask.request.owner.id.namespace;
        let across = candidate.sharing.is_some_and(|sharing| sharing.across_namespaces);
        // Of owners in other namespaces no more is told than that they are there.
        Some(match (candidate.sharing, misfit, namespace) {
            (None, _, _) if !holds => Reason::AddressTaken { address, owner: by },
            (Some(_), _, false) if !across => Reason::NamespaceDiffers { address, by },
            (_, _, false) => Reason::AddressTaken { address, owner: by },
            (None, _, true) | (Some(_), Some(Misfit::Key), true) => Reason::SharingKeyDiffers { address, by },
            (Some(_), None, true) => Reason::SharingUnknown { address, by },
            (Some(_), Some(Misfit::Namespace), true) => Reason::NamespaceDiffers { address, by },
            (Some(_), Some(Misfit::Backend), true) => Reason::BackendDiffers { address, by },
            (Some(_), Some(Misfit::Port(protocol, port)), true) => {
                Reason::PortTaken { address, protocol, port, by }
            }
        })
    }

    /// Whether the owner can be on `address` together with those who hold it.
    pub(super) fn fits(&self, candidate: Candidate<'_>, address: IpAddr) -> bool {
        let holds = self.holds.at(address).iter().any(|holder| Some(holder.owner) == candidate.me);
        self.first_misfit(candidate, address, holds).is_none()
    }

    /// The first holder that the owner does not fit to, and why if that is known.
    fn first_misfit(
        &self,
        candidate: Candidate<'_>,
        address: IpAddr,
        holds: bool,
    ) -> Option<(Handle, Option<Misfit>)> {
        let mut others = self.holds.at(address).iter().filter(|holder| Some(holder.owner) != candidate.me);
        others.find_map(|holder| {
            let misfit = self.misfit_to(candidate, holder, holds)?;
            Some((holder.owner, misfit))
        })
    }

    /// `None`: fits; `Some(None)`: not known.
    fn misfit_to(&self, candidate: Candidate<'_>, holder: &Holder, holds: bool) -> Option<Option<Misfit>> {
        let Some(sharing) = candidate.sharing else { return Some(Some(Misfit::Key)) };
        if !holder.is_bound() {
            // Lets nobody join, and drives nobody out.
            return (!holds).then_some(None);
        }
        let Some(facts) = self.owners.facts(holder.owner) else { return Some(Some(Misfit::Key)) };
        let same_namespace = Some(self.owners.namespace_id(holder.owner)) == candidate.namespace;
        self.sharers.misfit((sharing, candidate.key), facts, same_namespace).map(Some)
    }

    /// The reason of a refusal, together with the address that the owner holds and must give up, if there is one.
    pub(super) fn with_forfeit(&self, ask: &Ask<'_>, reason: Reason) -> Reason {
        let held = ask.candidate.me.map_or(&[][..], |me| self.owners.held(me));
        let unfit = held.iter().find_map(|&address| Some((address, self.misfit(ask, address, true)?)));
        match unfit {
            Some((address, why)) => Reason::Forfeited { address, why: Box::new(why) },
            None => reason,
        }
    }
}
