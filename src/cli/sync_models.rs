//! `open-cursor sync-models`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::dirs::Dirs;
use super::layout::{Chosen, ShapeFlags};
use super::{models, render};
use crate::models::{Catalog, Listing};
use crate::opencode::{self, ConfigError, DesiredProvider, Edit, Layout, Options, Outcome, Target};

const ADDED: Style = AnsiColor::Green.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();

/// Write the account's models into OpenCode's configuration
///
/// Changes only its own provider's entry, and there only what it wrote itself: your comments, your
/// own models, names, prices and base URL stay. Without --variants or --plain, families stay grouped,
/// or not, as they are. Keeps the last five versions beside the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor sync-models --dry-run
  open-cursor sync-models --variants --compact
  open-cursor sync-models --config ./opencode.jsonc --json")]
pub struct Args {
    #[command(flatten)]
    shape: ShapeFlags,

    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The provider's id in the configuration
    #[arg(long, value_name = "ID", default_value = opencode::PROVIDER, value_parser = provider_id)]
    provider: String,

    /// The configuration to change [default: the one that OpenCode reads]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Read the list from a file in place of the agent
    #[arg(long, value_name = "FILE", hide = true)]
    fixture: Option<PathBuf>,
}

/// Plans, writes unless told not to, and reports. `base_url` is where the server is, with `/v1`.
pub async fn run(
    args: Args,
    catalog: &Catalog,
    dirs: &Dirs,
    base_url: String,
) -> anyhow::Result<ExitCode> {
    let listing = models::listing(args.fixture.as_deref(), catalog).await?;
    let found = || opencode::locate(&dirs.opencode, &args.provider);
    let target = Target {
        config: args
            .config
            .clone()
            .or_else(found)
            .context("no home directory; use --config")?,
        state_dir: dirs
            .state()
            .context("no home directory; set XDG_STATE_HOME")?,
    };
    let act = if args.dry_run {
        opencode::preview
    } else {
        opencode::commit
    };
    let worker = tokio::task::spawn_blocking(move || {
        let chosen = args.shape.choose(&target, &args.provider)?;
        let options = Options {
            provider: args.provider.clone(),
            base_url,
            shape: chosen.shape,
        };
        let wish = DesiredProvider::new(&listing, &options);
        Ok::<_, ConfigError>(Report {
            outcome: act(&target, &wish)?,
            args,
            listing,
            wish,
            chosen,
        })
    });
    let report = worker.await.context("the change was cut short")??;
    if report.args.json {
        render::line(serde_json::to_string_pretty(&report.json())?);
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

struct Report {
    args: Args,
    listing: Arc<Listing>,
    wish: DesiredProvider,
    outcome: Outcome,
    chosen: Chosen,
}

impl Report {
    fn synced(&self) -> usize {
        self.wish.models().map_or(0, serde_json::Map::len)
    }

    /// How many ids a family's entry stands for.
    fn grouped(&self) -> usize {
        let families = self
            .listing
            .families
            .iter()
            .filter(|f| self.chosen.shape.has_variants() && f.has_variants());
        families.map(|family| family.members.len()).sum()
    }

    fn json(&self) -> Value {
        let Outcome {
            plan,
            config,
            backup,
        } = &self.outcome;
        json!({
            "provider": self.args.provider,
            "source": self.listing.origin,
            "syncedCount": self.synced(),
            "groupedCount": self.grouped(),
            "removedCount": plan.summary.removed,
            "summary": plan.summary,
            "changed": !plan.edits.is_empty(),
            "changes": plan.edits,
            "kept": plan.kept,
            "configPath": config,
            "backupPath": backup,
            "dryRun": self.args.dry_run,
            "variants": self.chosen.shape.has_variants(),
            "compact": self.chosen.shape == Layout::Compact,
        })
    }

    fn print(&self) {
        let Outcome {
            plan,
            config,
            backup,
        } = &self.outcome;
        if self.args.dry_run {
            plan.edits.iter().for_each(print_edit);
        }
        for path in &plan.kept {
            render::line(format_args!("= {path}: yours is kept"));
        }
        let summary = plan.summary;
        render::line(format_args!("Models synced: {}", self.synced()));
        if self.chosen.shape.has_variants() {
            render::line(format_args!("Grouped Cursor models: {}", self.grouped()));
        }
        if let Some(note) = self.chosen.note() {
            render::line(format_args!("Entries: {note}"));
        }
        render::line("Sync summary:");
        for (name, count) in [
            ("Added", summary.added),
            ("Updated", summary.updated),
            ("Removed", summary.removed),
            ("Kept", summary.kept),
            ("Priced", summary.priced),
            ("Skipped", summary.skipped),
        ] {
            render::line(format_args!("  {name}: {count}"));
        }
        if plan.edits.is_empty() {
            render::line("Nothing to change.");
        }
        if self.args.dry_run {
            render::line("Dry run: no changes written.");
        }
        if let Some(backup) = backup {
            render::line(format_args!("Backup written: {}", backup.display()));
        }
        render::line(format_args!("Config path: {}", config.display()));
    }
}

fn print_edit(edit: &Edit) {
    let path = edit.path.join(".");
    match (&edit.from, &edit.to) {
        (None, Some(to)) => render::line(format_args!("{ADDED}+ {path}: {to}{ADDED:#}")),
        (Some(from), Some(to)) => {
            render::line(format_args!("{CHANGED}~ {path}: {from} -> {to}{CHANGED:#}"));
        }
        (from, None) => {
            let from = from.clone().unwrap_or_default();
            render::line(format_args!("{REMOVED}- {path}: {from}{REMOVED:#}"));
        }
    }
}

/// A provider id is a key and the part of a model's name before the slash.
pub(super) fn provider_id(text: &str) -> Result<String, String> {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(right) {
        return Ok(text.to_owned());
    }
    Err("use letters, digits, `-`, `_` and `.`".to_owned())
}
