//! `open-cursor tools`: converts tool definitions from one vendor's form into another's.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::render;
use crate::dialect::{ToolFormat, convert_tools};

/// Convert tool definitions as the server reads them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor tools convert --to openai request.json")]
pub struct ToolsArgs {
    #[command(subcommand)]
    command: ToolsCommand,
}

#[derive(Debug, Subcommand)]
enum ToolsCommand {
    Convert(Convert),
}

/// Convert tool definitions, in any form or mixed, into one vendor's form
///
/// Reads a request body, or the array of its `tools`, and prints the tools as JSON. Invalid
/// definitions are errors, as in the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor tools convert --to claude request.json
  open-cursor tools convert --to gemini tools.json")]
struct Convert {
    /// Form of the output
    #[arg(long, value_enum)]
    to: To,

    /// File with a request body or an array of tools
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum To {
    Openai,
    Claude,
    Gemini,
}

/// Converts.
pub async fn run(args: ToolsArgs) -> anyhow::Result<ExitCode> {
    let ToolsCommand::Convert(Convert { to, file }) = args.command;
    let text = tokio::fs::read_to_string(&file).await;
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    let body: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is not valid JSON", file.display()))?;
    let format = match to {
        To::Openai => ToolFormat::OpenAi,
        To::Claude => ToolFormat::Claude,
        To::Gemini => ToolFormat::Gemini,
    };
    let tools = convert_tools(body, format)?;
    render::line(serde_json::to_string_pretty(&tools)?);
    Ok(ExitCode::SUCCESS)
}
