use std::collections::VecDeque;

use super::bgp::Messages;
use super::event::Event;

/// A frame as it goes into the pcap file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) at_nanos: u64,
    /// Its length on the wire; `bytes` may be shorter.
    pub(super) wire_len: u32,
    pub(super) bytes: Box<[u8]>,
}

/// How much a capture keeps; the oldest goes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) frame_bytes: usize,
    pub(super) bgp_bytes: usize,
}

/// What a capture has seen.
#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    frames: VecDeque<Frame>,
    frame_bytes: usize,
    events: VecDeque<Event>,
    evicted_events: u64,
    pub(super) bgp: Messages,
    /// Frames that the kernel dropped because the capture was too slow.
    pub(super) kernel_drops: u32,
    /// No more frames will come.
    pub(super) ended: bool,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Store {
        Store {
            limits,
            frames: VecDeque::new(),
            frame_bytes: 0,
            events: VecDeque::new(),
            evicted_events: 0,
            bgp: Messages::new(limits.bgp_bytes),
            kernel_drops: 0,
            ended: false,
        }
    }

    pub(super) fn push(&mut self, frame: Frame, event: Option<Event>) {
        self.frame_bytes += cost(&frame);
        self.frames.push_back(frame);
        while self.frame_bytes > self.limits.frame_bytes {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.frame_bytes -= cost(&oldest);
        }
        self.events.extend(event);
        if self.events.len() > self.limits.events {
            self.events.pop_front();
            self.evicted_events += 1;
        }
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }

    /// The events that are still there from the `seen`-th of all on, oldest first.
    pub(super) fn events_from(&self, seen: u64) -> impl Iterator<Item = &Event> {
        let skipped = usize::try_from(seen.saturating_sub(self.evicted_events)).unwrap_or(usize::MAX);
        self.events.iter().skip(skipped)
    }

    /// How many events there have been in all.
    pub(super) fn event_count(&self) -> u64 {
        self.evicted_events + self.events.len() as u64
    }

    pub(super) fn missed(&self) -> u64 {
        u64::from(self.kernel_drops) + self.evicted_events + self.bgp.missed()
    }
}

/// Memory that a frame takes, with its place in the queue.
fn cost(frame: &Frame) -> usize {
    frame.bytes.len() + size_of::<Frame>()
}
