use serde_json::json;

use super::*;
use crate::schema;

#[test]
fn the_schema_is_as_pinned() {
    insta::assert_snapshot!(schema::outline(&schema::of(&definition())));
}

#[test]
fn the_columns_of_kubectl_are_as_pinned() {
    insta::assert_snapshot!(schema::columns(definition()));
}

#[test]
fn the_names_are_those_of_the_house() {
    schema::check_names(&definition(), DEFINITION, "kpeer");
}

#[test]
fn the_schema_is_one_that_the_api_server_takes() {
    // Times have a rule each: holdTime, keepaliveTime, connectTime, gracefulRestart.restartTime.
    let mut rules = 0;
    schema::walk("", &schema::of(&definition()), &mut |path, schema| {
        assert!(schema["type"].is_string(), "{path} has no type: {schema}");
        rules += usize::from(schema["x-kubernetes-validations"].is_array());
    });
    assert_eq!(rules, 5, "the four times, and the spec as a whole");
}

#[test]
fn a_peer_of_metallb_is_read_as_it_is() {
    let metallb = json!({
        "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "sourceAddress": "192.0.2.2", "peerPort": 1179,
        "holdTime": "1m30s", "keepaliveTime": "30s", "connectTime": "10s", "routerID": "192.0.2.3",
        "nodeSelectors": [{"matchLabels": {"rack": "1"}}], "passwordSecret": {"name": "s"},
        "bfdProfile": "fast", "enableGracefulRestart": true, "ebgpMultiHop": true, "vrf": "red", "disableMP": true,
        "dualStackAddressFamily": true,
    });
    let spec: BGPPeerSpec = serde_json::from_value(metallb.clone()).unwrap();
    assert_eq!(serde_json::to_value(spec).unwrap(), metallb);
    let dynamic = json!({"myASN": 1, "dynamicASN": "internal", "interface": "eth0", "password": "p"});
    let spec: BGPPeerSpec = serde_json::from_value(dynamic.clone()).unwrap();
    assert_eq!(spec.dynamic_asn, Some(DynamicAsn::Internal));
    assert_eq!(serde_json::to_value(spec).unwrap(), dynamic);
}

#[test]
fn times_are_whole_seconds() {
    let rows = [
        ("90s", Some(90)),
        ("1m30s", Some(90)),
        ("2h", Some(7_200)),
        ("0s", Some(0)),
        ("1h1m1s", Some(3_661)),
        ("", None),
        ("90", None),
        ("1.5s", None),
        ("-1s", None),
        ("s", None),
        ("1d", None),
        ("500ms", None),
        ("9999999999s", None),
        ("2000000h", None),
    ];
    for (text, secs) in rows {
        assert_eq!(whole_secs(text), secs, "{text}");
    }
}
