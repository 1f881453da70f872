//! What a speaker says of itself at `/layer2`, for `keryx explain`: live state is asked for, never written.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Path of the speaker's page, in JSON.
pub const PATH: &str = "/layer2";
/// Path to which a `POST` makes the speaker take the groups in which it is the first choice.
pub const REBALANCE_PATH: &str = "/layer2/rebalance";

/// One speaker's view of layer 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer2State {
    /// Its node.
    pub node: String,
    /// Nodes whose speakers it hears.
    pub members: Vec<String>,
    /// Every group of its plan.
    pub groups: Vec<GroupState>,
}

/// VIPs that one node announces together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupState {
    /// Its VIPs.
    pub vips: Vec<VipState>,
    /// The node that announces them, as far as this speaker knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// How often the group was bid for; of two holders that with the higher term keeps it.
    pub term: u32,
    /// True if this speaker is the holder.
    pub held: bool,
}

/// One VIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VipState {
    /// The address.
    pub address: IpAddr,
    /// The interface on which this speaker answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Why this speaker could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindered: Option<String>,
    /// The hardware address of a station that is no node of the cluster and uses the VIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}
