use serde_json::json;

use super::*;

fn pool(spec: Value) -> Value {
    json!({"apiVersion": "keryx.dev/v1alpha1", "kind": "IPAddressPool", "metadata": {"name": "edge"}, "spec": spec})
}

fn errors(document: Value) -> Vec<String> {
    read(document).1.iter().map(ToString::to_string).collect()
}

#[test]
fn pools_config_maps_and_lists_of_them_are_read_and_others_named() {
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keryx", "namespace": "keryx-system"},
        "data": {"range-global": "192.0.2.1"},
    });
    let other = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [config_map, pool(json!({"addresses": ["192.0.2.1"]})), other]});
    let (documents, errors) = read(list);
    assert_eq!(errors, []);
    let [Document::ConfigMap { namespace, name, data }, Document::Pool(pool), Document::Other { what }] =
        &documents[..]
    else {
        panic!("{documents:?}")
    };
    assert_eq!((namespace.as_deref(), name.as_str()), (Some("keryx-system"), "keryx"));
    assert_eq!(data["range-global"], "192.0.2.1");
    assert_eq!(pool.spec.addresses, ["192.0.2.1"]);
    assert_eq!(what, "Service web");
    assert_eq!(read(Value::Null), (Vec::new(), Vec::new()));
}

#[test]
fn what_cannot_be_used_says_how_to_write_it() {
    let metallb = json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "edge"}, "spec": {}});
    assert_eq!(
        errors(metallb),
        ["IPAddressPool edge is of metallb.io/v1beta1; write apiVersion: keryx.dev/v1alpha1"]
    );
    assert_eq!(
        errors(json!({"a": 1}))[0],
        "a document has no kind; write whole objects, with apiVersion, kind and metadata"
    );
    assert_eq!(errors(json!({"kind": "Pod"})), ["Pod without a name; give it metadata.name"]);
    assert_eq!(
        errors(pool(json!({"addresses": ["192.0.2.1"], "autoAsign": true}))),
        ["IPAddressPool edge: spec.autoAsign: unknown field; did you mean autoAssign?"]
    );
    let unquoted = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keryx"}, "data": {"skip-end-ips-in-cidr": true},
    });
    assert_eq!(
        errors(unquoted),
        ["ConfigMap keryx: data.skip-end-ips-in-cidr: true is no string; put it in quotes"]
    );
}

#[test]
fn a_pool_with_a_field_that_would_be_dropped_is_read_all_the_same() {
    let (documents, errors) = read(pool(json!({"addresses": ["192.0.2.1"], "autoAsign": true})));
    assert_eq!((documents.len(), errors.len()), (1, 1));
    let (documents, errors) = read(pool(json!({"addresses": 7})));
    assert_eq!((documents.len(), errors.len()), (0, 1));
}
