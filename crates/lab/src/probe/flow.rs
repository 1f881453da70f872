use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::{Answer, ProbeError};
use crate::clock;
use crate::netns::Namespace;

const MAX_DATAGRAM_BYTES: usize = 2048;

/// A client that sends UDP datagrams from one port: to kube-proxy and connection tracking one flow, however many.
#[derive(Debug)]
pub struct UdpFlow {
    socket: UdpSocket,
    asked: u32,
}

impl UdpFlow {
    /// Opens the flow from `local_port` of the namespace, 0 for a free one, to `server`.
    pub fn open(namespace: &Namespace, local_port: u16, server: SocketAddr) -> Result<UdpFlow, ProbeError> {
        Ok(UdpFlow { socket: connected(namespace, local_port, server)?, asked: 0 })
    }

    /// The client's own address and port.
    pub fn local_addr(&self) -> Result<SocketAddr, ProbeError> {
        Ok(self.socket.local_addr()?)
    }

    /// Sends the next datagram without waiting for an answer.
    pub fn send(&mut self) -> Result<(), ProbeError> {
        // An error that is pending belongs to an earlier datagram.
        self.socket.take_error()?;
        self.asked += 1;
        self.socket.send(question(self.asked).as_bytes())?;
        Ok(())
    }

    /// Sends the next datagram and waits for the answer to it; late answers to earlier ones are passed over.
    pub fn ask(&mut self, timeout: Duration) -> Result<Answer, ProbeError> {
        let started = clock::now();
        self.send()?;
        loop {
            let (number, line) = self.receive(started + timeout)?;
            if number == self.asked {
                return Answer::parse(&line, clock::now() - started);
            }
        }
    }

    fn receive(&self, deadline: Instant) -> Result<(u32, String), ProbeError> {
        let left = deadline.saturating_duration_since(clock::now());
        if left.is_zero() {
            return Err(ProbeError::TimedOut);
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut buffer = [0; MAX_DATAGRAM_BYTES];
        let len = self.socket.recv(&mut buffer)?;
        split_answer(&buffer[..len])
    }
}

/// A UDP socket of the namespace, from the port to the server.
pub(super) fn connected(namespace: &Namespace, local_port: u16, server: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    namespace.run(|| {
        let socket = UdpSocket::bind((any, local_port))?;
        socket.connect(server)?;
        Ok(socket)
    })
}

/// The datagram with that number.
pub(super) fn question(number: u32) -> String {
    format!("keryx {number}\n")
}

/// Splits the app's answer, its line and then our datagram, into the datagram's number and the line.
pub(super) fn split_answer(datagram: &[u8]) -> Result<(u32, String), ProbeError> {
    let text = String::from_utf8_lossy(datagram);
    let split = || {
        let (line, asked) = text.split_once('\n')?;
        let number = asked.strip_prefix("keryx ")?.strip_suffix('\n')?.parse().ok()?;
        Some((number, line.to_owned()))
    };
    split().ok_or_else(|| ProbeError::Garbled(text.clone().into_owned()))
}
