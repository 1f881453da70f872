//! Questions of the takeover machine to the segment: from groups to addresses, and from answers to answers.

use std::collections::BTreeMap;

use keryx_layer2::QuestionId;
use keryx_layer2::{MacAddr, Outcome};
use keryx_membership::{GroupId, HolderAnswer, NodeId, ProbeResult};

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
    /// Who answers for one of a group's VIPs.
    Holder(GroupId),
}

/// The answers about one group so far.
#[derive(Debug)]
struct Holder {
    /// VIPs whose answer is still to come.
    left: usize,
    answer: HolderAnswer,
}

impl Questions {
    /// Notes that it was asked whether a node still answers.
    pub(super) fn asked_station(&mut self, question: QuestionId, node: NodeId) {
        self.open.insert(question, About::Dead(node));
    }

    /// Notes that it was asked who answers for a group: one question for each VIP. Earlier ones about it do not count any
    /// more.
    pub(super) fn asked_holder(&mut self, group: GroupId, questions: Vec<QuestionId>) {
        self.open.retain(|_, about| !matches!(about, About::Holder(other) if *other == group));
        self.holders.insert(group, Holder { left: questions.len(), answer: HolderAnswer::Silent });
        self.open.extend(questions.into_iter().map(|question| (question, About::Holder(group))));
    }

    /// Takes an answer; gives what it completes. `node_of` knows members by their hardware addresses. One that was
    /// abandoned, since its interface went, counts as no answer: the obstacle says more.
    pub(super) fn decided(
        &mut self,
        question: QuestionId,
        outcome: Outcome,
        seen: &[MacAddr],
        node_of: impl Fn(MacAddr) -> Option<NodeId>,
    ) -> Option<ProbeResult> {
        match self.open.remove(&question)? {
            About::Dead(node) => {
                Some(ProbeResult::Dead { node, answered: matches!(outcome, Outcome::Answered(_)) })
            }
            About::Holder(group) => {
                let holder = self.holders.get_mut(&group)?;
                holder.left -= 1;
                let answered = match outcome {
                    Outcome::Answered(mac) => Some(mac),
                    Outcome::Silent | Outcome::Abandoned => None,
                };
                for mac in answered.iter().chain(seen) {
                    holder.answer = match (holder.answer, node_of(*mac)) {
                        // A member that answers for one VIP of the group is its holder, whoever answers for another.
                        (HolderAnswer::Member(node), _) | (_, Some(node)) => HolderAnswer::Member(node),
                        (HolderAnswer::Silent | HolderAnswer::Foreign, None) => HolderAnswer::Foreign,
                    };
                }
                if holder.left > 0 {
                    return None;
                }
                let answer = self.holders.remove(&group)?.answer;
                Some(ProbeResult::Holder { group, answer })
            }
        }
    }
}
