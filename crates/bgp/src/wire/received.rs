//! UPDATE, as it is received: read as far as RFC 7606 needs to say what is wrong with it, counted, and dropped. Nothing is
//! kept, so nothing is allocated.

use super::octets::{Reader, Truncated};
use super::update::{
    AS_PATH, AS4_PATH, COMMUNITIES, EXTENDED_COMMUNITIES, LARGE_COMMUNITY, LOCAL_PREF, MP_REACH_NLRI,
    MP_UNREACH_NLRI, MULTI_EXIT_DISC, NEXT_HOP, ORIGIN,
};
use super::{ErrorCode, Notification};
use crate::values::{Family, PerFamily};

const ATOMIC_AGGREGATE: u8 = 6;
const AGGREGATOR: u8 = 7;
const ORIGINATOR_ID: u8 = 9;
const CLUSTER_LIST: u8 = 10;
const AS4_AGGREGATOR: u8 = 18;

const OPTIONAL: u8 = 0x80;
const TRANSITIVE: u8 = 0x40;
const EXTENDED_LENGTH: u8 = 0x10;

/// What is done about an UPDATE (RFC 7606 §2), from the mildest to the strongest; a session reset is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Treatment {
    /// Nothing is wrong.
    #[default]
    Accept,
    /// The wrong attribute is ignored.
    AttributeDiscard,
    /// Its routes count as withdrawn.
    TreatAsWithdraw,
}

/// What an UPDATE says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) treatment: Treatment,
    /// Prefixes announced; none if they are to be treated as withdrawn.
    pub(crate) announced: PerFamily<u32>,
    /// Prefixes withdrawn, or to be treated so.
    pub(crate) withdrawn: PerFamily<u32>,
    /// Families whose prefixes cannot be read, and which are not to be heard any further ("AFI/SAFI disable").
    pub(crate) unreadable: PerFamily<bool>,
    /// The End-of-RIB marker of a family (RFC 4724 §2).
    pub(crate) end_of_rib: Option<Family>,
}

/// What was agreed with the peer, as far as it says how an UPDATE is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) four_octet_as: bool,
    /// The peer is in another AS.
    pub(crate) external: bool,
}

/// Reads the body of an UPDATE.
///
/// # Errors
/// What cannot be read at all, and so ends the session, with what to tell the peer.
pub(crate) fn classify(body: &[u8], reading: Reading) -> Result<Received, Notification> {
    let malformed = |Truncated| Notification::new(ErrorCode::MALFORMED_ATTRIBUTE_LIST, Vec::new());
    let mut reader = Reader::new(body);
    let withdrawn_len = reader.u16().map_err(malformed)?;
    let withdrawn = reader.slice(withdrawn_len.into()).map_err(malformed)?;
    let attributes_len = reader.u16().map_err(malformed)?;
    let attributes = reader.slice(attributes_len.into()).map_err(malformed)?;
    let nlri = reader.rest();

    let invalid_network = |Truncated| Notification::new(ErrorCode::INVALID_NETWORK_FIELD, Vec::new());
    let mut walk = Walk::new(reading);
    walk.withdrawn.ipv4 = count(Family::Ipv4, withdrawn).map_err(invalid_network)?;
    walk.announced.ipv4 = count(Family::Ipv4, nlri).map_err(invalid_network)?;
    walk.attributes(attributes)?;
    walk.check_mandatory(!nlri.is_empty());
    walk.finish(body)
}

/// Counts prefixes in their encoding.
fn count(family: Family, octets: &[u8]) -> Result<u32, Truncated> {
    let mut reader = Reader::new(octets);
    let mut counted = 0;
    while !reader.is_empty() {
        let bits = reader.u8()?;
        if bits > family.address_bits() {
            return Err(Truncated);
        }
        reader.slice(usize::from(bits).div_ceil(8))?;
        counted += 1;
    }
    Ok(counted)
}

/// What the attributes of one UPDATE have shown so far.
struct Walk {
    reading: Reading,
    /// One bit for each type that was there.
    seen: [u64; 4],
    treatment: Treatment,
    announced: PerFamily<u32>,
    withdrawn: PerFamily<u32>,
    unreadable: PerFamily<bool>,
    /// MP_REACH_NLRI was there, with prefixes.
    reaches: bool,
    /// Families of MP_UNREACH_NLRI without prefixes.
    empty_unreach: Option<Family>,
    /// Attributes other than MP_UNREACH_NLRI.
    others: bool,
}

impl Walk {
    fn new(reading: Reading) -> Self {
        Self {
            reading,
            seen: [0; 4],
            treatment: Treatment::Accept,
            announced: PerFamily::default(),
            withdrawn: PerFamily::default(),
            unreadable: PerFamily::default(),
            reaches: false,
            empty_unreach: None,
            others: false,
        }
    }

    fn attributes(&mut self, octets: &[u8]) -> Result<(), Notification> {
        let mut reader = Reader::new(octets);
        while !reader.is_empty() {
            // RFC 7606 §4: one that is longer than what is left makes the rest unreadable, but not the prefixes.
            let Ok((flags, kind, value)) = split(&mut reader) else {
                self.treat(Treatment::TreatAsWithdraw);
                return Ok(());
            };
            self.attribute(flags, kind, value)?;
        }
        Ok(())
    }

    fn attribute(&mut self, flags: u8, kind: u8, value: &[u8]) -> Result<(), Notification> {
        let (word, bit) = (usize::from(kind / 64), 1 << (kind % 64));
        let twice = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        let multiprotocol = kind == MP_REACH_NLRI || kind == MP_UNREACH_NLRI;
        if twice && multiprotocol {
            // RFC 7606 §3 (g).
            return Err(Notification::new(ErrorCode::MALFORMED_ATTRIBUTE_LIST, Vec::new()));
        }
        self.others |= kind != MP_UNREACH_NLRI;
        if twice {
            self.treat(Treatment::AttributeDiscard);
            return Ok(());
        }
        match flags_of(kind) {
            // RFC 7606 §3 (c).
            Some(expected) if flags & (OPTIONAL | TRANSITIVE) != expected => {
                self.treat(Treatment::TreatAsWithdraw);
            }
            None if flags & OPTIONAL == 0 => {
                let mut data = vec![flags, kind];
                data.extend_from_slice(&value[..value.len().min(usize::from(u8::MAX))]);
                return Err(Notification::new(ErrorCode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE, data));
            }
            Some(_) | None => {}
        }
        match kind {
            MP_REACH_NLRI => self.reach(value)?,
            MP_UNREACH_NLRI => self.unreach(value)?,
            _ => self.treat(self.judge(kind, value)),
        }
        Ok(())
    }

    /// RFC 7606 §7, RFC 8092 §6, RFC 6793 §6: what a value calls for.
    fn judge(&self, kind: u8, value: &[u8]) -> Treatment {
        use Treatment::{Accept, AttributeDiscard, TreatAsWithdraw};
        let (external, length) = (self.reading.external, value.len());
        let require = |fine: bool, otherwise| if fine { Accept } else { otherwise };
        let list_of = |size: usize| require(length > 0 && length.is_multiple_of(size), TreatAsWithdraw);
        match kind {
            ORIGIN => require(matches!(value, [0..=2]), TreatAsWithdraw),
            AS_PATH => require(is_as_path(value, self.reading.four_octet_as), TreatAsWithdraw),
            NEXT_HOP | MULTI_EXIT_DISC => require(length == 4, TreatAsWithdraw),
            LOCAL_PREF | ORIGINATOR_ID | CLUSTER_LIST if external => AttributeDiscard,
            LOCAL_PREF | ORIGINATOR_ID => require(length == 4, TreatAsWithdraw),
            ATOMIC_AGGREGATE => require(length == 0, AttributeDiscard),
            AGGREGATOR => require(length == if self.reading.four_octet_as { 8 } else { 6 }, AttributeDiscard),
            COMMUNITIES | CLUSTER_LIST => list_of(4),
            EXTENDED_COMMUNITIES => list_of(8),
            LARGE_COMMUNITY => list_of(12),
            // RFC 6793 §4.1: between speakers of four octets these have no meaning.
            AS4_PATH | AS4_AGGREGATOR if self.reading.four_octet_as => AttributeDiscard,
            AS4_PATH => require(length >= 6 && is_as_path(value, true), AttributeDiscard),
            AS4_AGGREGATOR => require(length == 8, AttributeDiscard),
            _ => Accept,
        }
    }

    /// MP_REACH_NLRI (RFC 4760 §3). A family that is not known is skipped.
    fn reach(&mut self, value: &[u8]) -> Result<(), Notification> {
        let mut reader = Reader::new(value);
        let Some(family) = family(&mut reader)? else { return Ok(()) };
        let prefixes = next_hop_len(&mut reader, family).map(|()| count(family, reader.rest()));
        match prefixes {
            Ok(Ok(prefixes)) => {
                self.announced[family] += prefixes;
                self.reaches |= prefixes > 0;
            }
            // RFC 7606 §5.3, §7.11.
            Ok(Err(Truncated)) | Err(Truncated) => self.unreadable[family] = true,
        }
        Ok(())
    }

    /// MP_UNREACH_NLRI (RFC 4760 §4).
    fn unreach(&mut self, value: &[u8]) -> Result<(), Notification> {
        let mut reader = Reader::new(value);
        let Some(family) = family(&mut reader)? else { return Ok(()) };
        match count(family, reader.rest()) {
            Ok(0) => self.empty_unreach = Some(family),
            Ok(prefixes) => self.withdrawn[family] += prefixes,
            Err(Truncated) => self.unreadable[family] = true,
        }
        Ok(())
    }

    /// RFC 7606 §3 (d): routes without what every route must have are treated as withdrawn.
    fn check_mandatory(&mut self, nlri: bool) {
        let has = |kind: u8| self.seen[usize::from(kind / 64)] & (1 << (kind % 64)) != 0;
        let routes = nlri || self.reaches;
        let missing = !has(ORIGIN)
            || !has(AS_PATH)
            || nlri && !has(NEXT_HOP)
            || !self.reading.external && !has(LOCAL_PREF);
        if routes && missing {
            self.treat(Treatment::TreatAsWithdraw);
        }
    }

    fn finish(self, body: &[u8]) -> Result<Received, Notification> {
        // RFC 7606 §5.2: without a route that was found, none can be withdrawn for certain.
        let no_routes = self.announced == PerFamily::default();
        if self.others && no_routes && self.treatment >= Treatment::TreatAsWithdraw {
            return Err(Notification::new(ErrorCode::MALFORMED_ATTRIBUTE_LIST, Vec::new()));
        }
        let empty = body.len() == 4;
        let end_of_rib = if empty {
            Some(Family::Ipv4)
        } else {
            self.empty_unreach.filter(|_| !self.others && no_routes && self.withdrawn == PerFamily::default())
        };
        let (announced, withdrawn) = match self.treatment {
            Treatment::TreatAsWithdraw => {
                let all = PerFamily::from_fn(|family| self.withdrawn[family] + self.announced[family]);
                (PerFamily::default(), all)
            }
            Treatment::Accept | Treatment::AttributeDiscard => (self.announced, self.withdrawn),
        };
        Ok(Received {
            treatment: self.treatment,
            announced,
            withdrawn,
            unreadable: self.unreadable,
            end_of_rib,
        })
    }

    /// The strongest treatment that any attribute calls for is taken (RFC 7606 §3 (h)).
    fn treat(&mut self, treatment: Treatment) {
        self.treatment = self.treatment.max(treatment);
    }
}

/// Flags, type and value of the next attribute.
fn split<'a>(reader: &mut Reader<'a>) -> Result<(u8, u8, &'a [u8]), Truncated> {
    let flags = reader.u8()?;
    let kind = reader.u8()?;
    let length = if flags & EXTENDED_LENGTH == 0 { reader.u8()?.into() } else { reader.u16()?.into() };
    Ok((flags, kind, reader.slice(length)?))
}

/// The Optional and Transitive flags that a type must have; `None` for types that are not known here.
fn flags_of(kind: u8) -> Option<u8> {
    match kind {
        ORIGIN | AS_PATH | NEXT_HOP | LOCAL_PREF | ATOMIC_AGGREGATE => Some(TRANSITIVE),
        MULTI_EXIT_DISC | ORIGINATOR_ID | CLUSTER_LIST | MP_REACH_NLRI | MP_UNREACH_NLRI => Some(OPTIONAL),
        AGGREGATOR | COMMUNITIES | EXTENDED_COMMUNITIES | AS4_PATH | AS4_AGGREGATOR | LARGE_COMMUNITY => {
            Some(OPTIONAL | TRANSITIVE)
        }
        _ => None,
    }
}

/// Whether a path consists of whole segments of known kinds, none empty (RFC 7606 §7.2).
fn is_as_path(value: &[u8], four_octets: bool) -> bool {
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        let (Ok(kind), Ok(count)) = (reader.u8(), reader.u8()) else { return false };
        let length = usize::from(count) * if four_octets { 4 } else { 2 };
        if !(1..=4).contains(&kind) || count == 0 || reader.slice(length).is_err() {
            return false;
        }
    }
    true
}

/// Address family of a multiprotocol attribute; `Ok(None)` for one that is not known.
fn family(reader: &mut Reader<'_>) -> Result<Option<Family>, Notification> {
    let read = |reader: &mut Reader<'_>| Ok((reader.u16()?, reader.u8()?));
    let (afi, safi) = read(reader)
        .map_err(|Truncated| Notification::new(ErrorCode::OPTIONAL_ATTRIBUTE_ERROR, Vec::new()))?;
    Ok(Family::from_wire(afi, safi))
}

/// Skips the next hop and the reserved octet behind it; its length has to be one that the family can have.
fn next_hop_len(reader: &mut Reader<'_>, family: Family) -> Result<(), Truncated> {
    let length = reader.u8()?;
    let possible = match family {
        Family::Ipv4 => [4, 16, 32].contains(&length),
        Family::Ipv6 => [16, 32].contains(&length),
    };
    if !possible {
        return Err(Truncated);
    }
    reader.slice(length.into())?;
    reader.u8()?;
    Ok(())
}

#[cfg(test)]
mod tests;
