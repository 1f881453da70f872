//! Why a VIP is not announced, by this node or by any.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{NodeName, Owner};

/// Cause of a `Skip`. Its text is written for users, its [`Reason::code`] for metrics, conditions and events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    /// The address stands in only one of the two places of the Service's status that must name it.
    #[error(
        "the Service's {missing_from} does not name this address, so Keryx does not take it as its own; \
         if Keryx should serve this Service, see the keryx-controller's events on it"
    )]
    NotAssigned {
        /// Where it is missing.
        missing_from: StatusPart,
    },
    /// Another owner holds the address with the better right, and the two do not carry one sharing key.
    #[error(
        "{other} has the better right to this address; ask for another address, delete one of the two, \
         or give both the same sharing key"
    )]
    DuplicateClaim {
        /// The owner that keeps it.
        other: Box<Owner>,
    },
    /// The address is one of a Node's own.
    #[error("this is an address of Node {node}, which Keryx never serves; take it out of the address ranges")]
    NodeAddress {
        /// The Node.
        node: NodeName,
    },
    /// No port has an endpoint of the VIP's family anywhere, and the owner's policy is to withdraw.
    #[error(
        "no port has a ready endpoint of this address family; start a ready Pod of a backend, \
         or set withoutEndpoints: Refuse in an L2Advertisement about it to announce it all the same"
    )]
    NoEndpoints,
    /// No node of the cluster is eligible.
    #[error(
        "no node is eligible to announce: each lacks a ready speaker, has no network, is excluded, is draining, \
         or is not selected by an L2Advertisement"
    )]
    NoEligibleNode,
    /// A local endpoint is required, and no eligible node has one.
    #[error(
        "no eligible node has a ready endpoint of its own, which externalTrafficPolicy: Local or \
         announceFrom: LocalEndpoints requires; start a Pod on an eligible node or relax the policy"
    )]
    NoEndpointOnEligibleNode,
    /// The group's announcer has no endpoint for any port of this VIP under policy `Local`, other nodes have.
    #[error(
        "Node {node} announces the other addresses of the group, but has no endpoint for this one, which \
         externalTrafficPolicy: Local requires; run Pods of both families, and of all owners that share \
         addresses, on the same nodes"
    )]
    HolderLacksEndpoint {
        /// The group's announcer.
        node: NodeName,
    },
    /// There are advertisements, and no L2Advertisement is about this address.
    #[error(
        "no L2Advertisement is about this address; without any advertisement all addresses are announced, with one, of this \
         kind or for BGP, only those that one is about; name its pool in one, or, if one should be, see its conditions"
    )]
    NoAdvertisement,
    /// The group's announcer is not selected for this VIP, though for another.
    #[error(
        "Node {node} announces the other addresses of the group, but no L2Advertisement about this one selects it; \
         let those about all addresses of the group select the same nodes"
    )]
    HolderNotSelected {
        /// The group's announcer.
        node: NodeName,
    },
    /// No BGPAdvertisement is about this address.
    #[error(
        "no BGPAdvertisement is about this address; name its pool in one, or, if one should be, see its conditions"
    )]
    NoBgpAdvertisement,
    /// No BGPAdvertisement about this address selects this node.
    #[error("no BGPAdvertisement about this address selects this node; see their nodeSelectors")]
    NotInBgpAdvertisement,
    /// The BGPAdvertisements about this address are for none of the peers of this node that are offered its family.
    #[error(
        "this node has no BGPPeer that the BGPAdvertisements about this address are for and that is offered its family; see \
         nodeSelectors, families and conditions of the BGPPeers, and the peers of the advertisements"
    )]
    NoBgpPeer,
    /// This node could serve some of the ports, and other nodes serve more.
    #[error(
        "this node can serve {covered} of {of} ports, and by BGP only nodes that serve all advertise; run Pods of every \
         port on this node"
    )]
    ServesFewerPorts {
        /// Ports that it can serve.
        covered: usize,
        /// Ports with endpoints.
        of: usize,
    },
    /// No advertisement about the group's VIPs selects this node.
    #[error("no L2Advertisement about this address selects this node; see their nodeSelectors")]
    NodeNotSelected,
    /// This node has no endpoint, and a local one is required.
    #[error(
        "this node has no ready endpoint of its own, which externalTrafficPolicy: Local or \
         announceFrom: LocalEndpoints requires"
    )]
    NoLocalEndpoint,
    /// Another node covers more ports of the group.
    #[error(
        "this node can serve {covered} of the ports, another {best}, and the node that serves the most \
         announces; run Pods of every port on this node"
    )]
    CoversFewerPorts {
        /// Ports covered by this node, counted per address family.
        covered: usize,
        /// Ports covered by the best node.
        best: usize,
    },
    /// This node could announce, but another is first.
    #[error("Node {node} announces it; this node stands by")]
    HolderIs {
        /// The announcer.
        node: NodeName,
    },
    /// The API has no Node of this name.
    #[error("there is no Node of this name; check the speaker's --node-name")]
    NodeUnknown,
    /// The Node is excluded by label.
    #[error(
        "the Node has the label node.kubernetes.io/exclude-from-external-load-balancers; \
         remove it to announce from here"
    )]
    NodeExcluded,
    /// The Node is being drained.
    #[error("the Node has the annotation keryx.dev/drain; remove it to announce from here")]
    NodeDraining,
    /// The Node's network is not set up.
    #[error("the Node's condition NetworkUnavailable is True; see the network plugin on that node")]
    NodeNetworkUnavailable,
    /// A taint says that the Node is about to go.
    #[error("the Node has the taint {taint}, which says that it is about to go")]
    NodeTainted {
        /// Its key.
        taint: String,
    },
    /// The Node's kubelet shuts it down.
    #[error("the Node is shutting down")]
    NodeShuttingDown,
    /// No speaker Pod on the Node is Ready and staying.
    #[error("no keryx-speaker Pod on the Node is Ready; see its log")]
    SpeakerNotReady,
}

impl Reason {
    /// True for what says that a node is about to hand over, and so may go on until others have taken over.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(
            self,
            Self::NodeExcluded | Self::NodeDraining | Self::NodeTainted { .. } | Self::NodeShuttingDown
        )
    }

    /// Stable CamelCase name of the cause, without its details.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAssigned { .. } => "NotAssigned",
            Self::DuplicateClaim { .. } => "DuplicateClaim",
            Self::NodeAddress { .. } => "NodeAddress",
            Self::NoEndpoints => "NoEndpoints",
            Self::NoEligibleNode => "NoEligibleNode",
            Self::NoEndpointOnEligibleNode => "NoEndpointOnEligibleNode",
            Self::HolderLacksEndpoint { .. } => "HolderLacksEndpoint",
            Self::NoAdvertisement => "NoAdvertisement",
            Self::HolderNotSelected { .. } => "HolderNotSelected",
            Self::NoBgpAdvertisement => "NoBgpAdvertisement",
            Self::NotInBgpAdvertisement => "NotInBgpAdvertisement",
            Self::NoBgpPeer => "NoBgpPeer",
            Self::ServesFewerPorts { .. } => "ServesFewerPorts",
            Self::NodeNotSelected => "NodeNotSelected",
            Self::NoLocalEndpoint => "NoLocalEndpoint",
            Self::CoversFewerPorts { .. } => "CoversFewerPorts",
            Self::HolderIs { .. } => "HolderIs",
            Self::NodeUnknown => "NodeUnknown",
            Self::NodeExcluded => "NodeExcluded",
            Self::NodeDraining => "NodeDraining",
            Self::NodeNetworkUnavailable => "NodeNetworkUnavailable",
            Self::NodeTainted { .. } => "NodeTainted",
            Self::NodeShuttingDown => "NodeShuttingDown",
            Self::SpeakerNotReady => "SpeakerNotReady",
        }
    }
}

/// One of the two places in a Service's status that must both name an address of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusPart {
    /// `status.loadBalancer.ingress`.
    Ingress,
    /// The condition `keryx.dev/Assigned`, True and readable.
    Condition,
}

impl fmt::Display for StatusPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "status.loadBalancer.ingress",
            Self::Condition => "condition keryx.dev/Assigned",
        })
    }
}
