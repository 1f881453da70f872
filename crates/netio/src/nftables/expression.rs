//! What a rule consists of, and how the kernel wants it: loads into registers and tests of registers.

use super::encode::Encoder;

/// One step of a rule. A rule's steps run in order until one does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Holds if the field compares so with `value`, which has as many bytes as the field, in network byte order (for
    /// [`Field::OutputInterfaceType`] in the host's).
    Compare {
        /// The field on the left side.
        field: Field,
        /// The comparison.
        operator: Operator,
        /// The right side.
        value: Vec<u8>,
    },
    /// Holds if these fields, taken together, are an element of the set. The table has one set of rules for both
    /// families: test [`Field::NetworkProtocol`] before an address.
    InSet {
        /// The fields, in the order of the set's key.
        key: Vec<Field>,
        /// Name of a set of the same table.
        set: String,
    },
    /// Counts packets and bytes that come so far; `nft list ruleset` shows it.
    Counter,
    /// Ends the rule.
    Verdict(Verdict),
    /// Discards the packet and answers it. The kernel answers no reset, no ICMP error and no fragment.
    Reject(Reject),
}

/// Something to be known of a packet. A rule whose field the packet does not have does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `meta nfproto`, one byte: 2 for IPv4, 10 for IPv6.
    NetworkProtocol,
    /// `meta l4proto`, one byte: IP protocol number behind all extension headers.
    TransportProtocol,
    /// `meta oiftype`, two bytes in host byte order: hardware type, 772 for loopback.
    OutputInterfaceType,
    /// `ip daddr`, four bytes.
    Ipv4Destination,
    /// `ip6 daddr`, sixteen bytes.
    Ipv6Destination,
    /// `th dport`, two bytes.
    DestinationPort,
    /// `icmpv6 type`, one byte; test that the protocol is ICMPv6 first.
    Icmpv6Type,
}

/// A comparison of the bytes of a field, as of a big-endian number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This base chain lets it go on.
    Accept,
    /// Discarded.
    Drop,
    /// Goes on in the chain of that name of the same table, without return.
    Goto(String),
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// By a TCP reset; a packet of another protocol is only discarded.
    TcpReset,
    /// By the ICMP or ICMPv6 error "port unreachable".
    PortUnreachable,
}

const PAYLOAD_NETWORK: u32 = libc::NFT_PAYLOAD_NETWORK_HEADER as u32;
const PAYLOAD_TRANSPORT: u32 = libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32;

/// Where the kernel finds a field.
enum Source {
    Meta { key: libc::c_int },
    Payload { base: u32, offset: u32 },
}

impl Field {
    /// Length in bytes.
    pub(super) fn length(self) -> usize {
        match self {
            Self::NetworkProtocol | Self::TransportProtocol | Self::Icmpv6Type => 1,
            Self::OutputInterfaceType | Self::DestinationPort => 2,
            Self::Ipv4Destination => 4,
            Self::Ipv6Destination => 16,
        }
    }

    /// The type by which `nft` shows elements of a set (its datatype numbers; the kernel only keeps them).
    pub(super) fn datatype(self) -> u32 {
        match self {
            Self::NetworkProtocol => 2,
            Self::Ipv4Destination => 7,
            Self::Ipv6Destination => 8,
            Self::TransportProtocol => 12,
            Self::DestinationPort => 13,
            Self::OutputInterfaceType => 21,
            Self::Icmpv6Type => 29,
        }
    }

    fn source(self) -> Source {
        match self {
            Self::NetworkProtocol => Source::Meta { key: libc::NFT_META_NFPROTO },
            Self::TransportProtocol => Source::Meta { key: libc::NFT_META_L4PROTO },
            Self::OutputInterfaceType => Source::Meta { key: libc::NFT_META_OIFTYPE },
            Self::Ipv4Destination => Source::Payload { base: PAYLOAD_NETWORK, offset: 16 },
            Self::Ipv6Destination => Source::Payload { base: PAYLOAD_NETWORK, offset: 24 },
            Self::DestinationPort => Source::Payload { base: PAYLOAD_TRANSPORT, offset: 2 },
            Self::Icmpv6Type => Source::Payload { base: PAYLOAD_TRANSPORT, offset: 0 },
        }
    }

    fn load(self, encoder: &mut Encoder, register: u32) {
        match self.source() {
            Source::Meta { key } => expression(encoder, "meta", |data| {
                data.number(META_KEY, key as u32);
                data.number(META_DREG, register);
            }),
            Source::Payload { base, offset } => expression(encoder, "payload", |data| {
                data.number(PAYLOAD_DREG, register);
                data.number(PAYLOAD_BASE, base);
                data.number(PAYLOAD_OFFSET, offset);
                data.number(PAYLOAD_LEN, self.length() as u32);
            }),
        }
    }
}

/// Length of a key of these fields: each is padded to whole registers.
pub(super) fn key_length(key: &[Field]) -> usize {
    key.iter().map(|field| field.length().next_multiple_of(REGISTER_LENGTH)).sum()
}

const REGISTER_LENGTH: usize = 4;
const FIRST_REGISTER: u32 = libc::NFT_REG32_00 as u32;

impl Expression {
    pub(super) fn encode(&self, encoder: &mut Encoder) {
        match self {
            Self::Compare { field, operator, value } => {
                assert_eq!(
                    value.len(),
                    field.length(),
                    "{field:?} is compared with a value of another length"
                );
                field.load(encoder, FIRST_REGISTER);
                expression(encoder, "cmp", |data| {
                    data.number(CMP_SREG, FIRST_REGISTER);
                    data.number(CMP_OP, operator.number());
                    data.nested(CMP_DATA, |data| data.attribute(DATA_VALUE, value));
                });
            }
            Self::InSet { key, set } => {
                let mut register = FIRST_REGISTER;
                for field in key {
                    field.load(encoder, register);
                    register += field.length().div_ceil(REGISTER_LENGTH) as u32;
                }
                expression(encoder, "lookup", |data| {
                    data.text(LOOKUP_SET, set);
                    data.number(LOOKUP_SREG, FIRST_REGISTER);
                });
            }
            Self::Counter => expression(encoder, "counter", |_| {}),
            Self::Verdict(verdict) => expression(encoder, "immediate", |data| {
                data.number(IMMEDIATE_DREG, libc::NFT_REG_VERDICT as u32);
                data.nested(IMMEDIATE_DATA, |data| data.nested(DATA_VERDICT, |data| verdict.encode(data)));
            }),
            Self::Reject(Reject::TcpReset) => expression(encoder, "reject", |data| {
                data.number(REJECT_TYPE, libc::NFT_REJECT_TCP_RST as u32);
            }),
            Self::Reject(Reject::PortUnreachable) => expression(encoder, "reject", |data| {
                data.number(REJECT_TYPE, libc::NFT_REJECT_ICMPX_UNREACH as u32);
                data.attribute(REJECT_ICMP_CODE, &[libc::NFT_REJECT_ICMPX_PORT_UNREACH as u8]);
            }),
        }
    }
}

impl Operator {
    fn number(self) -> u32 {
        let number = match self {
            Self::Equal => libc::NFT_CMP_EQ,
            Self::AtLeast => libc::NFT_CMP_GTE,
            Self::AtMost => libc::NFT_CMP_LTE,
        };
        number as u32
    }
}

impl Verdict {
    fn encode(&self, encoder: &mut Encoder) {
        let code = match self {
            Self::Accept => libc::NF_ACCEPT,
            Self::Drop => libc::NF_DROP,
            Self::Goto(_) => libc::NFT_GOTO,
        };
        encoder.number(VERDICT_CODE, code as u32);
        if let Self::Goto(chain) = self {
            encoder.text(VERDICT_CHAIN, chain);
        }
    }
}

fn expression(encoder: &mut Encoder, name: &str, data: impl FnOnce(&mut Encoder)) {
    encoder.nested(LIST_ELEM, |element| {
        element.text(EXPR_NAME, name);
        element.nested(EXPR_DATA, data);
    });
}

// Attribute numbers of linux/netfilter/nf_tables.h, which libc lacks.
pub(super) const LIST_ELEM: u16 = 1;
pub(super) const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const META_DREG: u16 = 1;
const META_KEY: u16 = 2;
const PAYLOAD_DREG: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LEN: u16 = 4;
const CMP_SREG: u16 = 1;
const CMP_OP: u16 = 2;
const CMP_DATA: u16 = 3;
const LOOKUP_SET: u16 = 1;
const LOOKUP_SREG: u16 = 2;
const IMMEDIATE_DREG: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const REJECT_TYPE: u16 = 1;
const REJECT_ICMP_CODE: u16 = 2;
