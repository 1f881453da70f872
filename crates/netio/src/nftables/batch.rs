//! A list of named operations that the kernel applies together.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encode::{Encoder, Header};
use super::expression::{DATA_VALUE, Expression, Field, LIST_ELEM, key_length};

/// An element's nested length is 16 bits; at the kernel's longest key (64 bytes) this many take 61 KiB.
const ELEMENTS_PER_MESSAGE: usize = 800;

/// Operations on tables of family `inet`, in order. All are applied by [`super::Nftables::commit`], or none.
///
/// Each operation has a name, by which an error says what the kernel refused. Names of tables, sets and chains have at
/// most 255 bytes (the kernel's limit).
#[derive(Clone, Debug)]
pub struct Batch {
    encoder: Encoder,
    operations: Vec<String>,
    sets: u32,
}

/// Where a base chain stands; its type is `filter`, its policy accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Hook.
    pub hook: Hook,
    /// Priority; lower runs first.
    pub priority: i32,
}

/// A hook of netfilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Packets that came in and are about to be sent on.
    Forward,
    /// Packets that a process of this host sends.
    Output,
}

/// An element of a set: one value for each field of the set's key, in the key's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    key: Vec<u8>,
}

impl Element {
    /// An element without a value yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the value of an IPv4 address field.
    pub fn ipv4(self, address: Ipv4Addr) -> Self {
        self.padded(&address.octets())
    }

    /// Adds the value of an IPv6 address field.
    pub fn ipv6(self, address: Ipv6Addr) -> Self {
        self.padded(&address.octets())
    }

    /// Adds the value of a protocol field.
    pub fn protocol(self, number: u8) -> Self {
        self.padded(&[number])
    }

    /// Adds the value of a port field.
    pub fn port(self, port: u16) -> Self {
        self.padded(&port.to_be_bytes())
    }

    /// Each field of a key starts at a register of its own.
    fn padded(mut self, value: &[u8]) -> Self {
        self.key.extend(value);
        self.key.resize(self.key.len().next_multiple_of(4), 0);
        self
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// A batch without operations; to commit it does nothing.
    pub fn new() -> Self {
        let mut encoder = Encoder::default();
        encoder.message(&delimiter(libc::NFNL_MSG_BATCH_BEGIN, 0), |_| {});
        Self { encoder, operations: Vec::new(), sets: 0 }
    }

    /// Whether nothing has been asked for.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Makes the table be there and empty, whatever it held before.
    pub fn reset_table(&mut self, table: &str) {
        self.remove_table(table);
        self.create_table(table);
    }

    /// Makes the table not be there, with all that it held.
    pub fn remove_table(&mut self, table: &str) {
        // To delete what is not there is an error, and DESTROYTABLE needs Linux 6.3.
        self.create_table(table);
        self.operation(format!("delete table {table}"), libc::NFT_MSG_DELTABLE, 0, |message| {
            message.text(TABLE_NAME, table);
        });
    }

    /// Makes the table be there; what it holds stays.
    pub fn create_table(&mut self, table: &str) {
        self.operation(
            format!("create table {table}"),
            libc::NFT_MSG_NEWTABLE,
            libc::NLM_F_CREATE,
            |message| {
                message.text(TABLE_NAME, table);
            },
        );
    }

    /// Creates a chain: a base chain, or with `None` one that is only entered by [`super::Verdict::Goto`].
    pub fn create_chain(&mut self, table: &str, chain: &str, base: Option<Base>) {
        let name = format!("create chain {chain} in table {table}");
        self.operation(name, libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |message| {
            message.text(CHAIN_TABLE, table);
            message.text(CHAIN_NAME, chain);
            if let Some(Base { hook, priority }) = base {
                message.nested(CHAIN_HOOK, |attachment| {
                    attachment.number(HOOK_HOOKNUM, hook.number());
                    attachment.number(HOOK_PRIORITY, priority.cast_unsigned());
                });
                message.text(CHAIN_TYPE, "filter");
            }
        });
    }

    /// Creates an empty set whose elements consist of these fields.
    pub fn create_set(&mut self, table: &str, set: &str, key: &[Field]) {
        self.sets += 1;
        let id = self.sets;
        let datatype = key.iter().fold(0, |whole, field| whole << DATATYPE_BITS | field.datatype());
        let name = format!("create set {set} in table {table}");
        self.operation(name, libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, |message| {
            message.text(SET_TABLE, table);
            message.text(SET_NAME, set);
            message.number(SET_FLAGS, 0);
            message.number(SET_KEY_TYPE, datatype);
            message.number(SET_KEY_LEN, key_length(key) as u32);
            message.number(SET_ID, id);
        });
    }

    /// Adds elements to a set; those that are in it already stay.
    pub fn add_elements(&mut self, table: &str, set: &str, elements: &[Element]) {
        let name = format!("add elements to set {set} in table {table}");
        self.elements(&name, libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, [table, set], elements);
    }

    /// Takes elements out of a set. One that is not in it makes the kernel refuse the batch.
    pub fn delete_elements(&mut self, table: &str, set: &str, elements: &[Element]) {
        let name = format!("delete elements from set {set} in table {table}");
        self.elements(&name, libc::NFT_MSG_DELSETELEM, 0, [table, set], elements);
    }

    /// Appends a rule to a chain. The sets and chains that it names must be there, or earlier in the batch.
    ///
    /// # Panics
    /// If a field is compared with a value of another length.
    pub fn add_rule(&mut self, table: &str, chain: &str, expressions: &[Expression]) {
        let name = format!("add rule to chain {chain} in table {table}");
        let flags = libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        self.operation(name, libc::NFT_MSG_NEWRULE, flags, |message| {
            message.text(RULE_TABLE, table);
            message.text(RULE_CHAIN, chain);
            message.nested(RULE_EXPRESSIONS, |list| {
                expressions.iter().for_each(|expression| expression.encode(list));
            });
        });
    }

    fn elements(&mut self, name: &str, kind: i32, flags: i32, [table, set]: [&str; 2], elements: &[Element]) {
        for chunk in elements.chunks(ELEMENTS_PER_MESSAGE) {
            self.operation(name.to_owned(), kind, flags, |message| {
                message.text(ELEMENTS_TABLE, table);
                message.text(ELEMENTS_SET, set);
                message.nested(ELEMENTS_ELEMENTS, |list| {
                    for element in chunk {
                        list.nested(LIST_ELEM, |item| {
                            item.nested(ELEMENT_KEY, |key| key.attribute(DATA_VALUE, &element.key));
                        });
                    }
                });
            });
        }
    }

    fn operation(&mut self, name: String, kind: i32, flags: i32, body: impl FnOnce(&mut Encoder)) {
        self.operations.push(name);
        let header = Header {
            kind: (libc::NFNL_SUBSYS_NFTABLES << 8 | kind) as u16,
            flags: (libc::NLM_F_REQUEST | flags) as u16,
            sequence: self.last_sequence(),
            family: libc::NFPROTO_INET as u8,
            resource: 0,
        };
        self.encoder.message(&header, body);
    }

    /// Sequence number of the operation added last; 0 is the begin of the batch.
    fn last_sequence(&self) -> u32 {
        u32::try_from(self.operations.len()).expect("a batch has far fewer than 2^32 operations")
    }

    /// Ends the batch. Only the last operation asks for an acknowledgement; errors come unasked.
    pub(super) fn into_messages(mut self) -> Messages {
        self.encoder.flag_last_message(libc::NLM_F_ACK as u16);
        let end = delimiter(libc::NFNL_MSG_BATCH_END, self.last_sequence() + 1);
        self.encoder.message(&end, |_| {});
        Messages { bytes: self.encoder.into_bytes(), operations: self.operations }
    }
}

/// A batch as it is sent.
pub(super) struct Messages {
    pub(super) bytes: Vec<u8>,
    operations: Vec<String>,
}

impl Messages {
    /// Sequence number of the operation that asks for an acknowledgement.
    pub(super) fn last_operation(&self) -> u32 {
        self.operations.len() as u32
    }

    /// The name of the operation with this sequence number. The kernel answers the first message, which is none, if it
    /// fails only when it commits.
    pub(super) fn operation(&self, sequence: u32) -> &str {
        let index = (sequence as usize).checked_sub(1);
        index.and_then(|index| self.operations.get(index)).map_or("commit the batch", String::as_str)
    }
}

impl Hook {
    fn number(self) -> u32 {
        let number = match self {
            Self::Forward => libc::NF_INET_FORWARD,
            Self::Output => libc::NF_INET_LOCAL_OUT,
        };
        number as u32
    }
}

fn delimiter(kind: i32, sequence: u32) -> Header {
    Header {
        kind: kind as u16,
        flags: libc::NLM_F_REQUEST as u16,
        sequence,
        family: libc::AF_UNSPEC as u8,
        resource: libc::NFNL_SUBSYS_NFTABLES as u16,
    }
}

/// `nft` packs the datatypes of a concatenation at this width, the first one highest.
const DATATYPE_BITS: u32 = 6;

// Attribute numbers of linux/netfilter/nf_tables.h, which libc lacks.
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_HOOKNUM: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const SET_TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LEN: u16 = 5;
const SET_ID: u16 = 10;
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS_ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
