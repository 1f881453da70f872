use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use etherparse::{Icmpv6Type, PacketBuilder};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};

use super::arp::request;
use crate::capture::{MacAddr, PacketSocket};
use crate::clock;
use crate::fault::Chances;
use crate::netns::Namespace;

/// The most frames of one storm.
const COUNT_MAX: u32 = 1_000_000;
/// The longest time that frames are sent.
const DURATION_MAX: Duration = Duration::from_secs(10);
/// One of so many solicitations goes to the group of the address that is spared.
const SAME_GROUP: u32 = 8;

/// Sends so many questions for addresses that nobody has, as fast as the interface takes them, for 10 s at most: ARP requests and
/// neighbor solicitations in turn, from random senders, for random targets. `spared` is asked for by none, but some
/// solicitations go to its solicited-node group. Gives how many were sent.
pub fn storm(namespace: &Namespace, interface: &str, spared: Ipv6Addr, count: u32) -> Result<u32> {
    ensure!(count <= COUNT_MAX, "a storm has at most {COUNT_MAX} frames");
    let socket = PacketSocket::open(namespace, interface)?;
    let mut chances = Chances(u64::from(count));
    let end = clock::now() + DURATION_MAX;
    let mut sent = 0;
    while sent < count && clock::now() < end {
        let frame = if sent % 2 == 0 {
            arp_question(&mut chances)?
        } else {
            solicitation(&mut chances, spared, sent % (2 * SAME_GROUP) == 1)?
        };
        match send(socket.fd.as_raw_fd(), &frame, MsgFlags::empty()) {
            Ok(_) => sent += 1,
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => std::thread::yield_now(),
            Err(error) => return Err(error).context("send a question"),
        }
    }
    Ok(sent)
}

fn octet(chances: &mut Chances) -> u8 {
    chances.below(256) as u8
}

fn sender(chances: &mut Chances) -> MacAddr {
    MacAddr([0x06, 0, 0, octet(chances), octet(chances), octet(chances)])
}

/// Of 10.98.128.0/17, where the address plan has nobody.
fn arp_question(chances: &mut Chances) -> Result<Vec<u8>> {
    let mut target = || Ipv4Addr::new(10, 98, 128 | octet(chances), octet(chances));
    let (own, wanted) = (target(), target());
    request(sender(chances), own, wanted)
}

/// Of fd98:0:0:0:1::/80, where the address plan has nobody.
fn solicitation(chances: &mut Chances, spared: Ipv6Addr, to_its_group: bool) -> Result<Vec<u8>> {
    let mut random = || chances.below(1 << 16) as u16;
    let [.., before_last, last] = spared.segments();
    let own = Ipv6Addr::new(0xfd98, 0, 0, 0, 1, random(), random(), random());
    let (high, low) = if to_its_group { (before_last, last) } else { (random(), random()) };
    let target = Ipv6Addr::new(0xfd98, 0, 0, 0, 1, random(), high, low);
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let from = sender(chances);
    let mut body = target.octets().to_vec();
    // The source link-layer address option (RFC 4861 section 4.6.1).
    body.extend([1, 1]);
    body.extend(from.0);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, [0x33, 0x33, 0xff, a, b, c])
        .ipv6(own.octets(), group.octets(), 255)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write(&mut frame, &body)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Packet, decode};

    #[test]
    fn a_storm_asks_for_random_addresses_and_some_of_the_spared_ones_group() {
        let spared: Ipv6Addr = "fd98::200".parse().unwrap();
        let mut chances = Chances(1);
        let asked = decode(&arp_question(&mut chances).unwrap()).unwrap();
        let Packet::Arp(arp) = asked.packet else { panic!("{asked:?}") };
        assert!(!arp.is_gratuitous() && arp.target_ip.octets()[2] >= 128, "{arp:?}");
        for to_its_group in [false, true] {
            let asked = decode(&solicitation(&mut chances, spared, to_its_group).unwrap()).unwrap();
            let Packet::NeighborSolicitation(it) = asked.packet else { panic!("{asked:?}") };
            assert_ne!(it.target_ip, spared);
            let is_same = it.destination_ip == "ff02::1:ff00:200".parse::<Ipv6Addr>().unwrap();
            assert_eq!(is_same, to_its_group, "{it:?}");
        }
    }
}
