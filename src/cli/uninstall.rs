//! `open-cursor uninstall`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use serde::Serialize;

use super::{dirs::UserDirs, manifest::Manifest, render, sync_models::provider_id};
use crate::opencode::{self, OurEntry, PROVIDER, Removal};

/// Remove what `install` and `sync-models` wrote, and nothing else
///
/// Values that you changed or added in OpenCode's configuration stay and are listed, as does a service
/// file that was changed. For what `sync-models` wrote into other files or for another provider, the
/// command that removes it is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor uninstall --dry-run
  open-cursor uninstall --json")]
pub struct UninstallArgs {
    /// Show what would be removed, without removing it
    #[arg(long)]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Configuration file to clean [default: the one that `install` changed]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,

    /// The provider's id in the configuration
    #[arg(long, value_name = "ID", default_value = PROVIDER, value_parser = provider_id)]
    provider: String,
}

/// Removes, and reports what was removed.
pub async fn run(args: UninstallArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let state_dir = dirs.need_state()?;
    let manifest = Manifest::read(&state_dir);
    let is_ours = args.provider == PROVIDER;
    let installed = manifest.config.clone().filter(|_| is_ours);
    let target = dirs.target(args.config.or(installed), &args.provider)?;
    let is_installed = manifest.config.as_ref() == Some(&target.config);
    let created = manifest.created && is_installed;
    // The service belongs to what `install` configured, and is removed with it.
    let goes = is_ours && (is_installed || manifest.config.is_none());
    let original = manifest.original.clone().filter(|_| is_installed);
    let dry_run = args.dry_run;
    let provider = args.provider;
    let work = move || {
        let removal = opencode::remove(&target, &provider, created, original.as_ref(), dry_run)?;
        let gone = |it: &OurEntry| it.config == removal.config && it.provider == provider;
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
        if let Some(file) = &manifest.key_file {
            // A missing file is what is wanted.
            let _ = std::fs::remove_file(file);
        }
        Manifest::default()
            .write(&state_dir)
            .context("cannot record what was removed")?;
    }
    let report = UninstallReport {
        dry_run,
        config: removal,
        left,
        service,
    };
    if args.json {
        render::json(&report)?;
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UninstallReport {
    dry_run: bool,
    config: Removal,
    left: Vec<OurEntry>,
    service: Option<ServiceFile>,
}

/// What happened to the service's file.
#[derive(Serialize)]
struct ServiceFile {
    path: PathBuf,
    removed: bool,
    /// Why the service could not be stopped.
    problem: Option<String>,
}

/// Stops the service and removes its file, unless the file was changed.
async fn service(
    manifest: &Manifest,
    dirs: &UserDirs,
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
    // Stopped first: without its file, the service manager does not know it any more.
    let program = std::env::current_exe().unwrap_or_default();
    if let Some(stop) = dirs.service(&program, None).map(|service| service.stop) {
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

impl UninstallReport {
    fn print(&self) {
        let Self {
            dry_run,
            config: removal,
            left,
            service,
        } = self;
        let would = if *dry_run { "would be " } else { "" };
        let config = removal.config.display();
        if removal.deleted {
            render::line(format_args!(
                "OpenCode: {config} {would}deleted, as nothing else was in it"
            ));
        } else if removal.removed.is_empty() {
            render::line(format_args!("OpenCode: nothing to remove from {config}"));
        } else {
            render::line(format_args!("OpenCode: {would}removed from {config}:"));
            for path in &removal.removed {
                render::line(format_args!("  {path}"));
            }
        }
        for path in &removal.kept {
            render::line(format_args!("  kept your value at {path}"));
        }
        if let Some(backup) = &removal.backup {
            render::line(format_args!("  backup: {}", backup.display()));
        }
        if !removal.backups.is_empty() {
            render::line(format_args!(
                "  not removed: {}, {config}.bak-*",
                render::plural(removal.backups.len(), "backup")
            ));
        }
        for OurEntry { config, provider } in left {
            render::line(format_args!(
                "Not removed: provider.{provider} in {0}; remove it with \
                 `open-cursor uninstall --config {0} --provider {provider}`",
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
                    "Service: {path} was changed since, and was not removed"
                )),
            }
            if let Some(problem) = &file.problem {
                render::note(format_args!(
                    "note: the service could not be stopped: {problem}"
                ));
            }
        }
        if *dry_run {
            render::line("Dry run: nothing was changed.");
        }
    }
}
