//! Sealed datagrams: only holders of the cluster's key can make one, and none is taken twice.
//!
//! | octets | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | key id: first octet of SHA-256 over the key |
//! | 8 | node id of the sender |
//! | 8 | boot id of the sender: random, new at every start |
//! | 8 | counter: one higher with every datagram of this boot |
//! | n | ciphertext |
//! | 16 | tag |
//!
//! All numbers are big-endian. The cipher is ChaCha20-Poly1305 (RFC 8439): as fast to key as to use, and of constant
//! time without special instructions.
//!
//! **The nonce never repeats.** A 96-bit nonce has no room for two independent 64-bit numbers, and with one cluster
//! key for all nodes a random one would repeat after some 2^48 datagrams. So each boot of each node seals with a key
//! of its own: HKDF-SHA256 (RFC 5869) over the cluster key, with the node id and the boot id as info. Under that key
//! the counter alone is the nonce, and a counter is used once. Two boots share a key only if one node draws the same
//! 64-bit boot id twice.
//!
//! **A datagram is for one receiver.** The additional data holds the receiver's node id (which is not sent), the
//! header and the cluster id. What was recorded on the way to one node is worth nothing at another.
//!
//! **Replays.** Per sender there is one boot that is believed, with a window over its counters. Another boot is
//! believed only after it has echoed a nonce that we sent ([`Seal::challenge`]): so a recording of an earlier boot
//! never counts, and no clock is needed. An attacker on the path can still hold back datagrams and deliver them
//! later, once each.

mod window;

use std::collections::BTreeMap;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{digest, hkdf, hmac};

use self::window::{Refused, Window};
use crate::NodeId;

/// The longest datagram, in octets: fits an Ethernet frame with room for a tunnel's headers (RFC 8085 §3.2).
pub const DATAGRAM_MAX_LEN: usize = 1400;
/// The longest content of a datagram, in octets.
pub(crate) const CONTENT_MAX_LEN: usize = DATAGRAM_MAX_LEN - HEADER_LEN - TAG_LEN;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 26;
const TAG_LEN: usize = 16;

/// A key that all speakers of a cluster share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// From 32 random octets.
    #[must_use]
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// Names the key in a datagram. Two keys may share an id; then both are tried.
    fn id(&self) -> u8 {
        digest::digest(&digest::SHA256, &self.0).as_ref()[0]
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key(id {:02x})", self.id())
    }
}

/// The keys in use. To change a cluster's key, give all nodes the new one as `accepted`, then swap the two on each,
/// then drop the old one: at every moment each node opens what any other seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Seals what is sent, opens what is received.
    pub sending: Key,
    /// Also opens what is received: the previous key or the next.
    pub accepted: Option<Key>,
}

/// Why a datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Rejected {
    /// Shorter than a header and a tag, or longer than [`DATAGRAM_MAX_LEN`].
    #[error("length is not that of a datagram")]
    Length,
    /// Another layout than ours.
    #[error("unknown version")]
    Version,
    /// The sender is no node of the cluster, as far as this node has been told, or is this node.
    #[error("sender is not a node of the cluster")]
    UnknownNode,
    /// Sealed with a key that this node does not have.
    #[error("unknown key")]
    UnknownKey,
    /// Changed on the way, or meant for another node or cluster, or sealed with another key of the same id.
    #[error("seal is broken")]
    Seal,
    /// Came before.
    #[error("replayed")]
    Replayed,
    /// Overtaken by so many later ones that it cannot be told from a replay.
    #[error("too old")]
    TooOld,
    /// From a boot of the sender that has not yet echoed a challenge. Not lost: the latest of each node is taken once
    /// the echo arrives.
    #[error("boot is not proven yet")]
    UnprovenBoot,
    /// Sealed rightly, but the content is none that this version writes.
    #[error("malformed content")]
    Malformed,
}

impl Rejected {
    /// All reasons, in the order of [`Rejected::index`].
    pub const ALL: [Self; 9] = [
        Self::Length,
        Self::Version,
        Self::UnknownNode,
        Self::UnknownKey,
        Self::Seal,
        Self::Replayed,
        Self::TooOld,
        Self::UnprovenBoot,
        Self::Malformed,
    ];

    /// Short name for metrics and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "Length",
            Self::Version => "Version",
            Self::UnknownNode => "UnknownNode",
            Self::UnknownKey => "UnknownKey",
            Self::Seal => "Seal",
            Self::Replayed => "Replayed",
            Self::TooOld => "TooOld",
            Self::UnprovenBoot => "UnprovenBoot",
            Self::Malformed => "Malformed",
        }
    }

    /// Position in [`Rejected::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Seals and opens the datagrams of one node.
pub(crate) struct Seal {
    cluster: Vec<u8>,
    node: NodeId,
    boot: u64,
    counter: u64,
    keys: Vec<Keyed>,
    /// Makes the nonces of challenges; nobody else has it.
    challenges: hmac::Key,
    peers: BTreeMap<NodeId, Peer>,
}

/// One of [`Keys`], with what is derived from it.
struct Keyed {
    id: u8,
    derive: hkdf::Prk,
    /// Seals for this boot of this node.
    own: LessSafeKey,
}

/// What is known of a sender.
#[derive(Default)]
struct Peer {
    believed: Option<Session>,
    /// Boots believed so far; part of the challenge, so that an echo serves once.
    proofs: u64,
}

/// The believed boot of a sender.
struct Session {
    boot: u64,
    window: Window,
    /// For each of [`Seal::keys`], once it was needed.
    opening: Vec<Option<LessSafeKey>>,
}

/// A datagram whose seal is whole.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) from: NodeId,
    pub(crate) boot: u64,
    pub(crate) counter: u64,
    /// The boot is believed and the counter is new. If false, the content may be a replay.
    pub(crate) proven: bool,
    pub(crate) content: Vec<u8>,
}

struct Header {
    key_id: u8,
    from: NodeId,
    boot: u64,
    counter: u64,
}

impl Seal {
    /// `seed` must be new and unpredictable at every start: the boot id and the challenges come from it, by a function
    /// that cannot be reversed.
    pub(crate) fn new(cluster: &str, node: NodeId, keys: &Keys, seed: u64) -> Self {
        let boot = derive_from_seed(b"keryx boot", node, seed);
        let boot = boot.iter().take(8).fold(0, |boot, octet| boot << 8 | u64::from(*octet));
        let mut seal = Self {
            cluster: cluster.as_bytes().to_vec(),
            node,
            boot,
            counter: 0,
            keys: Vec::new(),
            challenges: hmac::Key::new(hmac::HMAC_SHA256, &derive_from_seed(b"keryx challenge", node, seed)),
            peers: BTreeMap::new(),
        };
        seal.set_keys(keys);
        seal
    }

    /// From now on seals with `keys.sending` and opens with either. Who is believed stays so.
    pub(crate) fn set_keys(&mut self, keys: &Keys) {
        let keyed = |key: &Key| {
            let derive = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keryx membership").extract(&key.0);
            Keyed { id: key.id(), own: boot_key(&derive, self.node, self.boot), derive }
        };
        self.keys = std::iter::once(&keys.sending).chain(&keys.accepted).map(keyed).collect();
        for peer in self.peers.values_mut() {
            peer.believed.iter_mut().for_each(|session| session.opening.clear());
        }
    }

    pub(crate) fn boot(&self) -> u64 {
        self.boot
    }

    /// Forgets a node that has left the cluster.
    pub(crate) fn forget(&mut self, node: NodeId) {
        self.peers.remove(&node);
    }

    /// The datagram with `content`, at most [`CONTENT_MAX_LEN`] octets, for the node `to`.
    pub(crate) fn seal(&mut self, to: NodeId, content: &[u8]) -> Vec<u8> {
        self.counter += 1;
        let key = &self.keys[0];
        let mut datagram = Vec::with_capacity(HEADER_LEN + content.len() + TAG_LEN);
        datagram.extend([VERSION, key.id]);
        datagram.extend(self.node.0.to_be_bytes());
        datagram.extend(self.boot.to_be_bytes());
        datagram.extend(self.counter.to_be_bytes());
        let aad = additional_data(to, &datagram, &self.cluster);
        datagram.extend(content);
        let sealed = key.own.seal_in_place_separate_tag(
            nonce(self.counter),
            Aad::from(aad),
            &mut datagram[HEADER_LEN..],
        );
        match sealed {
            Ok(tag) => datagram.extend(tag.as_ref()),
            // Only a content of 256 GiB is refused; what is sent then is empty and opens nowhere.
            Err(ring::error::Unspecified) => datagram.clear(),
        }
        datagram
    }

    /// Opens a datagram. It takes part in the replay window only if its boot is believed.
    ///
    /// # Errors
    /// With the reason why nothing may be done with it. Costs no more than two trial decryptions.
    pub(crate) fn open(
        &mut self,
        datagram: &[u8],
        knows: impl FnOnce(NodeId) -> bool,
    ) -> Result<Opened, Rejected> {
        let (header, sealed) = parse(datagram)?;
        if header.from == self.node || !knows(header.from) {
            return Err(Rejected::UnknownNode);
        }
        let aad = additional_data(self.node, &datagram[..HEADER_LEN], &self.cluster);
        let peer = self.peers.entry(header.from).or_default();
        let mut session = peer.believed.as_mut().filter(|session| session.boot == header.boot);
        let mut rejected = Rejected::UnknownKey;
        for (slot, key) in self.keys.iter().enumerate().filter(|(_, key)| key.id == header.key_id) {
            rejected = Rejected::Seal;
            let derive = || boot_key(&key.derive, header.from, header.boot);
            let mut content = sealed.to_vec();
            let opened = match &mut session {
                Some(session) => {
                    session.opening.resize_with(self.keys.len(), || None);
                    let opening = session.opening[slot].get_or_insert_with(derive);
                    opening.open_in_place(nonce(header.counter), Aad::from(&aad), &mut content)
                }
                None => derive().open_in_place(nonce(header.counter), Aad::from(&aad), &mut content),
            };
            let Ok(length) = opened.map(|plain| plain.len()) else { continue };
            content.truncate(length);
            let proven = session.is_some();
            if let Some(session) = session {
                session.window.take(header.counter).map_err(Rejected::from)?;
            }
            let Header { from, boot, counter, .. } = header;
            return Ok(Opened { from, boot, counter, proven, content });
        }
        Err(rejected)
    }

    /// What `node` has to echo so that its boot is believed. Stays the same until it has, so nothing is stored per
    /// challenge, and no flood of recordings can displace one.
    pub(crate) fn challenge(&self, node: NodeId) -> u64 {
        let proofs = self.peers.get(&node).map_or(0, |peer| peer.proofs);
        let mut text = [0; 16];
        text[..8].copy_from_slice(&node.0.to_be_bytes());
        text[8..].copy_from_slice(&proofs.to_be_bytes());
        let tag = hmac::sign(&self.challenges, &text);
        tag.as_ref().iter().take(8).fold(0, |nonce, octet| nonce << 8 | u64::from(*octet))
    }

    /// Believes the boot that sealed `echo`, if the echoed nonce is right. True if it is believed now for the first
    /// time.
    pub(crate) fn prove(&mut self, echo: &Opened, nonce: u64) -> bool {
        if echo.proven || nonce != self.challenge(echo.from) {
            return false;
        }
        let peer = self.peers.entry(echo.from).or_default();
        peer.proofs += 1;
        let window = Window::starting_at(echo.counter);
        peer.believed = Some(Session { boot: echo.boot, window, opening: Vec::new() });
        true
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seal(node {}, boot {:016x}, counter {})", self.node, self.boot, self.counter)
    }
}

impl From<Refused> for Rejected {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Seen => Self::Replayed,
            Refused::TooOld => Self::TooOld,
        }
    }
}

fn parse(datagram: &[u8]) -> Result<(Header, &[u8]), Rejected> {
    if datagram.len() < HEADER_LEN + TAG_LEN || datagram.len() > DATAGRAM_MAX_LEN {
        return Err(Rejected::Length);
    }
    let (header, sealed) = datagram.split_at(HEADER_LEN);
    if header[0] != VERSION {
        return Err(Rejected::Version);
    }
    let number =
        |at: usize| header[at..at + 8].iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
    let header = Header { key_id: header[1], from: NodeId(number(2)), boot: number(10), counter: number(18) };
    Ok((header, sealed))
}

fn additional_data(receiver: NodeId, header: &[u8], cluster: &[u8]) -> Vec<u8> {
    // The first two are of fixed length, so no two triples give the same octets.
    [&receiver.0.to_be_bytes(), header, cluster].concat()
}

fn nonce(counter: u64) -> Nonce {
    let mut octets = [0; NONCE_LEN];
    octets[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(octets)
}

/// The key of one boot of one node.
fn boot_key(derive: &hkdf::Prk, node: NodeId, boot: u64) -> LessSafeKey {
    let info = [&node.0.to_be_bytes()[..], &boot.to_be_bytes()[..]];
    #[expect(clippy::expect_used, reason = "HKDF refuses only outputs of more than 255 blocks; this is one")]
    let okm = derive.expand(&info, &CHACHA20_POLY1305).expect("one block");
    LessSafeKey::new(UnboundKey::from(okm))
}

fn derive_from_seed(purpose: &[u8], node: NodeId, seed: u64) -> Vec<u8> {
    let text = [purpose, &node.0.to_be_bytes(), &seed.to_be_bytes()].concat();
    digest::digest(&digest::SHA256, &text).as_ref().to_vec()
}

#[cfg(test)]
mod tests;
