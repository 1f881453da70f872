//! The peer's OPEN: whether it is acceptable (RFC 4271 §6.2), what both come to, and which of two connections stays
//! (RFC 4271 §6.8).

use std::time::{Duration, Instant};

use super::connection::{Agreed, Connection, Stage, offered};
use super::event::{ConnectionId, Delivery, Reason, RestartAgreed, Session};
use super::{Config, End, Peer};
use crate::values::{Asn, Family, HoldTime, PerFamily, RouterId};
use crate::wire::{Encoding, ErrorCode, Notification, Open};

impl Peer {
    /// Takes an OPEN on a connection in OpenSent.
    pub(super) fn handle_open(&mut self, id: ConnectionId, body: &[u8], now: Instant) -> Result<(), End> {
        let Some(connection) = self.connection(id) else { return Ok(()) };
        let agreed =
            Open::parse(body).and_then(|open| agree(&self.config, connection, &open)).map_err(End::tell)?;
        self.resolve_collisions(id, &agreed.session, now)?;
        if let Some(connection) = self.connection_mut(id) {
            connection.confirm(agreed, now);
        }
        self.arm_keepalive(id, now);
        Ok(())
    }

    /// Settles which connections stay, now that one more has a peer that is known by its identifier.
    fn resolve_collisions(&mut self, id: ConnectionId, session: &Session, now: Instant) -> Result<(), End> {
        let Some(dialed) = self.connection(id).map(|connection| connection.dialed) else { return Ok(()) };
        // RFC 6286 §2.3: equal identifiers are told apart by the AS.
        let ours = (self.config.router_id, self.config.local_as);
        let keep_dialed = ours > (session.remote_id, session.remote_as);
        let collision = || Notification::new(ErrorCode::COLLISION_RESOLUTION, Vec::new());
        let others: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|other| other.id != id && other.remote_id().is_some())
            .map(|other| other.id)
            .collect();
        for other in others {
            let Some(known) = self.connection(other) else { continue };
            if known.is_established() {
                let restarts = known.agreed().is_some_and(|agreed| agreed.session.graceful_restart.is_some());
                if !restarts {
                    return Err(End::tell(collision()));
                }
                // RFC 4724 §4.2: the old connection is closed, and nothing said on it.
                self.end(other, End::silent(Reason::PeerRestarted), now);
            } else if dialed == known.dialed || dialed == keep_dialed {
                // Who opens a second connection of the same direction has given the first one up.
                self.end(other, End::tell(collision()), now);
            } else {
                return Err(End::tell(collision()));
            }
        }
        Ok(())
    }

    /// Takes the KEEPALIVE that confirms our OPEN.
    pub(super) fn establish(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.id == id) else {
            return;
        };
        let Stage::OpenConfirm(agreed) = &connection.stage else { return };
        let agreed = agreed.clone();
        self.rib.start(PerFamily::from_fn(|family| agreed.session.delivery[family] == Delivery::Sent));
        self.emit(super::Event::Established(agreed.session.clone()));
        self.counters.established += 1;
        if let Some(connection) = self.connection_mut(id) {
            connection.stage = Stage::Established(agreed);
            connection.established_at = Some(now);
            connection.restart_hold_timer(now);
        }
        // Nothing has been said on a connection that still dials, so nothing has to be taken back.
        let dialling: Vec<_> =
            self.connections.iter().filter(|c| matches!(c.stage, Stage::Connecting)).map(|c| c.id).collect();
        for other in dialling {
            self.end(other, End::silent(Reason::ConnectFailed), now);
        }
    }
}

/// What our OPEN and the peer's come to, or why the peer's is refused.
fn agree(config: &Config, connection: &Connection, open: &Open) -> Result<Agreed, Notification> {
    let refuse = |error, data: &[u8]| Notification::new(error, data.to_vec());
    let remote_as = open
        .capabilities
        .asn(open.my_as)
        .filter(|remote| open.my_as != 0 && config.remote_as.permits(config.local_as, *remote))
        .ok_or_else(|| refuse(ErrorCode::BAD_PEER_AS, &[]))?;
    let external = remote_as != config.local_as;
    // RFC 6286 §2.2: within an AS, no two speakers have the same.
    let remote_id = RouterId::new(open.identifier)
        .filter(|remote| external || *remote != config.router_id)
        .ok_or_else(|| refuse(ErrorCode::BAD_BGP_IDENTIFIER, &[]))?;
    let hold_time = HoldTime::from_secs(open.hold_time_secs)
        .ok_or_else(|| refuse(ErrorCode::UNACCEPTABLE_HOLD_TIME, &open.hold_time_secs.to_be_bytes()))?;

    let ours = offered(config, connection.local, false);
    let theirs = &open.capabilities;
    let families = theirs.families();
    if !Family::ALL.iter().any(|family| config.families[*family] && families[*family]) {
        let mut missed = Vec::new();
        ours.write_multiprotocol(&mut missed);
        return Err(refuse(ErrorCode::UNSUPPORTED_CAPABILITY, &missed));
    }
    let next_hops = config.next_hops.resolve(connection.local, ours.ipv4_over_ipv6 && theirs.ipv4_over_ipv6);
    let delivery = PerFamily::from_fn(|family| {
        if !config.families[family] {
            Delivery::NotConfigured
        } else if !families[family] {
            Delivery::NotOffered
        } else if next_hops[family].is_none() {
            Delivery::NoNextHop
        } else {
            Delivery::Sent
        }
    });
    let four_octet_as = theirs.four_octet_as.is_some();
    let graceful_restart =
        ours.graceful_restart.zip(theirs.graceful_restart).map(|(ours, theirs)| RestartAgreed {
            remote_restart_time: Duration::from_secs(theirs.time_secs.into()),
            over_notification: ours.notification && theirs.notification,
        });
    let session = Session {
        connection: connection.id,
        remote_as,
        remote_id,
        hold_time: lower(hold_time, config.hold_time),
        delivery,
        four_octet_as,
        route_refresh: theirs.route_refresh,
        graceful_restart,
    };
    let local_as: Asn = config.local_as;
    Ok(Agreed { session, encoding: Encoding { local_as, external, four_octet_as, next_hops } })
}

/// The lower of two hold times, of which 0 is the lowest: then no timer runs (RFC 4271 §4.2, §4.4).
fn lower(one: HoldTime, other: HoldTime) -> HoldTime {
    one.min(other)
}
