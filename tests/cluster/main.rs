//! System tests on a real cluster with Keryx as shipped. All but the last group share one lab, each test in a
//! namespace of its own; the last group breaks things, and runs after the others, one at a time.
//!
//! Needs root and what `make lab-tools image` builds; either missing is a failure that says so.

mod addresses;
mod advertisements;
mod bgp;
mod controller;
mod failover;
mod gateways;
mod layer2;
mod pools;
mod refusals;
mod services;
mod sharing;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use keryx_tests::Keryx;
use libtest_mimic::{Arguments, Trial};

/// A test, named by the behaviour that it shows.
type Test = (&'static str, fn(&Keryx) -> Result<()>);

fn main() -> ExitCode {
    keryx_lab::init();
    let mut arguments = Arguments::from_args();
    // The lab shares two processors with what it tests; side by side, tests would only time each other out.
    arguments.test_threads = Some(1);
    let shared: Arc<OnceLock<Result<Keryx, String>>> = Arc::default();
    let groups = [
        services::TESTS,
        gateways::TESTS,
        refusals::TESTS,
        addresses::TESTS,
        pools::TESTS,
        sharing::TESTS,
        failover::TESTS,
        layer2::TESTS,
        advertisements::TESTS,
        bgp::TESTS,
        controller::TESTS,
    ];
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
        let keryx = shared.get_or_init(|| Keryx::start().map_err(|error| format!("{error:#}")));
        let keryx = keryx.as_ref().map_err(|error| format!("there is no lab: {error}"))?;
        test(keryx).map_err(|error| format!("{error:#}{}", keryx.pods()).into())
    })
}
