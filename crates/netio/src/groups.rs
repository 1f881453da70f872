//! Membership in solicited-node groups, so that switches and the interface let questions about addresses through that
//! the kernel does not have.
//!
//! The sockets are datagram sockets that are never bound, so no packet ever comes to them. A raw ICMPv6 socket could
//! join as well, but the kernel would look at each of them for every ICMPv6 packet of the node.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;

use socket2::{Domain, Socket, Type};

/// Groups that one socket joins. The kernel charges each to the socket's option memory (`net.core.optmem_max`, 20 KiB
/// by default before Linux 6.7).
const GROUPS_PER_SOCKET: usize = 256;

/// The groups of one interface. Dropping it leaves them all.
#[derive(Debug)]
pub struct SolicitedNodeGroups {
    interface: u32,
    /// Addresses whose group is joined.
    addresses: BTreeSet<Ipv6Addr>,
    groups: BTreeMap<Ipv6Addr, Membership>,
    sockets: BTreeMap<usize, Member>,
}

#[derive(Debug)]
struct Membership {
    socket: usize,
    /// Addresses that share the group: their last 24 bits are the same.
    addresses: usize,
}

#[derive(Debug)]
struct Member {
    socket: Socket,
    groups: usize,
}

impl SolicitedNodeGroups {
    /// Joins nothing yet, on the interface with this number. The sockets are to come from the network namespace of the
    /// thread that calls the other methods.
    #[must_use]
    pub fn new(interface: u32) -> Self {
        Self { interface, addresses: BTreeSet::new(), groups: BTreeMap::new(), sockets: BTreeMap::new() }
    }

    /// Is in the groups of exactly `addresses`: joins what is missing, leaves what nobody needs. O(n) if little changed.
    /// An interface that is down is no error; its groups are announced when it comes up.
    ///
    /// # Errors
    /// The first group's that could not be joined, such as `ENODEV` if the interface is gone or has IPv6 switched off.
    /// The others are joined; the next call tries the failed ones again.
    pub fn set_addresses(&mut self, addresses: &BTreeSet<Ipv6Addr>) -> io::Result<()> {
        let gone: Vec<_> = self.addresses.difference(addresses).copied().collect();
        for address in gone {
            self.remove(address);
        }
        let new: Vec<_> = addresses.difference(&self.addresses).copied().collect();
        let mut result = Ok(());
        for address in new {
            let added = self.add(address);
            result = result.and(added);
        }
        result
    }

    /// Joins all groups anew. The kernel keeps them while an interface is down, but not if it took IPv6 away from it
    /// meanwhile, as it does when the MTU falls below 1,280 octets; and it does not tell. So call it whenever the interface
    /// has come back.
    ///
    /// # Errors
    /// As [`set_addresses`](Self::set_addresses).
    pub fn rejoin(&mut self) -> io::Result<()> {
        let addresses = std::mem::take(&mut self.addresses);
        self.groups.clear();
        // Closing leaves; the kernel announces that and the joins to the network.
        self.sockets.clear();
        self.set_addresses(&addresses)
    }

    /// How many groups are joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// True if no group is joined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn add(&mut self, address: Ipv6Addr) -> io::Result<()> {
        let group = solicited_node_group(address);
        if let Some(membership) = self.groups.get_mut(&group) {
            membership.addresses += 1;
        } else {
            let socket = self.join(group)?;
            self.groups.insert(group, Membership { socket, addresses: 1 });
        }
        self.addresses.insert(address);
        Ok(())
    }

    /// Joins with a socket that has room, and tells which.
    fn join(&mut self, group: Ipv6Addr) -> io::Result<usize> {
        let with_room = self.sockets.iter_mut().rev().find(|(_, member)| member.groups < GROUPS_PER_SOCKET);
        if let Some((&number, member)) = with_room {
            member.socket.join_multicast_v6(&group, self.interface)?;
            member.groups += 1;
            return Ok(number);
        }
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
        socket.join_multicast_v6(&group, self.interface)?;
        let number = self.sockets.last_key_value().map_or(0, |(number, _)| number + 1);
        self.sockets.insert(number, Member { socket, groups: 1 });
        Ok(number)
    }

    fn remove(&mut self, address: Ipv6Addr) {
        let group = solicited_node_group(address);
        let (true, Some(membership)) = (self.addresses.remove(&address), self.groups.get_mut(&group)) else {
            return;
        };
        membership.addresses -= 1;
        if membership.addresses > 0 {
            return;
        }
        let number = membership.socket;
        self.groups.remove(&group);
        let Some(member) = self.sockets.get_mut(&number) else { return };
        // Fails only if the interface is gone, and its groups with it.
        let _gone = member.socket.leave_multicast_v6(&group, self.interface);
        member.groups -= 1;
        if member.groups == 0 {
            self.sockets.remove(&number);
        }
    }
}

/// RFC 4291 §2.7.1: ff02::1:ff and the last 24 bits.
fn solicited_node_group(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]))
}
