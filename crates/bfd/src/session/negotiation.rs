//! This side's intervals: what is wanted, what is told to the peer, what is in use, and the poll sequence between these.
//!
//! ```text
//!              changed                 sent with P              F comes               a packet without F comes,
//!   Idle ──────────────────▶ Due ──────────────────▶ Sent ──────────────▶ Settling ──a round trip later──▶ Idle
//!                             ▲ changed: same packet   │ changed: waits for Idle ─────────────────────────────┘
//! ```
//!
//! A final answer does not say which poll it answers. So while one is out nothing changes, and the next sequence begins
//! only after a packet without the final bit (RFC 5880 §6.8.3, third choice), and when the answers to all polls of the
//! last one must have come (second choice): a round trip after the last of them, which took no longer than from the
//! first poll to the first answer. A change of state waits for nothing; it takes a round trip itself before the session
//! can be Up again, and until then no interval depends on a final answer.

use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use crate::config::Config;

/// RFC 5880 §6.8.3: no more often is sent while not Up.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// What this side puts into its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// bfd.DesiredMinTxInterval
    pub(super) desired_min_tx: Duration,
    /// bfd.RequiredMinRxInterval
    pub(super) required_min_rx: Duration,
    /// bfd.DetectMult
    pub(super) detect_multiplier: NonZeroU8,
}

impl From<&Config> for Parameters {
    fn from(config: &Config) -> Self {
        Self {
            desired_min_tx: config.transmit_interval,
            required_min_rx: config.receive_interval,
            detect_multiplier: config.detect_multiplier,
        }
    }
}

impl Parameters {
    fn while_up(self, is_up: bool) -> Self {
        if is_up {
            return self;
        }
        Self { desired_min_tx: self.desired_min_tx.max(SLOW_INTERVAL), ..self }
    }

    /// RFC 5880 §6.8.12: a new multiplier needs no poll sequence.
    fn needs_poll(&self, before: &Self) -> bool {
        (self.desired_min_tx, self.required_min_rx) != (before.desired_min_tx, before.required_min_rx)
    }
}

#[derive(Debug)]
pub(super) struct Negotiation {
    wanted: Parameters,
    advertised: Parameters,
    /// The part of the transmit interval that is this side's.
    sending: Duration,
    /// The part of the detection time that is this side's.
    receiving: Duration,
    poll: Poll,
}

/// Where the poll sequence is (RFC 5880 §6.5).
#[derive(Clone, Copy, Debug)]
enum Poll {
    Idle,
    /// The next packet asks.
    Due,
    /// Packets ask until an answer comes.
    Sent {
        first: Instant,
        last: Instant,
    },
    /// Answered; further answers may come.
    Settling {
        until: Instant,
    },
}

impl Negotiation {
    /// For a session that is not Up.
    pub(super) fn new(wanted: Parameters) -> Self {
        let advertised = wanted.while_up(false);
        Self {
            wanted,
            advertised,
            sending: advertised.desired_min_tx,
            receiving: advertised.required_min_rx,
            poll: Poll::Idle,
        }
    }

    /// Takes what this side wants from now on.
    pub(super) fn set_wanted(&mut self, wanted: Parameters, is_up: bool) {
        self.wanted = wanted;
        let is_polled = matches!(self.poll, Poll::Sent { .. } | Poll::Settling { .. });
        if !(is_up && is_polled) {
            self.adopt(is_up);
        }
    }

    pub(super) fn state_changed(&mut self, is_up: bool) {
        self.adopt(is_up);
    }

    /// Only an answer to a packet that carries what is advertised now ends the sequence.
    pub(super) fn final_received(&mut self, now: Instant) {
        if let Poll::Sent { first, last } = self.poll {
            self.sending = self.advertised.desired_min_tx;
            self.receiving = self.advertised.required_min_rx;
            self.poll = Poll::Settling { until: last + now.saturating_duration_since(first) };
        }
    }

    pub(super) fn plain_received(&mut self, is_up: bool, now: Instant) {
        if let Poll::Settling { until } = self.poll
            && until <= now
        {
            self.poll = Poll::Idle;
            self.adopt(is_up);
        }
    }

    /// Nobody is there to answer; whoever comes is asked anew.
    pub(super) fn peer_forgotten(&mut self) {
        self.poll = match self.poll {
            Poll::Sent { .. } | Poll::Due => Poll::Due,
            Poll::Settling { .. } | Poll::Idle => Poll::Idle,
        };
    }

    pub(super) fn is_polling(&self) -> bool {
        matches!(self.poll, Poll::Due | Poll::Sent { .. })
    }

    pub(super) fn poll_sent(&mut self, at: Instant) {
        self.poll = match self.poll {
            Poll::Due => Poll::Sent { first: at, last: at },
            Poll::Sent { first, .. } => Poll::Sent { first, last: at },
            other @ (Poll::Idle | Poll::Settling { .. }) => other,
        };
    }

    pub(super) fn advertised(&self) -> Parameters {
        self.advertised
    }

    pub(super) fn sending(&self) -> Duration {
        self.sending
    }

    pub(super) fn receiving(&self) -> Duration {
        self.receiving
    }

    /// RFC 5880 §6.8.3: while Up, packets become rarer, and fewer are missed before the session is down, only once the
    /// peer has answered. All else takes effect at once.
    fn adopt(&mut self, is_up: bool) {
        let next = self.wanted.while_up(is_up);
        if next.needs_poll(&self.advertised) {
            self.poll = Poll::Due;
        }
        self.advertised = next;
        if is_up {
            self.sending = self.sending.min(next.desired_min_tx);
            self.receiving = self.receiving.max(next.required_min_rx);
        } else {
            self.sending = next.desired_min_tx;
            self.receiving = next.required_min_rx;
        }
    }
}
