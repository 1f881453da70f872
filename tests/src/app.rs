//! The test app and the objects that expose it.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::space::Space;

/// Port that the app listens on, TCP and UDP.
pub const APP_PORT: u16 = 8080;

/// A Deployment of the app with `replicas` pods, on `node` if that is given.
pub fn deployment(name: &str, replicas: u32, node: Option<&str>) -> Value {
    let mut pod = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "echo",
            "image": "keryx.dev/echo:lab",
            "imagePullPolicy": "IfNotPresent",
            "env": [
                { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                { "name": "NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
            ],
            "readinessProbe": { "tcpSocket": { "port": APP_PORT }, "periodSeconds": 1 },
        }],
    });
    if let Some(node) = node {
        pod["nodeSelector"] = json!({ "kubernetes.io/hostname": node });
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": pod },
        },
    })
}

/// A Service in front of the app of that name; `spec` is merged into its spec.
pub fn service(name: &str, app: &str, port: u16, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": {
            "selector": { "app": app },
            "ports": [
                { "name": "tcp", "port": port, "targetPort": APP_PORT, "protocol": "TCP" },
                { "name": "udp", "port": port, "targetPort": APP_PORT, "protocol": "UDP" },
            ],
        },
    });
    merge(&mut object["spec"], spec);
    object
}

/// A Service of ours in front of the app `web`, with these annotations.
pub fn annotated(name: &str, annotations: Value) -> Value {
    let mut object = service(name, "web", 80, load_balancer());
    object["metadata"]["annotations"] = annotations;
    object
}

/// The spec that makes a Service ours.
pub fn load_balancer() -> Value {
    json!({
        "type": "LoadBalancer",
        "loadBalancerClass": "keryx.dev/load-balancer",
        "allocateLoadBalancerNodePorts": false,
    })
}

/// A Gateway of Keryx with listeners `(name, protocol, port)`; `spec` is merged into its spec.
pub fn gateway(name: &str, listeners: &[(&str, &str, u16)], spec: Value) -> Value {
    let listeners: Vec<Value> = listeners
        .iter()
        .map(|(name, protocol, port)| json!({ "name": name, "protocol": protocol, "port": port }))
        .collect();
    let mut object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": name },
        "spec": { "gatewayClassName": "keryx", "listeners": listeners },
    });
    merge(&mut object["spec"], spec);
    object
}

/// A route of `kind` (TCPRoute, UDPRoute) from a Gateway's listener to `backend`, which is `NAME` or `NAMESPACE/NAME`.
pub fn route(kind: &str, name: &str, gateway: &str, listener: &str, backend: &str, port: u16) -> Value {
    let mut reference = json!({ "port": port });
    match backend.split_once('/') {
        Some((namespace, name)) => merge(&mut reference, json!({ "namespace": namespace, "name": name })),
        None => reference["name"] = backend.into(),
    }
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": { "name": name },
        "spec": {
            "parentRefs": [{ "name": gateway, "sectionName": listener }],
            "rules": [{ "backendRefs": [reference] }],
        },
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

impl Space<'_> {
    /// Applies a Deployment of the app and waits until its pods are ready.
    ///
    /// # Errors
    /// They do not become ready.
    pub fn run_app(&self, name: &str, replicas: u32, node: Option<&str>) -> Result<()> {
        self.apply(deployment(name, replicas, node))?;
        self.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=60s"]).map(drop)
    }

    /// The address of a Service of ours, once it has one.
    ///
    /// # Errors
    /// It never gets one.
    pub fn service_address(&self, name: &str) -> Result<IpAddr> {
        let text = self.wait_for("service", name, "an address", |service| {
            Some(service.pointer("/status/loadBalancer/ingress/0/ip")?.as_str()?.to_owned())
        })?;
        text.parse().with_context(|| format!("{text:?} is no address"))
    }

    /// The address of a Gateway once it is programmed.
    ///
    /// # Errors
    /// It never is.
    pub fn gateway_address(&self, name: &str) -> Result<IpAddr> {
        self.condition(("gateway", name), "/status/conditions", ("Programmed", "True"))?;
        let text = self.wait_for("gateway", name, "an address", |gateway| {
            Some(gateway.pointer("/status/addresses/0/value")?.as_str()?.to_owned())
        })?;
        text.parse().with_context(|| format!("{text:?} is no address"))
    }
}
