//! `open-cursor doctor`.

mod probes;

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    WRITE,
    agent_flag::AgentFlag,
    catalog,
    dirs::UserDirs,
    layout::{ShapeFlags, sync},
    process_env,
    render::{self, BAD, GOOD, HINT, PLAIN, WARNING, Wrapped},
};
use crate::{
    doctor::{CHECKS, Context, Depth, Finding, Fix, Severity, examine},
    models::ListingOrigin,
    opencode::PROVIDER,
    settings::Resolved,
};
use probes::probes;

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
    if args.fix
        && findings
            .iter()
            .any(|it| it.result.fix == Some(Fix::SyncModels))
    {
        fixed.push(sync_models(&args, &resolved, dirs).await?);
        findings = look(&resolved, dirs, depth, false).await;
    }
    if args.json {
        render::json(&as_json(&args, &findings, &fixed))?;
    } else {
        if !streams {
            findings.iter().for_each(print);
        }
        summarize(&findings, &fixed);
    }
    let has_problems = count(&findings, Severity::Problem) > 0;
    Ok(ExitCode::from(u8::from(has_problems)))
}

async fn look(resolved: &Resolved, dirs: &UserDirs, depth: Depth, streams: bool) -> Vec<Finding> {
    let progress = render::progress("looking for the agent");
    let context = Context::new(
        resolved.settings.clone(),
        process_env(),
        dirs.opencode.clone(),
        dirs.files.carriers.clone(),
        probes(resolved),
    )
    .await;
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
    let is_so = |finding: &&Finding| finding.result.severity == severity;
    findings.iter().filter(is_so).count()
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
    let Finding { check, result } = finding;
    let width = CHECKS.iter().map(|check| check.name.len()).max();
    let width = width.unwrap_or_default();
    let (style, mark) = match result.severity {
        Severity::Ok => (GOOD, "✓"),
        Severity::Info => (PLAIN, "·"),
        Severity::Warning => (WARNING, "!"),
        Severity::Problem => (BAD, "✗"),
    };
    let row = |prefix: String, prefix_width: usize, text: &str| {
        render::piece(prefix);
        let indent = width + 4;
        let mut wrapped = Wrapped::new(indent + prefix_width, indent, PLAIN);
        wrapped.text(text);
        wrapped.end();
    };
    let prefix = format!("{style}{mark}{style:#} {check:width$}  ");
    row(prefix, 0, &result.message);
    if let Some(hint) = &result.hint {
        let prefix = format!("  {:width$}  {HINT}hint:{HINT:#} ", "");
        row(prefix, "hint: ".len(), hint);
    }
}

fn summarize(findings: &[Finding], fixed: &[String]) {
    for fix in fixed {
        render::line(format_args!("{GOOD}fixed:{GOOD:#} {fix}"));
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
    let target = dirs.target(None, PROVIDER)?;
    let listing = catalog(dirs, &args.agent, WRITE)?.list().await;
    if listing.origin != ListingOrigin::Live {
        let why = listing.problem.clone().unwrap_or_default();
        return Ok(format!(
            "nothing, because the list of models is not available ({why})"
        ));
    }
    let provider = dirs.provider(PROVIDER, resolved, None);
    let synced = sync(target, ShapeFlags::default(), provider, &listing, false).await?;
    Ok(format!(
        "{}: {} changes",
        synced.outcome.config.display(),
        synced.outcome.plan.edits.len()
    ))
}
