//! A pod of the test app as far as the probes care, served by this process inside a host's network.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use keryx_lab::Host;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::worker::Worker;

const MAX_DATAGRAM_BYTES: usize = 2048;

/// A pod that answers on every address of its host. Dropping it ends it.
pub(crate) struct Pod {
    _worker: Worker,
}

impl Pod {
    /// Starts it; it answers TCP on `tcp_port` and UDP on `udp_port` when this returns.
    ///
    /// # Errors
    /// A port is taken.
    pub(crate) fn start(host: &Host, tcp_port: u16, udp_port: u16) -> Result<Self> {
        let addresses = [IpAddr::from(host.address_v4()), IpAddr::from(host.address_v6())];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let mut sockets = Vec::new();
        for address in addresses {
            let (tcp, udp) = (SocketAddr::new(address, tcp_port), SocketAddr::new(address, udp_port));
            let (tcp, udp) = host.namespace().run(|| -> std::io::Result<_> {
                Ok((std::net::TcpListener::bind(tcp)?, std::net::UdpSocket::bind(udp)?))
            })?;
            tcp.set_nonblocking(true)?;
            udp.set_nonblocking(true)?;
            sockets.push((TcpListener::from_std(tcp)?, UdpSocket::from_std(udp)?));
        }
        drop(guard);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serve = move || {
            runtime.block_on(async {
                for (tcp, udp) in sockets {
                    tokio::spawn(serve_tcp(tcp));
                    tokio::spawn(serve_udp(udp));
                }
                stopped.cancelled().await;
            });
        };
        let thread = std::thread::Builder::new().name("pod".to_owned()).spawn(serve)?;
        Ok(Self { _worker: Worker::new(stop, thread) })
    }
}

/// Sends the line and ends the connection.
async fn serve_tcp(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, client) = listener.accept().await?;
        let line = line(client, stream.local_addr()?);
        // A client that is gone already is none of the next one's business.
        if stream.writable().await.is_ok() {
            let _gone = stream.try_write(line.as_bytes());
        }
    }
}

/// Sends the line and then the datagram itself.
async fn serve_udp(socket: UdpSocket) -> std::io::Result<()> {
    let mut buffer = [0; MAX_DATAGRAM_BYTES];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await?;
        let mut answer = line(client, socket.local_addr()?).into_bytes();
        answer.extend(&buffer[..length]);
        socket.send_to(&answer, client).await?;
    }
}

fn line(client: SocketAddr, local: SocketAddr) -> String {
    format!("pod=web node=- client={client} local={local}\n")
}
