//! Many Services at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::app::{load_balancer, service};
use crate::space::Space;
use crate::wait;

/// Services that are created at once.
const PARALLEL: usize = 16;

/// The name of Service `number` of a crowd, counted from 0.
pub fn name(number: u32) -> String {
    format!("s{number}")
}

impl Space<'_> {
    /// Creates a crowd of Services of ours, without selectors.
    ///
    /// # Errors
    /// The API server refuses one.
    pub fn create_crowd(&self, count: u32) -> Result<()> {
        let api = self.services();
        let create = |number: u32| {
            let api = api.clone();
            async move {
                let mut spec = load_balancer();
                // Without one the cluster makes no EndpointSlices, which nobody here looks at.
                spec["selector"] = Value::Null;
                let object: Service = serde_json::from_value(service(&name(number), "", 80, spec))?;
                api.create(&PostParams::default(), &object).await.context("the API server refused a Service")
            }
        };
        let created = stream::iter(0..count).map(create).buffer_unordered(PARALLEL);
        self.keryx.lab.block_on(created.try_for_each(|_| async { Ok(()) }))
    }

    /// Creates an EndpointSlice for each Service of a crowd, as if a Pod on `node` served it.
    ///
    /// # Errors
    /// The API server refuses one.
    pub fn create_crowd_endpoints(&self, count: u32, node: &str) -> Result<()> {
        let api: Api<EndpointSlice> = Api::namespaced(self.keryx.lab.client(), &self.name);
        let create = |number: u32| {
            let api = api.clone();
            async move {
                let object = serde_json::from_value(json!({
                    "metadata": { "name": name(number), "labels": { "kubernetes.io/service-name": name(number) } },
                    "addressType": "IPv4",
                    "ports": [{ "name": "tcp", "port": 8080, "protocol": "TCP" }],
                    "endpoints": [{ "addresses": ["203.0.113.1"], "nodeName": node, "conditions": { "ready": true } }],
                }))?;
                api.create(&PostParams::default(), &object).await.context("the API server refused a slice")
            }
        };
        let created = stream::iter(0..count).map(create).buffer_unordered(PARALLEL);
        self.keryx.lab.block_on(created.try_for_each(|_| async { Ok(()) }))
    }

    /// The address of each Service by name, once `count` Services have one.
    ///
    /// # Errors
    /// They do not get one within `limit`.
    pub fn crowd_addresses(&self, count: u32, limit: Duration) -> Result<BTreeMap<String, String>> {
        let api = self.services();
        wait::until_within(limit, &format!("an address for each of {count} Services"), || {
            let list = self.keryx.lab.block_on(api.list(&ListParams::default()))?;
            let addresses = list.iter().filter_map(|service| {
                let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
                Some((service.name_any(), ingress.first()?.ip.clone()?))
            });
            let addresses: BTreeMap<_, _> = addresses.collect();
            Ok((addresses.len() >= count as usize).then_some(addresses))
        })
    }

    /// The Services of the namespace.
    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.keryx.lab.client(), &self.name)
    }
}
