//! How a datagram finds its session (RFC 5880 §6.3), and which are discarded before they do any harm.

use std::time::Instant;

use super::Sessions;
use crate::discard::Discard;
use crate::packet::{Discriminator, Packet};
use crate::peer::{Datagram, Hops, Peer, TTL};

impl Sessions {
    /// Takes a datagram. One that names a session goes to it, whatever its source; one that names none, to the session
    /// with its source: the one bound to the interface, else the one bound to none. No session comes into being.
    ///
    /// # Errors
    /// Why it changed nothing. That is counted too, so there is no need to look.
    pub fn handle_input(&mut self, datagram: &Datagram<'_>, now: Instant) -> Result<(), Discard> {
        let session = self.receive(datagram, now).inspect_err(|cause| self.discards.count(cause))?;
        self.settle(session);
        Ok(())
    }

    fn receive(&mut self, datagram: &Datagram<'_>, now: Instant) -> Result<Discriminator, Discard> {
        if datagram.hops == Hops::Single {
            // Before the packet is looked at: whoever is not on the link may send what he likes.
            require_ttl(datagram.ttl, TTL)?;
        }
        let packet = Packet::decode(datagram.payload)?;
        let session = match packet.your_discriminator {
            Some(named) => named,
            None => self.session_of(datagram).ok_or(Discard::UnknownPeer)?,
        };
        let entry = self.entries.get_mut(&session).ok_or(Discard::UnknownSession(session))?;
        // RFC 5880 §6.3 lets source and interface change. But the hops may not: a single hop's guard would be the multihop
        // one. And a single hop's session is bound to its interface (RFC 5881 §3), if the caller has bound it.
        let peer = entry.peer();
        if peer.hops != datagram.hops || peer.interface.is_some_and(|bound| bound != datagram.interface) {
            return Err(Discard::WrongPath(session));
        }
        if peer.hops == Hops::Multi {
            require_ttl(datagram.ttl, entry.minimum_ttl())?;
        }
        entry.handle_packet(&packet, now);
        Ok(session)
    }

    fn session_of(&self, datagram: &Datagram<'_>) -> Option<Discriminator> {
        let Datagram { source: address, hops, .. } = *datagram;
        let find = |interface| self.by_peer.get(&Peer { address, interface, hops }).copied();
        find(Some(datagram.interface)).or_else(|| find(None))
    }
}

/// The generalized TTL security mechanism (RFC 5082).
fn require_ttl(received: u8, minimum: u8) -> Result<(), Discard> {
    if received < minimum { Err(Discard::Ttl { received, minimum }) } else { Ok(()) }
}
