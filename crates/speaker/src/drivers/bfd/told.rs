//! What a client is told of its session.
//!
//! A `watch` channel for each client, not a queue: a slow client makes nothing pile up. But a session that went down and
//! came up again must not look as if nothing had been, so failures are counted.

use std::net::IpAddr;
use std::sync::Arc;

use keryx_bfd::ConfigError;

/// Something that the client of a session has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Both sides hear each other.
    Up,
    /// The session was up and is no longer.
    Down {
        /// True if the path must be taken for dead. Otherwise BFD was switched off at the other end, which says nothing
        /// about the path (RFC 5882 §4.2).
        is_failure: bool,
        /// Why, for a log line or a condition.
        cause: String,
    },
}

/// How a session is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// Not up, or not up yet.
    #[default]
    Down,
    /// Both sides hear each other.
    Up,
    /// It cannot work here. It is tried again when the interfaces change, and every second.
    Unable(Reason),
}

/// Why a session cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The interface that was asked for.
    #[error("this node has no interface {0}")]
    NoInterface(String),
    /// Such an address is on every link.
    #[error("the link-local address {0} needs an interface")]
    NoScope(IpAddr),
    /// What was asked for is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The port on which the peer's packets come in.
    #[error("failed to listen on UDP port {port} for BFD: {error}")]
    Receive {
        /// 3784 or 4784.
        port: u16,
        /// What the kernel says.
        error: String,
    },
    /// The socket for this side's packets.
    #[error("failed to open a socket for BFD with {remote}: {error}")]
    Send {
        /// The peer.
        remote: IpAddr,
        /// What the kernel says.
        error: String,
    },
}

/// All that a client has been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) state: SessionState,
    failures: Downs,
    /// Of these, none was a failure.
    others: Downs,
}

#[derive(Clone, Debug, Default)]
struct Downs {
    count: u64,
    /// Of the last one.
    cause: Arc<str>,
}

impl Told {
    /// Says that the session is up. Returns whether that is new.
    pub(super) fn up(&mut self) -> bool {
        self.set_state(SessionState::Up)
    }

    /// Says that the session is no longer up. Returns whether that is new.
    pub(super) fn down(&mut self, is_failure: bool, cause: &str) -> bool {
        if self.state != SessionState::Up {
            return false;
        }
        let downs = if is_failure { &mut self.failures } else { &mut self.others };
        *downs = Downs { count: downs.count + 1, cause: cause.into() };
        self.set_state(SessionState::Down)
    }

    /// Says that the session cannot work, or no longer so. One that was up has failed. Returns whether that is new.
    pub(super) fn unable(&mut self, reason: Option<Reason>) -> bool {
        match reason {
            Some(reason) => {
                self.down(true, &reason.to_string());
                self.set_state(SessionState::Unable(reason))
            }
            None => matches!(self.state, SessionState::Unable(_)) && self.set_state(SessionState::Down),
        }
    }

    fn set_state(&mut self, state: SessionState) -> bool {
        let is_new = self.state != state;
        self.state = state;
        is_new
    }
}

/// What a client has heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    is_up: bool,
    failures: u64,
    others: u64,
}

impl Heard {
    /// The next thing that the client has not heard yet. Of several downs it hears one, a failure if one was.
    pub(super) fn next(&mut self, told: &Told) -> Option<News> {
        let is_failure = told.failures.count > self.failures;
        let was_missed = is_failure || told.others.count > self.others;
        self.failures = told.failures.count;
        self.others = told.others.count;
        if was_missed {
            self.is_up = false;
            let downs = if is_failure { &told.failures } else { &told.others };
            return Some(News::Down { is_failure, cause: downs.cause.to_string() });
        }
        let is_news = told.state == SessionState::Up && !self.is_up;
        self.is_up |= is_news;
        is_news.then_some(News::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: &str) -> News {
        News::Down { is_failure: true, cause: cause.to_owned() }
    }

    fn hear(heard: &mut Heard, told: &Told) -> Vec<News> {
        std::iter::from_fn(|| heard.next(told)).collect()
    }

    #[test]
    fn a_client_that_was_late_hears_of_a_failure_that_is_over() {
        let (mut told, mut heard) = (Told::default(), Heard::default());
        told.up();
        assert_eq!(hear(&mut heard, &told), [News::Up]);
        told.down(true, "cut");
        told.up();
        assert_eq!(hear(&mut heard, &told), [failure("cut"), News::Up]);
        assert_eq!(hear(&mut heard, &told), []);
    }

    #[test]
    fn a_failure_does_not_hide_behind_a_later_switching_off() {
        let (mut told, mut heard) = (Told::default(), Heard::default());
        told.up();
        told.down(true, "cut");
        told.up();
        told.down(false, "switched off");
        assert_eq!(hear(&mut heard, &told), [failure("cut")]);
        told.up();
        told.down(false, "switched off");
        let expected = News::Down { is_failure: false, cause: "switched off".to_owned() };
        assert_eq!(hear(&mut heard, &told), [expected]);
    }

    #[test]
    fn a_session_that_was_up_and_cannot_work_any_more_has_failed() {
        let (mut told, mut heard) = (Told::default(), Heard::default());
        let reason = || Reason::NoInterface("eth0".to_owned());
        assert!(told.unable(Some(reason())));
        assert_eq!(hear(&mut heard, &told), [], "it was never up");
        assert!(told.unable(None) && told.up());
        assert!(told.unable(Some(reason())) && !told.unable(Some(reason())));
        assert_eq!(told.state, SessionState::Unable(reason()));
        assert_eq!(hear(&mut heard, &told), [failure("this node has no interface eth0")]);
    }

    #[test]
    fn what_is_told_twice_is_heard_once() {
        let (mut told, mut heard) = (Told::default(), Heard::default());
        assert!(told.up() && !told.up());
        assert_eq!(hear(&mut heard, &told), [News::Up]);
        assert!(told.down(true, "cut") && !told.down(true, "cut again"));
        assert_eq!(hear(&mut heard, &told), [failure("cut")]);
    }
}
