//! `keryx-speaker`, the program. What it does is in the library beside it.

use clap::Parser as _;
use keryx_speaker::Args;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    keryx_daemon::logging::start(args.log_format);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(keryx_speaker::run(args))
}
