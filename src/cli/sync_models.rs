//! `open-cursor sync-models`.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    WRITE,
    agent_flag::AgentFlag,
    base_url, catalog,
    dirs::{UserDirs, no_home},
    layout::{Chosen, ShapeFlags},
    models, render,
};
use crate::{
    models::Listing,
    opencode::{
        self, Committed, ConfigEdit, ConfigError, ConfigTarget, DesiredProvider, Layout,
        ModelOptions,
    },
};

const ADDED: Style = AnsiColor::Green.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();

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
    let base_url = base_url(&resolved.settings);
    let api_key = dirs.client_key(&resolved);
    let catalog = catalog(dirs, &args.agent, WRITE)?;
    let listing = models::listing(args.fixture.as_deref(), &catalog).await?;
    let found = || opencode::locate(&dirs.opencode, &args.provider);
    let target = ConfigTarget {
        config: args
            .config
            .clone()
            .or_else(found)
            .ok_or_else(|| no_home("set HOME, or use --config"))?,
        state_dir: dirs.need_state()?,
    };
    let act = if args.dry_run {
        opencode::preview
    } else {
        opencode::commit
    };
    let worker = tokio::task::spawn_blocking(move || {
        let chosen = args.shape.choose(&target, &args.provider)?;
        let options = ModelOptions {
            provider: args.provider.clone(),
            base_url,
            api_key,
            shape: chosen.shape,
        };
        let desired = DesiredProvider::new(&listing, &options);
        Ok::<_, ConfigError>(SyncReport {
            outcome: act(&target, &desired)?,
            args,
            listing,
            desired,
            chosen,
        })
    });
    let report = worker.await.context("the change was interrupted")??;
    if report.args.json {
        render::line(serde_json::to_string_pretty(&report.json())?);
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

struct SyncReport {
    args: SyncModelsArgs,
    listing: Arc<Listing>,
    desired: DesiredProvider,
    outcome: Committed,
    chosen: Chosen,
}

impl SyncReport {
    fn synced(&self) -> usize {
        self.desired.models().map_or(0, serde_json::Map::len)
    }

    /// How many model ids are grouped into entries of families.
    fn grouped(&self) -> usize {
        let families = self
            .listing
            .families
            .iter()
            .filter(|f| self.chosen.shape.has_variants() && f.has_variants());
        families.map(|family| family.members.len()).sum()
    }

    fn json(&self) -> Value {
        let Committed {
            plan,
            config,
            backup,
            ..
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
        let Committed {
            plan,
            config,
            backup,
            ..
        } = &self.outcome;
        if self.args.dry_run {
            plan.edits.iter().for_each(print_edit);
        }
        for path in &plan.kept {
            render::line(format_args!("= {path}: kept your value"));
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

fn print_edit(edit: &ConfigEdit) {
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
