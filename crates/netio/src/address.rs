//! Addresses of sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// The address to bind to, so that packets for `remote` come from `source` and `port`. A link-local source is on the
/// remote's link.
///
/// # Errors
/// `InvalidInput` if the two are of different families.
pub(crate) fn source(source: IpAddr, port: u16, remote: SocketAddr) -> io::Result<SocketAddr> {
    let mut address = SocketAddr::new(source, port);
    match (&mut address, remote) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => {}
        (SocketAddr::V6(address), SocketAddr::V6(remote)) => {
            if address.ip().is_unicast_link_local() {
                address.set_scope_id(remote.scope_id());
            }
        }
        (SocketAddr::V4(_) | SocketAddr::V6(_), _) => {
            let text = format!("source {source} and remote {} are of different families", remote.ip());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_source_is_on_the_link_of_the_remote() {
        let remote = "[fe80::1%7]:179".parse().unwrap();
        let local = source("fe80::2".parse().unwrap(), 50_000, remote).unwrap();
        assert_eq!(local, "[fe80::2%7]:50000".parse().unwrap());
        let global = source("2001:db8::2".parse().unwrap(), 50_000, remote).unwrap();
        assert_eq!(global, "[2001:db8::2]:50000".parse().unwrap());
    }

    #[test]
    fn a_source_of_the_other_family_is_refused() {
        for (own, remote) in [("192.0.2.2", "[2001:db8::1]:179"), ("2001:db8::2", "192.0.2.1:179")] {
            let refused = source(own.parse().unwrap(), 0, remote.parse().unwrap());
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{own}");
        }
    }
}
