//! Who advertises: Keryx, MetalLB, or BIRD on every node.

use anyhow::Result;
use keryx_benches::metallb::MetalLb;
use keryx_lab::router::Bird;
use keryx_tests::object::Object;
use keryx_tests::pool::Pool;
use keryx_tests::wait;
use serde_json::{Value, json};

use crate::router::{self, LOCAL_AS, RANGE, REMOTE_AS};

/// Name of every object.
const NAME: &str = "bench";

/// Keryx with a session from each node to the router, which goes with this value.
pub(crate) struct Keryx<'a> {
    pub(crate) lab: &'a keryx_tests::Keryx,
    pub(crate) bird: Bird,
    peer: Object<'a>,
    _objects: [Object<'a>; 2],
    _pool: Pool<'a>,
}

impl<'a> Keryx<'a> {
    pub(crate) fn start(keryx: &'a keryx_tests::Keryx) -> Result<Self> {
        let bird = router::start(keryx)?;
        let pool = Pool::in_force(
            keryx,
            NAME,
            json!({ "addresses": [RANGE], "serviceAllocation": { "priority": 1 } }),
        )?;
        let bfd = json!({ "transmitInterval": 50, "receiveInterval": 50, "detectMultiplier": 3 });
        let objects = [
            Object::apply(keryx, "BFDProfile", NAME, bfd)?,
            Object::apply(keryx, "BGPAdvertisement", NAME, json!({ "ipAddressPools": [NAME] }))?,
        ];
        let peer = Object::apply(keryx, "BGPPeer", NAME, peer(keryx, json!({ "bfdProfile": NAME })))?;
        established(keryx, &bird)?;
        Ok(Self { lab: keryx, bird, peer, _objects: objects, _pool: pool })
    }

    /// Has the router keep the routes of a speaker that restarts, which BFD would end.
    pub(crate) fn keep_routes(&self) -> Result<()> {
        let spec = peer(self.lab, json!({ "enableGracefulRestart": true }));
        self.peer.change(spec)?;
        // The sessions are made anew.
        wait::until("sessions that keep routes", || {
            let text = self.bird.ask("show protocols all")?;
            Ok((text.matches("Restart time").count() >= 3).then_some(()))
        })?;
        established(self.lab, &self.bird)
    }
}

fn peer(keryx: &keryx_tests::Keryx, more: Value) -> Value {
    let mut spec = json!({
        "myASN": LOCAL_AS, "peerASN": REMOTE_AS, "connectTime": "1s",
        "peerAddress": router::host(keryx).address_v4().to_string(),
    });
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    spec
}

/// MetalLB in its native mode with a session from each node to the router.
pub(crate) fn metallb(keryx: &keryx_tests::Keryx, metallb: &MetalLb) -> Result<Bird> {
    let bird = router::start(keryx)?;
    let peer = json!({
        "myASN": LOCAL_AS, "peerASN": REMOTE_AS, "peerAddress": router::host(keryx).address_v4().to_string(),
    });
    let objects =
        [("v1beta2", "BGPPeer", peer), ("v1beta1", "BGPAdvertisement", json!({ "ipAddressPools": [NAME] }))];
    metallb.install(keryx, RANGE, &objects)?;
    established(keryx, &bird)?;
    Ok(bird)
}

/// BIRD on every node, and at the router.
pub(crate) struct Birds {
    pub(crate) router: Bird,
    _nodes: Vec<Bird>,
}

/// What they say that they have the way to.
const ADDRESS: &str = "198.51.100.77";

impl Birds {
    pub(crate) fn start(keryx: &keryx_tests::Keryx) -> Result<Self> {
        let nodes = keryx.lab.nodes();
        let start = |node: &keryx_lab::Host| node.bird(&router::node_config(keryx, node, ADDRESS));
        let nodes = nodes.iter().map(start).collect::<Result<Vec<_>>>()?;
        let router = router::start(keryx)?;
        established(keryx, &router)?;
        Ok(Self { router, _nodes: nodes })
    }

    /// The part of a Service's spec by which kube-proxy serves the address.
    pub(crate) fn service_spec(&self) -> Value {
        json!({ "externalIPs": [ADDRESS] })
    }
}

/// Waits until the router has a session with every node.
pub(crate) fn established(keryx: &keryx_tests::Keryx, bird: &Bird) -> Result<()> {
    for node in keryx.lab.nodes() {
        router::established(bird, node.name())?;
    }
    Ok(())
}
