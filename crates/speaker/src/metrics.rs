//! What `/metrics` tells.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a VIP is not announced here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// Code of the plan's reason.
    pub reason: &'static str,
}

/// All metrics of the speaker.
#[derive(Clone, Default)]
pub struct Metrics {
    /// VIPs that this node announces.
    pub vips_announced: Gauge,
    /// VIPs that it does not, by reason.
    pub vips_skipped: Family<ReasonLabels, Gauge>,
    /// VIPs of the plan for which no interface of this node is fit.
    pub vips_without_interface: Gauge,
    /// ARP requests for an announced VIP.
    pub arp_requests: Counter,
    /// Answers to them.
    pub arp_replies: Counter,
    /// Gratuitous ARP frames.
    pub arp_gratuitous: Counter,
    /// Failures to send a frame or open a socket.
    pub packet_errors: Counter,
    /// Failures to write the guard's rules.
    pub guard_errors: Counter,
}

impl Metrics {
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
            "VIPs to announce for which no interface of this node is fit",
            metrics.vips_without_interface.clone(),
        );
        registry.register("arp_requests", "ARP requests for an announced VIP", metrics.arp_requests.clone());
        registry.register("arp_replies", "Answers to ARP requests", metrics.arp_replies.clone());
        registry.register("arp_gratuitous", "Gratuitous ARP frames sent", metrics.arp_gratuitous.clone());
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
        (metrics, registry)
    }
}
