//! What the frames of others bring about.

use super::*;

impl Announcer {
    /// Takes a frame that an interface received. Questions for its VIPs are answered, broadcast or unicast, among them
    /// those of stations that want the address for themselves (RFC 5227 §2.1.1; RFC 4862 §5.4.3). Claims decide open
    /// questions, and are conflicts if the VIP is announced here. Everything else changes nothing.
    pub fn handle_input(&mut self, index: IfIndex, frame: &[u8], now: Instant) {
        // What is to be sent in answer is due now; what is due by now is left to the next call of `handle_timeout`.
        self.advance(now);
        let Some(interface) = self.interfaces.get(&index) else { return };
        let Ok(heard) = heard::read(frame, interface.mac) else {
            self.counters.malformed += 1;
            return;
        };
        if let Some(question) = heard.question
            && interface.is_answered(question.target)
        {
            self.counters.of(question.target).requests += 1;
            if self.answers.len() < PENDING_ANSWERS_MAX {
                self.answers.push_back((index, question));
            } else {
                self.counters.overruns += 1;
            }
        }
        let (interfaces, members) = (&self.interfaces, &self.members);
        self.prober.hear(index, &heard, |mac| station(interfaces, members, mac), now);
        self.claimed(index, &heard, now);
        self.collect_decisions();
    }

    /// RFC 5227 §2.4: a packet of another station with our address as its sender's. RFC 4862 §5.4.4: an advertisement.
    fn claimed(&mut self, index: IfIndex, heard: &Heard, now: Instant) {
        let Some(Claim { ip: vip, mac, is_told }) = heard.claim else { return };
        let whose = station(&self.interfaces, &self.members, mac);
        let interface = self.interfaces.get_mut(&index);
        let Some(timing) = interface.and_then(|interface| interface.vips.get_mut(&vip)) else { return };
        match whose {
            Station::Own => {}
            Station::Member => {
                let is_news = is_told && self.events.len() < PENDING_EVENTS_MAX;
                if is_news && self.conflicts.claimed_by_member((index, vip), now) {
                    self.events.push_back(Event::MemberAnnounces { vip, interface: index, mac });
                }
            }
            Station::Foreign => {
                self.counters.foreign_claims += 1;
                if self.events.len() >= PENDING_EVENTS_MAX {
                    return;
                }
                let response = self.conflicts.claimed((index, vip), mac, now);
                if response.tell {
                    self.events.push_back(Event::Conflict { vip, interface: index, mac });
                }
                if response.defend {
                    self.counters.defences += 1;
                    self.schedule.repeat(timing, (index, vip), now);
                }
            }
        }
    }

    /// Sorts decisions: those that the conflict watch asked for are its own.
    pub(super) fn collect_decisions(&mut self) {
        while let Some(event) = self.prober.poll_event() {
            let Event::Decided { question, interface, address, outcome, .. } = &event else { continue };
            if let Some(known) = self.interfaces.get_mut(interface)
                && !known.is_answered(*address)
                && !self.prober.concerns(*interface, *address)
            {
                known.asked.insert(*address);
            }
            let now = self.now;
            let is_silent = *outcome == Outcome::Silent;
            let own = now.and_then(|now| self.conflicts.decided(*question, is_silent, now));
            match own {
                Some(((interface, vip), Some(mac))) => {
                    self.events.push_back(Event::ConflictOver { vip, interface, mac });
                }
                Some((_, None)) => {}
                None => self.events.push_back(event),
            }
        }
    }
}

/// Who has a hardware address. A node has few interfaces.
fn station(interfaces: &BTreeMap<IfIndex, Interface>, members: &BTreeSet<MacAddr>, mac: MacAddr) -> Station {
    if interfaces.values().any(|interface| interface.mac == mac) {
        Station::Own
    } else if members.contains(&mac) {
        Station::Member
    } else {
        Station::Foreign
    }
}
