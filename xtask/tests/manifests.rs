//! The manifests as a cluster would read them: every document fits its Kubernetes type, and what one document names
//! stands in another.

#![expect(clippy::unwrap_used, reason = "a test program: an unwrap that fails is the failure")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keryx_api::annotations::ANNOTATIONS;
use keryx_api::bfd_profile::BFDProfile;
use keryx_api::bgp_advertisement::BGPAdvertisementSpec;
use keryx_api::bgp_peer::BGPPeer;
use keryx_api::community::{Community, CommunityValue};
use keryx_api::gateway_api::{Gateway, GatewayClass, Route};
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::names;
use keryx_pools::document::Document;
use serde::Serialize;
use serde::de::{Deserialize as _, DeserializeOwned};
use serde_json::{Value, json};
use xtask::image::Image;

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// Every document of one file.
fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn examples() -> Vec<(String, Vec<Value>)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(manifests().join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.display().to_string(), documents(&path))).collect()
}

/// Fields of `document` that are lost on the way through `T`: unknown to Kubernetes, or misplaced.
fn fits<T: Serialize + DeserializeOwned>(document: &Value) {
    let typed: T =
        serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{error} in {document:#}"));
    let kept = serde_json::to_value(&typed).unwrap();
    assert!(holds(&kept, document), "{document:#} becomes {kept:#}");
}

/// Whether all of `part` is in `whole`, which may have more: the defaults of fields.
fn holds(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|whole| holds(whole, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| holds(whole, part))
        }
        (whole, part) => whole == part,
    }
}

fn fits_its_type(document: &Value) {
    let kind = format!("{}/{}", document["apiVersion"].as_str().unwrap(), document["kind"].as_str().unwrap());
    match kind.as_str() {
        "v1/Namespace" => fits::<Namespace>(document),
        "v1/ServiceAccount" => fits::<ServiceAccount>(document),
        "v1/ConfigMap" => fits::<ConfigMap>(document),
        "v1/Service" => fits::<Service>(document),
        "apps/v1/Deployment" => fits::<Deployment>(document),
        "apps/v1/DaemonSet" => fits::<DaemonSet>(document),
        "rbac.authorization.k8s.io/v1/ClusterRole" => fits::<ClusterRole>(document),
        "rbac.authorization.k8s.io/v1/ClusterRoleBinding" => fits::<ClusterRoleBinding>(document),
        "rbac.authorization.k8s.io/v1/Role" => fits::<Role>(document),
        "rbac.authorization.k8s.io/v1/RoleBinding" => fits::<RoleBinding>(document),
        "apiextensions.k8s.io/v1/CustomResourceDefinition" => fits::<CustomResourceDefinition>(document),
        // Read with its defaults, it is not as it was written.
        "keryx.dev/v1alpha1/IPAddressPool" => assert_eq!(keryx_pools::document::read(document.clone()).1, []),
        "keryx.dev/v1alpha1/L2Advertisement" => {
            let object: L2Advertisement = serde_json::from_value(document.clone()).unwrap();
            object.spec.selectors().unwrap();
        }
        "keryx.dev/v1alpha1/BGPPeer" => {
            let object: BGPPeer = serde_json::from_value(document.clone()).unwrap();
            object.spec.selectors().unwrap();
        }
        "keryx.dev/v1alpha1/BGPAdvertisement" => {
            // The API server gives an empty spec to what has none.
            let spec = document.get("spec").cloned().unwrap_or_else(|| json!({}));
            serde_json::from_value::<BGPAdvertisementSpec>(spec).unwrap().selectors().unwrap();
        }
        "keryx.dev/v1alpha1/BFDProfile" => {
            serde_json::from_value::<BFDProfile>(document.clone()).unwrap();
        }
        "keryx.dev/v1alpha1/Community" => {
            let object: Community = serde_json::from_value(document.clone()).unwrap();
            for alias in &object.spec.communities {
                alias.value.parse::<CommunityValue>().unwrap();
            }
        }
        "v1/Secret" => fits::<Secret>(document),
        "gateway.networking.k8s.io/v1/GatewayClass" => fits::<GatewayClass>(document),
        "gateway.networking.k8s.io/v1/Gateway" => fits::<Gateway>(document),
        "gateway.networking.k8s.io/v1/TCPRoute" | "gateway.networking.k8s.io/v1/UDPRoute" => {
            fits::<Route>(document)
        }
        other => panic!("no type is known for {other}"),
    }
}

/// Kind, namespace and name.
fn identity(document: &Value) -> (&str, &str, &str) {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

#[test]
fn every_document_fits_its_kubernetes_type() {
    documents(&manifests().join("install.yaml")).iter().for_each(fits_its_type);
    for (_, documents) in examples() {
        documents.iter().for_each(fits_its_type);
    }
}

#[test]
fn what_the_installation_names_is_part_of_it() {
    let documents = documents(&manifests().join("install.yaml"));
    let present: BTreeSet<_> = documents.iter().map(identity).collect();
    for document in &documents {
        let (kind, namespace, _) = identity(document);
        if let Some(account) = document.pointer("/spec/template/spec/serviceAccountName") {
            assert!(
                present.contains(&("ServiceAccount", namespace, account.as_str().unwrap())),
                "{document:#}"
            );
        }
        if kind.ends_with("Binding") {
            let role = |field: &str| document["roleRef"][field].as_str().unwrap();
            assert!(present.contains(&(role("kind"), namespace, role("name"))), "{document:#}");
            for subject in document["subjects"].as_array().unwrap() {
                assert!(present.contains(&identity_of_subject(subject)), "{document:#}");
            }
        }
        assert!(namespace.is_empty() || present.contains(&("Namespace", "", namespace)), "{document:#}");
    }
}

fn identity_of_subject(subject: &Value) -> (&str, &str, &str) {
    let text = |field: &str| subject[field].as_str().unwrap_or_default();
    (text("kind"), text("namespace"), text("name"))
}

#[test]
fn every_workload_runs_the_image_of_this_version() {
    let documents = documents(&manifests().join("install.yaml"));
    let images: Vec<&str> = documents
        .iter()
        .filter_map(|document| document.pointer("/spec/template/spec/containers/0/image")?.as_str())
        .collect();
    assert_eq!(images, vec![Image::Keryx.reference(); 2]);
}

#[test]
fn the_examples_use_the_names_that_keryx_answers_to() {
    let documents: Vec<Value> = examples().into_iter().flat_map(|(_, documents)| documents).collect();
    let find = |kind: &'static str| documents.iter().filter(move |document| document["kind"] == kind);
    let class = find("GatewayClass").next().unwrap();
    assert_eq!(class["spec"]["controllerName"], names::CONTROLLER_NAME);
    for gateway in find("Gateway") {
        assert_eq!(gateway["spec"]["gatewayClassName"], class["metadata"]["name"]);
    }
    for ranges in find("ConfigMap") {
        assert_eq!(identity(ranges), ("ConfigMap", names::NAMESPACE, names::IPAM_CONFIGMAP));
    }
    for own in documents.iter().filter(|document| document["apiVersion"] == "keryx.dev/v1alpha1") {
        assert_eq!(identity(own).1, names::NAMESPACE);
    }
    let balanced: Vec<&Value> =
        find("Service").filter(|service| service["spec"]["type"] == "LoadBalancer").collect();
    assert!(!balanced.is_empty());
    for service in balanced {
        assert_eq!(service["spec"]["loadBalancerClass"], names::LOAD_BALANCER_CLASS);
        let written = service.pointer("/metadata/annotations").and_then(Value::as_object);
        for name in written.into_iter().flat_map(|annotations| annotations.keys()) {
            assert!(ANNOTATIONS.iter().any(|annotation| annotation.name == name), "{name}");
        }
    }
}

#[test]
fn something_can_be_given_from_every_pool_of_the_examples() {
    for (file, documents) in examples() {
        for document in documents {
            for document in keryx_pools::document::read(document).0 {
                if let Document::Pool(pool) = document {
                    assert_eq!(keryx_pools::object::pool(&pool).problem, None, "{file}");
                }
            }
        }
    }
}

#[test]
fn every_example_brings_what_its_routes_and_services_name() {
    for (file, documents) in examples() {
        let present: BTreeSet<_> = documents.iter().map(identity).collect();
        for route in documents.iter().filter(|document| document["kind"].as_str().unwrap().ends_with("Route"))
        {
            let (_, namespace, _) = identity(route);
            let named = |pointer: &str| route.pointer(pointer).and_then(Value::as_str).unwrap();
            assert!(present.contains(&("Gateway", namespace, named("/spec/parentRefs/0/name"))), "{file}");
            assert!(
                present.contains(&("Service", namespace, named("/spec/rules/0/backendRefs/0/name"))),
                "{file}"
            );
        }
        let images = documents
            .iter()
            .filter_map(|document| document.pointer("/spec/template/spec/containers/0/image"));
        assert!(images.into_iter().all(|image| *image == Image::Echo.reference()), "{file}");
        for service in documents.iter().filter(|document| document["kind"] == "Service") {
            let pods =
                documents.iter().filter_map(|document| document.pointer("/spec/template/metadata/labels"));
            assert!(pods.into_iter().any(|labels| *labels == service["spec"]["selector"]), "{file}");
        }
    }
}
