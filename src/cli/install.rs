//! `open-cursor install`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    WRITE,
    agent_flag::AgentFlag,
    base_url, catalog,
    dirs::{UserDirs, no_home},
    layout::{Chosen, ShapeFlags},
    manifest::{File, Manifest},
    random_key, render,
};
use crate::{
    file,
    models::{Listing, ListingOrigin},
    opencode::{
        self, Committed, ConfigTarget, DesiredProvider, Layout, ModelOptions, Original, PROVIDER,
    },
    service::Service,
    settings::{self, ROWS, Resolved},
};

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
    let base_url = base_url(&resolved.settings);
    let state = dirs.need_state()?;
    let found = || opencode::locate(&dirs.opencode, PROVIDER);
    let config = args.config.clone().or_else(found);
    let config = std::path::absolute(config.ok_or_else(|| no_home("set HOME, or use --config"))?)?;
    let mut key_file = None;
    let service = if args.service {
        unseen(&resolved);
        // The user's own file is in config.toml, which the service reads.
        key_file = dirs
            .key_file()
            .filter(|_| resolved.settings.api_key_file.is_none());
        let program = std::env::current_exe().context("cannot find our own executable")?;
        warn_of_build_directory(&program);
        let service = dirs.service(&program, key_file.as_deref());
        Some(service.context("open-cursor supports systemd and launchd only")?)
    } else {
        None
    };
    let file_of = |key_file: &PathBuf| format!("{{file:{}}}", key_file.display());
    let api_key = key_file.as_ref().map(file_of);
    let api_key = api_key.or_else(|| dirs.client_key(&resolved));
    let target = ConfigTarget {
        config,
        state_dir: state,
    };
    let waiting = render::progress("asking the agent for the list of models");
    let listing = catalog(dirs, &args.agent, WRITE)?.list().await;
    drop(waiting);
    let plan = Plan {
        listing: Arc::clone(&listing),
        base_url,
        api_key,
        key_file,
        shape: args.shape,
        target,
        service,
        dry_run: args.dry_run,
    };
    let done = tokio::task::spawn_blocking(move || plan.carry_out()).await??;
    if let (ListingOrigin::Builtin, Some(problem)) = (listing.origin, &listing.problem) {
        render::note(format_args!(
            "note: only `auto` was added, because the list of models is not available: {problem}; run `open-cursor sync-models{}` later",
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

/// `cargo clean` would remove the service's program.
fn warn_of_build_directory(program: &Path) {
    let is_build = |dir: &Path| dir.join("CACHEDIR.TAG").exists() && dir.ends_with("target");
    if program.ancestors().any(is_build) {
        render::note(format_args!(
            "note: the service will run {}, in a build directory; run `cargo install --path .` and \
             then `~/.cargo/bin/open-cursor install --service` for a copy that stays",
            program.display()
        ));
    }
}

/// Warns about variables that the service will not see.
fn unseen(resolved: &Resolved) {
    for (row, found) in ROWS.iter().zip(&resolved.found) {
        if let (settings::ValueOrigin::Env(name), Some(text)) = (&found.origin, &found.text) {
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
    api_key: Option<String>,
    key_file: Option<PathBuf>,
    shape: ShapeFlags,
    target: ConfigTarget,
    service: Option<Service>,
    dry_run: bool,
}

struct Done {
    outcome: Committed,
    chosen: Chosen,
    created: bool,
    service: Option<(Service, bool)>,
    key_file: Option<PathBuf>,
}

impl Plan {
    fn carry_out(self) -> anyhow::Result<Done> {
        let state = &self.target.state_dir;
        let mut manifest = Manifest::read(state);
        // The check comes before the first change, so that nothing is half done.
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
        let options = ModelOptions {
            provider: PROVIDER.to_owned(),
            base_url: self.base_url,
            api_key: self.api_key,
            shape: chosen.shape,
        };
        let outcome = act(&self.target, &DesiredProvider::new(&self.listing, &options))?;
        if !self.dry_run {
            manifest.created =
                created || (manifest.created && is_of(&manifest, &self.target.config));
            manifest.config = Some(self.target.config.clone());
            // The oldest text that leads here without anybody else's changes.
            if let (Some(backup), Some(written)) = (&outcome.backup, outcome.written) {
                let text = file::read(backup).unwrap_or_default();
                let earlier = manifest.original.take().filter(|it| it.led_to(&text));
                let backup = earlier.map_or_else(|| backup.clone(), |it| it.backup);
                manifest.original = Some(Original { backup, written });
            }
            if let Some(file) = &self.key_file {
                make_key(file).with_context(|| format!("cannot write {}", file.display()))?;
                manifest.key_file = Some(file.clone());
            }
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
                .context("cannot record what was installed")?;
        }
        Ok(Done {
            outcome,
            chosen,
            created,
            service,
            key_file: self.key_file,
        })
    }
}

/// Writes a random key, readable by the user alone, unless there is a key.
fn make_key(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if file::read_text(file).is_ok_and(|text| !text.trim().is_empty()) {
        return Ok(());
    }
    let mode = std::fs::Permissions::from_mode(0o600);
    Ok(file::replace(file, random_key()?.as_bytes(), Some(mode))?)
}

fn is_of(manifest: &Manifest, config: &Path) -> bool {
    manifest.config.as_deref() == Some(config)
}

/// Whether the service's file has to be written. One that we did not write is an error.
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
        format_args!(
            "{} exists and was not written by open-cursor, or was changed since",
            service.path.display()
        ),
        "move it away, or install without --service",
    ))
}

impl Done {
    fn json(&self, dry_run: bool) -> Value {
        let Committed {
            plan,
            config,
            backup,
            ..
        } = &self.outcome;
        let service = self.service.as_ref().map(|(service, changed)| {
            json!({
                "path": service.path,
                "changed": changed,
                "start": service.start,
                "stop": service.stop,
                "apiKeyFile": self.key_file,
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
        if let Some(note) = self.chosen.note() {
            render::line(format_args!("  entries: {note}"));
        }
        for path in &self.outcome.plan.kept {
            render::line(format_args!("  kept your value at {path}"));
        }
        if let Some(backup) = &self.outcome.backup {
            render::line(format_args!("  backup: {}", backup.display()));
        }
        if let Some((service, changed)) = &self.service {
            let path = service.path.display();
            if *changed {
                render::line(format_args!("Service: {path} {would}written"));
            } else {
                render::line(format_args!("Service: {path} is up to date"));
            }
            render::line(format_args!("  start it with: {}", service.start));
            if let Some(file) = &self.key_file {
                render::line(format_args!(
                    "  clients other than OpenCode need the API key in {}",
                    file.display()
                ));
            }
        }
        if dry_run {
            render::line("Dry run: nothing was changed.");
        } else {
            render::line("Undo with: open-cursor uninstall");
        }
    }
}
