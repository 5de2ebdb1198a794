//! The `open-cursor` program: parse, run, exit.

use std::{io, process::ExitCode};

use clap::Parser as _;
use open_cursor::{agent::replay, cli};

fn main() -> ExitCode {
    // `--agent replay` runs this program again in the agent's place.
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|arg| arg == "replay-agent").is_some() {
        return replay::main(args, io::stdin(), io::stdout(), io::stderr()).into();
    }
    let cli = cli::Cli::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(cli::run(cli)),
        Err(error) => cli::render::failure(&anyhow::anyhow!("cannot start the runtime: {error}")),
    }
}
