//! The table for the speakers: which VIPs, and what serves each port.

use keryx_api::exposure::{
    AnnounceFrom, AnnouncePolicy, ExposedPort, Exposure, GatewayReference, ServedBy, VERSION,
    WithoutEndpoints,
};

use crate::naming;
use crate::serve::{ServedPort, Server};
use crate::{Inputs, ObjectKey};

/// Name of the exposure ConfigMap of the Gateway `namespace/name`; the same for the same Gateway, at most 63 characters.
pub fn name(namespace: &str, name: &str) -> String {
    format!("keryx-exposure-{}", naming::hash(&[namespace, name]))
}

/// `None` as long as there is no address or no port to expose.
pub(crate) fn build(inputs: &Inputs<'_>, served: &[ServedPort<'_>]) -> Option<Exposure> {
    let (gateway, addresses) = (inputs.gateway, inputs.addresses.held());
    if addresses.is_empty() || served.is_empty() {
        return None;
    }
    let ObjectKey { namespace, name } = ObjectKey::of(&gateway.metadata);
    let mut ports: Vec<ExposedPort> = served.iter().map(exposed_port).collect();
    ports.sort();
    Some(Exposure {
        version: VERSION,
        gateway: GatewayReference { namespace, name, uid: gateway.metadata.uid.clone().unwrap_or_default() },
        addresses: addresses.to_vec(),
        pools: inputs.pools.to_vec(),
        interfaces: inputs.interfaces.to_vec(),
        ports,
        announce: AnnouncePolicy {
            announce_from: AnnounceFrom::default(),
            without_endpoints: WithoutEndpoints::default(),
        },
        sharing_key: inputs.sharing_key.map(str::to_owned),
    })
}

fn exposed_port(served: &ServedPort<'_>) -> ExposedPort {
    let served_by = match &served.server {
        Server::Clone { key, .. } => {
            ServedBy::Clone { namespace: key.namespace.clone(), name: key.name.clone() }
        }
        Server::Anchor => ServedBy::Anchor,
    };
    ExposedPort { port: served.port, protocol: served.protocol, served_by }
}
