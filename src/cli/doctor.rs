//! `open-cursor doctor`.

mod probes;

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{
    WRITE,
    agent_flag::AgentFlag,
    base_url, catalog,
    dirs::{UserDirs, no_home},
    render::{self, Wrapped},
};
use crate::{
    doctor::{CHECKS, Context, Depth, Finding, Fix, Severity, examine},
    models::ListingOrigin,
    opencode::{self, ConfigTarget, DesiredProvider, ModelOptions, PROVIDER},
    settings::Resolved,
};
use probes::probes;

const OK: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
const PROBLEM: Style = AnsiColor::Red.on_default();
const HINT: Style = AnsiColor::Cyan.on_default();
const PLAIN: Style = Style::new();

/// Check the setup, and report problems with their fix
///
/// Checks the agent, the login, the port, the server and OpenCode's configuration, in 5 s at most; with
/// --deep also the models, the tokens, the network, and a real chat, which costs one request. Exit
/// code 1 if there is a problem.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor doctor
  open-cursor doctor --deep --no-chat
  open-cursor doctor --json | jq -r '.findings[] | select(.severity == \"problem\") | .message'")]
pub struct DoctorArgs {
    #[command(flatten)]
    agent: AgentFlag,

    /// Check more, which takes longer
    #[arg(long)]
    deep: bool,

    /// With --deep: send no request to a model
    #[arg(long, requires = "deep")]
    no_chat: bool,

    /// Repair what can be repaired safely
    #[arg(long)]
    fix: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks, repairs with --fix, and reports.
pub async fn run(args: DoctorArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let resolved = dirs.settings(&args.agent.flags())?;
    let depth = match (args.deep, args.no_chat) {
        (false, _) => Depth::Base,
        (true, true) => Depth::Deep,
        (true, false) => Depth::Chat,
    };
    // Only what is final is printed: a repair changes the findings.
    let streams = !args.json && !args.fix;
    let mut findings = look(&resolved, dirs, depth, streams).await;
    let mut fixed = Vec::new();
    if args.fix && findings.iter().any(|it| it.fix == Some(Fix::SyncModels)) {
        fixed.push(sync_models(&args, &resolved, dirs).await?);
        findings = look(&resolved, dirs, depth, false).await;
    }
    if args.json {
        render::line(serde_json::to_string_pretty(&as_json(
            &args, &findings, &fixed,
        ))?);
    } else {
        if !streams {
            findings.iter().for_each(print);
        }
        summarize(&findings, &fixed);
    }
    Ok(ExitCode::from(u8::from(
        count(&findings, Severity::Problem) > 0,
    )))
}

async fn look(resolved: &Resolved, dirs: &UserDirs, depth: Depth, streams: bool) -> Vec<Finding> {
    let env = std::env::vars_os().collect();
    let places = dirs.opencode.clone();
    let progress = render::progress("looking for the agent");
    let (settings, carriers) = (resolved.settings.clone(), dirs.carriers());
    let context = Context::new(settings, env, places, carriers, probes(resolved)).await;
    let on_finding = |finding: &Finding| {
        if streams {
            progress.pause(|| print(finding));
        }
    };
    let waiting = |left: &[&str]| progress.set(format!("checking {}", left.join(", ")));
    let findings = examine(&context, depth, on_finding, waiting).await;
    context.close().await;
    findings
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    let of = findings
        .iter()
        .filter(|finding| finding.severity == severity);
    of.count()
}

fn as_json(args: &DoctorArgs, findings: &[Finding], fixed: &[String]) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "deep": args.deep,
        "problems": count(findings, Severity::Problem),
        "warnings": count(findings, Severity::Warning),
        "fixed": fixed,
        "findings": findings,
    })
}

fn print(finding: &Finding) {
    let Finding {
        check,
        severity,
        message,
        hint,
        ..
    } = finding;
    let width = CHECKS.iter().map(|check| check.name.len()).max();
    let width = width.unwrap_or_default();
    let (style, mark) = match severity {
        Severity::Ok => (OK, "✓"),
        Severity::Info => (PLAIN, "·"),
        Severity::Warning => (WARNING, "!"),
        Severity::Problem => (PROBLEM, "✗"),
    };
    let row = |prefix: String, prefix_width: usize, text: &str| {
        render::piece(prefix);
        let indent = width + 4;
        let mut wrapped = Wrapped::new(indent + prefix_width, indent, PLAIN);
        wrapped.text(text);
        wrapped.end();
    };
    let prefix = format!("{style}{mark}{style:#} {check:width$}  ");
    row(prefix, 0, message);
    if let Some(hint) = hint {
        let prefix = format!("  {:width$}  {HINT}hint:{HINT:#} ", "");
        row(prefix, "hint: ".len(), hint);
    }
}

fn summarize(findings: &[Finding], fixed: &[String]) {
    for fix in fixed {
        render::line(format_args!("{OK}fixed:{OK:#} {fix}"));
    }
    render::line(format_args!(
        "{}, {}",
        render::plural(count(findings, Severity::Problem), "problem"),
        render::plural(count(findings, Severity::Warning), "warning")
    ));
}

/// Runs `sync-models`, keeping the grouping of the models.
async fn sync_models(
    args: &DoctorArgs,
    resolved: &Resolved,
    dirs: &UserDirs,
) -> anyhow::Result<String> {
    let config = opencode::locate(&dirs.opencode, PROVIDER).ok_or_else(|| no_home("set HOME"))?;
    let state_dir = dirs.need_state()?;
    let listing = catalog(dirs, &args.agent, WRITE)?.list().await;
    if listing.origin != ListingOrigin::Live {
        let why = listing.problem.clone().unwrap_or_default();
        return Ok(format!(
            "nothing, because the list of models is not available ({why})"
        ));
    }
    let base_url = base_url(&resolved.settings);
    let api_key = dirs.client_key(resolved);
    let target = ConfigTarget { config, state_dir };
    let work = move || {
        let options = ModelOptions {
            provider: PROVIDER.to_owned(),
            base_url,
            api_key,
            shape: opencode::shape(&target, PROVIDER)?,
        };
        opencode::commit(&target, &DesiredProvider::new(&listing, &options))
    };
    let outcome = tokio::task::spawn_blocking(work).await??;
    Ok(format!(
        "{}: {} changes",
        outcome.config.display(),
        outcome.plan.edits.len()
    ))
}
