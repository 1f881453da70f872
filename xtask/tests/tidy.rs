//! The rules of the house, applied to this repository.

#![expect(clippy::unwrap_used, reason = "a test program: an unwrap that fails is the failure")]

use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::generate;
use xtask::tidy::walls::{self, Metadata, WALLS};
use xtask::tidy::{File, Violation, orphans, text};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Files that git tracks or would track.
fn files() -> Vec<File> {
    let list = output("git", &["ls-files", "-co", "--exclude-standard"]);
    let existing = list.lines().filter(|path| root().join(path).is_file());
    let read =
        |path: &str| File { path: path.to_owned(), text: std::fs::read_to_string(root().join(path)).ok() };
    let files: Vec<File> = existing.map(read).collect();
    assert!(files.iter().any(|file| file.path == "xtask/tests/tidy.rs"), "git lists no files here");
    files
}

fn metadata() -> Metadata {
    metadata_of("Cargo.toml")
}

fn metadata_of(manifest: &str) -> Metadata {
    let arguments =
        ["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path", manifest];
    Metadata::parse(&output(env!("CARGO"), &arguments)).unwrap()
}

/// Roots of all targets, those of the fuzzers among them, which are a workspace of their own.
fn target_roots() -> Vec<String> {
    let of_fuzzers = metadata_of("fuzz/Cargo.toml").target_roots();
    let of_fuzzers = of_fuzzers.iter().map(|root| format!("fuzz/{root}"));
    metadata().target_roots().into_iter().chain(of_fuzzers).collect()
}

fn none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn every_crate_has_its_walls() {
    none(&walls::unlisted(&metadata(), WALLS));
}

#[test]
fn no_crate_depends_on_what_its_wall_leaves_out() {
    none(&walls::direct(&metadata(), WALLS));
}

#[test]
fn no_crate_reaches_over_its_wall() {
    // One crate at a time: features unified over the workspace would show edges that are not there.
    for wall in WALLS {
        let tree = output(
            env!("CARGO"),
            &["tree", "-p", wall.name, "-e", "normal", "--prefix", "none", "--offline"],
        );
        assert!(tree.starts_with(wall.name), "{tree}");
        none(&walls::reached(wall, &tree));
    }
}

#[test]
fn no_rust_file_is_an_orphan() {
    none(&orphans::orphans(&files(), &target_roots()));
}

#[test]
fn no_rust_file_is_too_long() {
    none(&text::length(&files()));
}

#[test]
fn no_lint_is_switched_off_silently() {
    none(&text::lint_switches(&files()));
}

#[test]
fn no_note_to_self_and_no_stub_is_left() {
    none(&text::notes(&files()));
}

#[test]
fn no_file_has_a_vague_name() {
    none(&text::vague_names(&files()));
}

#[test]
fn no_text_holds_a_path_of_one_machine() {
    none(&text::machine_paths(&files()));
}

#[test]
fn generated_files_are_up_to_date() {
    none(&generate::stale(&generate::files().unwrap(), |path| {
        std::fs::read_to_string(root().join(path)).ok()
    }));
}
