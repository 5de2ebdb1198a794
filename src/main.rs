//! The `open-cursor` program: parse, run, exit.

use std::{io, process::ExitCode, time::Duration};

use clap::Parser as _;
use open_cursor::{cli, hands, replay, sandbox::fence::launcher};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    // The fence runs this program between `fork` and the agent, before anything starts a thread.
    if args.next_if(|arg| arg == launcher::SUBCOMMAND).is_some() {
        return launcher::main(args);
    }
    // `--agent replay` runs it in the agent's place.
    if args.next_if(|arg| arg == "replay-agent").is_some() {
        return replay::main(args, io::stdin(), io::stdout(), io::stderr()).into();
    }
    // A tool is executed by it, too.
    if args.next_if(|arg| arg == hands::EXECUTOR).is_some() {
        return hands::executor_main(io::stdin(), io::stdout());
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::wrong_usage::report(&error, std::env::args_os().skip(1)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Relaying text is little work, and each thread keeps memory of its own.
        .worker_threads(2)
        // Started on demand. Blocking work is short and touches files.
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(2))
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(cli));
            // Else it would wait for a name server that does not answer.
            runtime.shutdown_timeout(Duration::from_secs(1));
            code
        }
        Err(error) => cli::render::failure(&anyhow::anyhow!("cannot start the runtime: {error}")),
    }
}
