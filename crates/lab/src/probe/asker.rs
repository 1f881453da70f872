use std::io::{self, PipeReader, PipeWriter};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{MsgFlags, send};

use super::Pace;
use super::arp::{FRAME_BYTES, answer_to, first_ipv4, receive, request};
use super::gap::Probes;
use crate::capture::{MacAddr, PacketSocket};
use crate::clock;
use crate::netns::Namespace;

/// Asks by ARP again and again who has an address, as clients do that do not know it yet, to find out for how long they
/// would wait.
#[derive(Debug)]
pub struct Asker {
    stop: PipeWriter,
    thread: JoinHandle<Result<AskReport>>,
}

/// What an [`Asker`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskReport {
    /// Requests that were sent.
    pub sent: u32,
    /// Requests that were answered.
    pub answered: u32,
    /// The longest time in which no request was sent that was answered within 20 ms.
    pub longest_outage: Duration,
}

impl Asker {
    /// Starts to ask for `target` by broadcast from an interface of the namespace. The kernel's own neighbour table learns what is
    /// answered, so ask from another host than the one whose own traffic is looked at.
    ///
    /// # Errors
    /// No packet socket can be opened.
    pub fn start(namespace: &Namespace, interface: &str, target: Ipv4Addr, pace: Pace) -> Result<Asker> {
        let socket = PacketSocket::open(namespace, interface)?;
        let mac = socket.link.addr().map(MacAddr).context("the interface has no Ethernet address")?;
        let ip = namespace.run(|| first_ipv4(interface))?.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let frame = request(mac, ip, target)?;
        let (stopped, stop) = io::pipe()?;
        let asking = Asking { socket, mac, target, frame, probes: Probes::default(), sent: 0, answered: 0 };
        let builder = std::thread::Builder::new().name("asker".into());
        let thread = builder.spawn(move || asking.run(&stopped, pace))?;
        Ok(Asker { stop, thread })
    }

    /// Ends now.
    ///
    /// # Errors
    /// The interface took no request, or could not be read.
    pub fn stop(self) -> Result<AskReport> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Asking {
    socket: PacketSocket,
    mac: MacAddr,
    target: Ipv4Addr,
    frame: Vec<u8>,
    probes: Probes,
    sent: u32,
    answered: u32,
}

impl Asking {
    fn run(mut self, stopped: &PipeReader, pace: Pace) -> Result<AskReport> {
        let started = clock::now();
        let mut ticks = pace.ticks(started);
        while let Some(due) = ticks.next(clock::now()) {
            while self.wait(stopped, due)? {
                self.take_in(started)?;
            }
            if is_closed(stopped) {
                break;
            }
            self.probes.push(started.elapsed());
            self.sent += 1;
            send(self.socket.fd.as_raw_fd(), &self.frame, MsgFlags::empty())
                .context("send the ARP request")?;
        }
        Ok(AskReport {
            sent: self.sent,
            answered: self.answered,
            longest_outage: self.probes.longest_outage(),
        })
    }

    /// Waits for a frame; false when it is time to ask or to stop.
    fn wait(&self, stopped: &PipeReader, due: Instant) -> Result<bool> {
        let left = due.saturating_duration_since(clock::now());
        let mut waits = [
            PollFd::new(self.socket.fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        ppoll(&mut waits, Some(left.into()), None).context("wait for ARP answers")?;
        Ok(waits[0].any().unwrap_or(false) && !left.is_zero())
    }

    /// An answer does not say which request it is to: it counts for the latest.
    fn take_in(&mut self, started: Instant) -> Result<()> {
        let mut buffer = [0; FRAME_BYTES];
        while let Some(frame) = receive(&self.socket, &mut buffer)? {
            let Some(latest) = self.sent.checked_sub(1) else { continue };
            if answer_to(frame, self.mac, self.target).is_some()
                && self.probes.answer(latest as usize, started.elapsed())
            {
                self.answered += 1;
            }
        }
        Ok(())
    }
}

fn is_closed(stopped: &PipeReader) -> bool {
    super::is_stopped(stopped, clock::now())
}
