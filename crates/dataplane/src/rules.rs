//! A table of nftables rules as plain data, in the terms of Keryx: no registers, offsets or byte orders.
//!
//! To install a [`Table`]: its sets, then all its chains, then the rules of each chain in their order, all in one batch.

use std::net::IpAddr;

/// A table of family `inet`, so that one set of rules sees IPv4 and IPv6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name; the whole table is ours, whatever stands in it.
    pub name: &'static str,
    /// Its sets, all of them empty at first.
    pub sets: Vec<Set>,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// A named set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// Name within the table.
    pub name: &'static str,
    /// Family of the addresses in it.
    pub family: Family,
    /// What one element is.
    pub key: Key,
}

/// The address family of a set or match; a set of nftables holds one family only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }
}

/// The key type of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// An address.
    Address,
    /// Address . transport protocol . port.
    Port,
}

/// An element of a set; its variant is the set's [`Key`], its address of the set's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// An address.
    Address(IpAddr),
    /// Address, transport protocol, destination port.
    Port(IpAddr, Transport, u16),
}

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Transport {
    /// Its IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// A chain and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Name within the table.
    pub name: &'static str,
    /// Where packets enter it: a base chain of type `filter` with policy accept. `None`: only by [`Action::Goto`].
    pub base: Option<Base>,
    /// Its rules; the first whose matches all hold decides. A base chain at whose end no rule has decided accepts.
    pub rules: Vec<Rule>,
}

/// Where a base chain stands.
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
    /// Packets that a process of this node sends.
    Output,
}

/// One rule. Every rule counts the packets that it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Tests on the packet, in this order; all must hold.
    pub matches: Vec<Match>,
    /// What then happens.
    pub action: Action,
}

/// A test on a packet. A test on a header that the packet does not have (the port of a later fragment) does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It leaves through a loopback interface: its destination is an address of this node.
    LeavesByLoopback,
    /// It is of this family, and its destination is in this set of [`Key::Address`].
    Destination(Set),
    /// It is of this family, and its destination, transport protocol and destination port are in this set of
    /// [`Key::Port`].
    DestinationPort(Set),
    /// Its transport protocol is this.
    Transport(Transport),
    /// It is an IPv6 Neighbor Discovery message: ICMPv6 types 133 to 137 (RFC 4861 section 4).
    NeighborDiscovery,
}

/// What a rule does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it go on; later base chains still see it.
    Accept,
    /// Discards it without a word.
    Drop,
    /// Discards it and answers with a TCP reset.
    ResetTcp,
    /// Discards it and answers with the family's ICMP error "port unreachable".
    PortUnreachable,
    /// Goes on in the chain of this name, without return.
    Goto(&'static str),
}
