//! Reference pages of Keryx' own kinds, written from their schemas.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use keryx_api::{
    bfd_profile, bgp_advertisement, bgp_peer, community, ip_address_pool, l2_advertisement, speaker_status,
};
use serde_json::Value;

use crate::reference::HEADER;

/// `docs/reference/ipaddresspool.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn ip_address_pool() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: IPAddressPool\n\
                   metadata:\n\
                   \x20 name: edge\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 addresses:\n\
                   \x20 - 192.0.2.200-192.0.2.220\n\
                   \x20 - 2001:db8::200/121\n";
    page(&ip_address_pool::definition(), example)
}

/// `docs/reference/l2advertisement.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn l2_advertisement() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: L2Advertisement\n\
                   metadata:\n\
                   \x20 name: edge\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 ipAddressPools:\n\
                   \x20 - edge\n\
                   \x20 nodeSelectors:\n\
                   \x20 - matchLabels:\n\
                   \x20     example.com/rack: \"1\"\n\
                   \x20 interfaces:\n\
                   \x20 - eth1\n";
    page(&l2_advertisement::definition(), example)
}

/// `docs/reference/bgppeer.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn bgp_peer() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: BGPPeer\n\
                   metadata:\n\
                   \x20 name: tor\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 myASN: 64512\n\
                   \x20 peerASN: 64513\n\
                   \x20 peerAddress: 192.0.2.254\n\
                   \x20 passwordSecret:\n\
                   \x20   name: tor\n\
                   \x20 bfdProfile: fast\n";
    page(&bgp_peer::definition(), example)
}

/// `docs/reference/bgpadvertisement.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn bgp_advertisement() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: BGPAdvertisement\n\
                   metadata:\n\
                   \x20 name: edge\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 ipAddressPools:\n\
                   \x20 - edge\n\
                   \x20 peers:\n\
                   \x20 - tor\n\
                   \x20 communities:\n\
                   \x20 - \"64512:100\"\n";
    page(&bgp_advertisement::definition(), example)
}

/// `docs/reference/bfdprofile.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn bfd_profile() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: BFDProfile\n\
                   metadata:\n\
                   \x20 name: fast\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 transmitInterval: 50\n\
                   \x20 receiveInterval: 50\n\
                   \x20 detectMultiplier: 3\n";
    page(&bfd_profile::definition(), example)
}

/// `docs/reference/community.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn community() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: Community\n\
                   metadata:\n\
                   \x20 name: names\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 communities:\n\
                   \x20 - name: cheap\n\
                   \x20   value: \"64512:100\"\n";
    page(&community::definition(), example)
}

/// `docs/reference/speakerstatus.md`.
///
/// # Errors
/// If the definition has no schema.
pub fn speaker_status() -> Result<String> {
    let example = "apiVersion: keryx.dev/v1alpha1\n\
                   kind: SpeakerStatus\n\
                   metadata:\n\
                   \x20 name: n1\n\
                   \x20 namespace: keryx-system\n\
                   spec:\n\
                   \x20 node: n1\n\
                   status:\n\
                   \x20 announced: 12\n\
                   \x20 members: 2\n\
                   \x20 conflicting: 0\n";
    page(&speaker_status::definition(), example)
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
    for line in example.lines() {
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
        let page = ip_address_pool().unwrap();
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
        let page = ip_address_pool().unwrap();
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
