//! `open-cursor login`, `logout` and `auth status`.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{attached, dirs::Dirs, render};
use crate::{
    agent::{Env, Program},
    auth::{self, Kind, Login, Place, Source},
    settings::Flags,
};

/// How long `auth status` waits for the agent, whose own `status` can take 15 s.
const LIMIT: Duration = Duration::from_secs(20);

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// Log in to Cursor, by Cursor's own command line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor login
  open-cursor login --no-browser     over ssh or in a container: prints the address to open")]
pub struct LoginArgs {
    /// Print the address to open in place of opening a browser
    #[arg(long)]
    no_browser: bool,
}

/// Log out of Cursor, by Cursor's own command line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor logout")]
pub struct LogoutArgs {}

/// Show who pays for requests
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(StatusArgs),
}

/// Show whether Cursor's command line is logged in, and every credential that it could use
///
/// Secrets are not shown. Exit code 1 if there is no login.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor auth status
  open-cursor auth status --json | jq .loggedIn")]
struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Logs in.
pub async fn login(args: LoginArgs, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let program = program(dirs).await?;
    let mut command = command(&program, "login");
    if args.no_browser {
        command.env("NO_OPEN_BROWSER", "1");
    }
    Ok(attached::run(command).await?.into())
}

/// Logs out, and says what would still work.
pub async fn logout(dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let program = program(dirs).await?;
    let code = attached::run(command(&program, "logout")).await?;
    let env = process_env();
    for name in ["CURSOR_API_KEY", "CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"] {
        if env.get(name).is_some() {
            render::note(format_args!("note: {name} is set and still authenticates"));
        }
    }
    Ok(code.into())
}

/// Runs `auth …`.
pub async fn run(args: Args, dirs: &Dirs) -> anyhow::Result<ExitCode> {
    let Command::Status(args) = args.command;
    let env = process_env();
    let login = match program(dirs).await {
        Ok(program) => auth::ask(&program, &env.for_agent(&[]), LIMIT)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let report = Report {
        login,
        source: auth::source(&env),
        places: tokio::task::spawn_blocking(move || auth::places(&env)).await?,
        now: SystemTime::now(),
    };
    if args.json {
        render::line(serde_json::to_string_pretty(&report.json())?);
    } else {
        report.print();
    }
    let is_in = matches!(report.login, Ok(Login::In(_)));
    Ok(ExitCode::from(u8::from(!is_in)))
}

fn process_env() -> Env {
    std::env::vars_os().collect()
}

/// The CLI, as `serve` would find it.
pub(super) async fn program(dirs: &Dirs) -> anyhow::Result<Program> {
    let explicit = dirs.settings(&Flags::new())?.settings.agent;
    let explicit = explicit.as_deref().map(str::as_ref);
    Ok(crate::agent::discover(explicit, &process_env()).await?)
}

/// The CLI in the user's whole environment: what it needs to open a browser is none of our business.
fn command(program: &Program, name: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(&program.path);
    command.args(&program.leading_args).arg(name);
    if process_env().get("CURSOR_API_KEY").is_none() {
        // An empty one would count as a bad key.
        command.env_remove("CURSOR_API_KEY");
    }
    command
}

struct Report {
    login: Result<Login, String>,
    source: Source,
    places: Vec<Place>,
    now: SystemTime,
}

impl Report {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.source == Source::ApiKey {
            let text = "an API key is in use: requests may be billed one by one, not to the plan";
            warnings.push(text.to_owned());
        }
        let worry = |place: &Place| Some(format!("{} {}", place.name, place.worry(self.now)?));
        warnings.extend(self.places.iter().filter_map(worry));
        warnings
    }

    fn json(&self) -> Value {
        let (logged_in, email, problem) = match &self.login {
            Ok(Login::In(email)) => (Some(true), email.clone(), None),
            Ok(Login::Out) => (Some(false), None, None),
            Ok(Login::Unknown) => (None, None, Some("the CLI does not say".to_owned())),
            Err(error) => (None, None, Some(error.clone())),
        };
        let places: Vec<Value> = self.places.iter().map(|place| self.place(place)).collect();
        json!({
            "loggedIn": logged_in,
            "email": email,
            "source": self.source,
            "problem": problem,
            "warnings": self.warnings(),
            "places": places,
        })
    }

    fn place(&self, place: &Place) -> Value {
        let claims = place.claims.as_ref();
        json!({
            "name": place.name,
            "kind": place.kind,
            "masked": place.masked,
            "daysLeft": claims.and_then(|claims| claims.days_left(self.now)),
            "issuer": claims.and_then(|claims| claims.issuer.clone()),
            "renewable": place.renewable,
            "note": place.note,
        })
    }

    fn print(&self) {
        match &self.login {
            Ok(Login::In(Some(email))) => {
                render::line(format_args!("{GOOD}logged in{GOOD:#} as {email}"));
            }
            Ok(Login::In(None)) => render::line(format_args!("{GOOD}logged in{GOOD:#}")),
            Ok(Login::Out) => render::line(format_args!(
                "{BAD}not logged in{BAD:#}; run `open-cursor login`"
            )),
            Ok(Login::Unknown) => {
                render::line("unknown: the CLI does not say; run `cursor-agent status`")
            }
            Err(error) => render::line(format_args!("{BAD}unknown{BAD:#}: {error}")),
        }
        let source = match self.source {
            Source::ApiKey => "an API key of the environment",
            Source::Token => "a token of the environment",
            Source::Login => "Cursor's own login",
        };
        let used = match self.login {
            Ok(Login::In(_)) => "in use",
            _ => "would be used",
        };
        render::line(format_args!("{used}: {source}"));
        for warning in self.warnings() {
            render::line(format_args!("{WARNING}warning:{WARNING:#} {warning}"));
        }
        render::line("looked at:");
        for place in &self.places {
            render::line(format_args!(
                "  {}  {FAINT}{}{FAINT:#}",
                place.name,
                self.describe(place)
            ));
        }
        if cfg!(target_os = "macos") {
            render::line("  the Keychain is for the CLI alone");
        }
    }

    fn describe(&self, place: &Place) -> String {
        let kind = place.kind.map(|kind| match kind {
            Kind::ApiKey => "API key",
            Kind::Token => "token",
            Kind::Login => "login",
            Kind::Unknown => "neither key nor token",
        });
        let Some(kind) = kind else {
            return place.note.clone().unwrap_or_else(|| "-".to_owned());
        };
        let mut text = format!("{kind} {}", place.masked.as_deref().unwrap_or_default());
        let left = place
            .claims
            .as_ref()
            .and_then(|claims| claims.days_left(self.now));
        match left {
            Some(..0) => text += ", expired",
            Some(left) => text += &format!(", {left} days left"),
            None => {}
        }
        if place.renewable {
            text += ", renewed by the CLI";
        }
        text
    }
}
