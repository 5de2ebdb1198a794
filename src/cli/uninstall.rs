//! `open-cursor uninstall`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{dirs::Dirs, manifest::Manifest, render, sync_models::provider_id};
use crate::opencode::{self, PROVIDER, Removal, Target, Written};

/// Remove what `install` and `sync-models` have written, and nothing else
///
/// Values that you changed or added in OpenCode's configuration stay, and are named. A service file
/// that was changed stays as well. What `sync-models` wrote into other files, or for another provider,
/// is named with the command that removes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor uninstall --dry-run
  open-cursor uninstall --json")]
pub struct Args {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The configuration to clean [default: the one that `install` changed]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,

    /// The provider's id in the configuration
    #[arg(long, value_name = "ID", default_value = PROVIDER, value_parser = provider_id)]
    provider: String,
}

/// Removes, and says what it did.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let state_dir = dirs
        .state()
        .context("no home directory; set XDG_STATE_HOME")?;
    let manifest = Manifest::read(&state_dir);
    let found = || opencode::locate(&dirs.opencode, &args.provider);
    let is_ours = args.provider == PROVIDER;
    let installed = manifest.config.clone().filter(|_| is_ours);
    let config = args.config.clone().or(installed).or_else(found);
    let target = Target {
        config: std::path::absolute(config.context("no home directory; use --config")?)?,
        state_dir: state_dir.clone(),
    };
    let is_installed = manifest.config.as_ref() == Some(&target.config);
    let created = manifest.created && is_installed;
    // The service is for what `install` configured, and goes with that.
    let goes = is_ours && (is_installed || manifest.config.is_none());
    let dry_run = args.dry_run;
    let provider = args.provider;
    let work = move || {
        let removal = opencode::remove(&target, &provider, created, dry_run)?;
        let gone = |it: &Written| it.config == removal.config && it.provider == provider;
        let mut left = opencode::written(&target.state_dir);
        left.retain(|it| !gone(it));
        Ok::<_, opencode::ConfigError>((removal, left))
    };
    let (removal, left) = tokio::task::spawn_blocking(work).await??;
    let service = if goes {
        service(&manifest, dirs, dry_run).await?
    } else {
        None
    };
    if goes && !dry_run {
        Manifest::default()
            .write(&state_dir)
            .context("cannot note what was removed")?;
    }
    if args.json {
        render::line(serde_json::to_string_pretty(&as_json(
            &removal,
            &left,
            service.as_ref(),
            dry_run,
        ))?);
    } else {
        print(&removal, &left, service.as_ref(), dry_run);
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of the service's file.
struct ServiceFile {
    path: PathBuf,
    removed: bool,
    /// Why the service could not be stopped.
    problem: Option<String>,
}

/// Stops the service and removes its file, if that is as we wrote it.
async fn service(
    manifest: &Manifest,
    dirs: &Dirs,
    dry_run: bool,
) -> anyhow::Result<Option<ServiceFile>> {
    let Some(ours) = &manifest.service else {
        return Ok(None);
    };
    let mut file = ServiceFile {
        path: ours.path.clone(),
        removed: false,
        problem: None,
    };
    match tokio::fs::read_to_string(&ours.path).await {
        Ok(text) if text == ours.text => file.removed = true,
        _ => return Ok(Some(file)),
    }
    if dry_run {
        return Ok(Some(file));
    }
    // With its file gone, the service manager could no longer be told.
    let program = std::env::current_exe().unwrap_or_default();
    if let Some(stop) = dirs.service(&program).map(|service| service.stop) {
        let mut shell = tokio::process::Command::new("sh");
        let output = shell
            .args(["-c", &stop])
            .stdin(std::process::Stdio::null())
            .output()
            .await;
        file.problem = match output {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
    }
    tokio::fs::remove_file(&ours.path)
        .await
        .with_context(|| format!("cannot remove {}", ours.path.display()))?;
    Ok(Some(file))
}

fn as_json(
    removal: &Removal,
    left: &[Written],
    service: Option<&ServiceFile>,
    dry_run: bool,
) -> Value {
    json!({
        "dryRun": dry_run,
        "config": {
            "path": removal.config,
            "removed": removal.removed,
            "kept": removal.kept,
            "deleted": removal.deleted,
            "backup": removal.backup,
            "backups": removal.backups,
        },
        "left": left,
        "service": service.map(|file| json!({
            "path": file.path,
            "removed": file.removed,
            "problem": file.problem,
        })),
    })
}

fn print(removal: &Removal, left: &[Written], service: Option<&ServiceFile>, dry_run: bool) {
    let would = if dry_run { "would be " } else { "" };
    let config = removal.config.display();
    if removal.deleted {
        render::line(format_args!(
            "OpenCode: {config} {would}removed: nothing else was in it"
        ));
    } else if removal.removed.is_empty() {
        render::line(format_args!("OpenCode: {config} holds nothing of ours"));
    } else {
        render::line(format_args!("OpenCode: {would}removed from {config}:"));
        for path in &removal.removed {
            render::line(format_args!("  {path}"));
        }
    }
    for path in &removal.kept {
        render::line(format_args!("  yours is kept: {path}"));
    }
    if let Some(backup) = &removal.backup {
        render::line(format_args!("  backup: {}", backup.display()));
    }
    if !removal.backups.is_empty() {
        render::line(format_args!(
            "  stays with you: {}, {config}.bak-*",
            render::plural(removal.backups.len(), "backup")
        ));
    }
    for Written { config, provider } in left {
        render::line(format_args!(
            "Still there: provider.{provider} in {0}; \
             `open-cursor uninstall --config {0} --provider {provider}` removes it",
            config.display()
        ));
    }
    if let Some(file) = service {
        let path = file.path.display();
        match (file.removed, &file.problem) {
            (true, None) => {
                render::line(format_args!("Service: {path} {would}stopped and removed"))
            }
            (true, Some(_)) => render::line(format_args!("Service: {path} removed")),
            (false, _) => render::line(format_args!(
                "Service: {path} is no longer as it was written, and stays"
            )),
        }
        if let Some(problem) = &file.problem {
            render::note(format_args!(
                "note: the service could not be stopped: {problem}"
            ));
        }
    }
    if dry_run {
        render::line("Dry run: nothing was changed.");
    }
}
