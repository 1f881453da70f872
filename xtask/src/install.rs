//! `manifests/install.yaml`: the namespace, Keryx' own kinds, the accounts with their permissions, and the two workloads.

use anyhow::Result;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keryx_api::{
    bfd_profile, bgp_advertisement, bgp_peer, community, ip_address_pool, l2_advertisement, names,
    speaker_status,
};
use serde_json::{Value, json};

use crate::rbac::{self, Who};
use crate::yaml::{Document, document};

/// The one image, which holds all three programs.
pub const IMAGE_REPOSITORY: &str = "keryx.dev/keryx";
/// Version of this tree, the image's tag.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// User and group that the controller runs as.
pub const CONTROLLER_UID: u32 = 65532;
/// Ports of the controller, in its Pod's network.
const CONTROLLER_METRICS_PORT: u16 = 8080;
const CONTROLLER_HEALTH_PORT: u16 = 8081;
/// Port of the speaker on its node's loopback, for metrics and health alike.
const SPEAKER_PORT: u16 = 7472;
/// Port on which speakers talk to each other.
const MEMBERSHIP_PORT: u16 = 7947;
const LIVENESS_PERIOD_SECONDS: u32 = 5;
/// Short, because other speakers take over from a speaker that is not Ready, and wait for one that is to be.
const READINESS_PERIOD_SECONDS: u32 = 1;

/// Reference of the image, `repository:version`.
pub fn image_reference() -> String {
    format!("{IMAGE_REPOSITORY}:{VERSION}")
}

/// Every object of the installation, in the order in which they can be applied.
///
/// # Errors
/// If a rendered object does not fit its Kubernetes type.
pub fn documents() -> Result<Vec<Document>> {
    let mut documents = vec![namespace()?];
    for definition in [
        ip_address_pool::definition(),
        l2_advertisement::definition(),
        bgp_peer::definition(),
        bgp_advertisement::definition(),
        bfd_profile::definition(),
        community::definition(),
        speaker_status::definition(),
    ] {
        documents.push(document::<CustomResourceDefinition>(&serde_json::to_value(definition)?)?);
    }
    for who in Who::ALL {
        documents.push(document::<ServiceAccount>(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": who.name(), "namespace": names::NAMESPACE},
        }))?);
    }
    documents.extend(rbac::documents()?);
    documents.push(document::<Deployment>(&controller())?);
    documents.push(document::<DaemonSet>(&speaker())?);
    Ok(documents)
}

fn namespace() -> Result<Document> {
    document::<Namespace>(&json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": names::NAMESPACE,
            // Speakers use the host's network and three capabilities, which the lower levels refuse.
            "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
        },
    }))
}

fn component(who: Who) -> &'static str {
    match who {
        Who::Controller => names::COMPONENT_CONTROLLER,
        Who::Speaker => names::COMPONENT_SPEAKER,
    }
}

fn labels(who: Who) -> Value {
    json!({
        names::LABEL_COMPONENT: component(who),
        "app.kubernetes.io/name": "keryx",
        "app.kubernetes.io/component": component(who),
    })
}

/// What both containers have in common.
fn container(who: Who, own: Value) -> Value {
    let mut container = json!({
        "name": component(who),
        "image": image_reference(),
        "imagePullPolicy": "IfNotPresent",
        "command": [format!("/{}", who.name())],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if let (Some(fields), Value::Object(own)) = (container.as_object_mut(), own) {
        fields.extend(own);
    }
    container
}

/// A workload around one container. No limit on CPU: throttling would delay answers on the wire.
fn workload(kind: &str, who: Who, spec: Value, pod: Value, container: Value) -> Value {
    let mut pod_spec = json!({
        "serviceAccountName": who.name(),
        "containers": [container],
    });
    if let (Some(fields), Value::Object(own)) = (pod_spec.as_object_mut(), pod) {
        fields.extend(own);
    }
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": who.name(), "namespace": names::NAMESPACE, "labels": labels(who)},
        "spec": {
            "selector": {"matchLabels": {names::LABEL_COMPONENT: component(who)}},
            "template": {"metadata": {"labels": labels(who)}, "spec": pod_spec},
        },
    });
    if let (Some(fields), Value::Object(own)) = (workload["spec"].as_object_mut(), spec) {
        fields.extend(own);
    }
    workload
}

fn controller() -> Value {
    let probe = |path: &str, period_seconds: u32| json!({"httpGet": {"path": path, "port": "health"}, "periodSeconds": period_seconds});
    workload(
        "Deployment",
        Who::Controller,
        // Recreate: a second replica beside the first would only wait for the lease.
        json!({"replicas": 1, "strategy": {"type": "Recreate"}}),
        json!({
            "priorityClassName": "system-cluster-critical",
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": CONTROLLER_UID,
                "runAsGroup": CONTROLLER_UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }),
        container(
            Who::Controller,
            json!({
                "ports": [
                    {"name": "metrics", "containerPort": CONTROLLER_METRICS_PORT, "protocol": "TCP"},
                    {"name": "health", "containerPort": CONTROLLER_HEALTH_PORT, "protocol": "TCP"},
                ],
                "livenessProbe": probe("/healthz", LIVENESS_PERIOD_SECONDS),
                "readinessProbe": probe("/readyz", READINESS_PERIOD_SECONDS),
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }),
        ),
    )
}

fn speaker() -> Value {
    let probe = |path: &str, period_seconds: u32| {
        json!({
            "httpGet": {"host": "127.0.0.1", "path": path, "port": SPEAKER_PORT},
            "periodSeconds": period_seconds,
        })
    };
    workload(
        "DaemonSet",
        Who::Speaker,
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}}),
        json!({
            "hostNetwork": true,
            "priorityClassName": "system-node-critical",
            // Long enough to tell the others that it will be back.
            "terminationGracePeriodSeconds": 5,
            "volumes": [
                // Not optional: without a key a speaker could not talk to the others. The controller makes it.
                {"name": "membership", "secret": {"secretName": names::SECRET_MEMBERSHIP, "defaultMode": 0o400}},
                // Outlives the Pod, so that the next speaker goes on with what this one held; and not the node's boot.
                {"name": "state", "hostPath": {"path": "/run/keryx", "type": "DirectoryOrCreate"}},
            ],
            "tolerations": [
                {"effect": "NoSchedule", "operator": "Exists"},
                {"effect": "NoExecute", "operator": "Exists"},
            ],
        }),
        container(
            Who::Speaker,
            json!({
                "args": [format!("--metrics-bind-address=127.0.0.1:{SPEAKER_PORT}")],
                "env": [
                    own_field("NODE_NAME", "spec.nodeName"),
                    own_field("POD_NAME", "metadata.name"),
                    own_field("POD_UID", "metadata.uid"),
                    // Lists of thousands of objects come and go. By default the C library keeps the room that the largest
                    // of them took, once for each thread.
                    {"name": "MALLOC_ARENA_MAX", "value": "2"},
                    {"name": "MALLOC_MMAP_THRESHOLD_", "value": "131072"},
                    {"name": "MALLOC_TRIM_THRESHOLD_", "value": "131072"},
                ],
                "ports": [{"name": "membership", "containerPort": MEMBERSHIP_PORT, "protocol": "UDP"}],
                "volumeMounts": [
                    {"name": "membership", "mountPath": "/etc/keryx/membership", "readOnly": true},
                    {"name": "state", "mountPath": "/run/keryx"},
                ],
                "livenessProbe": probe("/healthz", LIVENESS_PERIOD_SECONDS),
                "readinessProbe": probe("/readyz", READINESS_PERIOD_SECONDS),
                "resources": {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    // Root, because capabilities that a manifest adds take no effect for any other user.
                    "runAsUser": 0,
                    "seccompProfile": {"type": "RuntimeDefault"},
                    "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW", "SYS_NICE"]},
                },
            }),
        ),
    )
}

/// An environment variable with a field of the Pod itself.
fn own_field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speaker_has_three_capabilities_and_no_other_way_to_more() {
        let pod = &speaker()["spec"]["template"]["spec"];
        let security = &pod["containers"][0]["securityContext"];
        assert_eq!(
            security["capabilities"],
            json!({"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW", "SYS_NICE"]})
        );
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        for field in ["hostPID", "hostIPC"] {
            assert!(pod[field].is_null(), "{field}");
        }
        let volumes: Vec<&Value> = pod["volumes"].as_array().unwrap().iter().collect();
        let host_paths = volumes.iter().filter_map(|volume| volume.pointer("/hostPath/path"));
        assert_eq!(Vec::from_iter(host_paths), ["/run/keryx"]);
    }

    #[test]
    fn the_controller_has_no_capability_and_is_not_root() {
        let pod = &controller()["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["containers"][0]["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
        assert!(pod["hostNetwork"].is_null());
    }

    #[test]
    fn no_workload_has_a_cpu_limit_and_selectors_match_their_pods() {
        for workload in [controller(), speaker()] {
            let template = &workload["spec"]["template"];
            assert!(template["spec"]["containers"][0]["resources"]["limits"]["cpu"].is_null());
            let selector = workload["spec"]["selector"]["matchLabels"].as_object().unwrap();
            for (label, value) in selector {
                assert_eq!(&template["metadata"]["labels"][label], value);
            }
        }
    }
}
