//! Hearing peers.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{Interest, unix::AsyncFd};

use crate::datagram::{Received, receive};
use crate::option;

/// Receive queue asked for, in octets as the kernel counts them: more than a thousand packets, which is what 10 peers with
/// 10 ms send in a second.
const RECEIVE_BUFFER_BYTES: libc::c_int = 1 << 20;

/// Hears all that comes to one UDP port in one address family.
#[derive(Debug)]
pub struct Receiver {
    socket: AsyncFd<Socket>,
}

impl Receiver {
    /// Hears what comes to `local`: a port at `0.0.0.0` for IPv4 alone, at `::` for IPv6 alone. To be called within a tokio
    /// runtime; the socket belongs to the network namespace of the calling thread. With CAP_NET_ADMIN its receive queue
    /// can be longer than the system's limit.
    ///
    /// # Errors
    /// `EADDRINUSE` if another process has the port. `EAFNOSUPPORT` for IPv6 where the kernel has none.
    pub fn open(local: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(local);
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
            option::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            option::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
        } else {
            option::set(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            option::set(&socket, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
        }
        option::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
        // Last, so that no packet is queued that does not say where it came from.
        socket.bind(&local.into())?;
        // SAFETY: `Socket` owns its descriptor, which stays the same and open until `AsyncFd` drops it.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Self { socket })
    }

    /// Ready when there may be a datagram for [`try_recv`](Self::try_recv), and from then on until that has given `None`.
    ///
    /// # Errors
    /// The tokio runtime is shutting down.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(ready!(self.socket.poll_read_ready(context)).map(drop))
    }

    /// Writes the next datagram's payload to `payload`; what does not fit is cut off. `None` if none waits. The kernel is
    /// asked, not the runtime: when the process was stopped and goes on, timers may run before the runtime has looked.
    ///
    /// # Errors
    /// `ENOMEM` and the like, none of which is known to last.
    pub fn try_recv(&self, payload: &mut [u8]) -> io::Result<Option<Received>> {
        match receive(self.socket.get_ref(), payload) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received.map(Some),
        }
        // This tells the runtime that all was read; or, rarely, reads what came just now.
        match self.socket.try_io(Interest::READABLE, |socket| receive(socket, payload)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            received => received.map(Some),
        }
    }

    /// How many datagrams the kernel has dropped at this socket so far, mostly because the queue was full.
    ///
    /// # Errors
    /// None that is known.
    pub fn dropped(&self) -> io::Result<u32> {
        const NUMBERS: usize = libc::SK_MEMINFO_DROPS as usize + 1;
        let mut numbers = [[0; 4]; NUMBERS];
        let socket = self.socket.get_ref();
        option::get_octets(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, numbers.as_flattened_mut())?;
        Ok(u32::from_ne_bytes(numbers[NUMBERS - 1]))
    }
}
