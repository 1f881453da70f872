//! The netlink socket that commits batches.

use std::io::{self, Read};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{self, Answer};
use super::batch::{Batch, Messages};
use crate::option;

/// Room for the answers to one batch: one for each message that the kernel refuses.
const RECEIVE_BUFFER_BYTES: libc::c_int = 4 << 20;
/// An answer is an error number, a header and a short text; the kernel sends each in a datagram of its own.
const DATAGRAM_MAX: usize = 8 << 10;

/// A connection to nftables of the network namespace in which it was opened. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
    send_buffer: usize,
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The kernel refused it, and nothing has changed.
    #[error("nftables refused to {operation}: {error}{}", in_brackets(.detail.as_deref()))]
    Refused {
        /// The first operation that was refused.
        operation: String,
        /// The kernel's error number.
        error: io::Error,
        /// The kernel's explanation, if it gave one.
        detail: Option<String>,
    },
    /// Nobody knows whether it was applied. Open a new [`Nftables`] and write the table anew, beginning with
    /// [`Batch::reset_table`].
    #[error("it is unknown whether nftables applied a change, its table has to be written anew: {0}")]
    Unknown(#[source] io::Error),
}

fn in_brackets(detail: Option<&str>) -> String {
    detail.map(|text| format!(" ({text})")).unwrap_or_default()
}

impl Nftables {
    /// Opens the socket. Fails without CAP_NET_ADMIN, or where the kernel has no nfnetlink.
    pub fn open() -> io::Result<Self> {
        let domain = Domain::from(libc::AF_NETLINK);
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::NETLINK_NETFILTER)))?;
        // The kernel has answered when the send call returns, so an empty queue means that all answers are read.
        socket.set_nonblocking(true)?;
        option::set(&socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1)?;
        option::set(&socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
        option::set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)?;
        Ok(Self { socket, send_buffer: 0 })
    }

    /// The netlink port of this connection, by which the kernel names the author of a change; 0 before the first commit.
    ///
    /// # Errors
    /// The kernel does not tell it.
    pub fn port(&self) -> io::Result<u32> {
        // SAFETY: zeros are a valid value of this structure of numbers.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the descriptor is open as long as `self`; the kernel writes at most `length` octets to `address`.
        let status =
            unsafe { libc::getsockname(self.socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
        if status == 0 { Ok(address.nl_pid) } else { Err(io::Error::last_os_error()) }
    }

    /// Applies all operations of the batch at once or, with an error, none of them. An empty batch is no call at all.
    ///
    /// Blocks while the kernel works: milliseconds for thousands of elements, longer while another writer of the same
    /// namespace (kube-proxy) has its turn.
    pub fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        if batch.is_empty() {
            return Ok(());
        }
        let messages = batch.into_messages();
        self.send(&messages.bytes).map_err(CommitError::Unknown)?;
        let answers = self.receive().map_err(CommitError::Unknown)?;
        result(&messages, answers)
    }

    /// The kernel takes a batch only whole, and none that is larger than the send buffer.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.send_buffer < bytes.len() {
            let size = bytes.len().try_into().map_err(|_| io::Error::from_raw_os_error(libc::EMSGSIZE))?;
            option::set(&self.socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size)?;
            self.send_buffer = bytes.len();
        }
        self.socket.send(bytes).map(drop)
    }

    /// Reads until the queue is empty. ENOBUFS means that answers were lost.
    fn receive(&self) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let mut datagram = [0; DATAGRAM_MAX];
        loop {
            match (&self.socket).read(&mut datagram) {
                Ok(length) => answers.extend(answer::read(&datagram[..length])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answers),
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the answers mean: an error of any message fails the batch, also beside an acknowledgement of the last one.
pub(super) fn result(messages: &Messages, answers: Vec<Answer>) -> Result<(), CommitError> {
    let acknowledged =
        answers.iter().any(|answer| answer.errno == 0 && answer.sequence == messages.last_operation());
    let refusals = answers.into_iter().filter(|answer| answer.errno != 0);
    match refusals.min_by_key(|answer| answer.sequence) {
        Some(Answer { sequence, errno, detail }) => Err(CommitError::Refused {
            operation: messages.operation(sequence).to_owned(),
            error: io::Error::from_raw_os_error(errno),
            detail,
        }),
        None if acknowledged => Ok(()),
        None => Err(CommitError::Unknown(io::Error::other("the kernel did not acknowledge the batch"))),
    }
}
