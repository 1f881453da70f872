//! What a peer counts.

use crate::wire::MessageType;

/// Messages of each type. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounters {
    /// OPEN.
    pub opens: u64,
    /// UPDATE, End-of-RIB included.
    pub updates: u64,
    /// NOTIFICATION.
    pub notifications: u64,
    /// KEEPALIVE.
    pub keepalives: u64,
    /// ROUTE-REFRESH.
    pub route_refreshes: u64,
}

impl MessageCounters {
    pub(super) fn count(&mut self, message_type: MessageType) {
        *match message_type {
            MessageType::Open => &mut self.opens,
            MessageType::Update => &mut self.updates,
            MessageType::Notification => &mut self.notifications,
            MessageType::Keepalive => &mut self.keepalives,
            MessageType::RouteRefresh => &mut self.route_refreshes,
        } += 1;
    }
}

/// What a peer has sent, received and gone through. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handed out by [`poll_transmit`](super::Peer::poll_transmit), or with a close.
    pub sent: MessageCounters,
    /// Received whole.
    pub received: MessageCounters,
    /// Prefixes in announcements sent.
    pub announced: u64,
    /// Prefixes in withdrawals sent.
    pub withdrawn: u64,
    /// Prefixes that the peer announced. They are dropped.
    pub received_announced: u64,
    /// Prefixes that the peer withdrew, or whose UPDATE was wrong.
    pub received_withdrawn: u64,
    /// UPDATEs with an attribute that was discarded (RFC 7606 §2).
    pub attribute_discards: u64,
    /// UPDATEs treated as withdrawals (RFC 7606 §2).
    pub treated_as_withdraws: u64,
    /// Families that were not heard any further in a session (RFC 7606 §2).
    pub disabled_families: u64,
    /// End-of-RIB markers received.
    pub received_end_of_ribs: u64,
    /// Connections dialled.
    pub dials: u64,
    /// Sessions that came to stand.
    pub established: u64,
    /// Sessions that stood and ended.
    pub lost: u64,
}
