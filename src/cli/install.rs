//! `open-cursor install`.

mod service;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    WRITE,
    agent_flag::AgentFlag,
    catalog,
    dirs::UserDirs,
    layout::{ShapeFlags, Synced, sync},
    manifest::Manifest,
    render,
};
use crate::{
    file,
    models::ListingOrigin,
    opencode::{Committed, Layout, Original, PROVIDER},
};
use service::PlannedService;

/// Configure OpenCode, and optionally keep the server running
///
/// Adds the provider and the account's models to OpenCode's configuration, as `sync-models` does. With
/// --service it also writes the file that makes the system start `open-cursor serve`.
/// `open-cursor uninstall` removes exactly what this command wrote.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor install --dry-run
  open-cursor install --variants --compact --service
  open-cursor uninstall")]
pub struct InstallArgs {
    #[command(flatten)]
    agent: AgentFlag,

    /// Also write a systemd user unit (Linux) or a launch agent (macOS)
    #[arg(long)]
    service: bool,

    #[command(flatten)]
    shape: ShapeFlags,

    /// Show what would be done, without doing it
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Configuration file to change [default: the one that OpenCode reads]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Installs, and reports what changed.
pub async fn run(args: InstallArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.agent.flags())?;
    let target = dirs.target(args.config, PROVIDER)?;
    let (config, state_dir) = (target.config.clone(), target.state_dir.clone());
    let mut manifest = Manifest::read(&state_dir);
    // The check comes before the first change, so that nothing is half done.
    let service = match args.service {
        true => Some(PlannedService::new(&resolved, dirs, &manifest)?),
        false => None,
    };
    let key_file = service.as_ref().and_then(|it| it.key_file.as_deref());
    let provider = dirs.provider(PROVIDER, &resolved, key_file);
    let waiting = render::progress("asking the agent for the list of models");
    let listing = catalog(dirs, &args.agent, WRITE)?.list().await;
    drop(waiting);
    let created = !config.exists();
    let synced = sync(target, args.shape, provider, &listing, args.dry_run).await?;
    if !args.dry_run {
        manifest.created =
            created || (manifest.created && manifest.config.as_ref() == Some(&config));
        manifest.config = Some(config);
        // The oldest text that leads here without anybody else's changes.
        if let (Some(backup), Some(written)) = (&synced.outcome.backup, synced.outcome.written) {
            let text = file::read(backup).unwrap_or_default();
            let earlier = manifest.original.take().filter(|it| it.led_to(&text));
            let backup = earlier.map_or_else(|| backup.clone(), |it| it.backup);
            manifest.original = Some(Original { backup, written });
        }
        if let Some(service) = &service {
            service.write(&mut manifest)?;
        }
        let recorded = manifest.write(&state_dir);
        recorded.context("cannot record what was installed")?;
    }
    if let (ListingOrigin::Builtin, Some(problem)) = (listing.origin, &listing.problem) {
        render::note(format_args!(
            "note: only `auto` was added, because the list of models is not available: {problem}; run `open-cursor sync-models{}` later",
            synced.flags()
        ));
    }
    let report = InstallReport {
        synced,
        created,
        service,
        dry_run: args.dry_run,
    };
    if args.json {
        render::json(&report.json())?;
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

struct InstallReport {
    synced: Synced,
    created: bool,
    service: Option<PlannedService>,
    dry_run: bool,
}

impl InstallReport {
    fn json(&self) -> Value {
        let Committed {
            plan,
            config,
            backup,
            ..
        } = &self.synced.outcome;
        json!({
            "dryRun": self.dry_run,
            "config": {
                "path": config,
                "created": self.created,
                "changed": !plan.edits.is_empty(),
                "summary": plan.summary,
                "kept": plan.kept,
                "variants": self.synced.shape.has_variants(),
                "compact": self.synced.shape == Layout::Compact,
                "backup": backup,
            },
            "service": self.service.as_ref().map(PlannedService::json),
            "undo": "open-cursor uninstall",
        })
    }

    fn print(&self) {
        let outcome = &self.synced.outcome;
        let config = outcome.config.display();
        let summary = outcome.plan.summary;
        let would = if self.dry_run { "would be " } else { "" };
        if outcome.plan.edits.is_empty() {
            render::line(format_args!("OpenCode: {config} is up to date"));
        } else {
            render::line(format_args!(
                "OpenCode: {config} {would}{}; models: {} added, {} updated, {} removed",
                if self.created { "created" } else { "changed" },
                summary.added,
                summary.updated,
                summary.removed
            ));
        }
        if let Some(note) = self.synced.note() {
            render::line(format_args!("  entries: {note}"));
        }
        for path in &outcome.plan.kept {
            render::line(format_args!("  kept your value at {path}"));
        }
        if let Some(backup) = &outcome.backup {
            render::line(format_args!("  backup: {}", backup.display()));
        }
        if let Some(service) = &self.service {
            service.print(would);
        }
        render::line(match self.dry_run {
            true => "Dry run: nothing was changed.",
            false => "Undo with: open-cursor uninstall",
        });
    }
}
