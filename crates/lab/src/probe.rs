//! What a client does, from a namespace of the lab: asks the test app, asks who has an address, keeps a connection
//! open, and measures for how long nobody answers.
//!
//! Every probe ends by itself: each takes a timeout, and what repeats takes a [`Pace`].

use std::io::{self, PipeReader, Read as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};

use crate::clock;
use crate::netns::Namespace;

mod answer;
mod arp;
mod arp_load;
mod asker;
mod flow;
mod gap;
mod neighbour;
mod pinger;
mod storm;
mod stream;
#[cfg(test)]
mod tests;

pub use answer::{Answer, ProbeError};
pub use arp::{ArpAnswer, arp_once};
pub use arp_load::{ArpLoad, arp_load};
pub use asker::{AskReport, Asker};
pub use flow::UdpFlow;
pub use gap::{Gap, Pace};
pub use neighbour::{Neighbour, neighbours};
pub use pinger::{PingReport, Pinger};
pub use storm::storm;
pub use stream::{Stream, StreamReport};

/// Longest line that a probe reads.
const MAX_LINE_BYTES: usize = 1024;

/// Connects from the namespace, ends the own side, and reads the test app's line: one complete connection. `timeout`
/// covers all of it.
pub fn tcp_once(namespace: &Namespace, server: SocketAddr, timeout: Duration) -> Result<Answer, ProbeError> {
    namespace.run(|| {
        let started = clock::now();
        let deadline = started + timeout;
        let mut stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.shutdown(Shutdown::Write)?;
        let line = read_line(&mut stream, deadline)?;
        Answer::parse(&line, clock::now() - started)
    })
}

/// Sends one datagram from a free port of the namespace and waits for its answer.
pub fn udp_once(namespace: &Namespace, server: SocketAddr, timeout: Duration) -> Result<Answer, ProbeError> {
    UdpFlow::open(namespace, 0, server)?.ask(timeout)
}

/// Calls `ask` until it is answered, with `pause` between the end of one try and the start of the next, for as long
/// as `limit`. The error is that of the last try. `ask` has a timeout of its own: it should be short, since a TCP
/// client repeats a lost SYN only after a second.
pub fn until_answered(
    limit: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> Result<Answer, ProbeError>,
) -> Result<Answer, ProbeError> {
    let deadline = clock::now() + limit;
    loop {
        match ask() {
            Err(_) if clock::now() + pause < deadline => std::thread::sleep(pause),
            last => return last,
        }
    }
}

/// Reads one line, byte by byte so that what follows it stays unread; without its end.
fn read_line(stream: &mut TcpStream, deadline: Instant) -> Result<String, ProbeError> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE_BYTES {
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Err(ProbeError::TimedOut);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut byte) {
            Ok(0) => return Err(ProbeError::Closed),
            Ok(_) if byte == *b"\n" => return Ok(String::from_utf8_lossy(&line).into_owned()),
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ProbeError::Garbled(String::from_utf8_lossy(&line).into_owned()))
}

/// Waits until `until` or until the other end of the pipe is closed; true if that is so.
fn is_stopped(stopped: &PipeReader, until: Instant) -> bool {
    let left = until.saturating_duration_since(clock::now());
    let mut waits = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    ppoll(&mut waits, Some(left.into()), None).is_ok_and(|ready| ready > 0)
}
