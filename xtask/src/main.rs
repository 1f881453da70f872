//! `cargo run -p xtask -- COMMAND`; the Makefile calls it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::generate;
use xtask::image::{self, Image};

/// Tasks of the Keryx repository
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write manifests and reference pages from the tables in the code
    Generate {
        /// Write nothing; fail if a file is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Build static release programs and pack them as an OCI image archive
    Image {
        /// Which image
        #[arg(value_enum)]
        image: Image,
        /// The archive to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Cargo profile; `dev` builds quickly, for trying a change in the lab
        #[arg(long, value_name = "PROFILE", default_value = "release")]
        profile: String,
    },
}

fn main() -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match Args::parse().command {
        Command::Generate { check: true } => {
            let stale =
                generate::stale(&generate::files()?, |path| std::fs::read_to_string(root.join(path)).ok());
            for violation in &stale {
                eprintln!("{violation}");
            }
            return Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Generate { check: false } => {
            for path in generate::write(&root)? {
                println!("written: {path}");
            }
        }
        Command::Image { image, out, profile } => {
            image::build(image, &root, &profile, &out)?;
            println!("written: {} ({})", out.display(), image.reference());
        }
    }
    Ok(ExitCode::SUCCESS)
}
