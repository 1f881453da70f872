//! Questions of the takeover machine to the segment: from groups to addresses, and from answers to answers.
//!
//! A stranger's answer or claim for a VIP is not taken at its word at once: with proxy ARP, a router answers for addresses
//! that it does not have, announcements among the questions. So it is asked for an address that nobody can have; if it
//! answers for that one too, it is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keryx_layer2::{IfIndex, MacAddr, Outcome, QuestionId};
use keryx_membership::{GroupId, HolderAnswer, NodeId};

/// The IPv4 dummy address (RFC 7600 §6): no station ever has it.
const NOBODYS_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));
/// Of the discard-only prefix (RFC 6666 §4), which no interface ever has.
const NOBODYS_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x0100, 0, 0, 0, 0, 0, 0, 1));

/// A station that is no member, and the address that it answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stranger {
    pub(super) vip: IpAddr,
    pub(super) interface: IfIndex,
    pub(super) mac: MacAddr,
}

impl Stranger {
    /// The address with which it is put to the test.
    pub(super) fn nobodys_address(&self) -> IpAddr {
        if self.vip.is_ipv4() { NOBODYS_V4 } else { NOBODYS_V6 }
    }
}

/// What an answer leads to.
pub(super) enum Next {
    /// Whether a node answers is known.
    Dead(NodeId, bool),
    /// Whether a node's kernel answers is known.
    Kernel(NodeId, bool),
    /// Whether a neighbour's kernel answers on this interface's segment is known.
    Segment(IfIndex, bool),
    /// Who answers for a group is known.
    Holder(Found),
    /// Strangers answered for addresses of this group; they are to be put to the test.
    Tests(GroupId, BTreeSet<Stranger>),
    /// Whether a stranger that claimed a VIP answers for anything is known.
    Claim(Stranger, bool),
}

/// Who answers for a group.
pub(super) struct Found {
    pub(super) group: GroupId,
    pub(super) answer: HolderAnswer,
    /// Stations that are no members, whoever else answered; those that answer for anything left out.
    pub(super) strangers: BTreeSet<Stranger>,
    /// Those that answer for anything.
    pub(super) proxies: BTreeSet<Stranger>,
}

/// Questions that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<QuestionId, About>,
    holders: BTreeMap<GroupId, Holder>,
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
enum About {
    /// Whether a node still answers.
    Dead(NodeId),
    /// Whether a node's kernel does.
    Kernel(NodeId),
    /// Whether any neighbour's kernel answers on a segment.
    Segment(IfIndex),
    /// Who answers for one of a group's VIPs.
    Holder(GroupId, IfIndex, IpAddr),
    /// Whether a stranger answers for anything.
    Proxy(GroupId, Stranger),
    /// The same, for one that claims a VIP that is announced.
    Claim(Stranger),
}

/// The answers about one group so far.
#[derive(Debug, Default)]
struct Holder {
    /// Its questions, those that are answered among them.
    asked: Vec<QuestionId>,
    /// Questions whose answer is still to come.
    left: usize,
    member: Option<NodeId>,
    strangers: BTreeSet<Stranger>,
    /// Those that answer for anything.
    proxies: BTreeSet<Stranger>,
    tested: bool,
    heeds_strangers: bool,
}

impl Questions {
    /// Notes that it was asked whether a node still answers.
    pub(super) fn asked_station(&mut self, question: QuestionId, node: NodeId) {
        self.open.insert(question, About::Dead(node));
    }

    /// Notes that a node's kernel was asked for an address of its own.
    pub(super) fn asked_kernel(&mut self, question: QuestionId, node: NodeId) {
        self.open.insert(question, About::Kernel(node));
    }

    /// Notes that a neighbour's kernel was asked for its own address, to find out whether this node is cut off.
    pub(super) fn asked_on_segment(&mut self, question: QuestionId, interface: IfIndex) {
        self.open.insert(question, About::Segment(interface));
    }

    /// Notes that it was asked who answers for a group: one question for each VIP. Earlier ones about it do not count any
    /// more. Unless strangers are heeded, it counts only what members answer.
    pub(super) fn asked_holder(
        &mut self,
        group: GroupId,
        questions: impl IntoIterator<Item = (QuestionId, IfIndex, IpAddr)>,
        heeds_strangers: bool,
    ) {
        // By their numbers, since there may be thousands about other groups.
        for earlier in self.holders.remove(&group).into_iter().flat_map(|holder| holder.asked) {
            self.open.remove(&earlier);
        }
        let mut holder = Holder { heeds_strangers, ..Holder::default() };
        for (question, interface, vip) in questions {
            holder.left += 1;
            holder.asked.push(question);
            self.open.insert(question, About::Holder(group, interface, vip));
        }
        self.holders.insert(group, holder);
    }

    /// Notes that a stranger which claimed a VIP was put to the test.
    pub(super) fn asked_claimant(&mut self, question: QuestionId, stranger: Stranger) {
        self.open.insert(question, About::Claim(stranger));
    }

    /// Notes which of the tests of a group could be asked. The answer about the group, if none could.
    pub(super) fn asked_tests(
        &mut self,
        group: GroupId,
        questions: impl IntoIterator<Item = (QuestionId, Stranger)>,
    ) -> Option<Found> {
        let holder = self.holders.get_mut(&group)?;
        holder.tested = true;
        for (question, stranger) in questions {
            holder.left += 1;
            holder.asked.push(question);
            self.open.insert(question, About::Proxy(group, stranger));
        }
        if holder.left > 0 { None } else { self.conclude(group) }
    }

    /// Takes an answer; gives what it leads to. `node_of` knows members by their hardware addresses. One that was
    /// abandoned, since its interface went, counts as no answer: the obstacle says more.
    pub(super) fn decided(
        &mut self,
        question: QuestionId,
        outcome: Outcome,
        seen: &[MacAddr],
        node_of: impl Fn(MacAddr) -> Option<NodeId>,
    ) -> Option<Next> {
        let answered = match outcome {
            Outcome::Answered(mac) => Some(mac),
            Outcome::Silent | Outcome::Abandoned => None,
        };
        let group = match self.open.remove(&question)? {
            About::Dead(node) => return Some(Next::Dead(node, answered.is_some())),
            // The interface went: that says nothing about the node.
            About::Kernel(_) if outcome == Outcome::Abandoned => return None,
            About::Segment(interface) => return Some(Next::Segment(interface, answered.is_some())),
            About::Kernel(node) => return Some(Next::Kernel(node, answered.is_some())),
            About::Claim(stranger) => return Some(Next::Claim(stranger, answered.is_some())),
            About::Holder(group, interface, vip) => {
                let holder = self.holders.get_mut(&group)?;
                for mac in answered.iter().chain(seen).copied() {
                    match node_of(mac) {
                        Some(node) => holder.member = Some(node),
                        None if !holder.heeds_strangers => {}
                        None => {
                            holder.strangers.insert(Stranger { vip, interface, mac });
                        }
                    }
                }
                group
            }
            About::Proxy(group, stranger) => {
                let holder = self.holders.get_mut(&group)?;
                if answered.is_some() {
                    holder.proxies.insert(stranger);
                }
                group
            }
        };
        let holder = self.holders.get_mut(&group)?;
        holder.left -= 1;
        if holder.left > 0 {
            return None;
        }
        // A member that answers for one VIP of the group is its holder, whoever answers for another.
        if holder.member.is_some() || holder.strangers.is_empty() || holder.tested {
            return self.conclude(group).map(Next::Holder);
        }
        Some(Next::Tests(group, holder.strangers.clone()))
    }

    fn conclude(&mut self, group: GroupId) -> Option<Found> {
        let Holder { member, strangers, proxies, .. } = self.holders.remove(&group)?;
        let strangers: BTreeSet<Stranger> = strangers.difference(&proxies).copied().collect();
        let answer = match member {
            Some(node) => HolderAnswer::Member(node),
            None if strangers.is_empty() => HolderAnswer::Silent,
            None => HolderAnswer::Foreign,
        };
        Some(Found { group, answer, strangers, proxies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);
    const ETH0: IfIndex = IfIndex(1);
    const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);
    const MEMBER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn vip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn node_of(mac: MacAddr) -> Option<NodeId> {
        (mac == MEMBER).then_some(NodeId(2))
    }

    fn questions(ids: &[QuestionId]) -> Questions {
        let mut questions = Questions::default();
        let asked = ids.iter().enumerate().map(|(place, id)| (*id, ETH0, vip(place as u8)));
        questions.asked_holder(GROUP, asked, true);
        questions
    }

    /// As many as the announcer numbers.
    fn ids(count: usize) -> Vec<QuestionId> {
        let mut announcer = keryx_layer2::Announcer::new(keryx_layer2::Config::default());
        let now = crate::clock::now();
        announcer.set_interface(ETH0, MacAddr([2, 0, 0, 0, 0, 1]), now);
        (0..count).map(|_| announcer.ask_station(ETH0, vip(0), STRANGER, now).unwrap()).collect()
    }

    #[test]
    fn strangers_that_are_not_heeded_count_for_nothing_and_members_always_count() {
        for (mac, expected) in [(STRANGER, HolderAnswer::Silent), (MEMBER, HolderAnswer::Member(NodeId(2)))] {
            let ids = ids(1);
            let mut questions = Questions::default();
            questions.asked_holder(GROUP, [(ids[0], ETH0, vip(0))], false);
            let next = questions.decided(ids[0], Outcome::Answered(mac), &[mac], node_of);
            let Some(Next::Holder(found)) = next else { panic!("no answer") };
            assert_eq!((found.answer, found.strangers.len()), (expected, 0));
        }
    }

    #[test]
    fn a_stranger_that_answers_for_anything_is_passed_over_and_one_that_does_not_counts() {
        for (outcome, expected) in
            [(Outcome::Answered(STRANGER), HolderAnswer::Silent), (Outcome::Silent, HolderAnswer::Foreign)]
        {
            let ids = ids(2);
            let mut questions = questions(&ids[..1]);
            let next = questions.decided(ids[0], Outcome::Answered(STRANGER), &[STRANGER], node_of);
            let Some(Next::Tests(GROUP, strangers)) = next else { panic!("no test") };
            assert_eq!(strangers.len(), 1, "one test for one station");
            let stranger = *strangers.first().unwrap();
            assert_eq!((stranger.nobodys_address(), stranger.vip), (NOBODYS_V4, vip(0)));
            assert!(questions.asked_tests(GROUP, [(ids[1], stranger)]).is_none());
            let Some(Next::Holder(found)) = questions.decided(ids[1], outcome, &[], node_of) else {
                panic!("no answer")
            };
            assert_eq!(found.answer, expected);
            assert_eq!(found.strangers.len() + found.proxies.len(), 1);
            assert_eq!(found.proxies.is_empty(), expected == HolderAnswer::Foreign);
        }
    }

    #[test]
    fn a_member_among_strangers_is_the_holder_and_the_strangers_are_named() {
        let ids = ids(2);
        let mut questions = questions(&ids);
        assert!(questions.decided(ids[0], Outcome::Answered(STRANGER), &[], node_of).is_none());
        let next = questions.decided(ids[1], Outcome::Answered(MEMBER), &[], node_of);
        let Some(Next::Holder(found)) = next else { panic!("no answer") };
        assert_eq!(found.answer, HolderAnswer::Member(NodeId(2)));
        assert_eq!(found.strangers.first().map(|stranger| stranger.mac), Some(STRANGER));
    }

    #[test]
    fn a_test_that_cannot_be_asked_leaves_a_stranger_a_stranger() {
        let ids = ids(1);
        let mut questions = questions(&ids);
        let next = questions.decided(ids[0], Outcome::Answered(STRANGER), &[], node_of);
        assert!(matches!(next, Some(Next::Tests(..))));
        let found = questions.asked_tests(GROUP, []).unwrap();
        assert_eq!(found.answer, HolderAnswer::Foreign);
    }

    #[test]
    fn a_new_question_about_a_group_makes_the_earlier_one_void() {
        let ids = ids(2);
        let mut questions = questions(&ids[..1]);
        questions.asked_holder(GROUP, [(ids[1], ETH0, vip(0))], true);
        assert!(questions.decided(ids[0], Outcome::Answered(MEMBER), &[], node_of).is_none());
        let Some(Next::Holder(found)) = questions.decided(ids[1], Outcome::Silent, &[], node_of) else {
            panic!("no answer")
        };
        assert_eq!(found.answer, HolderAnswer::Silent);
    }
}
