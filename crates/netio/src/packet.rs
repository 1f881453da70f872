//! ARP through a raw packet socket: one socket for each interface that announces.
//!
//! The kernel filters: frames that are not ARP requests for this host never wake the process. What is in a frame is
//! not this crate's business.
//!
//! Bind to the interface that carries the addresses: the bond, the bridge or the VLAN interface, not its port.

mod filter;

use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::AsRawFd;

use socket2::{Domain, SockAddr, SockAddrStorage, SockFilter, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};

/// Receive queue asked for, in octets as the kernel counts them: some 5,000 requests.
const RECEIVE_BUFFER_BYTES: libc::c_int = 4 << 20;

/// Sends and receives Ethernet frames with ARP requests on one interface.
#[derive(Debug)]
pub struct ArpSocket {
    socket: AsyncFd<Socket>,
}

impl ArpSocket {
    /// Opens a socket on the interface with this number. It belongs to the network namespace of the calling thread,
    /// and must be opened within a tokio runtime. Needs CAP_NET_RAW; with CAP_NET_ADMIN its receive queue can be
    /// longer than the system's limit.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW, `ENODEV` or `ENXIO` if there is no such interface.
    pub fn open(interface: u32) -> io::Result<Self> {
        // Protocol 0 receives nothing. The filter is in place before `bind` names the protocol, so not one
        // unfiltered frame is ever queued.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        let program = filter::compile(&filter::ARP_REQUESTS);
        let program: Vec<_> =
            program.iter().map(|i| SockFilter::new(i.code, i.jump_true, i.jump_false, i.operand)).collect();
        socket.attach_filter(&program)?;
        set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        if set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES).is_err() {
            // Not permitted: as much as the system allows. A shorter queue only drops more in a flood.
            set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER_BYTES)?;
        }
        socket.bind(&link_layer_address(interface)?)?;
        // SAFETY: `Socket` owns its descriptor, which stays the same and open until `AsyncFd` drops it.
        let socket = unsafe { AsyncFd::register(socket)? };
        Ok(Self { socket })
    }

    /// Waits for the next request and writes its frame, from the Ethernet header to the end of the ARP packet, to
    /// `frame`. Returns its length; what does not fit is cut off.
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

    /// How many requests were dropped because the receive queue was full, since the last call.
    ///
    /// # Errors
    /// None that is known on a socket that [`open`](Self::open) gave.
    pub fn drops(&self) -> io::Result<u32> {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = size_of_u32::<libc::tpacket_stats>();
        // SAFETY: the descriptor is open as long as `self`; the kernel writes at most `length` octets to
        // `statistics`, which is that long and valid for any content.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        if result == 0 { Ok(statistics.tp_drops) } else { Err(io::Error::last_os_error()) }
    }
}

fn is_network_down(result: &io::Result<usize>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENETDOWN))
}

/// The address that binds a packet socket to ARP on one interface. With this protocol, not `ETH_P_ALL`, the kernel
/// does not even look at this socket for other traffic.
fn link_layer_address(interface: u32) -> io::Result<SockAddr> {
    let index = interface.try_into().map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the kernel's socket addresses: it fits the storage, and all zeros is a value.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = (libc::ETH_P_ARP as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: the storage holds a `sockaddr_ll` with its family set, and the length is that of a `sockaddr_ll`.
    Ok(unsafe { SockAddr::new(storage, size_of_u32::<libc::sockaddr_ll>()) })
}

fn set_option(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `socket`; the kernel reads as many octets from `value` as it has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_u32::<libc::c_int>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The size of a type, as system calls want it.
const fn size_of_u32<T>() -> libc::socklen_t {
    mem::size_of::<T>() as libc::socklen_t
}
