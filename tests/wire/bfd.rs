//! BFD sessions between the drivers of two nodes.

use std::net::{IpAddr, UdpSocket};
use std::num::{NonZeroU8, NonZeroU32};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use keryx_bfd::packet::PACKET_LEN;
use keryx_bfd::{Config, Diagnostic, Discriminator, Packet, SINGLE_HOP_PORT, State, TTL};
use keryx_lab::{Host, Lab};
use keryx_speaker::drivers::bfd::{self, Bfd, News, Reason, Request, SessionState, Watched};
use keryx_speaker::{CauseLabels, Metrics, ReasonLabels};
use keryx_tests::wait;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::Test;
use crate::lab::lab;
use crate::run::run;
use crate::segment::LIMIT;
use crate::worker::Worker;

pub(crate) const TESTS: &[Test] = &[
    ("bfd::sessions_come_up_in_both_families_over_one_hop_and_over_several", up),
    ("bfd::a_link_local_peer_needs_its_interface", link_local),
    ("bfd::a_silent_cut_is_told_within_the_detection_time", cut),
    ("bfd::a_peer_that_stops_says_so_and_has_not_failed", stopped),
    ("bfd::news_reach_a_waiting_client_at_once", prompt),
    ("bfd::a_session_ends_with_its_last_client", shared),
    ("bfd::what_a_router_has_forwarded_or_comes_in_elsewhere_is_discarded", discarded),
    ("bfd::a_session_waits_for_its_interface_and_fails_with_it", interface_comes_and_goes),
    ("bfd::a_port_that_another_process_has_is_tried_again", port_taken),
    ("bfd::nothing_is_heard_while_no_session_is_wanted", closed),
    ("bfd::its_thread_is_realtime_where_that_is_permitted", realtime),
    ("bfd::a_session_of_150_ms_stands_while_every_core_is_busy", busy),
];

/// The driver of a node. Dropping it stops it and waits for its end.
struct Driver {
    bfd: Bfd,
    metrics: Metrics,
    _worker: Worker,
}

impl Driver {
    fn start(node: &Host) -> Result<Self> {
        let (metrics, stop) = (Metrics::default(), CancellationToken::new());
        // A thread begins in the network namespace of the one that starts it.
        let (bfd, thread) = node.namespace().run(|| bfd::start(metrics.clone(), stop.clone()))?;
        Ok(Self { bfd, metrics, _worker: Worker::new(stop, thread) })
    }

    fn discards(&self, reason: &'static str) -> u64 {
        self.metrics.bfd.discards.get_or_create(&ReasonLabels { reason }).get()
    }

    /// Waits until so many sessions are wanted, and so many of them up.
    fn wait_sessions(&self, all: i64, up: i64) -> Result<()> {
        let metrics = &self.metrics.bfd;
        let counted = || (metrics.sessions.get(), metrics.sessions_up.get());
        wait::until_within(LIMIT, &format!("{all} sessions, {up} up"), || {
            Ok((counted() == (all, up)).then_some(()))
        })
        .with_context(|| format!("sessions, and those that are up: {:?}", counted()))
    }

    fn wait_received(&self, count: u64) -> Result<()> {
        wait::until_within(LIMIT, &format!("{count} packets"), || {
            Ok((self.metrics.bfd.packets_received.get() >= count).then_some(()))
        })
    }
}

/// Two nodes, and what waits for their news.
struct Scene {
    lab: Lab,
    runtime: Runtime,
}

impl Scene {
    fn start(segments: u8) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { lab: lab(|wire| wire.nodes(2).segments(segments))?, runtime })
    }

    /// The first node has a session with the second, and the other way round.
    fn pair(&self, drivers: &[Driver; 2], config: Config) -> Result<[Watched; 2]> {
        let remotes = [self.lab.node(2).address_v4(), self.lab.node(1).address_v4()];
        let ask = |driver: &Driver, remote: IpAddr| driver.bfd.acquire(Request { config, ..to(remote) });
        let mut watched = [ask(&drivers[0], remotes[0].into()), ask(&drivers[1], remotes[1].into())];
        self.wait_up(&mut watched)?;
        Ok(watched)
    }

    fn drivers(&self) -> Result<[Driver; 2]> {
        Ok([Driver::start(&self.lab.node(1))?, Driver::start(&self.lab.node(2))?])
    }

    /// Waits for the next news of a session.
    fn news(&self, watched: &mut Watched) -> Result<News> {
        let news = async { tokio::time::timeout(LIMIT, watched.changed()).await };
        let news = self.runtime.block_on(news);
        let news = news.with_context(|| format!("no news, the session is {:?}", watched.state()))?;
        news.context("the driver has ended")
    }

    fn wait_up<'a>(&self, watched: impl IntoIterator<Item = &'a mut Watched>) -> Result<()> {
        for watched in watched {
            let news = self.news(watched)?;
            ensure!(news == News::Up, "the first news is {news:?}");
            ensure!(watched.state() == SessionState::Up, "it is {:?}", watched.state());
        }
        Ok(())
    }

    /// Waits until a session fails, and says when that was heard.
    fn wait_failed(&self, watched: &mut Watched) -> Result<(Instant, String)> {
        match self.news(watched)? {
            News::Down { is_failure: true, cause } => Ok((wait::now(), cause)),
            news @ (News::Up | News::Down { .. }) => bail!("no failure but {news:?}"),
        }
    }
}

/// A plain request.
fn to(remote: IpAddr) -> Request {
    Request { remote, interface: None, source: None, multi_hop: false, config: every(50) }
}

/// The same interval in both directions, multiplier 3.
fn every(millis: u64) -> Config {
    let interval = Duration::from_millis(millis);
    Config { receive_interval: interval, transmit_interval: interval, ..Config::default() }
}

fn wait_state(watched: &Watched, state: &SessionState) -> Result<()> {
    let wanted = || Ok((watched.state() == *state).then_some(()));
    wait::until_within(LIMIT, &format!("{state:?}"), wanted)
        .with_context(|| format!("the session is {:?}", watched.state()))
}

fn up() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let mut watched = Vec::new();
    for (driver, peer) in drivers.iter().zip([scene.lab.node(2), scene.lab.node(1)]) {
        let on_eth0 = |request| Request { interface: Some("eth0".to_owned()), ..request };
        let requests = [
            to(peer.address_v4().into()),
            on_eth0(to(peer.address_v6().into())),
            Request { multi_hop: true, ..to(peer.address_v4().into()) },
            Request { multi_hop: true, ..to(peer.address_v6().into()) },
        ];
        watched.extend(requests.map(|request| driver.bfd.acquire(request)));
    }
    scene.wait_up(&mut watched)?;
    for driver in &drivers {
        driver.wait_sessions(4, 4)?;
        let sent = driver.metrics.bfd.packets_sent.get();
        ensure!(sent >= 8, "{sent} packets were sent");
    }
    Ok(())
}

fn link_local() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let peers: [IpAddr; 2] = ["fe80::1".parse()?, "fe80::2".parse()?];
    for (number, address) in [(1, peers[0]), (2, peers[1])] {
        run(&scene.lab.node(number), &format!("ip addr add {address}/64 dev eth0 nodad"))?;
    }
    let unbound = drivers[0].bfd.acquire(to(peers[1]));
    wait_state(&unbound, &SessionState::Unable(Reason::NoScope(peers[1])))?;
    let ask = |driver: &Driver, own: IpAddr, remote: IpAddr| {
        let interface = Some("eth0".to_owned());
        driver.bfd.acquire(Request { interface, source: Some(own), ..to(remote) })
    };
    let [first, second] = peers;
    let mut watched = [ask(&drivers[0], first, second), ask(&drivers[1], second, first)];
    scene.wait_up(&mut watched)
}

fn cut() -> Result<()> {
    const INTERVAL: Duration = Duration::from_millis(300);
    const DETECTION: Duration = Duration::from_millis(900);
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let mut watched = scene.pair(&drivers, every(300))?;
    // The shorter intervals count once both have agreed on them.
    drivers[0].wait_received(12)?;

    let before = wait::now();
    scene.lab.node(1).unplug(0)?;
    let after = wait::now();
    for watched in &mut watched {
        let (at, cause) = scene.wait_failed(watched)?;
        let (least, most) = (at - before, at - after);
        ensure!(least >= DETECTION - INTERVAL, "down {least:?} after the cut, which is too early");
        ensure!(most <= DETECTION.mul_f64(1.2), "down {most:?} after the cut, which is too late");
        ensure!(cause == "the peer was silent for the detection time", "cause: {cause}");
        eprintln!("bfd: 3 x 300 ms, down {most:?} after a silent cut");
    }
    drivers[0].wait_sessions(1, 0)?;
    let downs =
        drivers[0].metrics.bfd.downs.get_or_create(&CauseLabels { cause: "detection_time_expired" }).get();
    ensure!(downs == 1, "{downs} sessions are counted that went down");

    scene.lab.node(1).plug(0)?;
    scene.wait_up(&mut watched)
}

fn stopped() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let [mut watched, mut of_stopped] = scene.pair(&drivers, every(50))?;
    let [_driver, stopped] = drivers;
    drop(stopped);
    let told = scene.runtime.block_on(of_stopped.changed());
    ensure!(told.is_none(), "the client of a driver that has ended heard {told:?}");
    let expected =
        News::Down { is_failure: false, cause: "the session was switched off at the peer".to_owned() };
    let news = scene.news(&mut watched)?;
    ensure!(news == expected, "{news:?}");
    Ok(())
}

fn prompt() -> Result<()> {
    const ROUNDS: usize = 100;
    let scene = Scene::start(1)?;
    let driver = Driver::start(&scene.lab.node(1))?;
    let (node, peer) = (scene.lab.node(1).address_v4(), scene.lab.node(2).address_v4());
    let socket = scene.lab.node(2).namespace().run(|| UdpSocket::bind((peer, SINGLE_HOP_PORT)))?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_ttl(TTL.into())?;
    let mut watched = driver.bfd.acquire(to(peer.into()));
    let mut payload = [0; PACKET_LEN];
    socket.recv_from(&mut payload)?;
    let discriminator = Some(Packet::decode(&payload)?.my_discriminator);
    let mut delays = Vec::new();
    for _ in 0..ROUNDS {
        for state in [State::Init, State::AdminDown] {
            let packet = says(state, discriminator)?;
            let sent_at = wait::now();
            socket.send_to(&packet, (node, SINGLE_HOP_PORT))?;
            let news = scene.news(&mut watched)?;
            delays.push(wait::now() - sent_at);
            ensure!((news == News::Up) == (state == State::Init), "{state:?} is heard as {news:?}");
        }
    }
    delays.sort();
    let (median, longest) = (delays[ROUNDS], delays[2 * ROUNDS - 1]);
    eprintln!("bfd: from a packet to its news {median:?} in the median, {longest:?} at most");
    // What waits for any timer waits longer.
    ensure!(median < Duration::from_millis(5), "half of the news took {median:?} and longer");
    Ok(())
}

fn shared() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let [first, mut peer] = scene.pair(&drivers, every(50))?;
    let mut second = drivers[0].bfd.acquire(to(scene.lab.node(2).address_v4().into()));
    scene.wait_up([&mut second])?;
    drivers[0].wait_sessions(1, 1).context("the second client has a session of its own")?;
    let received = drivers[1].metrics.bfd.packets_received.get();
    drop(first);
    // Several detection times.
    drivers[1].wait_received(received + 12)?;
    ensure!(peer.state() == SessionState::Up, "with one client left the peer is {:?}", peer.state());
    drop(second);
    let news = scene.news(&mut peer)?;
    ensure!(matches!(news, News::Down { is_failure: false, .. }), "{news:?}");
    Ok(())
}

/// What a peer says, at its slowest.
fn says(state: State, your_discriminator: Option<Discriminator>) -> Result<[u8; PACKET_LEN]> {
    let packet = Packet {
        diagnostic: Diagnostic::NONE,
        state,
        is_poll: false,
        is_final: false,
        is_control_plane_independent: false,
        is_demand: false,
        detect_multiplier: NonZeroU8::new(3).context("zero")?,
        my_discriminator: Discriminator(NonZeroU32::new(7).context("zero")?),
        your_discriminator,
        desired_min_tx_interval: Duration::from_secs(1),
        required_min_rx_interval: Duration::from_secs(1),
        required_min_echo_rx_interval: Duration::ZERO,
    };
    Ok(packet.encode())
}

fn discarded() -> Result<()> {
    let scene = Scene::start(2)?;
    let driver = Driver::start(&scene.lab.node(1))?;
    let (node, peer) = (scene.lab.node(1), scene.lab.node(2));
    let _on_eth0 = driver.bfd.acquire(to(peer.address_v4().into()));
    let elsewhere = Request { interface: Some("eth1".to_owned()), ..to(peer.address_v6().into()) };
    let _on_eth1 = driver.bfd.acquire(elsewhere);
    driver.wait_sessions(2, 0)?;
    let bind = |address: IpAddr| peer.namespace().run(|| UdpSocket::bind((address, 0)));
    let v4 = bind(peer.address_v4().into())?;
    for ttl in [1, 64, 254] {
        let before = driver.discards("ttl");
        v4.set_ttl(ttl)?;
        v4.send_to(&says(State::Down, None)?, (node.address_v4(), SINGLE_HOP_PORT))?;
        wait::until_within(LIMIT, &format!("a discard of TTL {ttl}"), || {
            Ok((driver.discards("ttl") > before).then_some(()))
        })?;
    }
    ensure!(driver.metrics.bfd.packets_received.get() == 0, "a packet was taken");
    v4.set_ttl(TTL.into())?;
    v4.send_to(&says(State::Down, None)?, (node.address_v4(), SINGLE_HOP_PORT))?;
    driver.wait_received(1)?;

    // It comes in through eth0.
    let v6 = bind(peer.address_v6().into())?;
    nix::sys::socket::setsockopt(&v6, nix::sys::socket::sockopt::Ipv6Ttl, &TTL.into())?;
    v6.send_to(&says(State::Down, None)?, (node.address_v6(), SINGLE_HOP_PORT))?;
    wait::until_within(LIMIT, "a discard at the wrong interface", || {
        Ok((driver.discards("unknown_peer") == 1).then_some(()))
    })
}

fn interface_comes_and_goes() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let (node, peer) = (scene.lab.node(1), scene.lab.node(2));
    let make = || {
        run(&node, "ip link add late link eth0 type macvlan mode bridge")?;
        run(&node, "ip addr add 10.98.0.77/24 dev late noprefixroute")?;
        run(&node, "ip link set late up")
    };
    // The kernel takes its time to remove an interface; the detection time is to be longer.
    let slow = |request| Request { config: every(1000), ..request };
    let request = Request {
        interface: Some("late".to_owned()),
        source: Some("10.98.0.77".parse()?),
        ..to(peer.address_v4().into())
    };
    let mut watched = drivers[0].bfd.acquire(slow(request));
    let mut of_peer = drivers[1].bfd.acquire(slow(to("10.98.0.77".parse()?)));
    let missing = SessionState::Unable(Reason::NoInterface("late".to_owned()));
    wait_state(&watched, &missing)?;

    make()?;
    scene.wait_up([&mut watched, &mut of_peer])?;
    run(&node, "ip link delete late")?;
    let (_, cause) = scene.wait_failed(&mut watched)?;
    ensure!(cause == "its interface was removed", "cause: {cause}");
    wait_state(&watched, &missing)?;
    scene.wait_failed(&mut of_peer)?;

    make()?;
    scene.wait_up([&mut watched, &mut of_peer])
}

fn port_taken() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let other = scene.lab.node(1).namespace().run(|| UdpSocket::bind(("0.0.0.0", SINGLE_HOP_PORT)))?;
    let mut watched = drivers[0].bfd.acquire(to(scene.lab.node(2).address_v4().into()));
    let mut of_peer = drivers[1].bfd.acquire(to(scene.lab.node(1).address_v4().into()));
    let error = std::io::Error::from_raw_os_error(nix::libc::EADDRINUSE).to_string();
    wait_state(&watched, &SessionState::Unable(Reason::Receive { port: SINGLE_HOP_PORT, error }))?;
    drop(other);
    scene.wait_up([&mut watched, &mut of_peer])
}

fn closed() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let node = scene.lab.node(1);
    let bind = || node.namespace().run(|| UdpSocket::bind(("0.0.0.0", SINGLE_HOP_PORT)));
    drop(bind().context("the port is taken before there is a session")?);
    let watched = scene.pair(&drivers, every(50))?;
    ensure!(bind().is_err(), "the port is free while there is a session");
    drop(watched);
    wait::until_within(LIMIT, "the port to be closed", || Ok(bind().ok().map(drop)))
}

fn realtime() -> Result<()> {
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let _watched = scene.pair(&drivers, every(50))?;
    // Threads of other tests may be among them.
    let mut policies = Vec::new();
    for task in std::fs::read_dir("/proc/self/task")? {
        // One that has ended meanwhile has no line.
        let line = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
        if let Some((_, fields)) = line.split_once("(bfd) ") {
            // The 41st field; the first two are cut off.
            policies.push(fields.split(' ').nth(38).context("a short line")?.parse::<i32>()?);
        }
    }
    let count = policies.iter().filter(|policy| **policy == nix::libc::SCHED_RR).count();
    ensure!(count >= drivers.len(), "the threads' policies are {policies:?}");
    Ok(())
}

/// How long every core is busy. `make soak` asks for half an hour.
fn busy_for() -> Result<Duration> {
    const SECS: u64 = 60;
    let secs = std::env::var("BFD_SECS").ok().map_or(Ok(SECS), |text| text.parse());
    secs.map(Duration::from_secs).context("BFD_SECS is no number of seconds")
}

fn busy() -> Result<()> {
    let busy = busy_for()?;
    let scene = Scene::start(1)?;
    let drivers = scene.drivers()?;
    let mut watched = scene.pair(&drivers, every(50))?;
    let before = drivers[0].metrics.bfd.packets_received.get();
    let until = wait::now() + busy;
    let spin = || while wait::now() < until {};
    let news = std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism()?.get();
        (0..cores).for_each(|_| drop(scope.spawn(spin)));
        let [first, second] = &mut watched;
        let news = async {
            tokio::select! { news = first.changed() => news, news = second.changed() => news }
        };
        anyhow::Ok(scene.runtime.block_on(async { tokio::time::timeout(busy, news).await }))
    })?;
    ensure!(news.is_err(), "in {busy:?} of work: {news:?}");
    let received = drivers[0].metrics.bfd.packets_received.get() - before;
    // 20 a second at least, but for what a busy machine delays; at a slower rate nothing would be shown.
    ensure!(received >= 15 * busy.as_secs(), "{received} packets in {busy:?}");
    eprintln!("bfd: 3 x 50 ms, {received} packets in {busy:?} with every core busy, no session failed");
    Ok(())
}
