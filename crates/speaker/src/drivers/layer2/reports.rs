//! What the driver tells the rest of the speaker, and what it can be asked.

use std::net::IpAddr;

use keryx_api::layer2::{GroupState, Layer2State, VipState};
use keryx_layer2::{IfIndex, MacAddr};
use keryx_membership::GroupId;
use keryx_membership::takeover::Cause;
use tokio::sync::oneshot;

use super::machines::Machines;

/// How layer 2 stands, in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// VIPs that are answered for.
    pub announced: usize,
    /// Speakers of other nodes that are heard.
    pub members: usize,
    /// One for each VIP that a station uses which is no member.
    pub conflicts: Vec<Conflict>,
}

/// Something that users may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// This node announces VIPs from now on.
    Announced {
        /// Those of one group.
        vips: Box<[IpAddr]>,
        /// Names of the interfaces, in the order of the VIPs.
        interfaces: Box<[String]>,
        /// The node that did before; `None` if none is known.
        from: Option<String>,
        /// Why.
        cause: Cause,
    },
    /// A station that is no member uses a VIP.
    Conflict(Conflict),
}

/// A VIP that a station uses which is no member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The VIP.
    pub vip: IpAddr,
    /// Name of the interface on which the station was seen.
    pub interface: String,
    /// Its hardware address.
    pub mac: MacAddr,
    /// Whether this node announces the VIP all the same, since it did before the station came.
    pub announced: bool,
}

/// What the driver can be asked while it runs.
#[derive(Debug)]
pub enum Request {
    /// Its view of layer 2.
    State(oneshot::Sender<Layer2State>),
    /// To take the groups in which this node is the first choice, one after the other; answers how many these are.
    Rebalance(oneshot::Sender<usize>),
}

impl Machines {
    /// What has happened since it was last asked for.
    pub(super) fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    pub(super) fn conflict(&self, vip: IpAddr, index: IfIndex, mac: MacAddr) -> Conflict {
        let announced = self.on_wire.contains_key(&vip);
        Conflict { vip, interface: self.interface_name(index), mac, announced }
    }

    pub(super) fn summary(&self) -> Summary {
        let conflicts = self.conflicts.iter().map(|(vip, index, mac)| self.conflict(vip, index, mac));
        Summary { announced: self.on_wire.len(), members: self.heard, conflicts: conflicts.collect() }
    }

    pub(super) fn interface_name(&self, index: IfIndex) -> String {
        self.placing.link(index).map_or_else(|| format!("interface {}", index.0), |link| link.name.clone())
    }

    /// This speaker's view of layer 2.
    pub(super) fn state(&self) -> Layer2State {
        let members = self.members.members().map(|node| self.roster.name(node)).collect();
        let groups = self.groups.iter().map(|(id, group)| self.group_state(*id, group.vips())).collect();
        Layer2State { node: self.roster.name(self.me), members, groups }
    }

    fn group_state(&self, id: GroupId, vips: &[IpAddr]) -> GroupState {
        let holder = self.takeover.holder(id);
        let vip_state = |vip: &IpAddr| VipState {
            address: *vip,
            interface: self.on_wire.get(vip).map(|index| self.interface_name(*index)),
            hindered: self.placing.choose(*vip).err().map(|hindered| hindered.why),
            conflict: self.conflicts.get(*vip).map(|mac| mac.to_string()),
        };
        GroupState {
            vips: vips.iter().map(vip_state).collect(),
            holder: holder.map(|(node, _)| self.roster.name(node)),
            term: holder.map_or(0, |(_, term)| term.0),
            held: self.held.contains_key(&id),
        }
    }
}
