//! System tests of the controller beside a real API server, without real nodes: crowds, restarts, and what it asks of
//! the API server. They share one lab; each starts the controllers that it needs as plain processes.
//!
//! Needs root and what `make lab-tools image` builds; either missing is a failure that says so.

mod addresses;
mod bgp;
mod check;
mod crowd;
mod lab;
mod leaders;
mod ledger;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use keryx_tests::{Keryx, wait};
use libtest_mimic::{Arguments, Trial};

/// A test, named by the behaviour that it shows.
type Test = (&'static str, fn(&Keryx) -> Result<()>);

/// The addresses that the controllers give out.
const RANGE_V4: &str = "10.90.0.0/16";
const FAKE_NODES: u16 = 50;

fn main() -> ExitCode {
    keryx_lab::init();
    let mut arguments = Arguments::from_args();
    // There is one Lease, and what one test's controller writes must not count in another.
    arguments.test_threads = Some(1);
    let shared: Arc<OnceLock<Result<Keryx, String>>> = Arc::default();
    let groups =
        [lab::TESTS, addresses::TESTS, bgp::TESTS, check::TESTS, crowd::TESTS, leaders::TESTS, ledger::TESTS];
    let trials = groups.into_iter().flatten().map(|test| trial(*test, &shared)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The lab is torn down here, before the process ends.
    drop(shared);
    conclusion.exit_code()
}

/// The lab is started by the first test that runs, so that listing tests needs no root.
fn trial((name, test): Test, shared: &Arc<OnceLock<Result<Keryx, String>>>) -> Trial {
    let shared = Arc::clone(shared);
    Trial::test(name, move || {
        let keryx = shared.get_or_init(|| start().map_err(|error| format!("{error:#}")));
        let keryx = keryx.as_ref().map_err(|error| format!("there is no lab: {error}"))?;
        let outcome = test(keryx).and_then(|()| swept(keryx));
        outcome.map_err(|error| format!("{error:#}").into())
    })
}

/// Waits until the namespaces that tests left are gone: what is freed then must not count in the next test.
fn swept(keryx: &Keryx) -> Result<()> {
    wait::until("no namespace that is being deleted", || {
        let phases = keryx.lab.kubectl(&["get", "namespaces", "-o", "jsonpath={.items[*].status.phase}"])?;
        Ok((!phases.contains("Terminating")).then_some(()))
    })
}

fn start() -> Result<Keryx> {
    let keryx = Keryx::start_api(FAKE_NODES)?;
    keryx.set_ranges(&[("cidr-global", RANGE_V4)])?;
    Ok(keryx)
}
