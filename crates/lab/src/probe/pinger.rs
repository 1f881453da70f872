use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};

use super::gap::{Answers, Probes};
use super::{Gap, Pace, ProbeError, flow, is_stopped};
use crate::capture::Transport;
use crate::clock;
use crate::netns::Namespace;

const MAX_DATAGRAM_BYTES: usize = 2048;
/// Most ports of one pinger.
const FLOWS_MAX: usize = 64;

/// A client that asks again and again, to find out for how long nobody answers.
#[derive(Debug)]
pub struct Pinger {
    stop: PipeWriter,
    thread: JoinHandle<PingReport>,
}

/// What a [`Pinger`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingReport {
    /// Probes sent.
    pub sent: u32,
    /// Probes answered.
    pub answered: u32,
    /// The longest time without an answer, from the start and to the end included.
    pub longest_gap: Gap,
    /// From the first probe that was never answered to the last one.
    pub lost_span: Duration,
    /// The longest time in which every probe that was sent stayed without an answer, or had it only more than 20 ms later.
    pub longest_outage: Duration,
    /// What was said instead of an answer, and how often; for TCP also what timed out.
    pub failures: BTreeMap<ProbeError, u32>,
}

impl PingReport {
    /// Probes without an answer.
    pub fn lost(&self) -> u32 {
        self.sent - self.answered
    }
}

impl Pinger {
    /// Starts to ask `server` from the namespace at the pace.
    ///
    /// UDP: numbered datagrams of one flow, sent whether the one before was answered or not; an answer counts for up to
    /// `timeout` after the last was sent. TCP: a new connection each time, broken off by a reset as soon as it stands,
    /// so that ports do not run out; one after the other, so that one that takes until `timeout` delays the next.
    pub fn start(
        namespace: &Namespace,
        transport: Transport,
        server: SocketAddr,
        pace: Pace,
        timeout: Duration,
    ) -> Result<Pinger, ProbeError> {
        if transport == Transport::Udp {
            return Pinger::start_flows(namespace, server, 1, pace, timeout);
        }
        let namespace = namespace.clone();
        Pinger::spawn(move |stopped| namespace.run(|| ping_tcp(server, stopped, pace, timeout)))
    }

    /// As [`Pinger::start`] over UDP, with each datagram from the next of several ports: routers that spread flows over several paths
    /// spread them.
    pub fn start_flows(
        namespace: &Namespace,
        server: SocketAddr,
        flows: usize,
        pace: Pace,
        timeout: Duration,
    ) -> Result<Pinger, ProbeError> {
        let mut sockets = Vec::new();
        for _ in 0..flows.clamp(1, FLOWS_MAX) {
            let socket = flow::connected(namespace, 0, server)?;
            socket.set_nonblocking(true)?;
            sockets.push(socket);
        }
        Pinger::spawn(move |stopped| ping_udp(&sockets, stopped, pace, timeout))
    }

    fn spawn(ping: impl FnOnce(&PipeReader) -> PingReport + Send + 'static) -> Result<Pinger, ProbeError> {
        let (stopped, stop) = io::pipe()?;
        let builder = std::thread::Builder::new().name("pinger".into());
        Ok(Pinger { stop, thread: builder.spawn(move || ping(&stopped))? })
    }

    /// Asks no more. What is under way still takes up to its timeout.
    pub fn stop(self) -> PingReport {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Waits until the pace is done.
    pub fn finish(self) -> PingReport {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The counts so far.
struct Tally {
    started: Instant,
    sent: u32,
    probes: Probes,
    answers: Answers,
    failures: BTreeMap<ProbeError, u32>,
}

impl Tally {
    fn start() -> Tally {
        let answers = Answers::new(clock::wall_nanos());
        let started = clock::now();
        Tally { started, sent: 0, probes: Probes::default(), answers, failures: BTreeMap::new() }
    }

    /// One more probe goes; its number.
    fn send(&mut self) -> u32 {
        self.probes.push(self.started.elapsed());
        self.sent += 1;
        self.sent - 1
    }

    /// The answer to a probe is there. Further answers to the same one do not count.
    fn answered(&mut self, number: u32) {
        let at = self.started.elapsed();
        if self.probes.answer(number as usize, at) {
            self.answers.push(at);
        }
    }

    fn failed(&mut self, error: ProbeError) {
        *self.failures.entry(error).or_default() += 1;
    }

    /// `end` is until when a gap that is still open counts.
    fn report(self, end: Instant) -> PingReport {
        PingReport {
            sent: self.sent,
            answered: self.answers.count(),
            longest_gap: self.answers.longest_gap(end - self.started),
            lost_span: self.probes.lost_span(),
            longest_outage: self.probes.longest_outage(),
            failures: self.failures,
        }
    }
}

fn ping_tcp(server: SocketAddr, stopped: &PipeReader, pace: Pace, timeout: Duration) -> PingReport {
    let mut tally = Tally::start();
    let mut ticks = pace.ticks(tally.started);
    while let Some(due) = ticks.next(clock::now()) {
        if is_stopped(stopped, due) {
            break;
        }
        let number = tally.send();
        match connect_and_reset(server, timeout) {
            Ok(()) => tally.answered(number),
            Err(error) => tally.failed(error.into()),
        }
    }
    tally.report(clock::now())
}

fn connect_and_reset(server: SocketAddr, timeout: Duration) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&server, timeout)?;
    setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    Ok(())
}

fn ping_udp(sockets: &[UdpSocket], stopped: &PipeReader, pace: Pace, timeout: Duration) -> PingReport {
    let mut tally = Tally::start();
    let mut ticks = pace.ticks(tally.started);
    let mut latest = tally.started;
    let mut end = None;
    while let Some(due) = ticks.next(clock::now()) {
        if let Wait::Stopped = receive_until(sockets, Some(stopped), due, &mut tally) {
            end = Some(clock::now());
            break;
        }
        latest = clock::now();
        let number = tally.send();
        let socket = &sockets[number as usize % sockets.len()];
        if let Err(error) = socket.send(flow::question(number).as_bytes()) {
            tally.failed(error.into());
        }
    }
    while tally.answers.count() < tally.sent {
        if let Wait::Over = receive_some(sockets, None, latest + timeout, &mut tally) {
            break;
        }
    }
    tally.report(end.unwrap_or(latest))
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Received,
    Over,
    Stopped,
}

/// Takes in answers until `until`.
fn receive_until(
    sockets: &[UdpSocket],
    stopped: Option<&PipeReader>,
    until: Instant,
    tally: &mut Tally,
) -> Wait {
    loop {
        let ended = receive_some(sockets, stopped, until, tally);
        if ended != Wait::Received {
            return ended;
        }
    }
}

/// Waits for an answer until `until` and takes in all that are there then.
fn receive_some(
    sockets: &[UdpSocket],
    stopped: Option<&PipeReader>,
    until: Instant,
    tally: &mut Tally,
) -> Wait {
    let left = until.saturating_duration_since(clock::now());
    let ends = sockets.iter().map(UdpSocket::as_fd).chain(stopped.map(PipeReader::as_fd));
    let mut waits: Vec<PollFd<'_>> = ends.map(|end| PollFd::new(end, PollFlags::POLLIN)).collect();
    let polled = ppoll(&mut waits, Some(left.into()), None);
    let is_ready = |wait: &PollFd<'_>| wait.any().unwrap_or(true);
    let is_stopped = polled.is_ok() && waits.get(sockets.len()).is_some_and(is_ready);
    for (socket, _) in sockets.iter().zip(&waits).filter(|(_, wait)| is_ready(wait)) {
        receive(socket, tally);
    }
    match (is_stopped, left.is_zero()) {
        (true, _) => Wait::Stopped,
        (false, true) => Wait::Over,
        (false, false) => Wait::Received,
    }
}

/// Takes in what waits at the socket.
fn receive(socket: &UdpSocket, tally: &mut Tally) {
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    loop {
        match socket.recv(&mut buffer) {
            Ok(len) => match flow::split_answer(&buffer[..len]) {
                Ok((number, _)) => tally.answered(number),
                Err(error) => tally.failed(error),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => tally.failed(error.into()),
        }
    }
}
