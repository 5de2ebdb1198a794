//! `open-cursor completions`, and the hidden `man`: generated from the definition of the command line.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, help::TOPICS, render};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor completions bash > ~/.local/share/bash-completion/completions/open-cursor
  open-cursor completions zsh > ~/.zfunc/_open-cursor
  open-cursor completions fish > ~/.config/fish/completions/open-cursor.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "open-cursor", &mut script);
    render::piece(String::from_utf8(script)?);
    Ok(ExitCode::SUCCESS)
}

/// Write the manual pages
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Directory to write to
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Writes a page per command and per topic.
pub fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let write = || {
        std::fs::create_dir_all(&args.dir)?;
        clap_mangen::generate_to(Cli::command(), &args.dir)?;
        for (topic, page) in TOPICS {
            let file = args.dir.join(format!("open-cursor-{topic}.7"));
            std::fs::write(file, manual(topic, page))?;
        }
        Ok::<_, std::io::Error>(())
    };
    write().with_context(|| format!("cannot write to {}", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// A page of the reference as a manual page, line by line.
fn manual(topic: &str, page: &str) -> String {
    let escaped = page.replace('\\', "\\e");
    let lines = escaped.lines().map(|line| match line.strip_prefix("# ") {
        Some(title) => format!(".SH {title}\n.nf\n"),
        // Else a command of roff.
        None if line.starts_with(['.', '\'']) => format!("\\&{line}\n"),
        None => format!("{line}\n"),
    });
    format!(".TH open-cursor-{topic} 7\n{}", lines.collect::<String>())
}
