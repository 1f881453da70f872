//! What speakers say to each other, inside a seal: one message per datagram, in a fixed layout.
//!
//! A message is its kind, one octet, then its fields in the order of [`Message`]; numbers are big-endian, a list is a
//! 16-bit count and its items. Decoding is total: it never panics, allocates no more than some times the length of the
//! datagram, and refuses what encoding would not have written.

pub(crate) mod octets;

use self::octets::{Malformed, Reader, Writer};
use crate::facts::Facts;
use crate::holds::{Change, Word};
use crate::seal::CONTENT_MAX_LEN;
use crate::{GroupId, NodeId, Term};

/// The longest [`Facts`], in octets.
pub(crate) const FACTS_MAX_LEN: usize = CONTENT_MAX_LEN - 21;
/// Records in one message.
pub(crate) const RECORDS_MAX: usize = (CONTENT_MAX_LEN - 3) / 21;
/// Entries in one part of a summary.
pub(crate) const SUMMARY_MAX: usize = (CONTENT_MAX_LEN - 12) / 37;
/// Nodes whose facts are asked for in one message.
pub(crate) const FACTS_PULL_MAX: usize = (CONTENT_MAX_LEN - 3) / 8;
/// Holds in one chunk.
pub(crate) const HOLDS_PER_CHUNK: usize = (CONTENT_MAX_LEN - 33) / 12;
/// Changes in one message.
pub(crate) const CHANGES_MAX: usize = (CONTENT_MAX_LEN - 23) / 13;
/// Parts of the table that are compared one by one; see [`Message::Digests`].
pub(crate) const BUCKETS: usize = 64;

/// Whether a node is thought alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Alive.
    Up,
    /// Not heard by this node, which hears nobody else either; no accusation.
    Lost,
    /// Dead, as somebody found out who hears others.
    Down,
}

/// The latest news of a node's life. Of two, the one with the higher epoch counts; in one epoch death beats life. Only
/// the node itself begins an epoch, to contradict (SWIM §4.2: incarnation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) node: NodeId,
    pub(crate) epoch: u32,
    pub(crate) boot: u64,
    pub(crate) down: bool,
}

/// A line of the sender's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SummaryEntry {
    pub(crate) node: NodeId,
    pub(crate) epoch: u32,
    pub(crate) boot: u64,
    pub(crate) standing: Standing,
    pub(crate) facts_version: u32,
    pub(crate) holds_version: u32,
    pub(crate) holds_digest: u64,
}

/// All that speakers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// "I am alive." `digest` is over the sender's table; `synced`: it is past its start. `reply`: answer with the same.
    Heartbeat { epoch: u32, digest: u64, reply: bool, synced: bool },
    /// "Echo this, so that I know your boot is no recording."
    Challenge { nonce: u64 },
    /// The answer.
    Echo { nonce: u64 },
    /// "I do not hear `target`; do you?" (SWIM §3.1: ping-req)
    Inquiry { target: NodeId },
    /// "I heard `target` that long ago"; `u16::MAX`: longer, or never.
    Sighting { target: NodeId, age_ms: u16 },
    /// News of lives.
    Records(Vec<Record>),
    /// One digest for each bucket of the sender's table: "which of these differ from yours?"
    Digests(Vec<u64>),
    /// All or part of what the sender's table has in the buckets `mask`. `reply`: tell yours.
    Summary { mask: u64, reply: bool, entries: Vec<SummaryEntry> },
    /// "Tell me the facts of these."
    FactsPull(Vec<NodeId>),
    /// The facts of `node`.
    Facts { node: NodeId, boot: u64, version: u32, facts: Facts },
    /// "Tell me what `node` holds after the group `after`", from the first if `None`.
    HoldsPull { node: NodeId, boot: u64, after: Option<GroupId> },
    /// The answer: the holds that follow in the order of groups.
    HoldsChunk {
        node: NodeId,
        boot: u64,
        version: u32,
        after: Option<GroupId>,
        last: bool,
        holds: Vec<(GroupId, Term)>,
    },
    /// What changed since version `from`.
    HoldsDelta { node: NodeId, boot: u64, from: u32, changes: Vec<Change> },
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        let out = &mut writer;
        match self {
            Self::Heartbeat { epoch, digest, reply, synced } => {
                out.u8(1).u32(*epoch).u64(*digest).bool(*reply).bool(*synced);
            }
            Self::Challenge { nonce } => {
                out.u8(2).u64(*nonce);
            }
            Self::Echo { nonce } => {
                out.u8(3).u64(*nonce);
            }
            Self::Inquiry { target } => {
                out.u8(4).u64(target.0);
            }
            Self::Sighting { target, age_ms } => {
                out.u8(5).u64(target.0).u16(*age_ms);
            }
            Self::Records(records) => {
                out.u8(6).list(records, |out, record| record.write(out));
            }
            Self::Digests(digests) => {
                out.u8(7).list(digests, |out, digest| {
                    out.u64(*digest);
                });
            }
            Self::Summary { mask, reply, entries } => {
                out.u8(8).u64(*mask).bool(*reply).list(entries, |out, entry| entry.write(out));
            }
            Self::FactsPull(nodes) => {
                out.u8(9).list(nodes, |out, node| {
                    out.u64(node.0);
                });
            }
            Self::Facts { node, boot, version, facts } => {
                facts.write(out.u8(10).u64(node.0).u64(*boot).u32(*version));
            }
            Self::HoldsPull { node, boot, after } => {
                write_after(out.u8(11).u64(node.0).u64(*boot), *after);
            }
            Self::HoldsChunk { node, boot, version, after, last, holds } => {
                write_after(out.u8(12).u64(node.0).u64(*boot).u32(*version), *after);
                out.bool(*last).list(holds, |out, (group, term)| {
                    out.u64(group.0).u32(term.0);
                });
            }
            Self::HoldsDelta { node, boot, from, changes } => {
                out.u8(13).u64(node.0).u64(*boot).u32(*from).list(changes, |out, (group, word)| {
                    let (held, term) = match word {
                        Word::Held(term) => (true, term),
                        Word::Released(term) => (false, term),
                    };
                    out.u64(group.0).bool(held).u32(term.0);
                });
            }
        }
        writer.finish()
    }

    /// # Errors
    /// If `content` is not what [`encode`](Self::encode) gives for some message.
    pub(crate) fn decode(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content);
        let from = &mut reader;
        let message = match from.u8()? {
            1 => Self::Heartbeat {
                epoch: from.u32()?,
                digest: from.u64()?,
                reply: from.bool()?,
                synced: from.bool()?,
            },
            2 => Self::Challenge { nonce: from.u64()? },
            3 => Self::Echo { nonce: from.u64()? },
            4 => Self::Inquiry { target: read_node(from)? },
            5 => Self::Sighting { target: read_node(from)?, age_ms: from.u16()? },
            6 => Self::Records(from.list(Record::read)?),
            7 => Self::Digests(from.list(Reader::u64)?),
            8 => Self::Summary {
                mask: from.u64()?,
                reply: from.bool()?,
                entries: from.list(SummaryEntry::read)?,
            },
            9 => Self::FactsPull(from.list(read_node)?),
            10 => Self::Facts {
                node: read_node(from)?,
                boot: from.u64()?,
                version: from.u32()?,
                facts: Facts::read(from)?,
            },
            11 => Self::HoldsPull { node: read_node(from)?, boot: from.u64()?, after: read_after(from)? },
            12 => Self::HoldsChunk {
                node: read_node(from)?,
                boot: from.u64()?,
                version: from.u32()?,
                after: read_after(from)?,
                last: from.bool()?,
                holds: from.list(|from| Ok((GroupId(from.u64()?), Term(from.u32()?))))?,
            },
            13 => Self::HoldsDelta {
                node: read_node(from)?,
                boot: from.u64()?,
                from: from.u32()?,
                changes: from.list(read_change)?,
            },
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(message)
    }
}

impl Record {
    /// Which of two records of a node counts: the higher.
    pub(crate) fn rank(&self) -> (u32, bool, u64) {
        (self.epoch, self.down, self.boot)
    }

    fn write(&self, out: &mut Writer) {
        out.u64(self.node.0).u32(self.epoch).u64(self.boot).bool(self.down);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { node: read_node(from)?, epoch: from.u32()?, boot: from.u64()?, down: from.bool()? })
    }
}

impl SummaryEntry {
    pub(crate) fn record(&self) -> Record {
        let Self { node, epoch, boot, standing, .. } = *self;
        Record { node, epoch, boot, down: standing == Standing::Down }
    }

    fn write(&self, out: &mut Writer) {
        out.u64(self.node.0).u32(self.epoch).u64(self.boot).u8(self.standing as u8);
        out.u32(self.facts_version).u32(self.holds_version).u64(self.holds_digest);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            node: read_node(from)?,
            epoch: from.u32()?,
            boot: from.u64()?,
            standing: match from.u8()? {
                0 => Standing::Up,
                1 => Standing::Lost,
                2 => Standing::Down,
                _ => return Err(Malformed),
            },
            facts_version: from.u32()?,
            holds_version: from.u32()?,
            holds_digest: from.u64()?,
        })
    }
}

fn read_node(from: &mut Reader<'_>) -> Result<NodeId, Malformed> {
    from.u64().map(NodeId)
}

fn write_after(out: &mut Writer, after: Option<GroupId>) {
    out.bool(after.is_some()).u64(after.map_or(0, |group| group.0));
}

fn read_after(from: &mut Reader<'_>) -> Result<Option<GroupId>, Malformed> {
    match (from.bool()?, from.u64()?) {
        (true, group) => Ok(Some(GroupId(group))),
        (false, 0) => Ok(None),
        (false, _) => Err(Malformed),
    }
}

fn read_change(from: &mut Reader<'_>) -> Result<Change, Malformed> {
    let group = GroupId(from.u64()?);
    let (held, term) = (from.bool()?, Term(from.u32()?));
    Ok((group, if held { Word::Held(term) } else { Word::Released(term) }))
}

#[cfg(test)]
mod tests;
