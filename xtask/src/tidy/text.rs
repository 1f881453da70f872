//! Rules about names and text of files: length, lint switches, notes to self, vague names, paths of one machine.

use super::{File, Violation};

/// Longest Rust file, in lines, tests included.
pub const MAX_LINES: usize = 600;

/// The rule that [`length`] checks.
pub const LENGTH: &str =
    "a .rs file has at most 600 lines; split it by subject, or move its tests to a file of their own";
/// The rule that [`lint_switches`] checks.
pub const LINT_SWITCHES: &str = "no lint is switched off silently; use #[expect(LINT, reason = \"...\")]";
/// The rule that [`notes`] checks.
pub const NOTES: &str = "no note to self and no stub stays in the tree; do it now, or open an issue";
/// The rule that [`vague_names`] checks.
pub const VAGUE_NAMES: &str =
    "a file or folder is named after its subject, in the field's words, never after being handy";
/// The rule that [`machine_paths`] checks.
pub const MACHINE_PATHS: &str =
    "no text holds a path of one machine; use a relative path, a variable, or mktemp";

// Spelled in two halves, so that this file does not break its own rules.
const SWITCHES: [&str; 2] = [concat!("#[", "allow("), concat!("#![", "allow(")];
const NOTE_WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const STUB_CALLS: [&str; 2] = [concat!("todo", "!("), concat!("unimplemented", "!(")];
const FOLDERS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/t", "mp/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

const VAGUE_WHOLE: [&str; 10] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers", "stuff", "shared"];
const VAGUE_LAST: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

/// Files of which each line is the work of a tool: check sums and lock files.
fn is_lock(path: &str) -> bool {
    path.ends_with(".sum") || path.ends_with(".lock")
}

/// `.rs` files longer than [`MAX_LINES`].
pub fn length(files: &[File]) -> Vec<Violation> {
    let long = |file: &&File| file.text.as_deref().is_some_and(|text| text.lines().count() > MAX_LINES);
    files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter(long)
        .map(|file| Violation::new(&*file.path, LENGTH))
        .collect()
}

/// Lines that break `rule` because `breaks` says so, in the files that `chosen` picks.
fn lines(
    files: &[File],
    rule: &str,
    chosen: impl Fn(&str) -> bool,
    breaks: impl Fn(&str) -> bool,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| chosen(&file.path)) {
        for (index, line) in file.text.as_deref().unwrap_or_default().lines().enumerate() {
            if breaks(line) {
                found.push(Violation::new(format!("{}:{}", file.path, index + 1), rule));
            }
        }
    }
    found
}

/// Attributes that switch a lint off without a trace.
pub fn lint_switches(files: &[File]) -> Vec<Violation> {
    lines(
        files,
        LINT_SWITCHES,
        |path| path.ends_with(".rs"),
        |line| SWITCHES.iter().any(|switch| line.contains(switch)),
    )
}

/// Notes to self (whole words only) and stubs.
pub fn notes(files: &[File]) -> Vec<Violation> {
    lines(
        files,
        NOTES,
        |path| !is_lock(path),
        |line| {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| NOTE_WORDS.contains(&word)) || STUB_CALLS.iter().any(|call| line.contains(call))
        },
    )
}

/// Files and folders with a name that says nothing about their subject.
pub fn vague_names(files: &[File]) -> Vec<Violation> {
    let vague = |part: &str| {
        let stem = part.split('.').next().unwrap_or_default();
        let last = stem.rsplit(['_', '-']).next().unwrap_or_default();
        VAGUE_WHOLE.contains(&stem) || VAGUE_LAST.contains(&last)
    };
    files
        .iter()
        .filter(|file| file.path.split('/').any(vague))
        .map(|file| Violation::new(&*file.path, VAGUE_NAMES))
        .collect()
}

/// Lines with an absolute path below a folder that differs from machine to machine.
pub fn machine_paths(files: &[File]) -> Vec<Violation> {
    let names_folder = |line: &str| {
        FOLDERS.iter().any(|folder| {
            line.match_indices(folder).any(|(start, _)| {
                // A letter, or the end of a variable, before it makes it the tail of a longer path.
                let before = line[..start].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-})]>*/".contains(c))
            })
        })
    };
    lines(files, MACHINE_PATHS, |path| !is_lock(path), names_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> Vec<File> {
        vec![File::new(path, text)]
    }

    #[test]
    fn a_file_of_601_lines_is_too_long_and_one_of_600_is_not() {
        assert_eq!(length(&one("a.rs", &"x\n".repeat(601))), [Violation::new("a.rs", LENGTH)]);
        assert!(length(&one("a.rs", &"x\n".repeat(600))).is_empty());
        assert!(length(&one("a.md", &"x\n".repeat(601))).is_empty());
    }

    #[test]
    fn a_lint_switched_off_is_found_and_an_expectation_is_not() {
        for switch in SWITCHES {
            let text = format!("fn f() {{}}\n    {switch}dead_code)]");
            assert_eq!(
                lint_switches(&one("a.rs", &text)),
                [Violation::new("a.rs:2", LINT_SWITCHES)],
                "{switch}"
            );
        }
        assert!(lint_switches(&one("a.rs", "#[expect(dead_code, reason = \"x\")]")).is_empty());
    }

    #[test]
    fn notes_and_stubs_are_found_in_every_language() {
        for word in NOTE_WORDS {
            assert_eq!(
                notes(&one("a.sh", &format!("# {word}: later"))),
                [Violation::new("a.sh:1", NOTES)],
                "{word}"
            );
        }
        for call in STUB_CALLS {
            assert_eq!(notes(&one("a.rs", &format!("{call})"))), [Violation::new("a.rs:1", NOTES)], "{call}");
        }
    }

    #[test]
    fn a_template_of_mktemp_and_a_check_sum_are_no_notes() {
        assert!(notes(&one("a.sh", "mktemp -d part.XXXXXX")).is_empty());
        assert!(notes(&one("go.sum", &format!("h1:ab/{}/cd=", NOTE_WORDS[0]))).is_empty());
    }

    #[test]
    fn vague_names_of_files_and_folders_are_found() {
        for path in
            ["src/utils.rs", "src/helper/x.rs", "tests/common/mod.rs", "a/gateway_utils.rs", "manager.rs"]
        {
            assert_eq!(vague_names(&one(path, "")), [Violation::new(path, VAGUE_NAMES)], "{path}");
        }
        for path in ["src/lib.rs", "lab/controller_manager.rs", "commonwealth.md", ".ci/run"] {
            assert!(vague_names(&one(path, "")).is_empty(), "{path}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let [work, tmp, root, home] = FOLDERS;
        let texts =
            [format!("cd {work}x"), format!("`{tmp}x`"), format!("({root}.cache)"), format!("\"{home}me\"")];
        for text in texts {
            assert_eq!(
                machine_paths(&one("a.md", &text)),
                [Violation::new("a.md:1", MACHINE_PATHS)],
                "{text}"
            );
        }
    }

    #[test]
    fn tails_of_longer_paths_and_lock_files_are_no_paths_of_one_machine() {
        let [work, tmp, root, home] = FOLDERS;
        let tails = [
            format!("$1{root}"),
            format!("${{DIR}}{tmp}x"),
            format!("/proc/7{root}etc"),
            format!("a.io{home}x"),
        ];
        for text in
            tails.iter().map(String::as_str).chain([root.trim_end_matches('/'), &work.replace('k', "ds")])
        {
            assert!(machine_paths(&one("a.md", text)).is_empty(), "{text}");
        }
        assert!(machine_paths(&one("go.sum", &format!("h1:+{tmp}x="))).is_empty());
    }
}
