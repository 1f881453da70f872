//! Random sequences of operations against a model that only knows, for each VIP, when its burst began.

use proptest::prelude::*;

use super::*;

fn v4(vip: IpAddr) -> Ipv4Addr {
    let IpAddr::V4(vip) = vip else { panic!("{vip} is not IPv4") };
    vip
}

#[derive(Clone, Debug)]
enum Op {
    SetInterface(u32, u8),
    RemoveInterface(u32),
    SetVips(u32, BTreeSet<IpAddr>),
    Ask(u32, IpAddr),
    Advance(Duration),
}

fn any_vip() -> impl Strategy<Value = IpAddr> {
    (0..6u8).prop_map(|host| Ipv4Addr::new(192, 0, 2, host).into())
}

fn any_op() -> impl Strategy<Value = Op> {
    let index = || 0..3u32;
    prop_oneof![
        2 => (index(), 0..3u8).prop_map(|(index, mac)| Op::SetInterface(index, mac)),
        1 => index().prop_map(Op::RemoveInterface),
        4 => (index(), prop::collection::btree_set(any_vip(), 0..5))
            .prop_map(|(index, vips)| Op::SetVips(index, vips)),
        3 => (index(), any_vip()).prop_map(|(index, vip)| Op::Ask(index, vip)),
        3 => (0..9_000u64).prop_map(|millis| Op::Advance(Duration::from_millis(millis))),
    ]
}

/// What one VIP on one interface should have done: announce at 0, 1, 2, 3, 4, 5 s and each 7 s after, as long as that
/// is not later than `now`.
fn scheduled(began: Instant, now: Instant) -> Vec<Instant> {
    let refreshes = (1..).map(|nth| 5 + 7 * nth);
    (0..=5).chain(refreshes).map(|second| began + secs(second)).take_while(|at| *at <= now).collect()
}

#[derive(Default)]
struct Model {
    macs: BTreeMap<u32, MacAddr>,
    /// When each VIP's burst began, and when it was announced since.
    vips: BTreeMap<(u32, IpAddr), (Instant, Vec<Instant>)>,
}

impl Model {
    fn apply(&mut self, op: &Op, now: Instant) {
        match op {
            Op::SetInterface(index, mac) => {
                let mac = MacAddr([2, 0, 0, 0, *index as u8, *mac]);
                if self.macs.insert(*index, mac) != Some(mac) {
                    for (_, burst) in self.vips.iter_mut().filter(|((on, _), _)| on == index) {
                        *burst = (now, Vec::new());
                    }
                }
            }
            Op::RemoveInterface(index) => {
                self.macs.remove(index);
                self.vips.retain(|(on, _), _| on != index);
            }
            Op::SetVips(index, vips) if self.macs.contains_key(index) => {
                self.vips.retain(|(on, vip), _| on != index || vips.contains(vip));
                for vip in vips {
                    self.vips.entry((*index, *vip)).or_insert((now, Vec::new()));
                }
            }
            Op::SetVips(..) | Op::Ask(..) | Op::Advance(_) => {}
        }
    }

    /// Checks each frame and notes when each VIP was announced. Returns the number of answers.
    fn observe(&mut self, frames: &[(IfIndex, ArpPacket)], now: Instant) -> usize {
        let mut answers = 0;
        for (index, packet) in frames {
            let (_, announced) = self
                .vips
                .get_mut(&(index.0, packet.sender_ip.into()))
                .expect("a frame only for a VIP that is announced");
            assert_eq!(
                Some(&packet.sender_mac),
                self.macs.get(&index.0),
                "the interface's MAC address of now"
            );
            assert_eq!(packet.ethernet_source, packet.sender_mac);
            match (packet.ethernet_destination, packet.operation) {
                (MacAddr::BROADCAST, Operation::Request) => announced.push(now),
                (MacAddr::BROADCAST, Operation::Reply) => {
                    assert_eq!(announced.last(), Some(&now), "the reply form follows the request form");
                }
                (_, operation) => {
                    assert_eq!((operation, packet.target_ip), (Operation::Reply, CLIENT_IP));
                    answers += 1;
                }
            }
        }
        answers
    }
}

fn perform(announcer: &mut Announcer, op: &Op, now: Instant, known: bool) {
    match op.clone() {
        Op::SetInterface(index, mac) => {
            announcer.set_interface(IfIndex(index), MacAddr([2, 0, 0, 0, index as u8, mac]), now);
        }
        Op::RemoveInterface(index) => announcer.remove_interface(IfIndex(index)),
        Op::SetVips(index, vips) => {
            assert_eq!(announcer.set_vips(IfIndex(index), vips, now).is_ok(), known);
        }
        Op::Ask(index, vip) => {
            let packet = ArpPacket { target_ip: v4(vip), ..request() };
            announcer.handle_input(IfIndex(index), &packet.emit(), now);
        }
        Op::Advance(_) => {}
    }
}

proptest! {
    #[test]
    fn every_vip_keeps_its_schedule_and_no_other_address_is_ever_sent(
        ops in prop::collection::vec(any_op(), 1..60),
    ) {
        let mut now = start();
        let mut announcer = Announcer::new(Config { refresh_interval_secs: 7, ..Config::default() });
        let mut model = Model::default();
        let mut gratuitous = 0;
        for op in ops {
            if let Op::Advance(by) = op {
                let until = now + by;
                while let Some(due) = announcer.poll_timeout() && due <= until {
                    prop_assert!(due > now, "time moves on with each wake-up");
                    now = due;
                    announcer.handle_timeout(now);
                    let frames = drain(&mut announcer);
                    prop_assert!(!frames.is_empty(), "no wake-up without a reason");
                    gratuitous += frames.len();
                    prop_assert_eq!(model.observe(&frames, now), 0);
                }
                now = until;
            }
            model.apply(&op, now);
            let (Op::SetInterface(index, _) | Op::RemoveInterface(index) | Op::SetVips(index, _) | Op::Ask(index, _)) =
                &op
            else { continue };
            perform(&mut announcer, &op, now, model.macs.contains_key(index));
            let frames = drain(&mut announcer);
            let answers = model.observe(&frames, now);
            gratuitous += frames.len() - answers;
            let asked = matches!(&op, Op::Ask(index, vip) if model.vips.contains_key(&(*index, *vip)));
            prop_assert_eq!(answers, usize::from(asked));

            for ((index, vip), (began, announced)) in &model.vips {
                prop_assert_eq!(announced, &scheduled(*began, now), "{} on interface {}", vip, index);
            }
            prop_assert_eq!(announcer.poll_timeout().is_some(), !model.vips.is_empty());
            prop_assert!(announcer.poll_timeout().is_none_or(|due| due > now));
            prop_assert_eq!(announcer.counters().arp.gratuitous, gratuitous as u64);
        }
    }
}

/// Frames of any kind about a few addresses by a few stations, and garbage.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let mac = || (0..5u8).prop_map(|last| MacAddr([2, 0, 0, 0, 0, last]));
    let frame = (any_vip(), any_vip(), mac(), mac(), any::<bool>(), 0..4u8).prop_map(
        |(vip, other, mac, own, is_v6, kind)| {
            let vip = if is_v6 { v4(vip).to_ipv6_mapped().into() } else { vip };
            let question = crate::heard::Question {
                target: vip,
                to_mac: own,
                to_ip: if is_v6 { v4(other).to_ipv6_mapped().into() } else { other },
                nonce: None,
            };
            match kind {
                0 => crate::frames::gratuitous(mac, vip, Form::Reply),
                1 => crate::frames::probe(mac, vip, [1; 6]),
                2 => crate::frames::unicast_question(mac, &[], vip, own),
                _ => crate::frames::answer(mac, mac, &question).unwrap(),
            }
            .to_vec()
        },
    );
    prop_oneof![9 => frame, 1 => prop::collection::vec(any::<u8>(), 0..120)]
}

#[derive(Clone, Debug)]
enum Deed {
    Hear(Vec<u8>),
    Announce(IpAddr),
    Withdraw(IpAddr),
    StandIn(IpAddr),
    Ask(IpAddr),
    Check(IpAddr, u8),
    Pass(u64),
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let vip = || {
        (any_vip(), any::<bool>()).prop_map(
            |(vip, is_v6)| {
                if is_v6 { v4(vip).to_ipv6_mapped().into() } else { vip }
            },
        )
    };
    prop_oneof![
        8 => any_frame().prop_map(Deed::Hear),
        2 => vip().prop_map(Deed::Announce),
        1 => vip().prop_map(Deed::Withdraw),
        1 => vip().prop_map(Deed::StandIn),
        1 => vip().prop_map(Deed::Ask),
        1 => (vip(), 0..3u8).prop_map(|(vip, check)| Deed::Check(vip, check)),
        3 => (0..40_000u64).prop_map(Deed::Pass),
    ]
}

proptest! {
    /// Whatever is heard, in whatever order: nothing panics, only VIPs are claimed, every question is decided once,
    /// conflicts begin before they are over, and with no VIP left all falls silent.
    #[test]
    fn hostile_neighbours_change_no_rule(deeds in prop::collection::vec(any_deed(), 1..80)) {
        let mut now = start();
        let mut announcer = Announcer::new(Config { refresh_interval_secs: 7, seed: 3 });
        announcer.set_interface(ETH0, MacAddr([2, 0, 0, 0, 0, 0]), now);
        announcer.set_members([MacAddr([2, 0, 0, 0, 0, 1])].into());
        let mut answered = BTreeSet::new();
        let mut asked = BTreeSet::new();
        let mut conflicts = BTreeSet::new();
        for deed in deeds {
            match deed {
                Deed::Hear(frame) => announcer.handle_input(ETH0, &frame, now),
                Deed::Announce(vip) => {
                    answered.insert(vip);
                    announcer.announce(ETH0, vip, now).unwrap();
                }
                Deed::Withdraw(vip) => {
                    answered.remove(&vip);
                    conflicts.remove(&vip);
                    announcer.withdraw(ETH0, vip);
                    announcer.end_stand_in(ETH0, vip);
                }
                Deed::StandIn(vip) => {
                    answered.insert(vip);
                    announcer.stand_in(ETH0, vip, MacAddr([2, 0, 0, 0, 0, 1])).unwrap();
                }
                Deed::Ask(vip) => {
                    asked.insert(announcer.ask_station(ETH0, vip, MacAddr([2, 0, 0, 0, 0, 2]), now).unwrap());
                }
                Deed::Check(vip, check) => {
                    let check = [Check::Off, Check::Fast, Check::Full][usize::from(check)];
                    asked.insert(announcer.check_address(ETH0, vip, check, now).unwrap());
                }
                Deed::Pass(millis) => {
                    let until = now + Duration::from_millis(millis);
                    while let Some(due) = announcer.poll_timeout() && due <= until {
                        now = due.max(now);
                        announcer.handle_timeout(now);
                        settle(&mut announcer, &answered, &mut asked, &mut conflicts)?;
                    }
                    now = until;
                }
            }
            settle(&mut announcer, &answered, &mut asked, &mut conflicts)?;
        }
        announcer.set_vips(ETH0, BTreeSet::new(), now).unwrap();
        while let Some(due) = announcer.poll_timeout() {
            announcer.handle_timeout(due);
            settle(&mut announcer, &answered, &mut asked, &mut conflicts)?;
        }
        prop_assert_eq!(asked, BTreeSet::new());
    }
}

/// Takes all that an announcer gives, and checks it.
fn settle(
    announcer: &mut Announcer,
    answered: &BTreeSet<IpAddr>,
    asked: &mut BTreeSet<QuestionId>,
    conflicts: &mut BTreeSet<IpAddr>,
) -> Result<(), TestCaseError> {
    while let Some(transmit) = announcer.poll_transmit() {
        let claim = crate::heard::read(&transmit.frame, transmit.frame[..6].try_into().map(MacAddr).unwrap());
        if let Some(claim) = claim.unwrap().claim {
            prop_assert!(answered.contains(&claim.ip), "{} is nobody's here", claim.ip);
        }
    }
    while let Some(event) = announcer.poll_event() {
        match event {
            Event::Decided { question, .. } => prop_assert!(asked.remove(&question), "{question:?} twice"),
            Event::Conflict { vip, .. } => {
                conflicts.insert(vip);
            }
            Event::ConflictOver { vip, .. } => prop_assert!(conflicts.remove(&vip), "{vip} had no conflict"),
            Event::MemberAnnounces { vip, .. } => prop_assert!(answered.contains(&vip)),
        }
    }
    Ok(())
}
