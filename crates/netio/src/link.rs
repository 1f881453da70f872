//! The interfaces of this network namespace, kept up to date by netlink events.
//!
//! What is passed on is state in a `watch` channel, not events in a queue: only the latest state counts, and a slow
//! reader cannot make anything pile up. An event is only taken as a sign that something changed; then links and
//! addresses are read anew. So a lost event (`ENOBUFS`), one that came late or one that tells only a part does no
//! harm. A read of 1,000 addresses takes about a millisecond.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

/// Pause after a read, so that a storm of changes costs at most so many reads. The first change after a quiet time
/// is read at once.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// What the kernel says about one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number; it is not given to another one while this one lives.
    pub index: u32,
    /// Its name; can change.
    pub name: String,
    /// Its hardware address, if that is one of 48 bits; can change.
    pub mac: Option<[u8; 6]>,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// Has a carrier (`IFF_LOWER_UP`). The kernel reports changes of it with up to a second's delay, if another one
    /// came within the last second.
    pub carrier: bool,
    /// Can broadcast (`IFF_BROADCAST`).
    pub broadcast: bool,
    /// Does no address resolution (`IFF_NOARP`).
    pub noarp: bool,
    /// Is a loopback interface (`IFF_LOOPBACK`).
    pub loopback: bool,
    /// The bridge, bond or VRF that it is a port of.
    pub master: Option<u32>,
    /// Greatest packet it carries, in octets.
    pub mtu: u32,
    /// Its addresses with their prefix lengths, sorted. One with a peer has full length: its prefix is the peer's,
    /// not a segment.
    pub addresses: Vec<IpNet>,
}

/// All interfaces by number.
pub type Links = Arc<BTreeMap<u32, Link>>;

/// Reads all interfaces of the calling thread's network namespace and follows their changes. The receiver begins
/// with the full state and wakes only if something in it changed. Whoever calls must drive the future, which ends
/// only with the error that makes following impossible; drop it to stop. Must be called within a tokio runtime.
///
/// # Errors
/// If netlink sockets cannot be opened or the first read fails.
pub async fn watch_links()
-> io::Result<(watch::Receiver<Links>, impl Future<Output = io::Error> + Send + 'static)> {
    // Events first: what changes during the first read is read again.
    let events = ChangeSocket::open()?;
    // Dumps have a connection of their own: an overrun of the event socket cannot take their answers away.
    let (connection, requests, _unsolicited) = rtnetlink::new_connection()?;
    // Ends by itself with the last handle.
    tokio::spawn(connection);
    let (sender, receiver) = watch::channel(Arc::new(read_links(&requests).await?));
    Ok((receiver, follow(events, requests, sender)))
}

async fn follow(mut events: ChangeSocket, requests: Handle, links: watch::Sender<Links>) -> io::Error {
    loop {
        if let Err(error) = events.changed().await {
            return error;
        }
        match read_links(&requests).await {
            Ok(latest) => links.send_if_modified(|known| {
                let modified = **known != latest;
                if modified {
                    *known = Arc::new(latest);
                }
                modified
            }),
            Err(error) => return error,
        };
        tokio::time::sleep(READ_PAUSE).await;
    }
}

/// A netlink socket that only tells that links or addresses changed.
struct ChangeSocket {
    socket: TokioSocket,
    /// Where messages go that nobody reads; the kernel cuts them to its size.
    discarded: Vec<u8>,
}

impl ChangeSocket {
    fn open() -> io::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr]
            .into_iter()
            .fold(0, |mask, group| mask | 1 << (group as u32 - 1));
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind(&SocketAddr::new(0, groups))?;
        Ok(Self { socket, discarded: Vec::with_capacity(64) })
    }

    /// Waits for a change, and takes all further ones that are queued along with it.
    async fn changed(&mut self) -> io::Result<()> {
        self.discarded.clear();
        let mut received = self.socket.recv(&mut self.discarded).await;
        loop {
            match received {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Overrun: messages were lost, and with them nothing but further signs of change.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
            self.discarded.clear();
            received = self.socket.socket_ref().recv(&mut self.discarded, libc::MSG_DONTWAIT).map(|_| ());
        }
    }
}

async fn read_links(requests: &Handle) -> io::Result<BTreeMap<u32, Link>> {
    // Counters are a third of a link message, and nobody here reads them.
    let links = requests.link().get().set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats]);
    let links: Vec<_> = links.execute().try_collect().await.map_err(io_error)?;
    let addresses: Vec<_> = requests.address().get().execute().try_collect().await.map_err(io_error)?;
    Ok(assemble(&links, &addresses))
}

fn io_error(error: rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(message) = error {
        message.to_io()
    } else {
        io::Error::other(error)
    }
}

/// Joins the two dumps. An interface without a name is none; an address of an interface that came between the two
/// dumps is left out, since its event leads to the next read.
fn assemble(links: &[LinkMessage], addresses: &[AddressMessage]) -> BTreeMap<u32, Link> {
    let mut nets: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
    for message in addresses {
        nets.entry(message.header.index).or_default().extend(address(message));
    }
    links
        .iter()
        .filter_map(link)
        .map(|mut link| {
            link.addresses.extend(nets.remove(&link.index).into_iter().flatten());
            (link.index, link)
        })
        .collect()
}

fn link(message: &LinkMessage) -> Option<Link> {
    let flags = message.header.flags;
    let mut name = None;
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        broadcast: flags.contains(LinkFlags::Broadcast),
        noarp: flags.contains(LinkFlags::Noarp),
        loopback: flags.contains(LinkFlags::Loopback),
        master: None,
        mtu: 0,
        addresses: Vec::new(),
    };
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(value) = attribute {
            name = Some(value.clone());
        } else if let LinkAttribute::Address(octets) = attribute {
            link.mac = octets.as_slice().try_into().ok();
        } else if let LinkAttribute::Controller(index) = attribute {
            link.master = Some(*index);
        } else if let LinkAttribute::Mtu(octets) = attribute {
            link.mtu = *octets;
        }
    }
    Some(Link { name: name?, ..link })
}

/// `IFA_LOCAL` is the interface's own address; where it is missing (IPv6 without a peer), `IFA_ADDRESS` is. Where
/// the two differ, `IFA_ADDRESS` is the peer's.
fn address(message: &AddressMessage) -> Option<IpNet> {
    let (mut local, mut prefix) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Local(ip) = attribute {
            local = Some(*ip);
        } else if let AddressAttribute::Address(ip) = attribute {
            prefix = Some(*ip);
        }
    }
    let own: IpAddr = local.or(prefix)?;
    if prefix.is_some_and(|prefix| prefix != own) {
        return Some(own.into());
    }
    IpNet::new(own, message.header.prefix_len).ok()
}

#[cfg(test)]
mod tests;
