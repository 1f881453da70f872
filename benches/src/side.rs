//! The two that are compared, and how one is out of the way while the other is measured.

use anyhow::Result;
use keryx_tests::Keryx;
use serde_json::{Value, json};

/// An implementation of LoadBalancer Services: one Deployment, one DaemonSet.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// As the table names it.
    pub name: &'static str,
    namespace: &'static str,
    deployment: &'static str,
    /// That of its speakers.
    pub daemonset: &'static str,
    /// The class of its Services; without one they are its by default.
    class: Option<&'static str>,
}

/// A label that no Node has.
const NOWHERE: &str = "bench.keryx.dev/parked";

impl Side {
    /// Keryx.
    pub const KERYX: Self = Self {
        name: "Keryx",
        namespace: keryx_tests::keryx::NAMESPACE,
        deployment: "keryx-controller",
        daemonset: "keryx-speaker",
        class: Some("keryx.dev/load-balancer"),
    };
    /// MetalLB.
    pub const METALLB: Self = Self {
        name: "MetalLB",
        namespace: "metallb-system",
        deployment: "controller",
        daemonset: "speaker",
        class: None,
    };

    /// Namespace of its pods.
    pub fn namespace(&self) -> &'static str {
        self.namespace
    }

    /// The images of its pods.
    ///
    /// # Errors
    /// kubectl fails.
    pub fn images(&self, keryx: &Keryx) -> Result<String> {
        let path = "jsonpath={.items[*].spec.template.spec.containers[*].image}";
        keryx.lab.kubectl(&["-n", self.namespace, "get", "deployment,daemonset", "-o", path])
    }

    /// The part of a Service's spec that makes it this side's.
    pub fn service_spec(&self) -> Value {
        let mut spec = json!({ "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false });
        if let Some(class) = self.class {
            spec["loadBalancerClass"] = class.into();
        }
        spec
    }

    /// Takes all its pods away, so that the other side has the machine for itself.
    ///
    /// # Errors
    /// kubectl fails.
    pub fn park(&self, keryx: &Keryx) -> Result<()> {
        self.set(keryx, "0", json!("true"))?;
        self.kubectl(keryx, &["wait", "--for=delete", "pod", "--all", "--timeout=60s"])
    }

    /// Brings its pods back and waits until they are ready.
    ///
    /// # Errors
    /// kubectl fails; they do not become ready.
    pub fn unpark(&self, keryx: &Keryx) -> Result<()> {
        self.set(keryx, "1", Value::Null)?;
        self.wait_ready(keryx)
    }

    /// Waits until its pods are ready.
    ///
    /// # Errors
    /// kubectl fails; they do not become ready.
    pub fn wait_ready(&self, keryx: &Keryx) -> Result<()> {
        for workload in [format!("deployment/{}", self.deployment), format!("daemonset/{}", self.daemonset)] {
            self.kubectl(keryx, &["rollout", "status", &workload, "--timeout=120s"])?;
        }
        Ok(())
    }

    fn set(&self, keryx: &Keryx, replicas: &str, nowhere: Value) -> Result<()> {
        self.kubectl(keryx, &["scale", "deployment", self.deployment, &format!("--replicas={replicas}")])?;
        let patch = json!({ "spec": { "template": { "spec": { "nodeSelector": { NOWHERE: nowhere } } } } });
        self.kubectl(keryx, &["patch", "daemonset", self.daemonset, "-p", &patch.to_string()])
    }

    fn kubectl(&self, keryx: &Keryx, args: &[&str]) -> Result<()> {
        keryx.lab.kubectl(&[&["-n", self.namespace], args].concat()).map(drop)
    }
}
