//! BGP and BFD against real routers: Keryx' own drivers in a node's network, BIRD, FRR or GoBGP in that of a client on the same segment. No
//! cluster; a test stands in place of the plan.
//!
//! One folder for each scenario: its README.md has a drawing and the numbered claims, beside it lie the routers' configurations, and
//! `mod.rs` is the test. Needs root and the lab's unpacked routers; either missing is a failure that says so.

mod bfd;
mod communities;
mod drain;
mod ebgp;
mod ecmp;
mod flood;
mod gobgp;
mod graceful_restart;
mod gtsm;
mod ibgp;
mod md5;
mod multihop;
mod passive;
mod refresh;
mod refusals;
mod scene;
mod speaker;
mod unnumbered;
mod v4_over_v6;
#[path = "../wire/worker.rs"]
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};

/// A test, named by the claims that it shows.
type Test = (&'static str, fn() -> Result<()>);

fn main() -> ExitCode {
    keryx_lab::init();
    let groups = [
        ebgp::TESTS,
        ibgp::TESTS,
        md5::TESTS,
        gtsm::TESTS,
        passive::TESTS,
        graceful_restart::TESTS,
        drain::TESTS,
        bfd::TESTS,
        refusals::TESTS,
        flood::TESTS,
        v4_over_v6::TESTS,
        multihop::TESTS,
        ecmp::TESTS,
        refresh::TESTS,
        communities::TESTS,
        gobgp::TESTS,
        unnumbered::TESTS,
    ];
    let trials = groups.into_iter().flatten().map(|test| trial(*test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial((name, test): Test) -> Trial {
    Trial::test(name, move || test().map_err(|error| format!("{error:#}").into()))
}
