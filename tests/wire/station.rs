//! A node's layer 2 without plan and speaker: the announcer on its sockets, on a thread inside the node's network, which
//! does what a test tells it.

use std::io;
use std::sync::{Arc, Mutex, mpsc as answers};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use keryx_lab::Host;
use keryx_layer2::{Announcer, Config, Event, IfIndex, MacAddr, Outcome, QuestionId};
use keryx_netio::groups::SolicitedNodeGroups;
use keryx_netio::packet::{FRAME_LEN_MAX, PacketSocket, Protocol};
use keryx_tests::wait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::run::run;
use crate::segment::LIMIT;
use crate::worker::Worker;

/// Frames that are read in a row before the loop looks at anything else.
const BATCH: usize = 64;

type Order = Box<dyn FnOnce(&mut Inside) + Send>;

/// A running station on `eth0` of a node. Dropping it stops it.
pub(crate) struct Station {
    orders: mpsc::UnboundedSender<Order>,
    events: Arc<Mutex<Vec<Event>>>,
    _worker: Worker,
}

/// What a test can reach of a station.
pub(crate) struct Inside {
    pub(crate) announcer: Announcer,
    pub(crate) arp: PacketSocket,
    pub(crate) ndp: PacketSocket,
    pub(crate) groups: SolicitedNodeGroups,
    pub(crate) eth0: IfIndex,
    revision: u64,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Station {
    /// Announces nothing yet.
    ///
    /// # Errors
    /// The sockets cannot be opened.
    pub(crate) fn start(node: &Host) -> Result<Self> {
        let shown = run(node, "ip -oneline link show dev eth0")?;
        let index: u32 = shown.split(':').next().unwrap_or_default().parse()?;
        let (eth0, mac) = (IfIndex(index), MacAddr(node.mac()));
        let addresses = [format!("{}/24", node.address_v4()), format!("{}/64", node.address_v6())];
        let (orders, ordered) = mpsc::unbounded_channel();
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let stop = CancellationToken::new();
        let (stopped, collected) = (stop.clone(), events.clone());
        let thread = node.namespace().run(|| -> Result<_> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let guard = runtime.enter();
            let nothing = [].into();
            let mut announcer = Announcer::new(Config { seed: u64::from(index), ..Config::default() });
            announcer.set_interface(eth0, mac, wait::now());
            let nets: Vec<_> = addresses.iter().map(|net| net.parse()).collect::<Result<_, _>>()?;
            announcer.set_addresses(eth0, &nets)?;
            let inside = Inside {
                announcer,
                arp: PacketSocket::open(index, Protocol::Arp, &nothing)?,
                ndp: PacketSocket::open(index, Protocol::NeighborDiscovery, &nothing)?,
                groups: SolicitedNodeGroups::new(index),
                eth0,
                revision: 0,
                events: collected,
            };
            drop(guard);
            let follow = move || {
                let end = runtime.block_on(inside.follow(ordered, stopped));
                end.expect("a station works as long as its interface does");
            };
            Ok(std::thread::Builder::new().name("station".to_owned()).spawn(follow)?)
        })?;
        Ok(Self { orders, events, _worker: Worker::new(stop, thread) })
    }

    /// How many frames its sockets for ARP and for neighbor discovery were passed since they were asked last.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn passed(&self) -> Result<[u32; 2]> {
        let counted = self.tell(|inside| {
            [&inside.arp, &inside.ndp].map(|socket| socket.statistics().map(|it| it.passed))
        })?;
        let [arp, ndp] = counted;
        Ok([arp?, ndp?])
    }

    /// Does something inside and waits for its end.
    ///
    /// # Errors
    /// The station has ended.
    pub(crate) fn tell<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Inside) -> T + Send + 'static,
    ) -> Result<T> {
        let (done, told) = answers::channel();
        let order = Box::new(move |inside: &mut Inside| {
            // Who told it may have given up.
            let _gone = done.send(order(inside));
        });
        self.orders.send(order).ok().context("the station has ended")?;
        told.recv_timeout(LIMIT).context("the station does not answer")
    }

    /// Announces exactly these addresses.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub(crate) fn announce(&self, vips: &[std::net::IpAddr]) -> Result<()> {
        let vips = vips.iter().copied().collect();
        self.tell(move |inside| inside.announcer.set_vips(inside.eth0, vips, wait::now()))??;
        // The second order comes after what the first one brought about.
        self.tell(|_| ())
    }

    /// Waits for an event, and returns what `found` makes of it.
    ///
    /// # Errors
    /// It does not come.
    pub(crate) fn wait_event<T>(
        &self,
        what: &str,
        limit: Duration,
        found: impl Fn(&Event) -> Option<T>,
    ) -> Result<T> {
        wait::until_within(limit, what, || {
            let events = self.events.lock().expect("no holder of the lock panics");
            Ok(events.iter().find_map(&found))
        })
    }

    /// Asks something and waits for its decision.
    ///
    /// # Errors
    /// It does not come.
    pub(crate) fn ask(
        &self,
        ask: impl FnOnce(&mut Announcer, IfIndex, Instant) -> QuestionId + Send + 'static,
    ) -> Result<Outcome> {
        let asked = self.tell(move |inside| ask(&mut inside.announcer, inside.eth0, wait::now()))?;
        self.wait_event("a decision", LIMIT, |event| match event {
            Event::Decided { question, outcome, .. } if *question == asked => Some(*outcome),
            Event::Decided { .. }
            | Event::Conflict { .. }
            | Event::ConflictOver { .. }
            | Event::MemberAnnounces { .. } => None,
        })
    }
}

impl Inside {
    async fn follow(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        loop {
            self.transmit().await?;
            let due = self.announcer.poll_timeout();
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(order) = orders.recv() => order(&mut self),
                () = sleep => {}
                ready = self.arp.readable() => ready?,
                ready = self.ndp.readable() => ready?,
            }
            // Frames before time: an answer that came is heard before it is found to be late.
            self.receive().await?;
            self.announcer.handle_timeout(wait::now());
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        let mut frame = [0; FRAME_LEN_MAX];
        for _ in 0..BATCH {
            let mut any = false;
            for socket in [&self.arp, &self.ndp] {
                if let Some(length) = socket.try_recv(&mut frame)? {
                    self.announcer.handle_input(self.eth0, &frame[..length], wait::now());
                    any = true;
                }
            }
            if !any {
                break;
            }
            self.transmit().await?;
        }
        Ok(())
    }

    async fn transmit(&mut self) -> io::Result<()> {
        let revision = self.announcer.addresses_revision(self.eth0);
        if revision != self.revision {
            let addresses = self.announcer.addresses(self.eth0);
            self.arp.set_addresses(&addresses)?;
            self.ndp.set_addresses(&addresses)?;
            self.groups.set_addresses(&self.announcer.solicited(self.eth0).collect())?;
            self.revision = revision;
        }
        while let Some(transmit) = self.announcer.poll_transmit() {
            let socket = if transmit.is_ipv6 { &self.ndp } else { &self.arp };
            socket.send(&transmit.frame).await?;
        }
        let mut events = self.events.lock().expect("no holder of the lock panics");
        events.extend(std::iter::from_fn(|| self.announcer.poll_event()));
        Ok(())
    }
}
