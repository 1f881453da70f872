//! The sockets of BFD, between the kernels of two nodes.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use keryx_lab::{Host, Lab};
use keryx_netio::bfd::{Received, Receiver, Sender, Session};
use keryx_tests::wait;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::runtime::Runtime;

use crate::Test;
use crate::lab::lab;
use crate::run::run;
use crate::segment::LIMIT;

pub(crate) const TESTS: &[Test] = &[
    ("bfd::a_datagram_says_who_sent_it_by_which_interface_and_over_how_many_hops", ways),
    ("bfd::a_session_has_a_port_a_source_and_a_device_of_its_own", session),
    ("bfd::a_peer_without_bfd_costs_no_packet", refused),
    ("bfd::a_socket_to_send_with_takes_nothing_in", deaf),
    ("bfd::what_the_queue_has_no_room_for_is_counted", overflow),
];

const PORT: u16 = 3784;
const SOURCE_PORT: u16 = 50_000;

/// Two nodes, the second of which hears.
struct Scene {
    lab: Lab,
    runtime: Runtime,
}

impl Scene {
    fn start(segments: u8) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { lab: lab(|wire| wire.nodes(2).segments(segments))?, runtime })
    }

    /// The second node's addresses on the first segment, and the first node's.
    fn pairs(&self) -> [[IpAddr; 2]; 2] {
        let [sender, receiver] = [self.lab.node(1), self.lab.node(2)];
        [
            [receiver.address_v4().into(), sender.address_v4().into()],
            [receiver.address_v6().into(), sender.address_v6().into()],
        ]
    }

    fn receiver(&self, family_of: IpAddr) -> Result<Receiver> {
        let any: IpAddr = if family_of.is_ipv6() { "::".parse()? } else { "0.0.0.0".parse()? };
        let open = || {
            let _inside = self.runtime.enter();
            Receiver::open(SocketAddr::new(any, PORT))
        };
        Ok(self.lab.node(2).namespace().run(open)?)
    }

    fn sender(&self, session: Session<'_>) -> std::io::Result<Sender> {
        self.lab.node(1).namespace().run(|| Sender::open(session))
    }

    /// Waits for a datagram, after which neither the kernel nor the runtime may say that there is another.
    fn receive(&self, receiver: &Receiver, payload: &mut [u8]) -> Result<Received> {
        let readable =
            async { tokio::time::timeout(LIMIT, poll_fn(|context| receiver.poll_readable(context))).await };
        self.runtime.block_on(readable).context("nothing arrives")??;
        let received = receiver.try_recv(payload)?.context("the runtime was wrong")?;
        ensure!(receiver.try_recv(&mut [])?.is_none(), "there is another datagram");
        let looks = poll_fn(|context| Poll::Ready(receiver.poll_readable(context).is_pending()));
        ensure!(self.runtime.block_on(looks), "the runtime still says that there is something to read");
        Ok(received)
    }
}

fn to(remote: IpAddr) -> Session<'static> {
    let remote = SocketAddr::new(remote, PORT);
    Session { remote, source: None, source_port: SOURCE_PORT, device: None }
}

/// A socket without options on a node.
fn plain(node: &Host, local: (IpAddr, u16)) -> Result<UdpSocket> {
    let socket = node.namespace().run(|| UdpSocket::bind(local))?;
    socket.set_read_timeout(Some(LIMIT))?;
    Ok(socket)
}

fn ways() -> Result<()> {
    let scene = Scene::start(2)?;
    let interface = |name: &str| scene.lab.node(2).namespace().run(|| nix::net::if_::if_nametoindex(name));
    let (by_second_v4, by_second_v6) = scene.lab.node(2).addresses_on(1);
    for ([remote, own], by_second) in
        scene.pairs().into_iter().zip([by_second_v4.into(), by_second_v6.into()])
    {
        let receiver = scene.receiver(remote)?;
        let mut payload = [0; 4];
        scene.sender(to(remote))?.send(b"hello")?;
        let received = scene.receive(&receiver, &mut payload)?;
        let expected = Received { length: 4, source: own, interface: interface("eth0")?, ttl: 255 };
        ensure!(received == expected && payload == *b"hell", "{received:?} {payload:?}");

        let other = plain(&scene.lab.node(1), (own, 0))?;
        if remote.is_ipv6() {
            setsockopt(&other, sockopt::Ipv6Ttl, &7)?;
        } else {
            other.set_ttl(7)?;
        }
        other.send_to(b"", SocketAddr::new(by_second, PORT))?;
        let received = scene.receive(&receiver, &mut payload)?;
        let expected = Received { length: 0, source: own, interface: interface("eth1")?, ttl: 7 };
        ensure!(received == expected, "{received:?}");
    }
    Ok(())
}

fn session() -> Result<()> {
    let scene = Scene::start(2)?;
    run(&scene.lab.node(1), "ip addr add 10.98.1.77/32 dev eth1")?;
    run(&scene.lab.node(2), "ip addr add 192.0.2.1/32 dev eth1")?;
    // On the second segment, and no route leads there.
    let hidden: IpAddr = "192.0.2.1".parse()?;
    let peer = plain(&scene.lab.node(2), (hidden, PORT))?;
    let kind = scene.sender(to(hidden))?.send(b"hello").map_err(|error| error.kind());
    ensure!(kind == Err(ErrorKind::NetworkUnreachable), "without a device: {kind:?}");

    let own = Some("10.98.1.77".parse()?);
    let sender = scene.sender(Session { source: own, device: Some("eth1"), ..to(hidden) })?;
    sender.send(b"hello")?;
    let (_, from) = peer.recv_from(&mut [0; 8])?;
    ensure!(from == "10.98.1.77:50000".parse()?, "it came from {from}");

    let opened = |session| scene.sender(session).map(drop).map_err(|error| error.kind());
    let taken = opened(to(hidden));
    ensure!(taken == Err(ErrorKind::AddrInUse), "the same port again: {taken:?}");
    let elsewhere = opened(to(scene.lab.node(2).address_v6().into()));
    ensure!(elsewhere.is_ok(), "the same port in the other family: {elsewhere:?}");
    let strange = opened(Session { source: Some("10.98.1.78".parse()?), source_port: 50_001, ..to(hidden) });
    ensure!(strange == Err(ErrorKind::AddrNotAvailable), "a source that is not here: {strange:?}");
    Ok(())
}

fn refused() -> Result<()> {
    let scene = Scene::start(1)?;
    for [remote, _] in scene.pairs() {
        let sender = scene.sender(to(remote))?;
        let refusals = || -> Result<u64> {
            let read = || std::fs::read_to_string("/proc/thread-self/net/snmp6");
            if remote.is_ipv6() {
                let text = scene.lab.node(1).namespace().run(read)?;
                let line = text.lines().find(|line| line.starts_with("Icmp6InDestUnreachs"));
                return Ok(line.and_then(|line| line.split_whitespace().last()).unwrap_or("0").parse()?);
            }
            let text = run(&scene.lab.node(1), "cat /proc/net/snmp")?;
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
            let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            let mut pairs = names.split(' ').zip(values.split(' '));
            let found = pairs.find(|(name, _)| *name == "InDestUnreachs");
            Ok(found.context("no such counter")?.1.parse()?)
        };
        let before = refusals()?;
        sender.send(b"hello")?;
        wait::until_within(LIMIT, "a refusal", || Ok((refusals()? > before).then_some(())))?;
        let receiver = scene.receiver(remote)?;
        sender.send(b"again")?;
        let mut payload = [0; 8];
        let received = scene.receive(&receiver, &mut payload)?;
        ensure!(payload[..received.length] == *b"again", "{received:?}");
    }
    Ok(())
}

fn deaf() -> Result<()> {
    let scene = Scene::start(1)?;
    let [[remote, own], _] = scene.pairs();
    let _sender = scene.sender(to(remote))?;
    let peer = plain(&scene.lab.node(2), (remote, 0))?;
    peer.send_to(b"hello", (own, SOURCE_PORT))?;
    // Columns of the kernel's table: 1 is the local address, 4 the queues, 12 the drops.
    let line = || -> Result<Vec<String>> {
        let table = run(&scene.lab.node(1), "cat /proc/net/udp")?;
        let lines = table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let port = format!(":{SOURCE_PORT:04X}");
        lines.into_iter().find(|columns| columns[1].ends_with(&port)).context("no such socket")
    };
    let dropped = || Ok(Some(line()?).filter(|columns| columns[12] == "1"));
    let columns = wait::until_within(LIMIT, "the datagram to be dropped", dropped)?;
    ensure!(columns[4] == "00000000:00000000", "queues: {}", columns[4]);
    Ok(())
}

fn overflow() -> Result<()> {
    /// More than the queue has room for; what each counts for is at least 500 octets.
    const COUNT: usize = 6000;
    let scene = Scene::start(1)?;
    let [[remote, _], _] = scene.pairs();
    let receiver = scene.receiver(remote)?;
    let sender = scene.sender(to(remote))?;
    ensure!(receiver.dropped()? == 0, "drops before there was a datagram");
    let mut sent = 0;
    for _ in 0..COUNT {
        // The sending side may be full, too.
        match sender.send(&[7; 24]) {
            Ok(()) => sent += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1))
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut received = 0;
    let accounted = || {
        while receiver.try_recv(&mut [0; 24])?.is_some() {
            received += 1;
        }
        Ok((received + receiver.dropped()? as usize == sent).then_some(()))
    };
    wait::until_within(LIMIT, "every datagram to be received or counted", accounted)?;
    ensure!(receiver.dropped()? > 0, "all {received} datagrams had room");
    Ok(())
}
