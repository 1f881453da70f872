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
