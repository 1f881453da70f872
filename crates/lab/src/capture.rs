//! What passes an interface: a pcap file, and decoded events with the kernel's timestamps.
//!
//! A capture receives on a thread of its own from an `AF_PACKET` socket in a namespace. Memory is bounded: when it is
//! full, the oldest frames and events go first, and [`Capture::missed`] says so.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, IoSliceMut, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, LinkAddr, MsgFlags, RecvMsg, SockaddrLike as _, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;

use crate::clock;
use crate::netns::Namespace;

mod bfd;
mod bgp;
mod decode;
mod event;
mod pcap;
mod socket;
mod store;
#[cfg(test)]
mod tests;

pub use crate::clock::wall_nanos;
pub use bfd::{BfdControl, BfdState};
pub use bgp::{BgpKind, BgpMessage};
pub(crate) use decode::decode;
pub use event::{
    Arp, ArpOperation, Datagram, Direction, Event, Flow, MacAddr, MacAddrError, NeighborAdvertisement,
    NeighborSolicitation, Packet, Segment, Transport, Unreachable,
};
pub(crate) use socket::PacketSocket;
use store::{Frame, Limits, Store};

/// Bytes kept of each frame: a whole one of the usual MTU; of what segmentation offload makes longer, the headers.
const SNAP_BYTES: usize = 2048;
/// Bytes looked at of each frame: the longest that segmentation offload makes, IPv6 behind a VLAN tag.
const FRAME_MAX: usize = 18 + 40 + 65_535;
const LIMITS: Limits = Limits { events: 100_000, frame_bytes: 32 << 20, bgp_bytes: 32 << 20 };
/// The kernel's queue, for bursts while this process does not run.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Frames taken in before the next look whether to stop: about as many as the kernel's queue holds.
const BATCH: usize = 16_384;

/// A running or stopped capture of one interface. Dropping it stops it.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    receiver: Option<Receiver>,
}

#[derive(Debug)]
struct Receiver {
    thread: JoinHandle<()>,
    /// Closing it ends the thread.
    _stop: PipeWriter,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Capture {
    /// Starts to capture what `interface` of the namespace sends and receives; what passes after the return is seen.
    /// Fails without `CAP_NET_RAW` or without such an interface. The interface may go down and come back.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Capture> {
        let socket = PacketSocket::open(namespace, interface)?;
        setsockopt(&socket.fd, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&socket.fd, sockopt::RxqOvfl, &1)?;
        setsockopt(&socket.fd, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
        let (stopped, stop) = io::pipe()?;
        let shared = Arc::new(Shared { store: Mutex::new(Store::new(LIMITS)), changed: Condvar::new() });
        let for_thread = Arc::clone(&shared);
        let receive = move || {
            receive_until_stopped(&socket, &stopped, &for_thread);
            for_thread.lock().ended = true;
            for_thread.changed.notify_all();
        };
        let thread = std::thread::Builder::new().name(format!("capture {interface}")).spawn(receive)?;
        Ok(Capture { shared, receiver: Some(Receiver { thread, _stop: stop }) })
    }

    /// The events so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.shared.lock().events_from(0).copied().collect()
    }

    /// The first event, of those so far and those to come, for which `predicate` holds; `None` if none came within
    /// `timeout` or before the capture was stopped. Each event is asked once, oldest first. The capture stands still
    /// while `predicate` runs, so it must not use it.
    pub fn wait_for(&self, mut predicate: impl FnMut(&Event) -> bool, timeout: Duration) -> Option<Event> {
        let mut seen = 0;
        let look = |store: &Store| {
            let found = store.events_from(seen).find(|event| predicate(event)).copied();
            seen = store.event_count();
            found
        };
        self.wait(look, timeout)
    }

    /// The BGP messages so far that passed over TCP port 179, in the order in which they were complete. A connection
    /// that is older than the capture is read from its first segment on that begins with a message.
    pub fn bgp_messages(&self) -> Vec<BgpMessage> {
        self.shared.lock().bgp.from(0).cloned().collect()
    }

    /// The first BGP message for which `predicate` holds; otherwise as [`Capture::wait_for`].
    pub fn wait_for_bgp(
        &self,
        mut predicate: impl FnMut(&BgpMessage) -> bool,
        timeout: Duration,
    ) -> Option<BgpMessage> {
        let mut seen = 0;
        let look = |store: &Store| {
            let found = store.bgp.from(seen).find(|message| predicate(message)).cloned();
            seen = store.bgp.count();
            found
        };
        self.wait(look, timeout)
    }

    /// Looks at once, and after each frame, until `look` has found something or nothing can come any more.
    fn wait<T>(&self, mut look: impl FnMut(&Store) -> Option<T>, timeout: Duration) -> Option<T> {
        let deadline = clock::now() + timeout;
        let mut store = self.shared.lock();
        loop {
            if let Some(found) = look(&store) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(clock::now());
            if store.ended || left.is_zero() {
                return None;
            }
            let waited = self.shared.changed.wait_timeout(store, left);
            store = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Every MAC address that said of itself that `ip` is at it, by ARP or neighbor advertisement, at or after
    /// `since_nanos`. More than one is more than one announcer.
    pub fn announcers(&self, ip: std::net::IpAddr, since_nanos: u64) -> BTreeSet<MacAddr> {
        let events = self.events().into_iter().filter(|event| event.at_nanos >= since_nanos);
        events.filter_map(|event| event.packet.claimed_by(ip)).collect()
    }

    /// How much [`Capture::events`] and [`Capture::bgp_messages`] lack: frames that the kernel dropped, events and
    /// messages that made room for newer ones, and directions of BGP connections that could not be read on. A test that
    /// something did *not* happen is worth something only while this is 0.
    pub fn missed(&self) -> u64 {
        self.shared.lock().missed()
    }

    /// Takes in what the kernel has received so far, and ends. Events and frames stay.
    pub fn stop(&mut self) {
        if let Some(Receiver { thread, _stop: stop }) = self.receiver.take() {
            drop(stop);
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// Writes the frames so far to a pcap file with nanosecond timestamps; of a frame at most 2048 bytes.
    pub fn save_pcap(&self, path: &Path) -> Result<()> {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            pcap::write(&mut file, SNAP_BYTES as u32, self.shared.lock().frames())
        };
        write().with_context(|| format!("capture file {}", path.display()))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Receives until the other end of `stopped` is closed, and then what is still in the queue.
fn receive_until_stopped(socket: &PacketSocket, stopped: &PipeReader, shared: &Shared) {
    let mut buffer = vec![0; FRAME_MAX];
    loop {
        let mut waits = [
            PollFd::new(socket.fd.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        let polled = poll(&mut waits, PollTimeout::NONE);
        let is_stopped = waits[1].any().unwrap_or(true);
        drain(socket, &mut buffer, shared);
        if is_stopped || !matches!(polled, Ok(_) | Err(Errno::EINTR)) {
            return;
        }
    }
}

/// Takes in what is in the queue, a batch at most.
fn drain(socket: &PacketSocket, buffer: &mut [u8], shared: &Shared) {
    let mut control = nix::cmsg_space!(TimeSpec, u32);
    for _ in 0..BATCH {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let received =
            recvmsg::<LinkAddr>(socket.fd.as_raw_fd(), &mut parts, Some(&mut control), flags).map(Header::of);
        match received {
            Ok(header) => take(&header, buffer, socket, shared),
            // An interface that goes down says so once; the socket goes on when it is up again.
            Err(Errno::EINTR | Errno::ENETDOWN) => {}
            Err(_) => return,
        }
    }
}

/// What the kernel says beside a frame.
struct Header {
    wire_len: usize,
    address: Option<LinkAddr>,
    at_nanos: u64,
    kernel_drops: Option<u32>,
}

impl Header {
    fn of(message: RecvMsg<'_, '_, LinkAddr>) -> Header {
        let mut header = Header {
            wire_len: message.bytes,
            address: message.address.filter(|address| address.family().is_some()),
            at_nanos: 0,
            kernel_drops: None,
        };
        for part in message.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::ScmTimestampns(time) = part {
                header.at_nanos = nanos(time);
            } else if let ControlMessageOwned::RxqOvfl(count) = part {
                header.kernel_drops = Some(count);
            }
        }
        header
    }
}

fn nanos(time: TimeSpec) -> u64 {
    u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
}

fn take(header: &Header, buffer: &[u8], socket: &PacketSocket, shared: &Shared) {
    let Some(address) = header.address.filter(|address| address.ifindex() == socket.link.ifindex()) else {
        return;
    };
    let direction =
        if address.pkttype() == libc::PACKET_OUTGOING { Direction::Sent } else { Direction::Received };
    let bytes = &buffer[..header.wire_len.min(buffer.len())];
    let at_nanos = header.at_nanos;
    let event = decode(bytes).map(|decoded| Event {
        at_nanos,
        direction,
        source_mac: decoded.source_mac,
        destination_mac: decoded.destination_mac,
        packet: decoded.packet,
    });
    let wire_len = u32::try_from(header.wire_len).unwrap_or(u32::MAX);
    let kept = &bytes[..bytes.len().min(SNAP_BYTES)];
    let bgp_piece = decode::bgp_piece(bytes);
    let mut store = shared.lock();
    store.push(Frame { at_nanos, wire_len, bytes: kept.into() }, event);
    if let Some(piece) = bgp_piece {
        store.bgp.push(&piece, at_nanos, direction);
    }
    store.kernel_drops = header.kernel_drops.unwrap_or(store.kernel_drops);
    shared.changed.notify_all();
}
