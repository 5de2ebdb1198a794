//! `open-cursor completions`, and the hidden `man`: what is made from the command line itself.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, render};

/// Print a script that completes this command line in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor completions bash > ~/.local/share/bash-completion/completions/open-cursor
  open-cursor completions zsh > ~/.zfunc/_open-cursor
  open-cursor completions fish > ~/.config/fish/completions/open-cursor.fish")]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "open-cursor", &mut script);
    render::piece(String::from_utf8(script)?);
    Ok(ExitCode::SUCCESS)
}

/// Write the manual pages
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The directory for them
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes a page per command.
pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let write = || {
        std::fs::create_dir_all(&args.dir)?;
        clap_mangen::generate_to(Cli::command(), &args.dir)
    };
    write().with_context(|| format!("cannot write to {}", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}
