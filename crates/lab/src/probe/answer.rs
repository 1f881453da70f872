use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The line of the test app: who answered, and what it saw of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The pod that answered.
    pub pod: String,
    /// The node that it runs on, `-` if it does not know.
    pub node: String,
    /// The client's address as the app saw it: the client's own, or a node's if that masqueraded.
    pub client: SocketAddr,
    /// The app's own address, after destination NAT.
    pub local: SocketAddr,
    /// From the first packet sent until the line was read.
    pub latency: Duration,
}

impl Answer {
    /// Reads `pod=NAME node=NAME client=IP:PORT local=IP:PORT`.
    pub(super) fn parse(line: &str, latency: Duration) -> Result<Answer, ProbeError> {
        let fields = || {
            let mut words = line.split(' ');
            let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
            let answer = Answer {
                pod: field("pod")?.to_owned(),
                node: field("node")?.to_owned(),
                client: field("client")?.parse().ok()?,
                local: field("local")?.parse().ok()?,
                latency,
            };
            words.next().is_none().then_some(answer)
        };
        fields().ok_or_else(|| ProbeError::Garbled(line.to_owned()))
    }
}

/// Why a probe has no answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum ProbeError {
    /// A TCP reset instead of a connection, or ICMP port unreachable.
    #[error("refused: a host said that nothing listens there")]
    Refused,
    /// Nothing came back in time.
    #[error("timed out: nothing came back")]
    TimedOut,
    /// The connection was there and was broken.
    #[error("reset: the connection was broken from the other side")]
    Reset,
    /// The connection was ended in order, but too early.
    #[error("closed: the connection was ended before the answer")]
    Closed,
    /// No route, no neighbour that answers, or a router that said so.
    #[error("unreachable: no route, or nobody answers for the address")]
    Unreachable,
    /// Something answered that is not the test app.
    #[error("garbled: {0:?} is not a line of the test app")]
    Garbled(String),
    /// Any other error of the operating system.
    #[error("{0}")]
    Os(String),
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> ProbeError {
        let known = [
            (io::ErrorKind::ConnectionRefused, ProbeError::Refused),
            (io::ErrorKind::TimedOut, ProbeError::TimedOut),
            (io::ErrorKind::WouldBlock, ProbeError::TimedOut),
            (io::ErrorKind::ConnectionReset, ProbeError::Reset),
            (io::ErrorKind::ConnectionAborted, ProbeError::Reset),
            (io::ErrorKind::BrokenPipe, ProbeError::Reset),
            (io::ErrorKind::NotConnected, ProbeError::Reset),
            (io::ErrorKind::HostUnreachable, ProbeError::Unreachable),
            (io::ErrorKind::NetworkUnreachable, ProbeError::Unreachable),
            (io::ErrorKind::NetworkDown, ProbeError::Unreachable),
        ];
        let found = known.into_iter().find(|(kind, _)| *kind == error.kind());
        found.map_or_else(|| ProbeError::Os(error.to_string()), |(_, probe_error)| probe_error)
    }
}
