//! The `open-cursor` program.

use std::process::ExitCode;

use clap::Parser as _;
use open_cursor::cli;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(cli::run(cli)),
        Err(error) => cli::render::failure(&error.into()),
    }
}
