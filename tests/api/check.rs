//! `keryx check` against a cluster: what an edit would do, before it is done.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::pool::{Pool, serving};
use keryx_tests::{Keryx, Space};
use serde_json::{Value, json};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("check::names_the_owner_that_a_shrunk_pool_would_leave_outside_and_fails", shrunk),
    ("check::says_what_the_deletion_of_a_pool_would_leave_behind", deleted),
    ("check::passes_an_edit_that_harms_nobody", harmless),
];

/// What `keryx check` prints for an edit, and whether it found nothing wrong.
fn check(keryx: &Keryx, args: &[&str], edit: &Value) -> Result<(String, bool)> {
    let mut child = keryx
        .cli_command(&[&["check", "-f", "-"], args].concat())?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    child.stdin.take().context("no standard input")?.write_all(edit.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{}: {said}", output.status);
    Ok((said, output.status.success()))
}

fn pool(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "keryx.dev/v1alpha1", "kind": "IPAddressPool", "metadata": { "name": name }, "spec": spec,
    })
}

fn shrunk(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "check-shrunk")?;
    let _controller = keryx.run_controller(0)?;
    let _pool = Pool::in_force(keryx, "check-shrunk", serving("check-shrunk", &["10.91.20.1-10.91.20.2"]))?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    ensure!(space.service_address("web")?.to_string() == "10.91.20.1", "not the first");
    keryx.wait_at_rest()?;
    let edit = pool("check-shrunk", &serving("check-shrunk", &["10.91.20.2"]));
    let (said, passed) = check(keryx, &[], &edit)?;
    ensure!(!passed && said.contains("error: 10.91.20.1") && said.contains("check-shrunk/web"), "{said}");
    let (said, passed) = check(keryx, &["--offline"], &edit)?;
    ensure!(passed && said.contains("nothing wrong"), "looked at a cluster: {said}");
    Ok(())
}

fn deleted(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "check-deleted")?;
    let _controller = keryx.run_controller(0)?;
    let _pool = Pool::in_force(keryx, "check-deleted", serving("check-deleted", &["10.91.21.1"]))?;
    space.apply(service("web", "web", 80, load_balancer()))?;
    space.service_address("web")?;
    keryx.wait_at_rest()?;
    let output = keryx.cli_command(&["check", "--delete-pool", "check-deleted"])?.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    ensure!(said.contains("pool check-deleted goes") && said.contains("error: 10.91.21.1"), "{said}");
    Ok(())
}

fn harmless(keryx: &Keryx) -> Result<()> {
    let edit = pool("check-harmless", &serving("nobody", &["10.91.22.1"]));
    let (said, passed) = check(keryx, &[], &edit)?;
    ensure!(passed && said.trim() == "nothing wrong", "{said}");
    let wrong = pool("check-harmless", &serving("nobody", &["10.91.22.9-10.91.22.1"]));
    let (said, passed) = check(keryx, &[], &wrong)?;
    ensure!(!passed && said.contains("10.91.22.1-10.91.22.9"), "{said}");
    Ok(())
}
