//! ARP and neighbor discovery through raw packet sockets: one for each interface that announces, and protocol.
//!
//! The kernel filters: frames that are not about the addresses that were asked for never wake the process. What is in
//! a frame is not this crate's business. Each protocol has a socket of its own, so that the kernel does not even look
//! at an ARP socket when it delivers IPv6, and so that each filter can be as long as the kernel permits.
//!
//! Bind to the interface that carries the addresses: the bond, the bridge or the VLAN interface, not its port.

mod filter;
mod ranges;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::mem;
use std::net::IpAddr;

use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};

use crate::option;
use ranges::Ranges;

/// Receive queue asked for, in octets as the kernel counts them: some 5,000 requests.
const RECEIVE_BUFFER_BYTES: libc::c_int = 4 << 20;

/// Ranges of addresses that a filter tells apart. It lets frames about addresses between two merged ranges pass too.
const RANGES_MAX: usize = 256;

/// Longest frame that a socket hands over, in octets.
pub const FRAME_LEN_MAX: usize = 1514;

/// What a socket receives; it can send anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// ARP, for IPv4 addresses.
    Arp,
    /// Neighbor solicitations and advertisements, for IPv6 addresses. Those to solicited-node groups only come from
    /// the network if the groups are joined: [`SolicitedNodeGroups`](crate::groups::SolicitedNodeGroups).
    NeighborDiscovery,
}

/// Sends and receives Ethernet frames of one protocol on one interface.
#[derive(Debug)]
pub struct PacketSocket {
    socket: AsyncFd<Socket>,
    protocol: Protocol,
}

impl PacketSocket {
    /// Opens a socket on the interface with this number, which receives what is about `addresses`; those of the other
    /// family do not matter. It belongs to the network namespace of the calling thread, and must be opened within a
    /// tokio runtime. Needs CAP_NET_RAW; with CAP_NET_ADMIN its receive queue can be longer than the system's limit.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW, `ENODEV` or `ENXIO` if there is no such interface, `ENOMEM` as
    /// [`set_addresses`](Self::set_addresses).
    pub fn open(interface: u32, protocol: Protocol, addresses: &BTreeSet<IpAddr>) -> io::Result<Self> {
        // Protocol 0 receives nothing. The filter is in place before `bind` names the protocol, so not one
        // unfiltered frame is ever queued.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        attach(&socket, protocol, addresses)?;
        option::set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        option::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
        socket.bind(&link_layer_address(interface, protocol)?)?;
        // SAFETY: `Socket` owns its descriptor, which stays the same and open until `AsyncFd` drops it.
        let socket = unsafe { AsyncFd::register(socket)? };
        Ok(Self { socket, protocol })
    }

    /// From now on receives what is about `addresses`, in place of the earlier ones: ARP requests for them, everything
    /// in ARP that has one as its sender's address, neighbor solicitations and advertisements with one as their target.
    /// The kernel changes from one set to the other between two frames; what is queued already stays.
    ///
    /// Up to 256 ranges of addresses in a row are exact. With more, the gaps between the closest ones are received too.
    /// Takes O(n log n): about 2 ms for 10,000 addresses.
    ///
    /// # Errors
    /// `ENOMEM` if `net.core.optmem_max` is too low for even one range. The earlier addresses stay in force.
    pub fn set_addresses(&self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        attach(self.socket.get_ref(), self.protocol, addresses)
    }

    /// Waits until there may be a frame for [`try_recv`](Self::try_recv).
    ///
    /// # Errors
    /// The tokio runtime is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Interest::READABLE).await.map(|_| ())
    }

    /// As [`recv`](Self::recv), but gives `None` instead of waiting. To be called until it does: so many frames cost
    /// one wake-up.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self, frame: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let received = self.socket.try_io(Interest::READABLE, |mut socket| socket.read(frame));
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                received if is_network_down(&received) => {}
                received => return received.map(Some),
            }
        }
    }

    /// Waits for the next frame and writes it to `frame`, from the Ethernet header to the end of the packet; padding of
    /// ARP is left out. Returns its length, at most [`FRAME_LEN_MAX`]; what does not fit is cut off.
    ///
    /// That the interface goes down is no error: the socket works again when it comes up. After the interface was
    /// deleted it stays silent; drop it when [`watch_links`](crate::link::watch_links) says so.
    ///
    /// # Errors
    /// `ENOMEM` and the like, none of which is known to pass by itself.
    pub async fn recv(&self, frame: &mut [u8]) -> io::Result<usize> {
        loop {
            let received = self.socket.async_io(Interest::READABLE, |mut socket| socket.read(frame)).await;
            if !is_network_down(&received) {
                return received;
            }
        }
    }

    /// Sends a frame, Ethernet header included. Waits while the socket's send queue is full.
    ///
    /// # Errors
    /// `ENETDOWN` if the interface is down, `ENXIO` if it is gone, `ENOBUFS` if its own queue dropped the frame.
    pub async fn send(&self, frame: &[u8]) -> io::Result<()> {
        let attempt = || self.socket.async_io(Interest::WRITABLE, |mut socket| socket.write(frame));
        let mut sent = attempt().await;
        if is_network_down(&sent) {
            // The kernel keeps the error of an interface that went down for the next call, be it long up again.
            sent = attempt().await;
        }
        sent.map(|_| ())
    }

    /// What the kernel counted since the last call.
    ///
    /// # Errors
    /// None that is known on a socket that [`open`](Self::open) gave.
    pub fn statistics(&self) -> io::Result<Statistics> {
        // `struct tpacket_stats`: two numbers.
        let mut numbers = [[0; 4]; 2];
        option::get_octets(
            self.socket.get_ref(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            numbers.as_flattened_mut(),
        )?;
        let [passed, dropped] = numbers.map(u32::from_ne_bytes);
        Ok(Statistics { passed, dropped })
    }
}

/// Frames that the kernel counted at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Passed the filter.
    pub passed: u32,
    /// Of these, dropped because the receive queue was full.
    pub dropped: u32,
}

/// Gives the socket a filter for `addresses`, as exact as the kernel permits.
fn attach(socket: &Socket, protocol: Protocol, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
    let mut limit = RANGES_MAX;
    loop {
        let ranges = Ranges::cover(addresses, protocol == Protocol::NeighborDiscovery, limit);
        let program = match protocol {
            Protocol::Arp => filter::arp(&ranges),
            Protocol::NeighborDiscovery => filter::neighbor_discovery(&ranges),
        };
        if let Some(program) = program {
            let program: Vec<_> = program
                .iter()
                .map(|i| SockFilter::new(i.code, i.jump_true, i.jump_false, i.operand))
                .collect();
            match socket.attach_filter(&program) {
                // `net.core.optmem_max` limits what filters take, the old and the new one together; before Linux 6.7
                // it was 20 KiB by default.
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && ranges.len() > 1 => {}
                attached => return attached,
            }
        }
        limit = limit.min(ranges.len()) / 2;
    }
}

fn is_network_down(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENETDOWN))
}

/// The address that binds a packet socket to a protocol on one interface. With this protocol, not `ETH_P_ALL`, the
/// kernel does not even look at this socket for other traffic.
fn link_layer_address(interface: u32, protocol: Protocol) -> io::Result<SockAddr> {
    let index = interface.try_into().map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the kernel's socket addresses: it fits the storage, and all zeros is a value.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    let ethertype = match protocol {
        Protocol::Arp => libc::ETH_P_ARP,
        Protocol::NeighborDiscovery => libc::ETH_P_IPV6,
    };
    address.sll_protocol = (ethertype as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: the storage holds a `sockaddr_ll` with its family set, and the length is that of a `sockaddr_ll`.
    Ok(unsafe { SockAddr::new(storage, size_of_u32::<libc::sockaddr_ll>()) })
}

/// The size of a type, as system calls want it.
const fn size_of_u32<T>() -> libc::socklen_t {
    mem::size_of::<T>() as libc::socklen_t
}
