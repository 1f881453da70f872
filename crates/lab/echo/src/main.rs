//! The lab's test app. It answers TCP, UDP and HTTP on one port, both address families, with the line
//! `pod=NAME node=NAME client=IP:PORT local=IP:PORT`, so that a test can tell who was reached and whose address the
//! app saw.
//!
//! Environment: `PORT` (8080), `POD_NAME` (else the host name), `NODE_NAME` (else `-`).

mod tcp;
mod udp;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::{env, fs, io, thread};

/// Who answers: the part of the line that no request changes.
struct Identity {
    pod: String,
    node: String,
}

impl Identity {
    fn from_environment() -> Identity {
        let named = |variable: &str| env::var(variable).ok().filter(|value| !value.is_empty());
        let host_name =
            || fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().into());
        Identity {
            pod: named("POD_NAME").or_else(host_name).unwrap_or_else(|| "-".into()),
            node: named("NODE_NAME").unwrap_or_else(|| "-".into()),
        }
    }

    /// The answer to `client`, who reached the app at `local`. A dual-stack socket shows IPv4 peers as
    /// `::ffff:a.b.c.d`; the line shows them as IPv4.
    fn line(&self, client: SocketAddr, local: SocketAddr) -> String {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        format!("pod={} node={} client={} local={}\n", self.pod, self.node, plain(client), plain(local))
    }
}

fn main() -> ExitCode {
    let Err(error) = serve();
    eprintln!("keryx-lab-echo: {error}");
    ExitCode::FAILURE
}

/// Binds both sockets before it serves either, so that an answered TCP probe means that UDP is served too.
fn serve() -> io::Result<Infallible> {
    let text = env::var("PORT").unwrap_or_else(|_| "8080".into());
    let port = text.parse().map_err(|_| {
        io::Error::other(format!("PORT={text} is not a port number: give one from 1 to 65535"))
    })?;
    let identity = Arc::new(Identity::from_environment());
    let datagrams = udp::bind(port)?;
    let connections = tcp::bind(port)?;
    let for_datagrams = Arc::clone(&identity);
    thread::Builder::new().name("udp".into()).spawn(move || udp::serve(&datagrams, port, &for_datagrams))?;
    tcp::serve(&connections, &identity)
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn an_ipv4_client_of_a_dual_stack_socket_is_shown_as_ipv4() {
        let identity = Identity { pod: "p".into(), node: "n".into() };
        let line = identity
            .line("[::ffff:192.0.2.7]:40000".parse().unwrap(), "[::ffff:192.0.2.1]:80".parse().unwrap());
        assert_eq!(line, "pod=p node=n client=192.0.2.7:40000 local=192.0.2.1:80\n");
    }

    #[test]
    fn an_ipv6_client_is_shown_in_brackets() {
        let identity = Identity { pod: "p".into(), node: "-".into() };
        let line = identity.line("[2001:db8::7]:40000".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap());
        assert_eq!(line, "pod=p node=- client=[2001:db8::7]:40000 local=[2001:db8::1]:80\n");
    }
}
