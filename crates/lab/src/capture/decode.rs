use std::net::{IpAddr, SocketAddr};

use etherparse::icmpv6::{Icmpv6PayloadSlice, NdpOptionSlice};
use etherparse::{
    ArpOperation as WireArpOperation, ArpPacketSlice, Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type,
    LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice, ip_number,
};

use super::bfd::{BfdControl, Ends};
use super::bgp::{self, Piece};
use super::event::{
    Arp, ArpOperation, Datagram, Flow, MacAddr, NeighborAdvertisement, NeighborSolicitation, Packet, Segment,
    Transport, Unreachable,
};

/// What an Ethernet frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) source_mac: MacAddr,
    pub(crate) destination_mac: MacAddr,
    pub(crate) packet: Packet,
}

/// Decodes one Ethernet frame, which may be cut short. `None` if it is damaged or of no kind that [`Packet`] has;
/// checksums are not looked at, since frames between namespaces carry none.
pub(crate) fn decode(frame: &[u8]) -> Option<Decoded> {
    let sliced = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { return None };
    let packet = match sliced.net.as_ref()? {
        LaxNetSlice::Arp(arp) => Packet::Arp(decode_arp(arp)?),
        LaxNetSlice::Ipv4(_) | LaxNetSlice::Ipv6(_) => decode_ip(&sliced)?,
    };
    Some(Decoded {
        source_mac: MacAddr(ethernet.source()),
        destination_mac: MacAddr(ethernet.destination()),
        packet,
    })
}

fn decode_arp(slice: &ArpPacketSlice<'_>) -> Option<Arp> {
    let arp = slice.to_packet().try_eth_ipv4().ok()?;
    let operation = match arp.operation {
        WireArpOperation::REQUEST => ArpOperation::Request,
        WireArpOperation::REPLY => ArpOperation::Reply,
        _ => return None,
    };
    Some(Arp {
        operation,
        sender_mac: MacAddr(arp.sender_mac),
        sender_ip: arp.sender_ipv4_addr(),
        target_mac: MacAddr(arp.target_mac),
        target_ip: arp.target_ipv4_addr(),
    })
}

/// Source and destination of an IP packet.
fn addresses(sliced: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            Some((ip.header().source_addr().into(), ip.header().destination_addr().into()))
        }
        LaxNetSlice::Ipv6(ip) => {
            Some((ip.header().source_addr().into(), ip.header().destination_addr().into()))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

/// The segment of a BGP connection that an Ethernet frame carries, if it does.
pub(super) fn bgp_piece(frame: &[u8]) -> Option<Piece<'_>> {
    let sliced = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let (source_ip, destination_ip) = addresses(&sliced)?;
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
    let is_bgp = [tcp.source_port(), tcp.destination_port()].contains(&bgp::PORT);
    is_bgp.then(|| Piece {
        source: SocketAddr::new(source_ip, tcp.source_port()),
        destination: SocketAddr::new(destination_ip, tcp.destination_port()),
        syn: tcp.syn(),
        sequence: tcp.sequence_number(),
        payload: tcp.payload(),
    })
}

/// TTL or hop limit of an IP packet.
fn ttl(sliced: &LaxSlicedPacket<'_>) -> Option<u8> {
    match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => Some(ip.header().ttl()),
        LaxNetSlice::Ipv6(ip) => Some(ip.header().hop_limit()),
        LaxNetSlice::Arp(_) => None,
    }
}

fn decode_udp(source: SocketAddr, destination: SocketAddr, ttl: u8, payload: &[u8]) -> Packet {
    let control = BfdControl::decode(Ends { source, destination, ttl }, payload);
    control.map_or(Packet::Udp(Datagram { source, destination }), Packet::Bfd)
}

fn decode_ip(sliced: &LaxSlicedPacket<'_>) -> Option<Packet> {
    let (source_ip, destination_ip) = addresses(sliced)?;
    match sliced.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => Some(Packet::Tcp(Segment {
            source: SocketAddr::new(source_ip, tcp.source_port()),
            destination: SocketAddr::new(destination_ip, tcp.destination_port()),
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
        })),
        TransportSlice::Udp(udp) => Some(decode_udp(
            SocketAddr::new(source_ip, udp.source_port()),
            SocketAddr::new(destination_ip, udp.destination_port()),
            ttl(sliced)?,
            udp.payload(),
        )),
        TransportSlice::Icmpv4(icmp) => decode_icmpv4(icmp, source_ip, destination_ip),
        TransportSlice::Icmpv6(icmp) => decode_icmpv6(icmp, source_ip, destination_ip),
        TransportSlice::Igmp(_) => None,
    }
}

fn decode_icmpv4(icmp: &Icmpv4Slice<'_>, source_ip: IpAddr, destination_ip: IpAddr) -> Option<Packet> {
    let Icmpv4Type::DestinationUnreachable(_) = icmp.icmp_type() else { return None };
    let about = quoted_flow(icmp.payload());
    Some(Packet::Unreachable(Unreachable { source_ip, destination_ip, code: icmp.code_u8(), about }))
}

fn decode_icmpv6(icmp: &Icmpv6Slice<'_>, source_ip: IpAddr, destination_ip: IpAddr) -> Option<Packet> {
    if let Icmpv6Type::DestinationUnreachable(_) = icmp.icmp_type() {
        let about = quoted_flow(icmp.payload());
        return Some(Packet::Unreachable(Unreachable {
            source_ip,
            destination_ip,
            code: icmp.code_u8(),
            about,
        }));
    }
    let (IpAddr::V6(source_ip), IpAddr::V6(destination_ip)) = (source_ip, destination_ip) else {
        return None;
    };
    let payload = icmp.payload_slice().ok()?;
    if let Icmpv6PayloadSlice::NeighborSolicitation(solicitation) = &payload {
        return Some(Packet::NeighborSolicitation(NeighborSolicitation {
            source_ip,
            destination_ip,
            target_ip: solicitation.target_address(),
            source_link_address: solicitation.options_iterator().flatten().find_map(|option| {
                let NdpOptionSlice::SourceLinkLayerAddress(found) = option else { return None };
                mac(found.link_layer_address())
            }),
        }));
    }
    let Icmpv6PayloadSlice::NeighborAdvertisement(advertisement) = &payload else { return None };
    let Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else { return None };
    Some(Packet::NeighborAdvertisement(NeighborAdvertisement {
        source_ip,
        destination_ip,
        target_ip: advertisement.target_address(),
        target_link_address: advertisement.options_iterator().flatten().find_map(|option| {
            let NdpOptionSlice::TargetLinkLayerAddress(found) = option else { return None };
            mac(found.link_layer_address())
        }),
        is_router: flags.router,
        is_solicited: flags.solicited,
        overrides: flags.r#override,
    }))
}

fn mac(bytes: &[u8]) -> Option<MacAddr> {
    bytes.try_into().ok().map(MacAddr)
}

/// The flow of the packet that an ICMP error quotes. The quote may end 8 bytes after the IP header (RFC 792), which
/// is less than a TCP header, so that only the ports are read.
fn quoted_flow(quote: &[u8]) -> Option<Flow> {
    let sliced = LaxSlicedPacket::from_ip(quote).ok()?;
    let (source_ip, destination_ip) = addresses(&sliced)?;
    let payload = sliced.ip_payload()?;
    let transport = match payload.ip_number {
        ip_number::TCP => Transport::Tcp,
        ip_number::UDP => Transport::Udp,
        _ => return None,
    };
    let [source_high, source_low, destination_high, destination_low] = *payload.payload.first_chunk()?;
    Some(Flow {
        transport,
        source: SocketAddr::new(source_ip, u16::from_be_bytes([source_high, source_low])),
        destination: SocketAddr::new(destination_ip, u16::from_be_bytes([destination_high, destination_low])),
    })
}
