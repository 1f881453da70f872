//! What comes from the peer: connections and messages.

use std::net::IpAddr;
use std::time::Instant;

use super::connection::Stage;
use super::event::{ConnectionId, Reason};
use super::{End, Peer, Rest};
use crate::values::Family;
use crate::wire::{
    ErrorCode, HEADER_LEN, MessageType, Notification, Reader, Reading, Received, Treatment, classify,
};

impl Peer {
    /// Takes that a connection which we dialled is up; `local` is our address on it.
    pub fn handle_connected(&mut self, id: ConnectionId, local: IpAddr, now: Instant) {
        let Self { config, connections, restarting, .. } = self;
        if let Some(connection) = connections.iter_mut().find(|connection| connection.id == id)
            && matches!(connection.stage, Stage::Connecting)
        {
            connection.open(local, config, *restarting, now);
        }
    }

    /// Takes that the peer has opened a connection to our address `local`. `None`: not wanted now, to be closed at once.
    pub fn accept(&mut self, local: IpAddr, now: Instant) -> Option<ConnectionId> {
        if !self.running || !self.config.accept || self.idle_until.is_some() {
            return None;
        }
        // A second one of the peer's before its first has come anywhere: the first is given up, by whoever opened it.
        let earlier: Vec<_> = self
            .connections
            .iter()
            .filter(|connection| !connection.dialed && !connection.is_established())
            .map(|connection| connection.id)
            .collect();
        self.retry_at = None;
        let id = self.add_connection(false, local, now);
        self.handle_connected(id, local, now);
        for earlier in earlier {
            self.end(earlier, End::tell(Notification::new(ErrorCode::COLLISION_RESOLUTION, Vec::new())), now);
        }
        Some(id)
    }

    /// Takes that a connection is closed, or could not be dialled.
    pub fn handle_closed(&mut self, id: ConnectionId, now: Instant) {
        let Some(index) = self.connections.iter().position(|connection| connection.id == id) else { return };
        let connection = self.connections.swap_remove(index);
        let (reason, rest) = match connection.stage {
            Stage::Connecting => (Reason::ConnectFailed, Rest::Active),
            Stage::OpenSent => (Reason::Closed, Rest::Active),
            Stage::OpenConfirm(_) | Stage::Established(_) => (Reason::Closed, Rest::Idle),
        };
        self.note_end(&connection, reason, rest, now);
    }

    /// Takes octets of the peer on a connection, cut as they came. Those of a connection that has ended are ignored.
    pub fn handle_input(&mut self, id: ConnectionId, mut octets: &[u8], now: Instant) {
        while let Some(connection) = self.connection_mut(id) {
            if matches!(connection.stage, Stage::Connecting) {
                return;
            }
            let end = match connection.framer.next(&mut octets) {
                Ok(None) => return,
                Ok(Some((message_type, message))) => {
                    let handled = self.handle_message(id, message_type, &message[HEADER_LEN..], now);
                    if let Some(connection) = self.connection_mut(id) {
                        connection.framer.give_back(message);
                    }
                    handled
                }
                Err(error) if error.of_notification => Err(End::silent(Reason::MalformedNotification)),
                Err(error) => Err(End::tell(error.notification)),
            };
            if let Err(end) = end {
                self.end(id, end, now);
            }
        }
    }

    fn handle_message(
        &mut self,
        id: ConnectionId,
        message_type: MessageType,
        body: &[u8],
        now: Instant,
    ) -> Result<(), End> {
        self.counters.received.count(message_type);
        let Some(connection) = self.connection_mut(id) else { return Ok(()) };
        if message_type == MessageType::Notification {
            return Err(End::silent(match Notification::parse(body) {
                Ok(notification) => Reason::Received(notification),
                Err(_) => Reason::MalformedNotification,
            }));
        }
        // RFC 6608 §3: which state it is, and the type as data.
        let unexpected = |error| Err(End::tell(Notification::new(error, vec![message_type.to_wire()])));
        match (&connection.stage, message_type) {
            (Stage::Connecting, _) => Ok(()),
            (Stage::OpenSent, MessageType::Open) => self.handle_open(id, body, now),
            (Stage::OpenSent, _) => unexpected(ErrorCode::UNEXPECTED_IN_OPEN_SENT),
            (Stage::OpenConfirm(_), MessageType::Keepalive) => {
                self.establish(id, now);
                Ok(())
            }
            (Stage::OpenConfirm(_), _) => unexpected(ErrorCode::UNEXPECTED_IN_OPEN_CONFIRM),
            (Stage::Established(_), MessageType::Keepalive) => {
                connection.restart_hold_timer(now);
                Ok(())
            }
            (Stage::Established(agreed), MessageType::Update) => {
                let reading = Reading {
                    four_octet_as: agreed.encoding.four_octet_as,
                    external: agreed.encoding.external,
                };
                connection.restart_hold_timer(now);
                self.handle_update(id, classify(body, reading).map_err(End::tell)?);
                Ok(())
            }
            (Stage::Established(_), MessageType::RouteRefresh) => {
                self.handle_refresh(body);
                Ok(())
            }
            (Stage::Established(_), MessageType::Open | MessageType::Notification) => {
                unexpected(ErrorCode::UNEXPECTED_IN_ESTABLISHED)
            }
        }
    }

    /// Counts an UPDATE. There is nothing else to do: its routes are not for us.
    fn handle_update(&mut self, id: ConnectionId, received: Received) {
        let Self { connections, counters, .. } = self;
        let Some(connection) = connections.iter_mut().find(|connection| connection.id == id) else { return };
        for family in Family::ALL {
            let heard = !connection.unreadable[family];
            connection.unreadable[family] |= received.unreadable[family];
            if connection.unreadable[family] {
                counters.disabled_families += u64::from(heard);
                continue;
            }
            counters.received_announced += u64::from(received.announced[family]);
            counters.received_withdrawn += u64::from(received.withdrawn[family]);
        }
        counters.received_end_of_ribs += u64::from(received.end_of_rib.is_some());
        match received.treatment {
            Treatment::Accept => {}
            Treatment::AttributeDiscard => counters.attribute_discards += 1,
            Treatment::TreatAsWithdraw => counters.treated_as_withdraws += 1,
        }
    }

    /// RFC 2918 §4: a family that was not negotiated is ignored. RFC 7313 subtypes other than the plain request are, too.
    fn handle_refresh(&mut self, body: &[u8]) {
        let mut reader = Reader::new(body);
        let (Ok(afi), Ok(subtype), Ok(safi)) = (reader.u16(), reader.u8(), reader.u8()) else { return };
        if subtype == 0
            && let Some(family) = Family::from_wire(afi, safi)
        {
            self.rib.refresh(family);
        }
    }
}
