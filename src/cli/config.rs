//! `open-cursor config`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{dirs::UserDirs, flags::ServeFlags, render};
use crate::settings::{Found, ROWS, Row, ValueOrigin};

/// Show every setting, its value and where the value comes from
///
/// A flag wins over its environment variable, which wins over the configuration file, which wins
/// over the default. The file is ~/.config/open-cursor/config.toml, one line per setting: `port = 4000`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor config
  open-cursor config --port 4000
  open-cursor config --json | jq -r '.settings[] | select(.origin != \"default\") | .name'")]
pub struct ConfigArgs {
    #[command(flatten)]
    flags: ServeFlags,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the settings that `serve` would have with the same flags.
pub fn run(args: &ConfigArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.flags.0)?;
    let file = &dirs.config_file;
    let exists = file.as_ref().is_some_and(|file| file.exists());
    let pairs = ROWS.iter().zip(&resolved.found);
    if args.json {
        let settings: Vec<Value> = pairs.map(|(row, found)| entry(row, found)).collect();
        render::json(&json!({"file": file, "fileExists": exists, "settings": settings}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = pairs.map(|(row, found)| {
        let text = found.text.as_deref().unwrap_or("-");
        [
            row.name.to_owned(),
            text.to_owned(),
            found.origin.to_string(),
        ]
    });
    render::list(&rows.collect::<Vec<_>>());
    if let Some(file) = file {
        let state = if exists { "" } else { " (does not exist)" };
        render::note(format_args!(
            "configuration file: {}{state}",
            file.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(row: &Row, found: &Found) -> Value {
    let origin = match found.origin {
        ValueOrigin::Flag(_) => "flag",
        ValueOrigin::Env(_) => "environment",
        ValueOrigin::File(_) => "file",
        ValueOrigin::Default => "default",
    };
    let from = (found.origin != ValueOrigin::Default).then(|| found.origin.to_string());
    json!({"name": row.name, "value": found.text, "origin": origin, "from": from})
}
