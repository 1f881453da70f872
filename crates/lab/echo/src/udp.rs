//! UDP: the answer is the line, then the datagram itself, so that a client can tell which of its datagrams it answers.
//!
//! The answer leaves from the address that the datagram came to (`IPV6_PKTINFO`, RFC 3542 section 6). On a node with
//! several addresses the kernel would choose another one and the client, or connection tracking, would not know it.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt, sockopt,
};

use crate::Identity;

/// Longest datagram that is echoed whole; longer ones are cut.
const MAX_DATAGRAM_BYTES: usize = 2048;

/// A dual-stack socket on every address of the host.
pub(crate) fn bind(port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))?;
    setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    Ok(socket)
}

/// Answers until the process ends. A failed send or a pending ICMP error concerns one client only: its next datagram
/// is answered again.
pub(crate) fn serve(socket: &UdpSocket, port: u16, identity: &Identity) {
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    loop {
        if let Ok((len, client, info)) = receive(socket, &mut buffer) {
            let local = SocketAddr::new(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)), port);
            let line = identity.line(SocketAddr::V6(client.into()), local);
            let _unreachable = send(socket, &line, &buffer[..len], &client, info);
        }
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SockaddrIn6, libc::in6_pktinfo)> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let mut info = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::Ipv6PacketInfo(found) = part {
            info = Some(found);
        }
    }
    match (message.address, info) {
        (Some(client), Some(info)) => Ok((message.bytes, client, info)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn send(
    socket: &UdpSocket,
    line: &str,
    datagram: &[u8],
    client: &SockaddrIn6,
    mut info: libc::in6_pktinfo,
) -> io::Result<()> {
    // The route decides the interface, as for any other answer; only a link-local source needs its own.
    if !Ipv6Addr::from(info.ipi6_addr.s6_addr).is_unicast_link_local() {
        info.ipi6_ifindex = 0;
    }
    let parts = [IoSlice::new(line.as_bytes()), IoSlice::new(datagram)];
    let control = [ControlMessage::Ipv6PacketInfo(&info)];
    sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(client))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;
    use std::time::Duration;

    use super::{bind, serve};
    use crate::Identity;

    /// Binding port 0 and reading the port back keeps tests apart; the server thread ends with the process.
    fn server() -> u16 {
        let socket = bind(0).unwrap();
        let port = socket.local_addr().unwrap().port();
        thread::spawn(move || serve(&socket, port, &Identity { pod: "p".into(), node: "n".into() }));
        port
    }

    #[test]
    fn the_answer_comes_from_the_address_that_was_asked_and_repeats_the_datagram() {
        let port = server();
        for asked in ["127.0.0.1", "127.1.2.3", "127.255.0.9"] {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            client.send_to(b"seven", (asked, port)).unwrap();
            let mut buffer = [0; 512];
            let (len, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(from.to_string(), format!("{asked}:{port}"));
            let me = client.local_addr().unwrap();
            let expected = format!("pod=p node=n client={me} local={asked}:{port}\nseven");
            assert_eq!(String::from_utf8_lossy(&buffer[..len]), expected);
        }
    }

    #[test]
    fn an_ipv6_client_is_answered() {
        let port = server();
        let client = UdpSocket::bind("[::1]:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client.send_to(b"", ("::1", port)).unwrap();
        let mut buffer = [0; 512];
        let (len, _) = client.recv_from(&mut buffer).unwrap();
        let me = client.local_addr().unwrap();
        let expected = format!("pod=p node=n client={me} local=[::1]:{port}\n");
        assert_eq!(String::from_utf8_lossy(&buffer[..len]), expected);
    }
}
