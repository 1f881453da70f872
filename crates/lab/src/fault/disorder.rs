//! Datagrams that come twice, and those that overtake others.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::time::TimeSpec;

use super::check_percent;
use crate::capture::PacketSocket;
use crate::clock;
use crate::host::Host;

/// Longest frame that is copied.
const FRAME_BYTES: usize = 2048;
/// Copies that wait at most; what comes in meanwhile is not copied.
const WAITING_MAX: usize = 4096;
/// Where a frame with an IPv4 header without options has its EtherType, protocol, UDP destination port and checksum.
const ETHER_TYPE_AT: usize = 12;
const PROTOCOL_AT: usize = 23;
const PORT_AT: usize = 36;
const CHECKSUM_AT: usize = 40;

/// Sends copies of datagrams after the originals, until it is dropped.
#[derive(Debug)]
pub struct LateCopies {
    thread: Option<JoinHandle<u32>>,
    /// Closing it ends the thread.
    stop: Option<PipeWriter>,
}

impl Host {
    /// Copies, at random, so many percent of the IPv4 datagrams to a UDP port that a segment sends to the host, and sends each
    /// copy up to `delay_max` later. Where the original is lost too, the copy is a datagram that others have overtaken.
    pub fn copy_late(&self, segment: u8, port: u16, percent: u8, delay_max: Duration) -> Result<LateCopies> {
        check_percent(percent)?;
        let socket = PacketSocket::open(&self.site.namespace("sw"), &self.port(segment))?;
        let (stopped, stop) = io::pipe()?;
        let chances = Chances(u64::from(self.number));
        let copier = Copier { socket, port, percent, delay_max, chances, waiting: BTreeMap::new(), sent: 0 };
        let copy = move || copier.run(&stopped);
        let thread = std::thread::Builder::new().name("late copies".to_owned()).spawn(copy)?;
        Ok(LateCopies { thread: Some(thread), stop: Some(stop) })
    }
}

impl LateCopies {
    /// Ends it and says how many copies were sent.
    pub fn finish(mut self) -> u32 {
        self.end()
    }

    fn end(&mut self) -> u32 {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return 0 };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for LateCopies {
    fn drop(&mut self) {
        self.end();
    }
}

struct Copier {
    socket: PacketSocket,
    port: u16,
    percent: u8,
    delay_max: Duration,
    chances: Chances,
    /// By when they are due.
    waiting: BTreeMap<Instant, Vec<u8>>,
    sent: u32,
}

impl Copier {
    fn run(mut self, stopped: &PipeReader) -> u32 {
        loop {
            let due = self.waiting.keys().next().map(|due| due.saturating_duration_since(clock::now()));
            let mut waits = [
                PollFd::new(self.socket.fd.as_fd(), PollFlags::POLLIN),
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            ];
            let polled = ppoll(&mut waits, due.map(TimeSpec::from_duration), None);
            if waits[1].any().unwrap_or(true) || !matches!(polled, Ok(_) | Err(Errno::EINTR)) {
                return self.sent;
            }
            self.take_in();
            self.send_due();
        }
    }

    fn take_in(&mut self) {
        let mut frame = [0; FRAME_BYTES];
        while let Ok(length) = recv(self.socket.fd.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
            let frame = &frame[..length];
            if !is_to(frame, self.port) || self.waiting.len() >= WAITING_MAX {
                continue;
            }
            if self.chances.below(100) < u64::from(self.percent) {
                let delay_max = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX);
                let delay = Duration::from_micros(self.chances.below(delay_max.max(1)));
                self.waiting.insert(clock::now() + delay, without_checksum(frame));
            }
        }
    }

    fn send_due(&mut self) {
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= clock::now()
        {
            // One that the interface does not take is lost, as any frame may be.
            self.sent +=
                u32::from(send(self.socket.fd.as_raw_fd(), &entry.remove(), MsgFlags::empty()).is_ok());
        }
    }
}

/// True for a frame with an IPv4 UDP datagram to the port.
fn is_to(frame: &[u8], port: u16) -> bool {
    frame.get(ETHER_TYPE_AT..ETHER_TYPE_AT + 3) == Some(&[0x08, 0x00, 0x45])
        && frame.get(PROTOCOL_AT) == Some(&17)
        && frame.get(PORT_AT..PORT_AT + 2) == Some(&port.to_be_bytes())
}

/// The checksum of a frame between namespaces is not filled in yet; 0 says that there is none (RFC 768).
fn without_checksum(frame: &[u8]) -> Vec<u8> {
    let mut copy = frame.to_vec();
    copy.iter_mut().skip(CHECKSUM_AT).take(2).for_each(|octet| *octet = 0);
    copy
}

/// The same chances in each run (a linear congruential generator; Knuth, MMIX).
pub(crate) struct Chances(pub(crate) u64);

impl Chances {
    /// A number below the limit, which is at least 1.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_datagrams_to_the_port_are_copied() {
        let mut frame = Vec::new();
        let builder =
            etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 9);
        builder.udp(1000, 7947).write(&mut frame, b"hello").unwrap();
        assert!(is_to(&frame, 7947));
        assert!(!is_to(&frame, 1000));
        assert!(!is_to(&frame[..30], 7947));
        let copy = without_checksum(&frame);
        assert_eq!(copy[CHECKSUM_AT..CHECKSUM_AT + 2], [0, 0]);
        assert_eq!(copy[CHECKSUM_AT + 2..], frame[CHECKSUM_AT + 2..]);
    }
}
