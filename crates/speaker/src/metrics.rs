//! What `/metrics` tells.

use keryx_bfd::{Discards, DownCause};
use keryx_bgp::peer as bgp;
use keryx_layer2::{Counters, FamilyCounters};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// Code of the reason.
    pub reason: &'static str,
}

/// Why something came about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CauseLabels {
    /// Code of the machine's cause.
    pub cause: &'static str,
}

/// Which BGP peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PeerLabels {
    /// Name of the BGPPeer.
    pub peer: String,
}

/// All metrics of the speaker.
#[derive(Clone, Default)]
pub struct Metrics {
    /// VIPs that this node announces.
    pub vips_announced: Gauge,
    /// VIPs that it does not, by reason.
    pub vips_skipped: Family<ReasonLabels, Gauge>,
    /// VIPs of the plan that no interface of this node could announce, whoever does announce them.
    pub vips_without_interface: Gauge,
    /// What was seen and sent of ARP.
    pub arp: Frames,
    /// What was seen and sent of neighbor discovery.
    pub ndp: Frames,
    /// 1 while the plan is the one that the speaker before this one left, since the API server cannot be reached.
    pub plan_is_stale: Gauge,
    /// Other speakers that are heard.
    pub members: Gauge,
    /// 1 while no other speaker is heard and no node answers, so that this one hands over what it holds.
    pub is_deaf: Gauge,
    /// Groups that this node took over, by cause.
    pub moves: Family<CauseLabels, Counter>,
    /// VIPs that a station uses which is no member.
    pub vips_in_conflict: Gauge,
    /// Times that a station which is no member claimed a VIP.
    pub conflicts: Counter,
    /// Times that this process was stopped or starved for so long that it asked anew who holds what.
    pub stalls: Counter,
    /// What became of BGP.
    pub bgp: Bgp,
    /// Failures to send a frame or open a socket.
    pub packet_errors: Counter,
    /// Failures to write the guard's rules.
    pub guard_errors: Counter,
    /// Sessions of BFD.
    pub bfd: Bfd,
}

/// Sessions of BFD.
#[derive(Clone, Default)]
pub struct Bfd {
    /// Sessions that somebody wants.
    pub sessions: Gauge,
    /// Of these, both sides hear each other.
    pub sessions_up: Gauge,
    /// Control packets sent.
    pub packets_sent: Counter,
    /// Control packets taken from a peer.
    pub packets_received: Counter,
    /// Datagrams that were not, by reason.
    pub discards: Family<ReasonLabels, Counter>,
    /// Times that a session that was up went down, by cause.
    pub downs: Family<CauseLabels, Counter>,
}

impl Bfd {
    fn register(&self, registry: &mut Registry) {
        registry.register("bfd_sessions", "BFD sessions that are wanted", self.sessions.clone());
        registry.register("bfd_sessions_up", "BFD sessions that are up", self.sessions_up.clone());
        registry.register("bfd_packets_sent", "BFD control packets sent", self.packets_sent.clone());
        registry.register(
            "bfd_packets_received",
            "BFD control packets taken from a peer",
            self.packets_received.clone(),
        );
        registry.register(
            "bfd_discards",
            "Datagrams for BFD that were discarded, by reason",
            self.discards.clone(),
        );
        registry.register("bfd_downs", "Times that a BFD session went down, by cause", self.downs.clone());
    }

    pub(crate) fn set_sessions(&self, all: usize, up: usize) {
        self.sessions.set(i64::try_from(all).unwrap_or(i64::MAX));
        self.sessions_up.set(i64::try_from(up).unwrap_or(i64::MAX));
    }

    /// Adds what the machine has discarded since `before`.
    pub(crate) fn count_discards(&self, now: &Discards, before: &Discards) {
        let counts = [
            ("ttl", now.ttl - before.ttl),
            ("too_short", now.too_short - before.too_short),
            ("version", now.version - before.version),
            ("length", now.length - before.length),
            ("detect_multiplier", now.detect_multiplier - before.detect_multiplier),
            ("multipoint", now.multipoint - before.multipoint),
            ("my_discriminator", now.my_discriminator - before.my_discriminator),
            ("your_discriminator", now.your_discriminator - before.your_discriminator),
            ("authentication", now.authentication - before.authentication),
            ("unknown_session", now.unknown_session - before.unknown_session),
            ("unknown_peer", now.unknown_peer - before.unknown_peer),
            ("wrong_path", now.wrong_path - before.wrong_path),
        ];
        counts.into_iter().for_each(|(reason, count)| self.count_discard(reason, count));
    }

    /// Adds datagrams that the kernel has dropped, mostly because too many came at once.
    pub(crate) fn count_dropped(&self, count: u64) {
        self.count_discard("kernel", count);
    }

    fn count_discard(&self, reason: &'static str, count: u64) {
        if count > 0 {
            self.discards.get_or_create(&ReasonLabels { reason }).inc_by(count);
        }
    }

    pub(crate) fn count_down(&self, cause: DownCause) {
        let cause = match cause {
            DownCause::DetectionTimeExpired => "detection_time_expired",
            DownCause::PeerDown(_) => "peer_down",
            DownCause::PeerAdminDown(_) => "peer_admin_down",
            DownCause::Disabled => "disabled",
        };
        self.downs.get_or_create(&CauseLabels { cause }).inc();
    }
}

/// BGP sessions, by peer.
#[derive(Clone, Default)]
pub struct Bgp {
    /// 1 while the session stands.
    pub session_up: Family<PeerLabels, Gauge>,
    /// Prefixes that the peer is to know.
    pub prefixes: Family<PeerLabels, Gauge>,
    /// Sessions that stood and ended.
    pub sessions_lost: Family<PeerLabels, Counter>,
    /// UPDATEs sent.
    pub updates_sent: Family<PeerLabels, Counter>,
    /// UPDATEs received; their routes are dropped.
    pub updates_received: Family<PeerLabels, Counter>,
}

impl Bgp {
    fn register(&self, registry: &mut Registry) {
        registry.register("bgp_session_up", "1 while the BGP session stands", self.session_up.clone());
        registry.register("bgp_prefixes", "Prefixes that the BGP peer is to know", self.prefixes.clone());
        registry.register(
            "bgp_sessions_lost",
            "BGP sessions that stood and ended",
            self.sessions_lost.clone(),
        );
        registry.register("bgp_updates_sent", "BGP UPDATEs sent", self.updates_sent.clone());
        registry.register(
            "bgp_updates_received",
            "BGP UPDATEs received, whose routes are dropped",
            self.updates_received.clone(),
        );
    }

    /// Adds what the machine of a peer has counted since `before`.
    pub(crate) fn count(&self, peer: &PeerLabels, now: &bgp::Counters, before: &bgp::Counters) {
        let add = |family: &Family<PeerLabels, Counter>, count: u64| {
            family.get_or_create(peer).inc_by(count);
        };
        add(&self.sessions_lost, now.lost - before.lost);
        add(&self.updates_sent, now.sent.updates - before.sent.updates);
        add(&self.updates_received, now.received.updates - before.received.updates);
    }

    /// Takes a peer out that is none any more.
    pub(crate) fn forget(&self, peer: &PeerLabels) {
        self.session_up.remove(peer);
        self.prefixes.remove(peer);
        self.sessions_lost.remove(peer);
        self.updates_sent.remove(peer);
        self.updates_received.remove(peer);
    }
}

/// Frames of one protocol.
#[derive(Clone, Default)]
pub struct Frames {
    /// Questions for an announced VIP.
    pub requests: Counter,
    /// Answers to them.
    pub replies: Counter,
    /// Announcements.
    pub gratuitous: Counter,
}

impl Frames {
    fn register(&self, registry: &mut Registry, protocol: &str) {
        let mut register = |name: &str, help: &str, counter: &Counter| {
            registry.register(format!("{protocol}_{name}"), help, counter.clone());
        };
        register("requests", "Questions for an announced VIP", &self.requests);
        register("replies", "Answers to questions", &self.replies);
        register("gratuitous", "Announcements sent", &self.gratuitous);
    }

    fn count(&self, now: &FamilyCounters, before: &FamilyCounters) {
        self.requests.inc_by(now.requests - before.requests);
        self.replies.inc_by(now.replies - before.replies);
        self.gratuitous.inc_by(now.gratuitous - before.gratuitous);
    }
}

impl Metrics {
    /// Adds what the announcer has counted since `before`.
    pub(crate) fn count(&self, now: &Counters, before: &Counters) {
        self.arp.count(&now.arp, &before.arp);
        self.ndp.count(&now.ndp, &before.ndp);
    }

    /// The metrics, and the registry that shows them.
    pub(crate) fn new() -> (Self, Registry) {
        let metrics = Self::default();
        let mut registry = Registry::with_prefix("keryx_speaker");
        registry.register("vips_announced", "VIPs that this node announces", metrics.vips_announced.clone());
        registry.register(
            "vips_skipped",
            "VIPs that this node does not announce, by reason",
            metrics.vips_skipped.clone(),
        );
        registry.register(
            "vips_without_interface",
            "VIPs that no interface of this node could announce, whoever does announce them",
            metrics.vips_without_interface.clone(),
        );
        registry.register(
            "vips_in_conflict",
            "VIPs that a station uses which is no node of the cluster",
            metrics.vips_in_conflict.clone(),
        );
        metrics.arp.register(&mut registry, "arp");
        metrics.ndp.register(&mut registry, "ndp");
        registry.register(
            "plan_is_stale",
            "1 while the plan is that of an earlier speaker here, since the API server cannot be reached",
            metrics.plan_is_stale.clone(),
        );
        registry.register("members", "Other speakers that are heard", metrics.members.clone());
        registry.register(
            "is_deaf",
            "1 while no other speaker is heard and no node answers, so that this one hands over what it holds",
            metrics.is_deaf.clone(),
        );
        registry.register(
            "moves",
            "Groups of VIPs that this node took over, by cause",
            metrics.moves.clone(),
        );
        registry.register(
            "conflicts",
            "Times that a station which is no member claimed a VIP",
            metrics.conflicts.clone(),
        );
        registry.register(
            "stalls",
            "Times that this process did not run for so long that it asked anew who holds what",
            metrics.stalls.clone(),
        );
        metrics.bgp.register(&mut registry);
        registry.register(
            "packet_errors",
            "Failures to send or receive frames",
            metrics.packet_errors.clone(),
        );
        registry.register(
            "guard_errors",
            "Failures to write the guard's rules",
            metrics.guard_errors.clone(),
        );
        metrics.bfd.register(&mut registry);
        (metrics, registry)
    }
}
