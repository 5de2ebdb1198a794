//! `cargo bench --bench proxy`: what open-cursor costs over the least a server could do.
//!
//! One binary in three roles, told apart by the name it is called by: `cursor-agent` is a fast fake
//! agent, `bench-floor` a bare server that relays the agent's bytes, and anything else the load
//! client, which runs open-cursor and the floor side by side and prints a table.
//!
//! Arguments: `--rounds N` (default 7), `--fence MODE` of open-cursor (default `off`), `--self-test`
//! (the floor against itself: all ratios should be near 1, what differs is noise), `--history`
//! (open-cursor with its history against one without: the ratios should be near 1, too), `--against
//! PROGRAM` (this build against another one of open-cursor), and words that select measures by name.
//! OPEN_CURSOR=PATH measures that program.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod agent;
mod client;
mod floor;
mod measure;
mod probes;
mod report;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the command line asked for.
struct Options {
    rounds: usize,
    self_test: bool,
    fence: String,
    history: bool,
    against: Option<PathBuf>,
    only: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self {
            rounds: 7,
            self_test: false,
            fence: "off".to_owned(),
            history: false,
            against: None,
            only: Vec::new(),
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => {} // cargo's own
                "--fence" => options.fence = args.next().unwrap_or_default(),
                "--self-test" => options.self_test = true,
                "--history" => options.history = true,
                "--against" => options.against = args.next().map(PathBuf::from),
                "--rounds" => options.rounds = args.next().unwrap_or_default().parse()?,
                flag if flag.starts_with('-') => anyhow::bail!("unknown option {flag}"),
                word => options.only.push(word.to_owned()),
            }
        }
        anyhow::ensure!(options.rounds > 0, "--rounds needs a number above 0");
        Ok(options)
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    let done = match Path::new(&program)
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some("cursor-agent") => agent::main(args),
        Some("bench-floor") => floor::main(args),
        _ => Options::parse(args).and_then(|options| measure::main(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
