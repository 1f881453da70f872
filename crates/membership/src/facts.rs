//! What a node tells of itself: its interfaces, and whether it is about to go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::wire::FACTS_MAX_LEN;
use crate::wire::octets::{Malformed, Reader, Writer};

/// The longest name of an interface, in octets (Linux `IFNAMSIZ` less the final zero).
const NAME_MAX_LEN: usize = 15;

/// What a node tells of itself. Newer facts replace older ones as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The interfaces it might announce from.
    pub interfaces: Vec<Interface>,
    /// It hands over what it holds and takes nothing new.
    pub draining: bool,
    /// Its speaker is being restarted and means to be back in so many seconds; what it holds is not to be taken over
    /// before.
    pub restarting_secs: Option<u16>,
}

/// One interface of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's index.
    pub index: u32,
    /// At most 15 octets.
    pub name: String,
    /// In the order of the wire. Tells a member's answers on the segment from a stranger's.
    pub mac: [u8; 6],
    /// The link is up.
    pub carrier: bool,
    /// The addresses it has, each with the length of its prefix.
    pub prefixes: Vec<IpNet>,
}

/// Facts that no datagram can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// All together are too long.
    #[error(
        "facts take {actual} octets, {FACTS_MAX_LEN} at most fit a datagram; name fewer interfaces or prefixes"
    )]
    TooLong {
        /// Octets that they take.
        actual: usize,
    },
    /// An interface's name is too long.
    #[error("an interface name has {actual} octets, 15 at most are allowed")]
    Name {
        /// Octets of the name.
        actual: usize,
    },
}

impl Facts {
    /// Whether a datagram can carry them.
    ///
    /// # Errors
    /// Says what is too long.
    pub(crate) fn check(&self) -> Result<(), FactsError> {
        let mut names = self.interfaces.iter().map(|interface| interface.name.len());
        if let Some(actual) = names.find(|length| *length > NAME_MAX_LEN) {
            return Err(FactsError::Name { actual });
        }
        let mut writer = Writer::default();
        self.write(&mut writer);
        let actual = writer.finish().len();
        if actual > FACTS_MAX_LEN { Err(FactsError::TooLong { actual }) } else { Ok(()) }
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bool(self.draining).bool(self.restarting_secs.is_some());
        writer.u16(self.restarting_secs.unwrap_or(0));
        writer.list(&self.interfaces, |writer, interface| interface.write(writer));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let draining = reader.bool()?;
        let restarts = reader.bool()?;
        let secs = reader.u16()?;
        if !restarts && secs != 0 {
            return Err(Malformed);
        }
        let interfaces = reader.list(Interface::read)?;
        Ok(Self { interfaces, draining, restarting_secs: restarts.then_some(secs) })
    }
}

impl Interface {
    fn write(&self, writer: &mut Writer) {
        writer.u32(self.index).slice(&self.mac).bool(self.carrier);
        // `check` has measured the name.
        writer.u8(self.name.len() as u8).slice(self.name.as_bytes());
        writer.list(&self.prefixes, |writer, prefix| match prefix.addr() {
            IpAddr::V4(address) => {
                writer.u8(4).u8(prefix.prefix_len()).slice(&address.octets());
            }
            IpAddr::V6(address) => {
                writer.u8(6).u8(prefix.prefix_len()).slice(&address.octets());
            }
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let index = reader.u32()?;
        let mac = reader.array()?;
        let carrier = reader.bool()?;
        let name_len = usize::from(reader.u8()?);
        if name_len > NAME_MAX_LEN {
            return Err(Malformed);
        }
        let name = std::str::from_utf8(reader.slice(name_len)?).map_err(|_| Malformed)?.to_owned();
        let prefixes = reader.list(read_prefix)?;
        Ok(Self { index, name, mac, carrier, prefixes })
    }
}

fn read_prefix(reader: &mut Reader<'_>) -> Result<IpNet, Malformed> {
    let family = reader.u8()?;
    let length = reader.u8()?;
    let address = match family {
        4 => IpAddr::from(Ipv4Addr::from(reader.array::<4>()?)),
        6 => IpAddr::from(Ipv6Addr::from(reader.array::<16>()?)),
        _ => return Err(Malformed),
    };
    IpNet::new(address, length).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, prefixes: usize) -> Interface {
        let prefixes = vec!["2001:db8::1/64".parse().unwrap(); prefixes];
        Interface { index: 2, name: name.to_owned(), mac: [2, 0, 0, 0, 0, 1], carrier: true, prefixes }
    }

    #[test]
    fn facts_that_fit_no_datagram_are_refused() {
        let long = Facts { interfaces: vec![interface("eth0", 200)], ..Facts::default() };
        assert_eq!(long.check(), Err(FactsError::TooLong { actual: 6 + 18 + 200 * 18 }));
        let named = Facts { interfaces: vec![interface("sixteen-octets-x", 1)], ..Facts::default() };
        assert_eq!(named.check(), Err(FactsError::Name { actual: 16 }));
        let fitting = Facts { interfaces: vec![interface("fifteen-octets-", 2); 20], ..Facts::default() };
        assert_eq!(fitting.check(), Ok(()));
    }
}
