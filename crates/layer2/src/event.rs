//! What an [`Announcer`](crate::Announcer) finds out.

use std::net::IpAddr;

use crate::{IfIndex, MacAddr};

/// Something that whoever drives an [`Announcer`](crate::Announcer) has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A question has its answer. Comes once for each question.
    Decided {
        /// Which question.
        question: QuestionId,
        /// Where it was asked.
        interface: IfIndex,
        /// The address that it was about.
        address: IpAddr,
        /// Who answered, if anyone.
        outcome: Outcome,
        /// All stations that claimed the address meanwhile, whoever was asked; the first ones, if there are many.
        seen: Vec<MacAddr>,
    },
    /// A station that is no member claims a VIP that is announced here. Comes again after at least 10 s if another
    /// station does.
    Conflict {
        /// The VIP that is claimed.
        vip: IpAddr,
        /// The interface that it is announced on.
        interface: IfIndex,
        /// The station.
        mac: MacAddr,
    },
    /// A station of [`Conflict`](Self::Conflict) has been silent for 30 s and left a question unanswered, or is a
    /// member now. Does not come for a VIP that was withdrawn in between: whoever wants to announce it again has to
    /// check it.
    ConflictOver {
        /// The VIP that was claimed.
        vip: IpAddr,
        /// The interface that it is announced on.
        interface: IfIndex,
        /// The station that claimed it last.
        mac: MacAddr,
    },
    /// Another member announces or answers for a VIP that is announced here. Nothing was sent in defence: members agree
    /// by themselves on who has to stop. At most one in 200 ms for each VIP.
    MemberAnnounces {
        /// The VIP.
        vip: IpAddr,
        /// The interface that it is announced on.
        interface: IfIndex,
        /// The member's hardware address.
        mac: MacAddr,
    },
}

/// A question that was asked; none has the number of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub(crate) u64);

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody who was asked answered in time.
    Silent,
    /// This station did; the first, if several did.
    Answered(MacAddr),
    /// The interface was removed before it was decided.
    Abandoned,
}

/// How thoroughly an address is checked before its first use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// One probe, decided after 50 ms.
    #[default]
    Fast,
    /// The probes and waits of RFC 5227 §2.1.1: 4 to 7 s. For IPv6 the same, with duplicate address detection
    /// solicitations (RFC 4862 §5.4 with DupAddrDetectTransmits = 3).
    Full,
    /// None: silent at once.
    Off,
}

/// Why a question was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The interface's MAC address is not known.
    #[error(transparent)]
    UnknownInterface(#[from] UnknownInterface),
    /// As many as are permitted wait for their answers.
    #[error("{0} questions are open; ask again when some are decided")]
    TooMany(usize),
}

/// Something was asked of an interface whose MAC address is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interface {} is not known; set its MAC address first", .0.0)]
pub struct UnknownInterface(pub IfIndex);
