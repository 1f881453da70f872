//! System tests of what the speaker does to packets: its real drivers in network namespaces with real kernels around
//! them, but without a cluster. Each test has a lab of its own, so tests run side by side.
//!
//! Needs root and the lab's unpacked packages; either missing is a failure that says so.

mod announcement;
mod asker;
mod bfd;
mod bfd_sockets;
mod capture;
mod deaths;
mod discovery;
mod dissector;
mod driver;
mod flapping;
mod frozen;
mod guard;
mod interfaces;
mod kube_proxy;
mod lab;
mod neighbours;
mod partitions;
mod pod;
mod process;
mod questions;
mod refusal;
mod run;
mod scene;
mod segment;
mod sockets;
mod speakers;
mod station;
mod storm;
mod strangers;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};

/// A test, named by the behaviour that it shows.
type Test = (&'static str, fn() -> Result<()>);

fn main() -> ExitCode {
    keryx_lab::init();
    if let Err(error) = process::run_if_meant() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let groups = [
        guard::TESTS,
        refusal::TESTS,
        announcement::TESTS,
        neighbours::TESTS,
        interfaces::TESTS,
        discovery::TESTS,
        questions::TESTS,
        strangers::TESTS,
        storm::TESTS,
        flapping::TESTS,
        partitions::TESTS,
        frozen::TESTS,
        deaths::TESTS,
        dissector::TESTS,
        sockets::TESTS,
        bfd_sockets::TESTS,
        bfd::TESTS,
        capture::TESTS,
    ];
    let trials = groups.into_iter().flatten().map(|test| trial(*test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial((name, test): Test) -> Trial {
    Trial::test(name, move || test().map_err(|error| format!("{error:#}").into()))
}
