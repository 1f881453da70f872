use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt};

use super::arp::{first_ipv4, receive, request};
use crate::capture::{MacAddr, PacketSocket};
use crate::clock;
use crate::netns::Namespace;

/// The longest time that requests are sent.
const MAX_DURATION: Duration = Duration::from_secs(10);
/// The most requests of one run.
const MAX_COUNT: u32 = 2_000_000;
/// Requests sent in a row before answers are looked at.
const BATCH: u32 = 32;
/// How long is waited for the last answers.
const REST: Duration = Duration::from_millis(200);
/// Room for what comes in while requests are sent.
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
const FRAME_BYTES: usize = 128;
/// Where a request names the address that it asks for, and an answer the one that it is about (RFC 826, in an Ethernet frame).
const TARGET_AT: usize = 38;
const SENDER_AT: usize = 28;
/// Of an answer, in the same frame: the EtherType and the operation.
const REPLY: [(usize, [u8; 2]); 2] = [(12, [0x08, 0x06]), (20, [0, 2])];

/// What came of many ARP requests.
#[derive(Clone, Debug)]
pub struct ArpLoad {
    /// Requests sent.
    pub sent: u32,
    /// Answers that came, each to the latest request for its address.
    pub answered: u32,
    /// From the first request to the last.
    pub elapsed: Duration,
    /// From each answered request to its answer, the shortest first.
    pub latencies: Vec<Duration>,
}

impl ArpLoad {
    /// The latency that so many percent of the answers kept; zero if there were none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let place = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(place).copied().unwrap_or_default()
    }
}

/// Asks for one target after the other, by broadcast, at most 10 s and two million times: `per_sec` times a second, or, without, as
/// often as the interface takes it.
pub fn arp_load(
    namespace: &Namespace,
    interface: &str,
    targets: &[Ipv4Addr],
    per_sec: Option<u32>,
    duration: Duration,
) -> Result<ArpLoad> {
    ensure!(!targets.is_empty(), "nothing to ask for");
    let socket = PacketSocket::open(namespace, interface)?;
    setsockopt(&socket.fd, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
    let own_mac = socket.link.addr().map(MacAddr).context("the interface has no Ethernet address")?;
    let own_ip = namespace.run(|| first_ipv4(interface))?.unwrap_or(Ipv4Addr::UNSPECIFIED);
    let mut run = Run {
        frame: request(own_mac, own_ip, targets[0])?,
        places: targets.iter().enumerate().map(|(place, target)| (target.octets(), place)).collect(),
        asked: vec![None; targets.len()],
        latencies: Vec::new(),
        own_mac,
        socket,
    };
    let started = clock::now();
    let end = started + duration.min(MAX_DURATION);
    let interval = per_sec.map(|per_sec| Duration::from_secs(1) / per_sec.max(1));
    let mut sent = 0;
    let mut elapsed = Duration::ZERO;
    while sent < MAX_COUNT && clock::now() < end {
        let now = clock::now();
        let due = interval.map_or(sent + BATCH, |interval| {
            u32::try_from((now - started).as_nanos() / interval.as_nanos()).unwrap_or(MAX_COUNT)
        });
        while sent < due && run.ask(targets, sent as usize % targets.len())? {
            sent += 1;
        }
        elapsed = now - started;
        run.take_answers()?;
    }
    let rest = clock::now() + REST;
    while clock::now() < rest {
        run.take_answers()?;
    }
    run.latencies.sort_unstable();
    let answered = u32::try_from(run.latencies.len()).unwrap_or(u32::MAX);
    Ok(ArpLoad { sent, answered, elapsed, latencies: run.latencies })
}

struct Run {
    socket: PacketSocket,
    own_mac: MacAddr,
    frame: Vec<u8>,
    places: HashMap<[u8; 4], usize>,
    /// When each target was asked for and has not answered since.
    asked: Vec<Option<Instant>>,
    latencies: Vec<Duration>,
}

impl Run {
    /// Asks for the target at `place`; false if the interface takes nothing now.
    fn ask(&mut self, targets: &[Ipv4Addr], place: usize) -> Result<bool> {
        self.frame[TARGET_AT..TARGET_AT + 4].copy_from_slice(&targets[place].octets());
        self.asked[place] = Some(clock::now());
        match send(self.socket.fd.as_raw_fd(), &self.frame, MsgFlags::empty()) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => Ok(false),
            Err(error) => Err(error).context("send an ARP request"),
        }
    }

    /// Takes in all answers that have come.
    fn take_answers(&mut self) -> Result<()> {
        let mut buffer = [0; FRAME_BYTES];
        while let Some(frame) = receive(&self.socket, &mut buffer)? {
            if let Some(place) = place_of(frame, self.own_mac, &self.places)
                && let Some(asked) = self.asked[place].take()
            {
                self.latencies.push(clock::now() - asked);
            }
        }
        Ok(())
    }
}

/// The target that a frame is an answer about.
fn place_of(frame: &[u8], own_mac: MacAddr, places: &HashMap<[u8; 4], usize>) -> Option<usize> {
    let is_reply = REPLY.iter().all(|(at, octets)| frame.get(*at..at + 2) == Some(octets));
    if !is_reply || frame.get(..6) != Some(&own_mac.0) {
        return None;
    }
    places.get(frame.get(SENDER_AT..SENDER_AT + 4)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_to_us_count() {
        let (own, other) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
        let target = Ipv4Addr::new(192, 0, 2, 9);
        let places = HashMap::from([(target.octets(), 5)]);
        let mut frame = request(other, target, Ipv4Addr::new(192, 0, 2, 1)).unwrap();
        frame[..6].copy_from_slice(&own.0);
        assert_eq!(place_of(&frame, own, &places), None, "a request");
        frame[21] = 2;
        assert_eq!(place_of(&frame, own, &places), Some(5));
        assert_eq!(place_of(&frame, other, &places), None, "to another");
        assert_eq!(place_of(&frame[..30], own, &places), None, "cut off");
        assert_eq!(place_of(&frame, own, &HashMap::new()), None, "about another");
    }

    #[test]
    fn percentiles_are_values_that_so_many_kept() {
        let latencies: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        let load = ArpLoad { sent: 200, answered: 200, elapsed: Duration::ZERO, latencies };
        assert_eq!(load.percentile(50), Duration::from_micros(100));
        assert_eq!(load.percentile(99), Duration::from_micros(198));
        assert_eq!(load.percentile(100), Duration::from_micros(200));
        let none = ArpLoad { latencies: Vec::new(), ..load };
        assert_eq!(none.percentile(99), Duration::ZERO);
    }
}
