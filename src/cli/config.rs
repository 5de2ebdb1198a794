//! `open-cursor config`.

use std::process::ExitCode;

use anstyle::Style;
use serde_json::{Value, json};

use super::{dirs::UserDirs, flags::ServeFlags, render};
use crate::settings::{Found, ROWS, Resolved, Row, ValueOrigin};

const NAME: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

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
    let file = dirs.config_file();
    let exists = file.as_ref().is_some_and(|file| file.exists());
    if args.json {
        let settings: Vec<Value> = pairs(&resolved)
            .map(|(row, found)| entry(row, found))
            .collect();
        let value = json!({"file": file, "fileExists": exists, "settings": settings});
        render::line(serde_json::to_string_pretty(&value)?);
        return Ok(ExitCode::SUCCESS);
    }
    let text = |found: &Found| found.text.clone().unwrap_or_else(|| "-".to_owned());
    let widest = |of: &dyn Fn((&Row, &Found)) -> usize| pairs(&resolved).map(of).max().unwrap_or(0);
    let names = widest(&|(row, _)| row.name.len());
    let values = widest(&|(_, found)| text(found).chars().count());
    for (row, found) in pairs(&resolved) {
        render::line(format_args!(
            "{NAME}{:names$}{NAME:#}  {:values$}  {FAINT}{}{FAINT:#}",
            row.name,
            text(found),
            found.origin
        ));
    }
    if let Some(file) = file {
        let state = if exists { "" } else { " (does not exist)" };
        render::note(format_args!(
            "configuration file: {}{state}",
            file.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn pairs(resolved: &Resolved) -> impl Iterator<Item = (&'static Row, &Found)> {
    ROWS.iter().zip(&resolved.found)
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
