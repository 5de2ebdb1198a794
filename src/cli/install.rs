//! `open-cursor install`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    base_url, catalog,
    dirs::Dirs,
    layout::{Chosen, ShapeFlags},
    manifest::{File, Manifest},
    render,
};
use crate::{
    file,
    models::{Listing, Origin},
    opencode::{self, DesiredProvider, Layout, Options, Outcome, PROVIDER, Target},
    service::Service,
    settings::{self, Flags, ROWS, Resolved},
};

/// Configure OpenCode, and optionally keep the server running
///
/// Adds the provider and the account's models to OpenCode's configuration, as `sync-models` does, and
/// with --service the file that makes the system start `open-cursor serve`. `open-cursor uninstall`
/// removes exactly that again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor install --dry-run
  open-cursor install --variants --compact --service
  open-cursor uninstall")]
pub struct Args {
    /// Also write a systemd user unit (Linux) or a launch agent (macOS)
    #[arg(long)]
    service: bool,

    #[command(flatten)]
    shape: ShapeFlags,

    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The configuration to change [default: the one that OpenCode reads]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Installs, and says what it did.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&Flags::new())?;
    let base_url = base_url(&resolved.settings);
    let state = dirs
        .state()
        .context("no home directory; set XDG_STATE_HOME")?;
    let found = || opencode::locate(&dirs.opencode, PROVIDER);
    let config = args.config.clone().or_else(found);
    let config = std::path::absolute(config.context("no home directory; use --config")?)?;
    let service = if args.service {
        unseen(&resolved);
        let program = std::env::current_exe().context("cannot find our own executable")?;
        let service = dirs.service(&program);
        Some(service.context("this system has no service manager that we know")?)
    } else {
        None
    };
    let target = Target {
        config,
        state_dir: state,
    };
    let listing = catalog(dirs)?.list().await;
    let plan = Plan {
        listing: Arc::clone(&listing),
        base_url,
        shape: args.shape,
        target,
        service,
        dry_run: args.dry_run,
    };
    let done = tokio::task::spawn_blocking(move || plan.carry_out()).await??;
    if let (Origin::Builtin, Some(problem)) = (listing.origin, &listing.problem) {
        render::note(format_args!(
            "note: only `auto` is added, run `open-cursor sync-models{}` later: {problem}",
            done.chosen.flags()
        ));
    }
    if args.json {
        render::line(serde_json::to_string_pretty(&done.json(args.dry_run))?);
    } else {
        done.print(args.dry_run);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what of the environment the service will not have.
fn unseen(resolved: &Resolved) {
    for (row, found) in ROWS.iter().zip(&resolved.found) {
        if let (settings::Origin::Env(name), Some(text)) = (&found.origin, &found.text) {
            render::note(format_args!(
                "note: the service does not see {name}; set `{}` to {text:?} in config.toml",
                row.name
            ));
        }
    }
    for name in ["CURSOR_API_KEY", "CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"] {
        if std::env::var_os(name).is_some_and(|value| !value.is_empty()) {
            render::note(format_args!(
                "note: the service does not see {name}; it uses the login of `open-cursor login`"
            ));
        }
    }
}

struct Plan {
    listing: Arc<Listing>,
    base_url: String,
    shape: ShapeFlags,
    target: Target,
    service: Option<Service>,
    dry_run: bool,
}

struct Done {
    outcome: Outcome,
    chosen: Chosen,
    created: bool,
    service: Option<(Service, bool)>,
}

impl Plan {
    fn carry_out(self) -> anyhow::Result<Done> {
        let state = &self.target.state_dir;
        let mut manifest = Manifest::read(state);
        // First what may refuse, so that nothing is done by halves.
        let service = match self.service {
            Some(service) => {
                let changed = is_news(&service, &manifest)?;
                Some((service, changed))
            }
            None => None,
        };
        let created = !self.target.config.exists();
        let act = if self.dry_run {
            opencode::preview
        } else {
            opencode::commit
        };
        let chosen = self.shape.choose(&self.target, PROVIDER)?;
        let options = Options {
            provider: PROVIDER.to_owned(),
            base_url: self.base_url,
            shape: chosen.shape,
        };
        let outcome = act(&self.target, &DesiredProvider::new(&self.listing, &options))?;
        if !self.dry_run {
            manifest.created =
                created || (manifest.created && is_of(&manifest, &self.target.config));
            manifest.config = Some(self.target.config.clone());
            if let Some((service, changed)) = &service {
                if *changed {
                    file::replace(&service.path, service.text.as_bytes(), None)
                        .with_context(|| format!("cannot write {}", service.path.display()))?;
                }
                manifest.service = Some(File {
                    path: service.path.clone(),
                    text: service.text.clone(),
                });
            }
            manifest
                .write(state)
                .context("cannot note what was installed")?;
        }
        Ok(Done {
            outcome,
            chosen,
            created,
            service,
        })
    }
}

fn is_of(manifest: &Manifest, config: &Path) -> bool {
    manifest.config.as_deref() == Some(config)
}

/// Whether the service's file is to be written. A file that we did not write is left alone.
fn is_news(service: &Service, manifest: &Manifest) -> anyhow::Result<bool> {
    let Ok(there) = std::fs::read_to_string(&service.path) else {
        return Ok(true);
    };
    if there == service.text {
        return Ok(false);
    }
    if manifest
        .service
        .as_ref()
        .is_some_and(|ours| ours.text == there)
    {
        return Ok(true);
    }
    Err(render::hinted(
        format_args!("{} is not as open-cursor wrote it", service.path.display()),
        "move it away, or install without --service",
    ))
}

impl Done {
    fn json(&self, dry_run: bool) -> Value {
        let Outcome {
            plan,
            config,
            backup,
        } = &self.outcome;
        let service = self.service.as_ref().map(|(service, changed)| {
            json!({
                "path": service.path,
                "changed": changed,
                "start": service.start,
                "stop": service.stop,
            })
        });
        json!({
            "dryRun": dry_run,
            "config": {
                "path": config,
                "created": self.created,
                "changed": !plan.edits.is_empty(),
                "summary": plan.summary,
                "kept": plan.kept,
                "variants": self.chosen.shape.has_variants(),
                "compact": self.chosen.shape == Layout::Compact,
                "backup": backup,
            },
            "service": service,
            "undo": "open-cursor uninstall",
        })
    }

    fn print(&self, dry_run: bool) {
        let config = self.outcome.config.display();
        let summary = self.outcome.plan.summary;
        let would = if dry_run { "would be " } else { "" };
        if self.outcome.plan.edits.is_empty() {
            render::line(format_args!("OpenCode: {config} has it all already"));
        } else {
            render::line(format_args!(
                "OpenCode: {config} {would}{}; models: {} added, {} updated, {} removed",
                if self.created { "created" } else { "changed" },
                summary.added,
                summary.updated,
                summary.removed
            ));
        }
        if let Some(note) = self.chosen.note() {
            render::line(format_args!("  entries: {note}"));
        }
        for path in &self.outcome.plan.kept {
            render::line(format_args!("  yours is kept: {path}"));
        }
        if let Some(backup) = &self.outcome.backup {
            render::line(format_args!("  backup: {}", backup.display()));
        }
        if let Some((service, changed)) = &self.service {
            let path = service.path.display();
            if *changed {
                render::line(format_args!("Service: {path} {would}written"));
            } else {
                render::line(format_args!("Service: {path} is there already"));
            }
            render::line(format_args!("  start it: {}", service.start));
        }
        if dry_run {
            render::line("Dry run: nothing was changed.");
        } else {
            render::line("Undo: open-cursor uninstall");
        }
    }
}
