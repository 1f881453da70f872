//! Where peers dial us.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use keryx_netio::tcp::Listener;
use tokio::net::TcpStream;
use tracing::warn;

/// The port of BGP (RFC 4271 §8.2.1).
const PORT: u16 = 179;
/// After a connection that could not be taken, for want of descriptors for example.
const PAUSE: Duration = Duration::from_millis(100);

/// Who dials: an address, and for a link-local one the number of the interface that it is on, else 0.
pub(super) type Caller = (IpAddr, u32);

/// Who may dial us, each with the password that is asked of it.
pub(super) type Expected = BTreeMap<Caller, Option<Arc<[u8]>>>;

/// Listening sockets, one per family, while somebody of the family may dial us. Connections of others are closed at once.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    ipv4: Option<Listener>,
    ipv6: Option<Listener>,
    expected: Expected,
}

impl Listeners {
    /// Listens for these peers from now on.
    ///
    /// # Errors
    /// Why nothing can be listened for, in words. To be tried again with the next call.
    pub(super) fn listen(&mut self, expected: Expected) -> Result<(), String> {
        let mut outcome = Ok(());
        for is_ipv4 in [true, false] {
            let of_family = |(remote, _): &&Caller| remote.is_ipv4() == is_ipv4;
            let listener = if is_ipv4 { &mut self.ipv4 } else { &mut self.ipv6 };
            if expected.keys().find(of_family).is_none() {
                *listener = None;
                continue;
            }
            let opened = match listener.take() {
                Some(open) => Ok(open),
                None => Listener::open(SocketAddr::new(any(is_ipv4), PORT), None),
            };
            let followed = opened.and_then(|open| {
                set_keys(&open, is_ipv4, &self.expected, &expected)?;
                Ok(open)
            });
            match followed {
                Ok(open) => *listener = Some(open),
                Err(error) => outcome = Err(format!("no peer can dial this node: {error}")),
            }
        }
        self.expected = expected;
        outcome
    }

    /// The next connection of an expected peer.
    pub(super) async fn accept(&self) -> (Caller, TcpStream) {
        loop {
            let accepted = tokio::select! {
                accepted = accept(self.ipv4.as_ref()) => accepted,
                accepted = accept(self.ipv6.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    let caller = caller(remote);
                    if self.expected.contains_key(&caller) {
                        return (caller, stream);
                    }
                }
                Err(error) => {
                    warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Who has, or dials from, this address.
pub(super) fn caller(remote: SocketAddr) -> Caller {
    let scope = match remote {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(remote) => remote.scope_id(),
    };
    (remote.ip().to_canonical(), scope)
}

async fn accept(listener: Option<&Listener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

fn any(is_ipv4: bool) -> IpAddr {
    if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// Brings the passwords of a family's listener from what they were to what they should be. The kernel knows them by address alone: of one
/// link-local address on two interfaces, the last password counts.
fn set_keys(listener: &Listener, is_ipv4: bool, before: &Expected, after: &Expected) -> io::Result<()> {
    let of_family = |(remote, _): &&Caller| remote.is_ipv4() == is_ipv4;
    let is_gone = |(remote, _): &&Caller| !after.keys().any(|(other, _)| other == remote);
    for (remote, _) in before.keys().filter(of_family).filter(is_gone) {
        listener.remove_key((*remote).into())?;
    }
    for ((remote, _), key) in after.iter().filter(|(caller, _)| of_family(caller)) {
        match key {
            Some(key) => listener.set_key((*remote).into(), key)?,
            None => listener.remove_key((*remote).into())?,
        }
    }
    Ok(())
}
