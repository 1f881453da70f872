//! Reference pages of Keryx' own kinds, written from their schemas.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keryx_api::{
    bfd_profile, bgp_advertisement, bgp_peer, community, ip_address_pool, l2_advertisement, speaker_status,
};
use serde_json::Value;

use crate::reference::HEADER;

/// Where a page stands, the definition of its kind, and the smallest example.
type Page = (&'static str, fn() -> CustomResourceDefinition, &'static str);

/// All of them.
const PAGES: [Page; 7] = [
    (
        "docs/reference/ipaddresspool.md",
        ip_address_pool::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: IPAddressPool
metadata:
  name: edge
  namespace: keryx-system
spec:
  addresses:
  - 192.0.2.200-192.0.2.220
  - 2001:db8::200/121
"#,
    ),
    (
        "docs/reference/l2advertisement.md",
        l2_advertisement::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: L2Advertisement
metadata:
  name: edge
  namespace: keryx-system
spec:
  ipAddressPools:
  - edge
  nodeSelectors:
  - matchLabels:
      example.com/rack: "1"
  interfaces:
  - eth1
"#,
    ),
    (
        "docs/reference/bgppeer.md",
        bgp_peer::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: BGPPeer
metadata:
  name: tor
  namespace: keryx-system
spec:
  myASN: 64512
  peerASN: 64513
  peerAddress: 192.0.2.254
  passwordSecret:
    name: tor
  bfdProfile: fast
"#,
    ),
    (
        "docs/reference/bgpadvertisement.md",
        bgp_advertisement::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: BGPAdvertisement
metadata:
  name: edge
  namespace: keryx-system
spec:
  ipAddressPools:
  - edge
  peers:
  - tor
  communities:
  - "64512:100"
"#,
    ),
    (
        "docs/reference/bfdprofile.md",
        bfd_profile::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: BFDProfile
metadata:
  name: fast
  namespace: keryx-system
spec:
  transmitInterval: 50
  receiveInterval: 50
  detectMultiplier: 3
"#,
    ),
    (
        "docs/reference/community.md",
        community::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: Community
metadata:
  name: names
  namespace: keryx-system
spec:
  communities:
  - name: cheap
    value: "64512:100"
"#,
    ),
    (
        "docs/reference/speakerstatus.md",
        speaker_status::definition,
        r#"
apiVersion: keryx.dev/v1alpha1
kind: SpeakerStatus
metadata:
  name: n1
  namespace: keryx-system
spec:
  node: n1
status:
  announced: 12
  members: 2
  conflicting: 0
"#,
    ),
];

/// The reference pages of all kinds, each with its path.
///
/// # Errors
/// If a definition has no schema.
pub fn pages() -> Result<Vec<(&'static str, String)>> {
    PAGES.iter().map(|(path, definition, example)| Ok((*path, page(&definition(), example)?))).collect()
}

/// The page of one kind: what it is, the smallest example, and a row for each field.
fn page(definition: &CustomResourceDefinition, example: &str) -> Result<String> {
    let names = &definition.spec.names;
    let version = definition.spec.versions.first().context("the definition has no version")?;
    let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
    let schema = serde_json::to_value(schema.context("the version has no schema")?)?;
    let mut page = format!("{HEADER}# {}\n\n{}\n\n", names.kind, text(&schema["description"]));
    let short =
        names.short_names.iter().flatten().map(|name| format!(", short `{name}`")).collect::<String>();
    let _ = writeln!(page, "`{}/{}`, `{}`{short}.\n", definition.spec.group, version.name, names.plural);
    for line in example.trim_start().lines() {
        let _ = writeln!(page, "    {line}");
    }
    for part in ["spec", "status"] {
        let _ = write!(
            page,
            "\n## {part}\n\n| field | type | default | limits | meaning |\n|---|---|---|---|---|\n"
        );
        rows(&mut page, "", &schema["properties"][part]);
    }
    Ok(page)
}

/// A row for each property of `schema`, those of the house's own structures below them.
fn rows(page: &mut String, prefix: &str, schema: &Value) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let required =
            schema["required"].as_array().is_some_and(|names| names.contains(&name.as_str().into()));
        let default = match property.get("default") {
            None if required => "required".to_owned(),
            None => String::new(),
            Some(default) => format!("`{}`", default.to_string().trim_matches('"')),
        };
        let _ = writeln!(
            page,
            "| `{prefix}{name}` | {} | {default} | {} | {} |",
            type_of(property),
            limits(property),
            text(&property["description"])
        );
        if property["properties"].is_object() {
            rows(page, &format!("{prefix}{name}."), property);
        }
    }
}

/// The type in words.
fn type_of(schema: &Value) -> String {
    let items = &schema["items"];
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", text(value))).collect();
        return values.join(", ");
    }
    match text(&schema["type"]).as_str() {
        "array" if items["properties"]["matchLabels"].is_object() => "list of label selectors".to_owned(),
        "array" if items["properties"]["lastTransitionTime"].is_object() => "list of conditions".to_owned(),
        "array" => format!("list of {}s", text(&items["type"])),
        other => other.to_owned(),
    }
}

/// Numbers of entries and lengths, and what the rules ask for.
fn limits(schema: &Value) -> String {
    let mut limits = Vec::new();
    match (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64()) {
        (0, Some(most)) => limits.push(format!("up to {most}")),
        (least, Some(most)) => limits.push(format!("{least} to {most}")),
        _ => {}
    }
    if schema["x-kubernetes-list-type"] == "set" {
        limits.push("no two equal".to_owned());
    }
    if let Some(least) = schema["minimum"].as_f64() {
        limits.push(format!("at least {least}"));
    }
    for place in [schema, &schema["items"]] {
        let rules = place["x-kubernetes-validations"].as_array();
        limits.extend(rules.into_iter().flatten().map(|rule| text(&rule["message"])));
    }
    limits.join("; ")
}

/// `value` as one line that does not break a table's row.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_row_with_its_meaning() {
        let page = page(&ip_address_pool::definition(), "").unwrap();
        for field in ["addresses", "reuseAfter", "serviceAllocation.priority", "ipv6.available", "conditions"]
        {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{field}` |")));
            let row = row.unwrap_or_else(|| panic!("no row for {field} in {page}"));
            assert_eq!(row.matches(" | ").count(), 4, "{row}");
            assert!(!row.ends_with("|  |"), "{row}");
        }
    }

    #[test]
    fn defaults_enumerations_and_limits_are_told() {
        let page = page(&ip_address_pool::definition(), "").unwrap();
        assert!(page.contains("| `order` | `Lowest`, `Highest` | `Lowest` |"), "{page}");
        assert!(page.contains("| `autoAssign` | boolean | `true` |"), "{page}");
        assert!(
            page.contains("| `addresses` | list of strings | required | 1 to 256; no two equal; "),
            "{page}"
        );
        assert!(
            page.contains("| `serviceAllocation.namespaceSelectors` | list of label selectors |"),
            "{page}"
        );
    }
}
