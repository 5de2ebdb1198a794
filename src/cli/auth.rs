//! `open-cursor login`, `logout` and `auth status`.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{
    agent_flag::AgentFlag,
    attached,
    dirs::UserDirs,
    process_env,
    render::{self, BAD, FAINT, GOOD, WARNING},
};
use crate::{
    agent::{
        Program,
        bridge::{self, FoundKey, NoKey},
    },
    auth::{self, CredentialKind, CredentialSource, Login, Place},
};

/// How long `auth status` waits for the agent, whose own `status` can take 15 s.
const LIMIT: Duration = Duration::from_secs(20);

/// Log in to Cursor with Cursor's CLI
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor login
  open-cursor login --no-browser     over ssh or in a container: prints the URL to open")]
pub struct LoginArgs {
    #[command(flatten)]
    agent: AgentFlag,

    /// Print the URL instead of opening a browser
    #[arg(long)]
    no_browser: bool,
}

/// Log out of Cursor with Cursor's CLI
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor logout")]
pub struct LogoutArgs {
    #[command(flatten)]
    agent: AgentFlag,
}

/// Show which login, API key or token requests use
#[derive(Debug, clap::Args)]
pub struct AuthArgs {
    #[command(subcommand)]
    command: AuthCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AuthCommand {
    Status(AuthStatusArgs),
}

/// Show whether Cursor's CLI is logged in, and every credential that it could use
///
/// Secrets are not shown. Exit code 1 if the CLI is not logged in.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  open-cursor auth status
  open-cursor auth status --json | jq .loggedIn")]
struct AuthStatusArgs {
    #[command(flatten)]
    agent: AgentFlag,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Logs in.
pub async fn login(args: LoginArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let program = program(&args.agent, dirs).await?;
    let mut command = command(&program, "login");
    if args.no_browser {
        command.env("NO_OPEN_BROWSER", "1");
    }
    attend(&program, command).await
}

/// Logs out, and warns about credentials in the environment.
pub async fn logout(args: LogoutArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let program = program(&args.agent, dirs).await?;
    let code = attend(&program, command(&program, "logout")).await?;
    let env = process_env();
    for name in ["CURSOR_API_KEY", "CURSOR_AUTH_TOKEN", "CURSOR_ACCESS_TOKEN"] {
        if env.get(name).is_some() {
            render::note(format_args!(
                "note: {name} is set, so requests are still authenticated"
            ));
        }
    }
    Ok(code)
}

async fn attend(program: &Program, command: tokio::process::Command) -> anyhow::Result<ExitCode> {
    let code = attached::run(command).await.map_err(|error| {
        render::hinted(
            format_args!("cannot run {program}: {error}"),
            "`open-cursor doctor` checks Cursor's CLI",
        )
    })?;
    Ok(code.into())
}

/// Runs `auth …`.
pub async fn run(args: AuthArgs, dirs: &UserDirs) -> anyhow::Result<ExitCode> {
    let AuthCommand::Status(args) = args.command;
    let env = process_env();
    let waiting = render::progress("asking the agent");
    let asked = async {
        let program = program(&args.agent, dirs).await?;
        anyhow::Ok(auth::ask(&program, &env.for_agent(&[]), LIMIT).await?)
    };
    let login = asked.await.map_err(|error| error.to_string());
    drop(waiting);
    let report = AuthReport {
        login,
        source: auth::source(&env),
        bridge_key: bridge::find_key(&env),
        places: tokio::task::spawn_blocking(move || auth::places(&env)).await?,
        now: SystemTime::now(),
    };
    if args.json {
        render::json(&report.json())?;
    } else {
        report.print();
    }
    let is_in = matches!(report.login, Ok(Login::In(_)));
    Ok(ExitCode::from(u8::from(!is_in)))
}

/// The CLI, as `serve` would find it.
pub(super) async fn program(flag: &AgentFlag, dirs: &UserDirs) -> anyhow::Result<Program> {
    let explicit = dirs.settings(&flag.flags())?.settings.agent;
    let explicit = explicit.as_deref().map(str::as_ref);
    let found = crate::agent::discover(explicit, &process_env()).await;
    found.map_err(|error| render::hinted(error, "`open-cursor demo` works without Cursor"))
}

/// The CLI with the user's whole environment, which it may need to open a browser.
fn command(program: &Program, name: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(&program.path);
    command.args(&program.leading_args).arg(name);
    if process_env().get("CURSOR_API_KEY").is_none() {
        // An empty one would count as a bad key.
        command.env_remove("CURSOR_API_KEY");
    }
    command
}

struct AuthReport {
    login: Result<Login, String>,
    source: CredentialSource,
    bridge_key: Result<FoundKey, NoKey>,
    places: Vec<Place>,
    now: SystemTime,
}

impl AuthReport {
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.source == CredentialSource::ApiKey {
            let text =
                "an API key is used: requests may be billed one by one instead of to your plan";
            warnings.push(text.to_owned());
        }
        let worry = |place: &Place| Some(format!("{} {}", place.name, place.worry(self.now)?));
        warnings.extend(self.places.iter().filter_map(worry));
        if let Err(expired @ NoKey::Expired(_)) = &self.bridge_key {
            warnings.push(expired.to_string());
        }
        warnings
    }

    fn json(&self) -> Value {
        let (logged_in, email, problem) = match &self.login {
            Ok(Login::In(email)) => (Some(true), email.clone(), None),
            Ok(Login::Out) => (Some(false), None, None),
            Ok(Login::Unknown) => (
                None,
                None,
                Some("the output of `cursor-agent status` is not known".to_owned()),
            ),
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
            "bridgeKey": self.bridge_key.as_ref().ok().map(|key| &key.origin),
        })
    }

    fn days_left(&self, place: &Place) -> Option<i64> {
        place.claims.as_ref()?.days_left(self.now)
    }

    fn place(&self, place: &Place) -> Value {
        let issuer = place.claims.as_ref().and_then(|it| it.issuer.as_ref());
        json!({
            "name": place.name,
            "kind": place.kind,
            "masked": place.masked,
            "daysLeft": self.days_left(place),
            "issuer": issuer,
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
                render::line("unknown: the output of `cursor-agent status` is not known")
            }
            Err(error) => render::line(format_args!("{BAD}unknown{BAD:#}: {error}")),
        }
        let source = match self.source {
            CredentialSource::ApiKey => "an API key from the environment",
            CredentialSource::Token => "a token from the environment",
            CredentialSource::Login => "the login of Cursor's CLI",
        };
        let used = match self.login {
            Ok(Login::In(_)) => "in use",
            _ => "would be used",
        };
        render::line(format_args!("{used}: {source}"));
        if let Ok(key) = &self.bridge_key {
            render::line(format_args!("the SDK bridge uses: {}", key.origin));
        }
        for warning in self.warnings() {
            render::line(format_args!("{WARNING}warning:{WARNING:#} {warning}"));
        }
        render::line("places checked:");
        for place in &self.places {
            render::line(format_args!(
                "  {}  {FAINT}{}{FAINT:#}",
                place.name,
                self.describe(place)
            ));
        }
        if cfg!(target_os = "macos") {
            render::line("  the Keychain (only the CLI can read it)");
        }
    }

    fn describe(&self, place: &Place) -> String {
        let kind = place.kind.map(|kind| match kind {
            CredentialKind::ApiKey => "API key",
            CredentialKind::Token => "token",
            CredentialKind::Login => "login",
            CredentialKind::Unknown => "neither an API key nor a token",
        });
        let Some(kind) = kind else {
            return place.note.clone().unwrap_or_else(|| "-".to_owned());
        };
        let mut text = format!("{kind} {}", place.masked.as_deref().unwrap_or_default());
        match self.days_left(place) {
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
