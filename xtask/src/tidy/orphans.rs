//! Rust files that no target compiles: cargo never mentions them, so they rot unseen.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, Violation};

/// The rule that [`orphans`] checks.
pub const RULE: &str =
    "every .rs file is compiled: it is a target of its package or declared by a mod of a compiled file";

/// `.rs` files that can be reached neither as one of `targets` (paths of target roots) nor by a chain of `mod NAME;`.
/// A `mod` inside an inline module, and `#[path]`, are not followed: the house does without both.
pub fn orphans(files: &[File], targets: &[String]) -> Vec<Violation> {
    let sources: BTreeMap<&str, &str> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| (file.path.as_str(), file.text.as_deref().unwrap_or_default()))
        .collect();
    let mut compiled: BTreeSet<String> = BTreeSet::new();
    let mut waiting: Vec<(String, String)> =
        targets.iter().map(|root| (root.clone(), parent(root).to_owned())).collect();
    while let Some((path, folder)) = waiting.pop() {
        let Some(text) = sources.get(path.as_str()) else { continue };
        if !compiled.insert(path) {
            continue;
        }
        for name in declared(text) {
            waiting.push((format!("{folder}/{name}.rs"), format!("{folder}/{name}")));
            waiting.push((format!("{folder}/{name}/mod.rs"), format!("{folder}/{name}")));
        }
    }
    sources.keys().filter(|path| !compiled.contains(**path)).map(|path| Violation::new(*path, RULE)).collect()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Names in lines of the form `[pub[(..)]] mod NAME;`.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(';')?;
        let (visibility, name) =
            line.strip_prefix("mod ").map(|name| ("", name)).or_else(|| line.split_once(" mod "))?;
        let plain = visibility.is_empty() || visibility == "pub" || visibility.starts_with("pub(");
        plain.then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], targets: &[&str]) -> Vec<String> {
        let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
        let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
        orphans(&files, &targets).into_iter().map(|violation| violation.place).collect()
    }

    #[test]
    fn a_file_that_no_mod_declares_is_found() {
        let files = [("a/src/lib.rs", "mod known;"), ("a/src/known.rs", ""), ("a/src/forgotten.rs", "")];
        assert_eq!(found(&files, &["a/src/lib.rs"]), ["a/src/forgotten.rs"]);
    }

    #[test]
    fn a_file_that_only_an_orphan_declares_is_found_too() {
        let files = [("a/src/lib.rs", ""), ("a/src/x.rs", "mod y;"), ("a/src/x/y.rs", "")];
        assert_eq!(found(&files, &["a/src/lib.rs"]), ["a/src/x.rs", "a/src/x/y.rs"]);
    }

    #[test]
    fn a_mod_in_a_comment_declares_nothing() {
        assert_eq!(
            found(&[("a/src/lib.rs", "// mod x;"), ("a/src/x.rs", "")], &["a/src/lib.rs"]),
            ["a/src/x.rs"]
        );
    }

    #[test]
    fn targets_nested_modules_and_every_visibility_are_compiled() {
        let files = [
            ("a/src/lib.rs", "pub mod x;\n#[cfg(test)]\nmod tests;"),
            ("a/src/tests.rs", ""),
            ("a/src/x.rs", "pub(crate) mod y;\npub(in crate::x) mod z;"),
            ("a/src/x/y.rs", ""),
            ("a/src/x/z/mod.rs", "mod w;"),
            ("a/src/x/z/w.rs", ""),
            ("a/tests/one.rs", "mod shapes;"),
            ("a/tests/shapes.rs", ""),
            ("docs/page.md", "not Rust"),
        ];
        assert!(found(&files, &["a/src/lib.rs", "a/tests/one.rs"]).is_empty());
    }
}
