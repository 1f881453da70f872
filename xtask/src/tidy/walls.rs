//! Which crate may use what. The walls are the Cargo.toml files; this table says where they must stand.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Violation;

/// The walls of one crate.
#[derive(Clone, Copy, Debug)]
pub struct Wall {
    /// Package name.
    pub name: &'static str,
    /// If given, the only packages that may be direct dependencies.
    pub only: Option<&'static [&'static str]>,
    /// Packages that may not be reached, at whatever distance.
    pub never: &'static [&'static [&'static str]],
    /// Why, as the second half of "CRATE must not reach X: ...".
    pub why: &'static str,
}

const ASYNC: &[&str] = &["tokio", "mio", "async-io", "smol"];
const CLIENT: &[&str] = &["kube-client", "kube-runtime", "hyper", "rustls"];
const KUBERNETES: &[&str] =
    &["kube", "kube-core", "kube-client", "kube-runtime", "k8s-openapi", "gateway-api"];
const SOCKETS: &[&str] = &["socket2", "nix", "rustix", "rtnetlink", "netlink-sys"];
const LIBC: &[&str] = &["libc"];
const CLOCKS: &[&str] = &["jiff", "chrono", "time"];
const RANDOM: &[&str] = &["getrandom", "rand", "fastrand"];

const DECISIONS: &[&str] = &["keryx-ipam", "keryx-pools", "keryx-gateway", "keryx-plan", "keryx-dataplane"];
const PROTOCOLS: &[&str] = &["keryx-layer2", "keryx-membership", "keryx-bfd", "keryx-bgp"];
const SPEAKER_SIDE: &[&str] = &[
    "keryx-plan",
    "keryx-dataplane",
    "keryx-layer2",
    "keryx-membership",
    "keryx-bfd",
    "keryx-bgp",
    "keryx-netio",
];
const CONTROLLER_SIDE: &[&str] = &["keryx-ipam", "keryx-pools", "keryx-gateway"];
const PROGRAMS: &[&str] = &["keryx-controller", "keryx-speaker", "keryx-cli", "keryx-daemon"];
const API: &[&str] = &["keryx-api"];
const NETIO: &[&str] = &["keryx-netio"];
const LAB: &[&str] = &["keryx-lab"];

const PURE: &[&[&str]] = &[ASYNC, KUBERNETES, CLIENT, SOCKETS, LIBC, CLOCKS, RANDOM];
/// Kubernetes types need a time type, so `jiff` is reached there; clippy.toml bans its clocks.
const PURE_WITH_TYPES: &[&[&str]] = &[ASYNC, CLIENT, SOCKETS, RANDOM];
const PURE_WHY: &str = "it decides or speaks a protocol from what it is given, without I/O, clock or chance";
const DAEMON_WHY: &str = "controller and speakers share objects in the cluster, not code that decides";
const LAB_WHY: &str = "what tests Keryx must not share its mistakes";

/// The table of ARCHITECTURE.md, in its order. Every package of the workspace below `crates/` has a row.
pub const WALLS: &[Wall] = &[
    Wall {
        name: "keryx-ipam",
        only: Some(&["hashbrown", "ipnet", "thiserror", "tracing"]),
        never: PURE,
        why: PURE_WHY,
    },
    Wall {
        name: "keryx-layer2",
        only: Some(&["etherparse", "ipnet", "pnet_base", "pnet_packet", "thiserror", "tracing"]),
        never: PURE,
        why: PURE_WHY,
    },
    Wall {
        name: "keryx-membership",
        only: Some(&["ipnet", "ring", "thiserror"]),
        // ring reaches libc for the processor's features, and getrandom for its own generator, which nobody here uses;
        // neither opens a source of chance here.
        never: &[ASYNC, KUBERNETES, CLIENT, SOCKETS, CLOCKS],
        why: PURE_WHY,
    },
    Wall { name: "keryx-bfd", only: Some(&["thiserror", "tracing"]), never: PURE, why: PURE_WHY },
    Wall { name: "keryx-bgp", only: Some(&["ipnet", "thiserror", "tracing"]), never: PURE, why: PURE_WHY },
    Wall {
        name: "keryx-dataplane",
        only: Some(&["ipnet", "thiserror", "tracing"]),
        never: PURE,
        why: PURE_WHY,
    },
    Wall {
        name: "keryx-pools",
        only: Some(&["ipnet", "k8s-openapi", "keryx-api", "keryx-ipam", "serde_json", "thiserror"]),
        never: PURE_WITH_TYPES,
        why: PURE_WHY,
    },
    Wall {
        name: "keryx-gateway",
        only: Some(&["gateway-api", "ipnet", "k8s-openapi", "keryx-api", "serde_json", "sha2", "thiserror"]),
        never: PURE_WITH_TYPES,
        why: PURE_WHY,
    },
    Wall {
        name: "keryx-plan",
        only: Some(&["ipnet", "k8s-openapi", "keryx-api", "kube", "serde", "sha2", "thiserror"]),
        never: PURE_WITH_TYPES,
        why: PURE_WHY,
    },
    Wall {
        name: "keryx-api",
        only: Some(&["gateway-api", "k8s-openapi", "kube", "schemars", "serde", "serde_json"]),
        never: PURE_WITH_TYPES,
        why: "it holds names and types only",
    },
    Wall {
        name: "keryx-netio",
        only: None,
        never: &[KUBERNETES, API, DECISIONS, PROTOCOLS, PROGRAMS, LAB],
        why: "it moves bytes and knows neither Kubernetes nor what the bytes mean",
    },
    Wall {
        name: "keryx-daemon",
        only: None,
        never: &[API, DECISIONS, PROTOCOLS, NETIO, LAB],
        why: "it is what both daemons run on, and nothing in it decides",
    },
    Wall { name: "keryx-controller", only: None, never: &[SPEAKER_SIDE, LAB], why: DAEMON_WHY },
    Wall { name: "keryx-speaker", only: None, never: &[CONTROLLER_SIDE, LAB], why: DAEMON_WHY },
    Wall {
        name: "keryx-cli",
        only: None,
        never: &[NETIO, PROTOCOLS, LAB],
        why: "it asks the API server and the speakers, and sends no packet itself",
    },
    Wall {
        name: "keryx-lab",
        only: None,
        never: &[API, DECISIONS, PROTOCOLS, NETIO, PROGRAMS],
        why: LAB_WHY,
    },
    Wall {
        name: "keryx-lab-echo",
        only: None,
        never: &[API, DECISIONS, PROTOCOLS, NETIO, PROGRAMS, KUBERNETES],
        why: LAB_WHY,
    },
];

/// A package of the workspace, as far as the rules look at it.
#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Absolute path of its Cargo.toml.
    pub manifest_path: String,
    /// Dependencies of all kinds.
    pub dependencies: Vec<Dependency>,
    /// Everything that cargo builds of it.
    pub targets: Vec<Target>,
}

/// A dependency as declared.
#[derive(Clone, Debug, Deserialize)]
pub struct Dependency {
    /// Package name.
    pub name: String,
    /// `None` for a normal one, else `dev` or `build`.
    pub kind: Option<String>,
}

/// A target.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Absolute path of its root file.
    pub src_path: String,
}

/// The output of `cargo metadata --no-deps --format-version 1`.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    /// The workspace's packages.
    pub packages: Vec<Package>,
    /// Absolute path of the workspace.
    pub workspace_root: String,
}

impl Metadata {
    /// Reads cargo's JSON.
    ///
    /// # Errors
    /// If it is not that of `cargo metadata`.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).context("failed to read the output of cargo metadata")
    }

    /// Roots of all targets, as paths from the workspace's root.
    pub fn target_roots(&self) -> Vec<String> {
        let inside =
            |path: &str| path.strip_prefix(&self.workspace_root)?.strip_prefix('/').map(str::to_owned);
        self.packages
            .iter()
            .flat_map(|package| &package.targets)
            .filter_map(|t| inside(&t.src_path))
            .collect()
    }
}

/// Packages below `crates/` without a row in `walls`, and rows without a package.
pub fn unlisted(metadata: &Metadata, walls: &[Wall]) -> Vec<Violation> {
    const RULE: &str = "every crate below crates/ has a row in the table of walls, and every row a crate";
    let crates = format!("{}/crates/", metadata.workspace_root);
    let present: BTreeSet<&str> = metadata
        .packages
        .iter()
        .filter(|package| package.manifest_path.starts_with(&crates))
        .map(|package| package.name.as_str())
        .collect();
    let listed: BTreeSet<&str> = walls.iter().map(|wall| wall.name).collect();
    present.symmetric_difference(&listed).map(|name| Violation::new(*name, RULE)).collect()
}

/// Direct normal dependencies that a crate with a closed list does not list.
pub fn direct(metadata: &Metadata, walls: &[Wall]) -> Vec<Violation> {
    let mut found = Vec::new();
    for wall in walls {
        let Some(only) = wall.only else { continue };
        let packages = metadata.packages.iter().filter(|package| package.name == wall.name);
        for dependency in packages.flat_map(|package| &package.dependencies) {
            if dependency.kind.is_none() && !only.contains(&dependency.name.as_str()) {
                found.push(Violation::new(
                    format!("{} -> {}", wall.name, dependency.name),
                    format!("{} uses only {}: {}", wall.name, only.join(", "), wall.why),
                ));
            }
        }
    }
    found
}

/// Forbidden packages in `tree`, the output of `cargo tree -p CRATE -e normal --prefix none` for the crate of `wall`.
pub fn reached(wall: &Wall, tree: &str) -> Vec<Violation> {
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let forbidden = wall.never.iter().copied().flatten();
    forbidden
        .filter(|name| **name != wall.name && packages.contains(**name))
        .map(|name| {
            let rule = format!("{} must not reach {name}: {}", wall.name, wall.why);
            Violation::new(format!("{} -> {name}", wall.name), rule)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Wall =
        Wall { name: "pure", only: Some(&["ipnet"]), never: &[&["tokio"], &["libc"]], why: "it is pure" };

    fn metadata(dependencies: &str) -> Metadata {
        Metadata::parse(&format!(
            r#"{{"workspace_root": "/w", "packages": [{{"name": "pure", "manifest_path": "/w/crates/pure/Cargo.toml",
                "dependencies": [{dependencies}], "targets": [{{"src_path": "/w/crates/pure/src/lib.rs"}}]}}]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_direct_dependency_outside_the_list_is_found_and_the_message_is_the_rule() {
        let found =
            direct(&metadata(r#"{"name": "ipnet", "kind": null}, {"name": "kube", "kind": null}"#), &[WALL]);
        assert_eq!(found, [Violation::new("pure -> kube", "pure uses only ipnet: it is pure")]);
    }

    #[test]
    fn a_listed_and_a_dev_dependency_are_no_violation() {
        let metadata = metadata(r#"{"name": "ipnet", "kind": null}, {"name": "proptest", "kind": "dev"}"#);
        assert!(direct(&metadata, &[WALL]).is_empty());
    }

    #[test]
    fn a_forbidden_package_is_found_at_any_distance() {
        let tree = "pure v0.1.0 (/w/crates/pure)\nipnet v2.12.2\ntokio v1.47.0 (*)\n";
        assert_eq!(
            reached(&WALL, tree),
            [Violation::new("pure -> tokio", "pure must not reach tokio: it is pure")]
        );
    }

    #[test]
    fn a_package_whose_name_only_begins_alike_is_no_violation() {
        assert!(reached(&WALL, "pure v0.1.0\ntokio-macros v2.5.0\n").is_empty());
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        let other = Wall { name: "other", ..WALL };
        let places: Vec<_> = unlisted(&metadata(""), &[other]).into_iter().map(|v| v.place).collect();
        assert_eq!(places, ["other", "pure"]);
        assert!(unlisted(&metadata(""), &[WALL]).is_empty());
    }

    #[test]
    fn target_roots_are_paths_from_the_workspace_root() {
        assert_eq!(metadata("").target_roots(), ["crates/pure/src/lib.rs"]);
    }
}
