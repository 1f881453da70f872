//! Kernel filters in classic BPF (Linux `filter.rst`): which frames pass to a socket.
//!
//! A filter asks what a frame is about, first by its headers, then by a search tree over the ranges of addresses that
//! matter. It has two instructions for each range and word of an address; a search takes some ten.

mod assembly;
mod tree;

use super::ranges::Ranges;
use assembly::{Assembly, Label};

pub(super) use assembly::Instruction;

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
const INSTRUCTIONS_MAX: usize = 4096;

/// Octets of an Ethernet header and an ARP packet for IPv4.
const ARP_FRAME_LEN: u32 = 42;
const ARP_OPERATION_OFFSET: u32 = 20;
const ARP_OPERATION_REQUEST: u32 = 1;
const ARP_SENDER_OFFSET: u32 = 28;
const ARP_TARGET_OFFSET: u32 = 38;

const ETHERTYPE_OFFSET: u32 = 12;
const NEXT_HEADER_OFFSET: u32 = 20;
const HOP_LIMIT_OFFSET: u32 = 21;
/// Without extension headers, behind which nobody sends neighbor discovery.
const ICMP_TYPE_OFFSET: u32 = 54;
const NDP_TARGET_OFFSET: u32 = 62;
const NEIGHBOR_SOLICITATION: u32 = 135;
const NEIGHBOR_ADVERTISEMENT: u32 = 136;
/// More than any neighbor message has on Ethernet.
const NDP_FRAME_LEN_MAX: u32 = 1514;

/// ARP packets that are broadcast or sent to this host, with a sender in `ranges`, or a request for a target there.
/// `None` if there are more ranges than a filter can hold.
pub(super) fn arp(ranges: &Ranges) -> Option<Vec<Instruction>> {
    let mut code = Assembly::default();
    let drop = code.ret(0);
    // Padding stays in the kernel.
    let accept = code.ret(ARP_FRAME_LEN);
    let search = tree::search(&mut code, ranges, &[ARP_TARGET_OFFSET], accept, drop);
    let is_request = code.require_equal(ARP_OPERATION_REQUEST, search, drop);
    let by_target = code.load_half_word(ARP_OPERATION_OFFSET, is_request);
    let search = tree::search(&mut code, ranges, &[ARP_SENDER_OFFSET], accept, by_target);
    let is_whole = code.require_at_least(ARP_FRAME_LEN, search, drop);
    let length = code.load_length(is_whole);
    addressed(&mut code, libc::PACKET_BROADCAST, libc::ETH_P_ARP, length, drop);
    finish(code)
}

/// Neighbor solicitations and advertisements that are sent to this host or to a group, with a target in `ranges`.
/// `None` if there are more ranges than a filter can hold.
pub(super) fn neighbor_discovery(ranges: &Ranges) -> Option<Vec<Instruction>> {
    let mut code = Assembly::default();
    let drop = code.ret(0);
    let accept = code.ret(NDP_FRAME_LEN_MAX);
    let words = [0, 4, 8, 12].map(|word| NDP_TARGET_OFFSET + word);
    let search = tree::search(&mut code, ranges, &words, accept, drop);
    let is_at_most = code.require_at_most(NEIGHBOR_ADVERTISEMENT, search, drop);
    let is_at_least = code.require_at_least(NEIGHBOR_SOLICITATION, is_at_most, drop);
    let icmp_type = code.load_byte(ICMP_TYPE_OFFSET, is_at_least);
    // RFC 4861 §7.1.1: what comes with a lower hop limit has passed a router.
    let is_neighbour = code.require_equal(255, icmp_type, drop);
    let hop_limit = code.load_byte(HOP_LIMIT_OFFSET, is_neighbour);
    let is_icmp = code.require_equal(libc::IPPROTO_ICMPV6 as u32, hop_limit, drop);
    let next_header = code.load_byte(NEXT_HEADER_OFFSET, is_icmp);
    addressed(&mut code, libc::PACKET_MULTICAST, libc::ETH_P_IPV6, next_header, drop);
    finish(code)
}

/// Lets frames of a protocol go on that are addressed at most as widely as `widest`: `PACKET_HOST` is 0,
/// `PACKET_BROADCAST` 1, `PACKET_MULTICAST` 2. Higher are frames for others, among them those of a VLAN that has no
/// interface here, whose tag is no longer there to see.
fn addressed(code: &mut Assembly, widest: libc::c_uchar, protocol: libc::c_int, next: Label, drop: Label) {
    let is_protocol = code.require_equal(protocol as u32, next, drop);
    let ethertype = code.load_half_word(ETHERTYPE_OFFSET, is_protocol);
    let is_for_us = code.require_at_most(widest.into(), ethertype, drop);
    code.load_packet_type(is_for_us);
}

fn finish(code: Assembly) -> Option<Vec<Instruction>> {
    let program = code.finish();
    (program.len() <= INSTRUCTIONS_MAX).then_some(program)
}

#[cfg(test)]
mod tests;
