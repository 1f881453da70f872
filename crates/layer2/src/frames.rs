//! The frames that are sent, each with the rule that shapes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::MacAddr;
use crate::heard::Question;
use crate::wire::Frame;
use crate::wire::arp::{ArpPacket, Operation};
use crate::wire::ndp::{ALL_NODES, Message, NONCE_LEN, NdpPacket, solicited_node_group};

/// Both forms of a gratuitous ARP frame are sent, in this order: some hosts heed only the one, some only the other.
/// For IPv6 there is only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Request,
    Reply,
}

/// The answer to `question`, sent by the station `own`: the target is at `at`, which is another one if this node
/// stands in for it.
pub(crate) fn answer(own: MacAddr, at: MacAddr, question: &Question) -> Option<Frame> {
    match (question.target, question.to_ip) {
        // RFC 826, "Packet Reception": swapped, the hardware address filled in, sent to the asker alone.
        (IpAddr::V4(target), IpAddr::V4(to_ip)) => {
            let packet = ArpPacket {
                ethernet_destination: question.to_mac,
                ethernet_source: own,
                operation: Operation::Reply,
                sender_mac: at,
                sender_ip: target,
                target_mac: question.to_mac,
                target_ip: to_ip,
            };
            Some(packet.emit())
        }
        (IpAddr::V6(target), IpAddr::V6(to_ip)) => {
            // RFC 4861 §7.2.4: "If the source of the solicitation is the unspecified address, the node MUST set the
            // Solicited flag to zero and multicast the advertisement to the all-nodes address."
            let is_solicited = !to_ip.is_unspecified();
            let destination = if is_solicited { to_ip } else { ALL_NODES };
            let ethernet_destination =
                if is_solicited { question.to_mac } else { MacAddr::of_group(ALL_NODES) };
            // §7.2.4: the override flag "SHOULD be set to zero" for an address that the node is a proxy for.
            let overrides = own == at;
            Some(advertisement(
                own,
                at,
                target,
                (ethernet_destination, destination),
                (is_solicited, overrides),
            ))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// Tells all stations that `vip` is at `own`. RFC 5227 §1.1: sender and target address are both the one that is
/// announced. RFC 4861 §7.2.6: an unsolicited advertisement to all nodes, the solicited flag zero, override set.
pub(crate) fn gratuitous(own: MacAddr, vip: IpAddr, form: Form) -> Frame {
    let vip = match vip {
        IpAddr::V4(vip) => vip,
        IpAddr::V6(vip) => {
            return advertisement(own, own, vip, (MacAddr::of_group(ALL_NODES), ALL_NODES), (false, true));
        }
    };
    let (operation, target_mac) = match form {
        Form::Request => (Operation::Request, MacAddr::ZERO),
        // Linux takes a gratuitous reply inside its lock time only if the target hardware address is the sender's.
        Form::Reply => (Operation::Reply, own),
    };
    let packet = ArpPacket {
        ethernet_destination: MacAddr::BROADCAST,
        ethernet_source: own,
        operation,
        sender_mac: own,
        sender_ip: vip,
        target_mac,
        target_ip: vip,
    };
    packet.emit()
}

/// Asks the station `to` alone whether it has `target`, as neighbours do to see that it is still there.
pub(crate) fn unicast_question(own: MacAddr, addresses: &[IpNet], target: IpAddr, to: MacAddr) -> Frame {
    match target {
        IpAddr::V4(target) => {
            let packet = ArpPacket {
                ethernet_destination: to,
                ethernet_source: own,
                operation: Operation::Request,
                sender_mac: own,
                sender_ip: own_v4(addresses, target),
                target_mac: MacAddr::ZERO,
                target_ip: target,
            };
            packet.emit()
        }
        IpAddr::V6(target) => {
            let source = own_v6(addresses, target);
            // RFC 4861 §7.1.1: from :: only to a solicited-node group, and without a source link-layer address.
            let from_nowhere = source.is_unspecified();
            let packet = NdpPacket {
                ethernet_destination: to,
                ethernet_source: own,
                source,
                destination: if from_nowhere { solicited_node_group(target) } else { target },
                target,
                message: Message::Solicitation { source_mac: (!from_nowhere).then_some(own), nonce: None },
            };
            packet.emit()
        }
    }
}

/// Asks all stations whether one uses `target` already, and claims nothing by it: an ARP probe, "sender IP address
/// MUST be set to all zeroes" (RFC 5227 §2.1.1), or duplicate address detection (RFC 4862 §5.4.2) with a nonce
/// (RFC 7527 §4.1).
pub(crate) fn probe(own: MacAddr, target: IpAddr, nonce: [u8; NONCE_LEN]) -> Frame {
    match target {
        IpAddr::V4(target) => {
            let packet = ArpPacket {
                ethernet_destination: MacAddr::BROADCAST,
                ethernet_source: own,
                operation: Operation::Request,
                sender_mac: own,
                sender_ip: Ipv4Addr::UNSPECIFIED,
                target_mac: MacAddr::ZERO,
                target_ip: target,
            };
            packet.emit()
        }
        IpAddr::V6(target) => {
            let group = solicited_node_group(target);
            let packet = NdpPacket {
                ethernet_destination: MacAddr::of_group(group),
                ethernet_source: own,
                source: Ipv6Addr::UNSPECIFIED,
                destination: group,
                target,
                message: Message::Solicitation { source_mac: None, nonce: Some(nonce) },
            };
            packet.emit()
        }
    }
}

fn advertisement(
    own: MacAddr,
    at: MacAddr,
    target: Ipv6Addr,
    (ethernet_destination, destination): (MacAddr, Ipv6Addr),
    (is_solicited, overrides): (bool, bool),
) -> Frame {
    let packet = NdpPacket {
        ethernet_destination,
        ethernet_source: own,
        // RFC 4861 §4.4: an address assigned to the interface; the VIP is the one that all nodes share.
        source: target,
        destination,
        target,
        message: Message::Advertisement {
            // §4.4: "MUST be included" in an answer to a multicast solicitation; never wrong in any other.
            target_mac: Some(at),
            // §7.2.4 wants the flag of a router. The node forwards, but the VIP is a host's address: nobody has it as
            // a default router, so nobody loses one (§7.2.5), and no host is to take it for one.
            is_router: false,
            is_solicited,
            overrides,
        },
    };
    packet.emit()
}

/// The interface's address of the target's segment, else any, else none: then the question is like a probe.
fn own_v4(addresses: &[IpNet], target: Ipv4Addr) -> Ipv4Addr {
    let nets = || {
        addresses.iter().filter_map(|net| match net {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
        })
    };
    let on_segment = nets().find(|net| net.contains(&target));
    on_segment.or_else(|| nets().next()).map_or(Ipv4Addr::UNSPECIFIED, |net| net.addr())
}

/// As [`own_v4`]. RFC 4861 §7.2.2 leaves the choice; a link-local address is never deprecated or filtered.
fn own_v6(addresses: &[IpNet], target: Ipv6Addr) -> Ipv6Addr {
    let nets = || {
        addresses.iter().filter_map(|net| match net {
            IpNet::V4(_) => None,
            IpNet::V6(net) => Some(net),
        })
    };
    let link_local = nets().find(|net| net.addr().is_unicast_link_local());
    let chosen = link_local.or_else(|| nets().find(|net| net.contains(&target))).or_else(|| nets().next());
    chosen.map_or(Ipv6Addr::UNSPECIFIED, |net| net.addr())
}

#[cfg(test)]
mod tests;
