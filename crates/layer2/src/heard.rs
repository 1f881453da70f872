//! What a frame asks and claims, whatever its family.

use std::net::IpAddr;

use crate::MacAddr;
use crate::wire::arp::{ArpPacket, Operation};
use crate::wire::ndp::{Message, NONCE_LEN, NdpPacket, solicited_node_group};
use crate::wire::{ParseError, is_ipv6};

/// A frame that was addressed to this host or to a group it is in. Most frames ask or claim, some do both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The station that sent it, which need not be the one that it speaks of.
    pub(crate) sender: MacAddr,
    pub(crate) question: Option<Question>,
    pub(crate) claim: Option<Claim>,
}

/// Who has this address?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) target: IpAddr,
    /// Where the answer goes.
    pub(crate) to_mac: MacAddr,
    /// Unspecified if the asker wants the address for itself: an ARP probe (RFC 5227 §2.1.1) or duplicate address
    /// detection (RFC 4862 §5.4).
    pub(crate) to_ip: IpAddr,
    /// Tells one of our own that came back (RFC 7527 §4.2).
    pub(crate) nonce: Option<[u8; NONCE_LEN]>,
}

/// This address is at this station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) ip: IpAddr,
    pub(crate) mac: MacAddr,
    /// An answer or an announcement. Else the address was only used to ask for another one, which a node also does
    /// with a VIP that it merely serves (kube-proxy's IPVS mode).
    pub(crate) is_told: bool,
}

/// Reads a frame that an interface with the address `own` received. Frames from itself say nothing.
pub(crate) fn read(frame: &[u8], own: MacAddr) -> Result<Heard, ParseError> {
    let heard = if is_ipv6(frame) {
        neighbor_discovery(&NdpPacket::parse(frame)?, own)
    } else {
        arp(&ArpPacket::parse(frame)?, own)
    };
    Ok(heard)
}

fn arp(packet: &ArpPacket, own: MacAddr) -> Heard {
    let mut heard = Heard { sender: packet.ethernet_source, question: None, claim: None };
    // In promiscuous mode the socket also sees what is meant for other stations. ARP is never sent to other groups.
    let is_for_us = [own, MacAddr::BROADCAST].contains(&packet.ethernet_destination);
    // Nobody owns a group address; an answer to one would go to many.
    if !is_for_us || !packet.sender_mac.is_unicast() || packet.sender_mac == own {
        return heard;
    }
    let is_request = packet.operation == Operation::Request;
    // RFC 5227 §1.1: a gratuitous request tells and does not ask.
    let is_gratuitous = packet.sender_ip == packet.target_ip;
    heard.question = (is_request && !is_gratuitous).then_some(Question {
        target: packet.target_ip.into(),
        to_mac: packet.sender_mac,
        to_ip: packet.sender_ip.into(),
        nonce: None,
    });
    // RFC 5227 §2.4: any packet that has the address as its sender's.
    heard.claim = (!packet.sender_ip.is_unspecified()).then_some(Claim {
        ip: packet.sender_ip.into(),
        mac: packet.sender_mac,
        is_told: !is_request || is_gratuitous,
    });
    heard
}

fn neighbor_discovery(packet: &NdpPacket, own: MacAddr) -> Heard {
    let mut heard = Heard { sender: packet.ethernet_source, question: None, claim: None };
    let is_for_us = packet.ethernet_destination == own || packet.ethernet_destination.is_group();
    if !is_for_us || packet.ethernet_source == own {
        return heard;
    }
    match packet.message {
        Message::Solicitation { source_mac, nonce } => {
            // RFC 4861 §7.2.4: without the option the sender would have to be resolved; its frame came from there.
            let to_mac = source_mac.unwrap_or(packet.ethernet_source);
            // §4.3: sent to the target's group, or to the target to see whether it is still there.
            let is_sane = [packet.target, solicited_node_group(packet.target)].contains(&packet.destination)
                && !packet.source.is_multicast();
            heard.question = (is_sane && to_mac.is_unicast() && to_mac != own).then_some(Question {
                target: packet.target.into(),
                to_mac,
                to_ip: packet.source.into(),
                nonce,
            });
        }
        Message::Advertisement { target_mac, .. } => {
            let mac = target_mac.unwrap_or(packet.ethernet_source);
            heard.claim = mac.is_unicast().then_some(Claim { ip: packet.target.into(), mac, is_told: true });
        }
    }
    heard
}

#[cfg(test)]
mod tests;
