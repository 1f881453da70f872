//! Which frame leaves next. The one place where frames come into being, from what is announced then.

use super::*;

impl Announcer {
    /// The next frame to send, until there is none at the time that was told last. Answers come before announcements,
    /// so a driver that asks again after each input never lets an asker wait for a burst.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        while let Some((index, question)) = self.answers.pop_front() {
            let interface = self.interfaces.get(&index);
            let frame = interface.and_then(|interface| interface.answer(&question));
            if let Some(frame) = frame {
                self.counters.of(question.target).replies += 1;
                return Some(transmit(index, question.target, frame));
            }
        }
        let now = self.now?;
        while let Some(ask) = self.prober.next_station_ask(now) {
            if let Some(question) = self.ask(&ask) {
                return Some(question);
            }
        }
        while self.pace.permits()
            && let Some(ask) = self.prober.next_segment_ask(now)
        {
            if let Some(question) = self.ask(&ask) {
                self.pace.take();
                return Some(question);
            }
        }
        if self.pace.permits() { self.announce_next(now) } else { None }
    }

    fn announce_next(&mut self, now: Instant) -> Option<Transmit> {
        let (due, index, vip) = self.schedule.first()?;
        if due > now {
            return None;
        }
        let interface = self.interfaces.get_mut(&index)?;
        let timing = interface.vips.get_mut(&vip)?;
        let form = self.schedule.announced(timing, (index, vip), now);
        self.pace.take();
        self.counters.of(vip).gratuitous += 1;
        Some(transmit(index, vip, frames::gratuitous(interface.mac, vip, form)))
    }

    fn ask(&mut self, ask: &Ask) -> Option<Transmit> {
        let interface = self.interfaces.get(&ask.interface)?;
        self.counters.of(ask.address).questions += 1;
        let frame = match ask.to {
            Some(to) => frames::unicast_question(interface.mac, &interface.addresses, ask.address, to),
            None => frames::probe(interface.mac, ask.address, ask.nonce),
        };
        Some(transmit(ask.interface, ask.address, frame))
    }
}

impl Interface {
    /// Only for an address that is answered for now, with the hardware address of now.
    fn answer(&self, question: &Question) -> Option<Frame> {
        let is_own = self.vips.contains_key(&question.target);
        let at = if is_own { self.mac } else { *self.stand_ins.get(&question.target)? };
        // The holder knows itself; it may be asking whether somebody else has it.
        if question.to_mac == at { None } else { frames::answer(self.mac, at, question) }
    }
}

fn transmit(interface: IfIndex, about: IpAddr, frame: Frame) -> Transmit {
    Transmit { interface, is_ipv6: about.is_ipv6(), frame }
}
