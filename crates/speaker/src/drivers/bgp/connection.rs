//! One TCP connection with a peer.

use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use keryx_netio::tcp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Octets that one reading takes at most.
const READ_LEN: usize = 64 * 1024;
/// Readings in a row before everything else gets its turn.
const READS_MAX: usize = 16;
/// How long a connection that is closed is still read from.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that is up, with octets that wait until the kernel takes them.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    local: IpAddr,
    /// What was taken from the machine and not by the kernel yet: at most one answer of its `poll_transmit`.
    waiting: Vec<u8>,
    /// How much of it the kernel has taken.
    written: usize,
}

/// What came of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// There may be more later.
    Open,
    /// Nothing more comes.
    Closed,
}

impl Connection {
    /// # Errors
    /// The connection is gone already.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        let local = stream.local_addr()?.ip();
        Ok(Self { stream, local, waiting: Vec::new(), written: 0 })
    }

    /// Our address on it.
    pub(super) fn local(&self) -> IpAddr {
        self.local
    }

    /// Whether everything that was given to [`send`](Self::send) is with the kernel.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The socket, for its options.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Ready when there is something to read, or when what waits can be written.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.stream.poll_read_ready(context).is_ready() {
            return Poll::Ready(());
        }
        if !self.is_idle() && self.stream.poll_write_ready(context).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Hands what lies ready to `take`, up to a bound.
    pub(super) fn read(&self, buffer: &mut Vec<u8>, mut take: impl FnMut(&[u8])) -> Reading {
        buffer.resize(READ_LEN, 0);
        for _ in 0..READS_MAX {
            match self.stream.try_read(buffer) {
                Ok(0) => return Reading::Closed,
                Ok(length) => take(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Reading::Open,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Reading::Closed,
            }
        }
        Reading::Open
    }

    /// Takes octets to send. Only for an idle connection.
    pub(super) fn send(&mut self, octets: Vec<u8>) {
        debug_assert!(self.is_idle(), "octets in front of others");
        (self.waiting, self.written) = (octets, 0);
    }

    /// Writes what the kernel takes.
    ///
    /// # Errors
    /// The connection is gone.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.waiting.len() {
            match self.stream.try_write(&self.waiting[self.written..]) {
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.waiting = Vec::new();
        self.written = 0;
        Ok(())
    }

    /// Closes it, after a last message if the kernel takes that. A message that was cut off has nothing to follow it.
    ///
    /// What the peer still sends is read and dropped for a moment: a socket that is closed with octets unread is reset, and a
    /// reset can overtake the message.
    pub(super) fn close(mut self, last: Option<&[u8]>) {
        let flushed = self.flush().is_ok() && self.is_idle();
        let (Some(last), true) = (last, flushed) else { return };
        if tcp::send_now(&self.stream, last).is_err() {
            return;
        }
        let mut stream = self.stream;
        tokio::spawn(async move {
            let drained = async {
                let _ = stream.shutdown().await;
                let mut dropped = [0; 4096];
                while stream.read(&mut dropped).await.is_ok_and(|length| length > 0) {}
            };
            let _ = tokio::time::timeout(LINGER, drained).await;
        });
    }
}
