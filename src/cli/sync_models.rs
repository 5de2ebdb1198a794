//! `open-cursor sync-models`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use serde_json::{Value, json};

use super::{
    WRITE,
    agent_flag::AgentFlag,
    catalog,
    dirs::UserDirs,
    layout::{ShapeFlags, Synced, sync},
    models,
    render::{self, BAD, GOOD, WARNING},
};
use crate::{
    models::Listing,
    opencode::{self, Committed, ConfigEdit, Layout},
};

/// Write the account's models into OpenCode's configuration
///
/// Changes only values of its own provider that it wrote itself: your comments and your own models,
/// names, prices and base URL stay. Without --variants or --plain, the grouping stays as it is. Keeps
/// backups of the last five versions beside the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor sync-models --dry-run
  open-cursor sync-models --variants --compact
  open-cursor sync-models --config ./opencode.jsonc --json")]
pub struct SyncModelsArgs {
    #[command(flatten)]
    agent: AgentFlag,

    #[command(flatten)]
    shape: ShapeFlags,

    /// Show what would change, without changing it
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The provider's id in the configuration
    #[arg(long, value_name = "ID", default_value = opencode::PROVIDER, value_parser = provider_id)]
    provider: String,

    /// Configuration file to change [default: the one that OpenCode reads]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Read the list from a file instead of the agent
    #[arg(long, value_name = "FILE", hide = true)]
    fixture: Option<PathBuf>,
}

/// Plans, writes (unless --dry-run), and reports.
pub async fn run(args: SyncModelsArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.agent.flags())?;
    let target = dirs.target(args.config.clone(), &args.provider)?;
    let provider = dirs.provider(&args.provider, &resolved, None);
    let catalog = catalog(dirs, &args.agent, WRITE)?;
    let listing = models::listing(args.fixture.as_deref(), &catalog).await?;
    let synced = sync(target, args.shape, provider, &listing, args.dry_run).await?;
    let report = SyncReport {
        args,
        listing,
        synced,
    };
    if report.args.json {
        render::json(&report.json())?;
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

struct SyncReport {
    args: SyncModelsArgs,
    listing: Arc<Listing>,
    synced: Synced,
}

impl SyncReport {
    fn synced(&self) -> usize {
        self.synced.desired.models().map_or(0, serde_json::Map::len)
    }

    /// How many model ids are grouped into entries of families.
    fn grouped(&self) -> usize {
        let families = self
            .listing
            .families
            .iter()
            .filter(|f| self.synced.shape.has_variants() && f.has_variants());
        families.map(|family| family.members.len()).sum()
    }

    fn json(&self) -> Value {
        let Committed {
            plan,
            config,
            backup,
            ..
        } = &self.synced.outcome;
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
            "variants": self.synced.shape.has_variants(),
            "compact": self.synced.shape == Layout::Compact,
        })
    }

    fn print(&self) {
        let Committed {
            plan,
            config,
            backup,
            ..
        } = &self.synced.outcome;
        if self.args.dry_run {
            plan.edits.iter().for_each(print_edit);
        }
        for path in &plan.kept {
            render::line(format_args!("= {path}: kept your value"));
        }
        let summary = plan.summary;
        render::line(format_args!("Models synced: {}", self.synced()));
        if self.synced.shape.has_variants() {
            render::line(format_args!("Grouped Cursor models: {}", self.grouped()));
        }
        if let Some(note) = self.synced.note() {
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

fn print_edit(edit: &ConfigEdit) {
    let path = edit.path.join(".");
    let (style, text) = match (&edit.from, &edit.to) {
        (None, Some(to)) => (GOOD, format!("+ {path}: {to}")),
        (Some(from), Some(to)) => (WARNING, format!("~ {path}: {from} -> {to}")),
        (from, None) => {
            let from = from.clone().unwrap_or_default();
            (BAD, format!("- {path}: {from}"))
        }
    };
    render::line(format_args!("{style}{text}{style:#}"));
}

/// A provider id is a key and the part of a model's name before the slash.
pub(super) fn provider_id(text: &str) -> Result<String, String> {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(right) {
        return Ok(text.to_owned());
    }
    Err("use letters, digits, `-`, `_` and `.`".to_owned())
}
