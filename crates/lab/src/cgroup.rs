//! The cgroups of the nodes. Version 1 has one tree per controller, version 2 has one for all; a hybrid host has the
//! trees of version 1 and an almost empty one of version 2 beside them. Only groups of our own are made, and removed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};

const ROOT: &str = "/sys/fs/cgroup";

/// Controllers that a kubelet asks for on version 2; it refuses to start without the first four.
const WANTED: [&str; 6] = ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"];
const NEEDED: usize = 4;

/// How the host's cgroups are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// One folder per tree, version 1 or hybrid.
    V1(Vec<PathBuf>),
    /// The only tree.
    V2(PathBuf),
}

impl Cgroups {
    /// Those of this host.
    pub(crate) fn of_host() -> Result<Cgroups> {
        let root = Path::new(ROOT);
        if is(root, &[CGROUP2_SUPER_MAGIC]) {
            return Ok(Cgroups::V2(root.to_owned()));
        }
        let mut trees = BTreeSet::new();
        for entry in fs::read_dir(root).with_context(|| format!("{ROOT} cannot be read"))? {
            let path = entry?.path();
            // `cpu` is often a link to `cpu,cpuacct`, which is one tree.
            let tree = path.canonicalize().unwrap_or(path);
            if is(&tree, &[CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC]) {
                trees.insert(tree);
            }
        }
        if trees.is_empty() {
            bail!("no cgroups below {ROOT}; remedy: mount -t cgroup2 none {ROOT}");
        }
        Ok(Cgroups::V1(trees.into_iter().collect()))
    }

    /// Makes the group `name`, at the top of every tree, ready to hold a node's pods.
    pub(crate) fn create(&self, name: &str) -> Result<()> {
        match self {
            Cgroups::V1(trees) => trees.iter().try_for_each(|tree| create_v1(tree, name)),
            Cgroups::V2(tree) => create_v2(tree, name),
        }
        .with_context(|| format!("cgroup {name} cannot be made"))
    }

    /// The processes in groups whose name starts so, and in the groups below them.
    pub(crate) fn processes(&self, prefix: &str) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        for group in self.groups(prefix) {
            for_each_below(&group, &mut |folder| {
                let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
                found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
            });
        }
        found
    }

    /// Removes the groups whose name starts so, and those below them. Fails while there are processes in one.
    pub(crate) fn remove(&self, prefix: &str) -> io::Result<()> {
        let mut result = Ok(());
        for group in self.groups(prefix) {
            for_each_below(&group, &mut |folder| {
                if let Err(error) = fs::remove_dir(folder)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    result = Err(io::Error::new(error.kind(), format!("{}: {error}", folder.display())));
                }
            });
        }
        result
    }

    fn groups(&self, prefix: &str) -> Vec<PathBuf> {
        let trees = match self {
            Cgroups::V1(trees) => trees.as_slice(),
            Cgroups::V2(tree) => std::slice::from_ref(tree),
        };
        let entries = trees.iter().filter_map(|tree| fs::read_dir(tree).ok()).flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        ours.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }
}

fn create_v1(tree: &Path, name: &str) -> Result<()> {
    let group = tree.join(name);
    fs::create_dir_all(&group)?;
    // A new group has no processors and no memory, so nothing could run in it.
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if tree.join(file).exists() {
            fs::write(group.join(file), fs::read(tree.join(file))?)?;
        }
    }
    Ok(())
}

fn create_v2(tree: &Path, name: &str) -> Result<()> {
    let offered = fs::read_to_string(tree.join("cgroup.controllers"))?;
    let offered: BTreeSet<_> = offered.split_whitespace().collect();
    if let Some(missing) = WANTED[..NEEDED].iter().find(|wanted| !offered.contains(*wanted)) {
        bail!("{} does not offer the controller '{missing}', which a kubelet needs", tree.display());
    }
    let enable: Vec<_> =
        WANTED.iter().filter(|wanted| offered.contains(*wanted)).map(|c| format!("+{c}")).collect();
    let group = tree.join(name);
    fs::create_dir_all(&group)?;
    for folder in [tree, &group] {
        fs::write(folder.join("cgroup.subtree_control"), enable.join(" "))?;
    }
    Ok(())
}

/// Calls `visit` for a folder and all below it, children first.
fn for_each_below(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            for_each_below(&entry.path(), visit);
        }
    }
    visit(folder);
}

fn is(path: &Path, kinds: &[FsType]) -> bool {
    statfs(path).is_ok_and(|found| kinds.contains(&found.filesystem_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_version_1_gets_the_processors_of_its_tree() {
        let host = tempfile::tempdir().unwrap();
        let trees = ["cpuset", "memory"].map(|tree| host.path().join(tree));
        trees.iter().for_each(|tree| fs::create_dir(tree).unwrap());
        fs::write(trees[0].join("cpuset.cpus"), "0-1\n").unwrap();
        fs::write(trees[0].join("cpuset.mems"), "0\n").unwrap();
        Cgroups::V1(trees.to_vec()).create("kx1-n1").unwrap();
        assert_eq!(fs::read_to_string(trees[0].join("kx1-n1/cpuset.cpus")).unwrap(), "0-1\n");
        assert!(trees[1].join("kx1-n1").is_dir());
    }

    #[test]
    fn a_group_of_version_2_hands_on_what_the_tree_offers() {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("cgroup.controllers"), "cpuset cpu io memory rdma pids\n").unwrap();
        Cgroups::V2(tree.path().to_owned()).create("kx1-n1").unwrap();
        for folder in [tree.path().to_owned(), tree.path().join("kx1-n1")] {
            let enabled = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap();
            assert_eq!(enabled, "+cpu +cpuset +memory +pids +io");
        }
    }

    #[test]
    fn a_tree_of_version_2_without_a_needed_controller_is_refused_by_its_name() {
        let tree = tempfile::tempdir().unwrap();
        fs::write(tree.path().join("cgroup.controllers"), "hugetlb cpu cpuset memory\n").unwrap();
        let error = Cgroups::V2(tree.path().to_owned()).create("kx1-n1").unwrap_err();
        assert!(format!("{error:#}").contains("'pids'"), "{error:#}");
    }

    #[test]
    fn only_groups_of_the_prefix_are_listed_and_removed() {
        let tree = tempfile::tempdir().unwrap();
        for group in ["kx1-n1/kubepods/pod1", "kx10-n1", "system"] {
            fs::create_dir_all(tree.path().join(group)).unwrap();
        }
        let cgroups = Cgroups::V2(tree.path().to_owned());
        fs::write(tree.path().join("kx1-n1/kubepods/pod1/cgroup.procs"), "12\n13\n").unwrap();
        fs::write(tree.path().join("kx10-n1/cgroup.procs"), "14\n").unwrap();
        assert_eq!(cgroups.processes("kx1-"), BTreeSet::from([12, 13]));
        fs::remove_file(tree.path().join("kx1-n1/kubepods/pod1/cgroup.procs")).unwrap();
        cgroups.remove("kx1-").unwrap();
        assert!(!tree.path().join("kx1-n1").exists());
        assert!(tree.path().join("kx10-n1").exists() && tree.path().join("system").exists());
    }
}
