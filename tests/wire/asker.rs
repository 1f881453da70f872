//! A client that asks for the VIP all the time, and what came of it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use keryx_lab::Host;
use keryx_lab::capture::{ArpOperation, Capture, Direction, MacAddr, Packet};
use keryx_lab::probe::{self, Pace};

use crate::segment::VIP;

/// From one question to the next, and for how long at most.
const PACE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(120));

/// A running client. It asks until it is dropped or finished.
pub(crate) struct Asker {
    capture: Capture,
    asking: probe::Asker,
}

/// One question, and who answered before the next one.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    at_nanos: u64,
    by: BTreeSet<MacAddr>,
}

/// All questions of a client, in order, with times that its kernel took.
#[derive(Debug)]
pub(crate) struct Story(Vec<Asked>);

impl Asker {
    /// Asks for [`VIP`] by broadcast ARP on the first segment.
    ///
    /// # Errors
    /// There can be no capture.
    pub(crate) fn start(client: &Host) -> Result<Self> {
        let capture = Capture::start(&client.namespace(), "eth0")?;
        let asking = probe::Asker::start(&client.namespace(), "eth0", VIP, Pace::new(PACE.0, PACE.1))?;
        Ok(Self { capture, asking })
    }

    /// What the client sends and receives.
    pub(crate) fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Ends the questions.
    ///
    /// # Errors
    /// The capture is incomplete, or the client could not ask.
    pub(crate) fn finish(self) -> Result<Story> {
        self.asking.stop()?;
        ensure!(self.capture.missed() == 0, "the capture is incomplete");
        let mut story: Vec<Asked> = Vec::new();
        for event in self.capture.events() {
            let Packet::Arp(arp) = event.packet else { continue };
            if arp.operation == ArpOperation::Request && event.direction == Direction::Sent {
                story.push(Asked { at_nanos: event.at_nanos, by: BTreeSet::new() });
            } else if arp.operation == ArpOperation::Reply
                && !arp.is_gratuitous()
                && arp.sender_ip == VIP
                && let Some(last) = story.last_mut()
            {
                last.by.insert(arp.sender_mac);
            }
        }
        // The last one had no time.
        story.pop();
        Ok(Story(story))
    }
}

impl Story {
    /// The part from a time on.
    pub(crate) fn since(&self, nanos: u64) -> Story {
        Story(self.0.iter().filter(|asked| asked.at_nanos >= nanos).cloned().collect())
    }

    /// The part of so much time at the end.
    pub(crate) fn last(&self, duration: Duration) -> Story {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.since(self.0.last().map_or(0, |asked| asked.at_nanos.saturating_sub(nanos)))
    }

    /// For how long at most nobody answered.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.longest(|asked| asked.by.is_empty())
    }

    /// For how long at most several answered.
    pub(crate) fn longest_overlap(&self) -> Duration {
        self.longest(|asked| asked.by.len() > 1)
    }

    /// The longest time without a question, which is the machine's fault.
    pub(crate) fn longest_hiccup(&self) -> Duration {
        let pauses = self.0.windows(2).map(|pair| pair[1].at_nanos - pair[0].at_nanos);
        Duration::from_nanos(pauses.max().unwrap_or_default())
    }

    /// Everybody who ever answered.
    pub(crate) fn answered_by(&self) -> BTreeSet<MacAddr> {
        self.0.iter().flat_map(|asked| &asked.by).copied().collect()
    }

    /// From the first question of a row for which something holds to the next one for which it does not.
    fn longest(&self, holds: impl Fn(&Asked) -> bool) -> Duration {
        let (mut longest, mut since) = (0, None);
        for asked in &self.0 {
            if holds(asked) {
                let since = *since.get_or_insert(asked.at_nanos);
                longest = longest.max(asked.at_nanos - since);
            } else if let Some(since) = since.take() {
                longest = longest.max(asked.at_nanos - since);
            }
        }
        Duration::from_nanos(longest)
    }
}
