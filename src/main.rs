//! The `open-cursor` program.

use std::process::ExitCode;

use open_cursor::agent::fence::launcher;

fn main() -> ExitCode {
    // Before anything that starts a thread: the launcher becomes the agent.
    let mut args = std::env::args_os().skip(1).peekable();
    if args
        .next_if(|first| first == launcher::SUBCOMMAND)
        .is_some()
    {
        return launcher::main(args);
    }
    ExitCode::SUCCESS
}
