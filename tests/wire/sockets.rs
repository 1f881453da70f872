//! The sockets of BGP, between the kernels of two nodes.
//!
//! What a kernel drops without a word is seen in its counters, so no test takes silence for an answer.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use keryx_lab::{Host, Lab};
use keryx_netio::tcp::{self, Dial, Listener, Ttl};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::Test;
use crate::lab::lab;
use crate::run::run;
use crate::segment::LIMIT;

pub(crate) const TESTS: &[Test] = &[
    ("tcp::a_connection_stands_only_if_both_sides_sign_with_the_same_key", signed),
    ("tcp::a_key_that_is_rotated_is_for_new_connections_alone", rotated),
    ("tcp::a_key_of_a_prefix_is_for_all_its_addresses_until_it_is_removed", prefix_key),
    ("tcp::ttl_security_drops_what_a_router_has_forwarded", ttl_security),
    ("tcp::the_source_address_is_the_one_asked_for", source),
    ("tcp::a_device_is_the_only_way_in_and_out", device),
    ("tcp::a_link_local_peer_is_called_by_its_scope", link_local),
    ("tcp::a_last_message_never_waits", last_message),
];

const PORT: u16 = 1179;
const KEY: &[u8] = b"one key";
const OTHER_KEY: &[u8] = b"another key";
/// Pause between two looks at a counter.
const PAUSE: Duration = Duration::from_millis(20);

/// Two nodes, the second of which listens.
struct Scene {
    runtime: Runtime,
    lab: Lab,
}

impl Scene {
    fn start(segments: u8) -> Result<Self> {
        // Sockets belong to the namespace of the thread that opens them; this runtime serves those of both nodes.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime, lab: lab(|wire| wire.nodes(2).segments(segments))? })
    }

    fn caller(&self) -> Host {
        self.lab.node(1)
    }

    fn callee(&self) -> Host {
        self.lab.node(2)
    }

    /// The callee's addresses on the first segment.
    fn remotes(&self) -> [IpAddr; 2] {
        [self.callee().address_v4().into(), self.callee().address_v6().into()]
    }

    /// Waits for something, with a limit, on a thread inside a node's network.
    fn on<T: Send>(&self, node: &Host, work: impl Future<Output = T> + Send) -> Result<T> {
        let limited = async { tokio::time::timeout(LIMIT, work).await };
        let done = node.namespace().run(|| self.runtime.block_on(limited));
        done.context("it did not come to an end")
    }

    /// Listens on the callee, in the family of `remote`.
    fn listen(&self, remote: IpAddr, device: Option<&str>) -> Result<Listener> {
        let any: IpAddr = if remote.is_ipv6() { "::".parse()? } else { "0.0.0.0".parse()? };
        let open = async { Listener::open(SocketAddr::new(any, PORT), device) };
        Ok(self.on(&self.callee(), open)??)
    }

    fn accept(&self, listener: &Listener) -> Result<(TcpStream, SocketAddr)> {
        Ok(self.on(&self.callee(), listener.accept())??)
    }

    fn dial(&self, dial: Dial<'_>) -> Result<io::Result<TcpStream>> {
        self.on(&self.caller(), tcp::dial(dial))
    }

    /// Calls, and waits until a host's kernel has counted one drop more.
    fn must_be_dropped(&self, dial: Dial<'_>, host: &Host, counter: &str) -> Result<()> {
        let before = drops(host, counter)?;
        let counted = async {
            while drops(host, counter)? == before {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        };
        self.on(&self.caller(), async {
            tokio::select! {
                ended = tcp::dial(dial) => bail!("{} answered ({ended:?}), and {counter} did not rise", dial.remote),
                dropped = counted => dropped,
            }
        })?
    }

    /// Sends something in both directions.
    fn must_carry(&self, ends: [&TcpStream; 2]) -> Result<()> {
        let [one, other] = ends;
        for (from, to) in [(one, other), (other, one)] {
            ensure!(tcp::send_now(from, b"ping")? == 4, "the kernel does not take four octets");
            let mut arrived = Vec::new();
            self.on(&self.caller(), read(to, &mut arrived, 4))??;
            ensure!(arrived == b"ping", "{arrived:?} arrived");
        }
        Ok(())
    }
}

/// Reads until there are so many octets or the stream ends.
async fn read(stream: &TcpStream, octets: &mut Vec<u8>, count: usize) -> io::Result<()> {
    while octets.len() < count {
        stream.readable().await?;
        let mut part = [0; 4096];
        match stream.try_read(&mut part) {
            Ok(0) => break,
            Ok(length) => octets.extend(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A plain call.
fn to(remote: IpAddr) -> Dial<'static> {
    let remote = SocketAddr::new(remote, PORT);
    Dial { remote, source: None, device: None, md5: None, ttl: Ttl::Default }
}

/// What a host's kernel has counted so far, by the name in `/proc/net/netstat`; 0 if it does not know the name.
fn drops(host: &Host, counter: &str) -> Result<u64> {
    let text = host.namespace().run(|| std::fs::read_to_string("/proc/thread-self/net/netstat"))?;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let pairs = lines.chunks_exact(2).flat_map(|pair| pair[0].iter().zip(&pair[1]));
    let found = pairs.into_iter().find(|(name, _)| **name == counter);
    found.map_or(Ok(0), |(_, value)| Ok(value.parse()?))
}

fn signed() -> Result<()> {
    let scene = Scene::start(1)?;
    let callee = scene.callee();
    for remote in scene.remotes() {
        let listener = scene.listen(remote, None)?;
        let caller = if remote.is_ipv6() {
            scene.caller().address_v6().into()
        } else {
            IpAddr::from(scene.caller().address_v4())
        };
        let unsigned = to(remote);
        let signed = Dial { md5: Some(KEY), ..unsigned };
        scene.must_be_dropped(signed, &callee, "TCPMD5Unexpected")?;
        listener.set_key(caller.into(), KEY)?;
        scene.must_be_dropped(unsigned, &callee, "TCPMD5NotFound")?;
        scene.must_be_dropped(Dial { md5: Some(OTHER_KEY), ..signed }, &callee, "TCPMD5Failure")?;
        let stream = scene.dial(signed)??;
        let (accepted, from) = scene.accept(&listener)?;
        ensure!(from.ip() == caller, "the call came from {from}");
        scene.must_carry([&stream, &accepted])?;
    }
    Ok(())
}

fn rotated() -> Result<()> {
    let scene = Scene::start(1)?;
    let [remote, _] = scene.remotes();
    let caller = IpAddr::from(scene.caller().address_v4());
    let listener = scene.listen(remote, None)?;
    listener.set_key(caller.into(), KEY)?;
    let with_old = Dial { md5: Some(KEY), ..to(remote) };
    let with_new = Dial { md5: Some(OTHER_KEY), ..to(remote) };
    let stream = scene.dial(with_old)??;
    let (accepted, _) = scene.accept(&listener)?;

    listener.set_key(caller.into(), OTHER_KEY)?;
    scene.must_carry([&stream, &accepted])?;
    scene.must_be_dropped(with_old, &scene.callee(), "TCPMD5Failure")?;
    let second = scene.dial(with_new)??;
    let (second_accepted, _) = scene.accept(&listener)?;
    scene.must_carry([&second, &second_accepted])
}

fn prefix_key() -> Result<()> {
    let scene = Scene::start(1)?;
    let [remote, _] = scene.remotes();
    let listener = scene.listen(remote, None)?;
    listener.set_key("10.98.0.0/24".parse()?, KEY)?;
    let stream = scene.dial(Dial { md5: Some(KEY), ..to(remote) })??;
    let (accepted, _) = scene.accept(&listener)?;
    scene.must_carry([&stream, &accepted])?;
    scene.must_be_dropped(to(remote), &scene.callee(), "TCPMD5NotFound")?;

    listener.remove_key("10.98.0.77/24".parse()?)?;
    let unsigned = scene.dial(to(remote))??;
    let (accepted, _) = scene.accept(&listener)?;
    scene.must_carry([&unsigned, &accepted])
}

fn ttl_security() -> Result<()> {
    let scene = Scene::start(1)?;
    let (caller, callee) = (scene.caller(), scene.callee());
    for remote in scene.remotes() {
        let secure = Dial { ttl: Ttl::Security, ..to(remote) };
        let listener = scene.listen(remote, None)?;
        let stream = scene.dial(secure)??;
        let (accepted, _) = scene.accept(&listener)?;
        tcp::set_ttl(&accepted, Ttl::Security)?;
        scene.must_carry([&stream, &accepted])?;

        // Its packets arrive as if routers had lowered their TTL from 255 to 64.
        let distant = scene.dial(to(remote))??;
        let (accepted, _) = scene.accept(&listener)?;
        tcp::set_ttl(&accepted, Ttl::Security)?;
        let before = drops(&callee, "TCPMinTTLDrop")?;
        ensure!(tcp::send_now(&distant, b"ping")? == 4, "the kernel does not take four octets");
        wait_drop(&callee, "TCPMinTTLDrop", before)?;
        ensure!(accepted.try_read(&mut [0; 4]).is_err(), "what came with a low TTL was taken");
        drop(listener);

        // A listener that answers with 64.
        let plain = callee.namespace().run(|| std::net::TcpListener::bind(SocketAddr::new(remote, PORT)))?;
        scene.must_be_dropped(secure, &caller, "TCPMinTTLDrop")?;
        drop(plain);
    }
    Ok(())
}

fn wait_drop(host: &Host, counter: &str, before: u64) -> Result<()> {
    keryx_tests::wait::until_within(LIMIT, counter, || Ok((drops(host, counter)? > before).then_some(())))
}

fn source() -> Result<()> {
    let scene = Scene::start(1)?;
    run(&scene.caller(), "ip addr add 10.98.0.77/32 dev eth0")?;
    run(&scene.caller(), "ip addr add fd98::77/128 dev eth0 nodad")?;
    let sources: [IpAddr; 2] = ["10.98.0.77".parse()?, "fd98::77".parse()?];
    let strange: [IpAddr; 2] = ["10.98.0.78".parse()?, "fd98::78".parse()?];
    for (remote, (source, strange)) in scene.remotes().into_iter().zip(sources.into_iter().zip(strange)) {
        let listener = scene.listen(remote, None)?;
        let _stream = scene.dial(Dial { source: Some(source), ..to(remote) })??;
        let (_, from) = scene.accept(&listener)?;
        ensure!(from.ip() == source, "the call came from {from}");
        let refused = scene.dial(Dial { source: Some(strange), ..to(remote) })?;
        let kind = refused.err().map(|error| error.kind());
        ensure!(kind == Some(io::ErrorKind::AddrNotAvailable), "{strange} as source: {kind:?}");
    }
    Ok(())
}

fn device() -> Result<()> {
    let scene = Scene::start(2)?;
    // On the second segment, and no route leads there.
    let hidden: IpAddr = "192.0.2.1".parse()?;
    run(&scene.callee(), "ip addr add 192.0.2.1/32 dev eth1")?;
    let listener = scene.listen(hidden, Some("eth1"))?;
    let kind = scene.dial(to(hidden))?.err().map(|error| error.kind());
    ensure!(kind == Some(io::ErrorKind::NetworkUnreachable), "without a device: {kind:?}");
    let stream = scene.dial(Dial { device: Some("eth1"), ..to(hidden) })??;
    let (accepted, _) = scene.accept(&listener)?;
    scene.must_carry([&stream, &accepted])?;

    let by_first = scene.callee().address_v4().into();
    let kind = scene.dial(to(by_first))?.err().map(|error| error.kind());
    ensure!(kind == Some(io::ErrorKind::ConnectionRefused), "by the first segment: {kind:?}");
    let error = scene.dial(Dial { device: Some("eth9"), ..to(by_first) })?.err();
    let number = error.and_then(|error| error.raw_os_error());
    ensure!(number == Some(nix::libc::ENODEV), "a device that is not there: {number:?}");
    Ok(())
}

fn link_local() -> Result<()> {
    let scene = Scene::start(1)?;
    let listener = scene.listen(IpAddr::V6(Ipv6Addr::UNSPECIFIED), None)?;
    run(&scene.caller(), "ip addr add fe80::1/64 dev eth0 nodad")?;
    run(&scene.callee(), "ip addr add fe80::2/64 dev eth0 nodad")?;
    let eth0 = scene.caller().namespace().run(|| nix::net::if_::if_nametoindex("eth0"))?;
    let mut dial = Dial { source: Some("fe80::1".parse()?), ..to("fe80::2".parse()?) };
    let kind = scene.dial(dial)?.err().map(|error| error.kind());
    ensure!(kind == Some(io::ErrorKind::InvalidInput), "without a scope: {kind:?}");
    if let SocketAddr::V6(remote) = &mut dial.remote {
        remote.set_scope_id(eth0);
    }
    let stream = scene.dial(dial)??;
    let (accepted, from) = scene.accept(&listener)?;
    ensure!(from.ip() == "fe80::1".parse::<IpAddr>()?, "the call came from {from}");
    scene.must_carry([&stream, &accepted])
}

fn last_message() -> Result<()> {
    let scene = Scene::start(1)?;
    let [remote, _] = scene.remotes();
    let listener = scene.listen(remote, None)?;
    let stream = scene.dial(to(remote))??;
    let (accepted, _) = scene.accept(&listener)?;
    ensure!(accepted.nodelay()?, "an accepted connection sends with delay");
    // Nobody reads, so the kernel takes no more at last.
    let octets = vec![7; 1 << 16];
    let mut sent = 0;
    loop {
        match tcp::send_now(&stream, &octets)? {
            0 => break,
            taken => sent += taken,
        }
        ensure!(sent < 1 << 30, "the kernel takes all there is");
    }
    ensure!(sent > 0, "the kernel takes nothing at all");
    drop(stream);
    let mut all = Vec::new();
    scene.on(&scene.callee(), read(&accepted, &mut all, usize::MAX))??;
    ensure!(all.len() == sent, "{} of {sent} octets arrived", all.len());
    Ok(())
}
