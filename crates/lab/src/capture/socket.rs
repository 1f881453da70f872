use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, bind, socket};

use crate::netns::Namespace;

/// A packet socket that sends and receives whole frames on one interface.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    pub(crate) fd: OwnedFd,
    /// The interface's own link-layer address and index.
    pub(crate) link: LinkAddr,
}

impl PacketSocket {
    /// Opens the socket inside the namespace, where it stays. Fails without `CAP_NET_RAW` or without such an
    /// interface.
    pub(crate) fn open(namespace: &Namespace, interface: &str) -> Result<PacketSocket> {
        namespace
            .run(|| -> Result<PacketSocket> {
                let link = link_address(interface)?;
                let kind = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let fd = socket(AddressFamily::Packet, SockType::Raw, kind, SockProtocol::EthAll)?;
                // The address has no protocol, which leaves that of the socket as it is. Frames of other interfaces
                // that came before this call are in the queue: receivers compare the index.
                bind(fd.as_raw_fd(), &link)?;
                Ok(PacketSocket { fd, link })
            })
            .with_context(|| format!("packet socket on {interface} in {}", namespace.name()))
    }
}

fn link_address(interface: &str) -> Result<LinkAddr> {
    let mut of_interface = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    of_interface
        .find_map(|entry| entry.address.and_then(|address| address.as_link_addr().copied()))
        .with_context(|| format!("there is no interface {interface}"))
}
