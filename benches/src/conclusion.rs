//! How a benchmark ends.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::Result;

/// What a benchmark shows in the end.
pub trait Verdict: Display {
    /// Whether every limit is kept.
    fn is_met(&self) -> bool;
}

/// Prints the report, or why there is none. The exit code says whether every limit is kept.
pub fn conclude(bench: &str, outcome: Result<impl Verdict>) -> ExitCode {
    match outcome {
        Ok(report) => {
            print!("{report}");
            if report.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("bench {bench}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
