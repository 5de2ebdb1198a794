//! What `serve` prints when it starts: where it is, how to use it, and who can.

use std::sync::Arc;

use super::{render, serve::Running};
use crate::{
    http::{Address, App},
    sandbox::fence::FenceStatus,
};

/// The first lines, before anything has to be waited for.
pub fn say(running: &Running) {
    let app = &running.app;
    let (url, address) = (running.url(), running.server.address());
    let at = match address {
        Address::Tcp(_) => url.clone(),
        Address::Unix(path) => path.display().to_string(),
    };
    let engine = app.engine();
    render::note(format_args!(
        "open-cursor {} listens on {at}",
        env!("CARGO_PKG_VERSION")
    ));
    row("agent", engine.agent());
    row("fence", fence(engine.agent().fence()));
    if let Some(toolbox) = engine.toolbox() {
        let tools = toolbox.local_tools();
        let names: Vec<_> = tools.iter().map(|tool| &*tool.spec.name).collect();
        let where_to = match engine.workspace() {
            Some(dir) => format!("in {}", dir.display()),
            None => "for requests that name a directory; see --workspace".to_owned(),
        };
        if !names.is_empty() {
            row("tools", format_args!("{} {where_to}", names.join(", ")));
        }
        let servers = toolbox.mcp_health();
        if !servers.is_empty() {
            let names: Vec<_> = servers.iter().map(|server| &*server.name).collect();
            row("MCP servers", names.join(", "));
        }
    }
    row("users", who(app, address));
    match address {
        Address::Tcp(_) => {
            row(
                "base URL",
                format_args!("{url}/v1 (model `auto`; {})", key(app)),
            );
            row("OpenCode", "open-cursor install, then opencode");
            row(
                "Claude Code",
                format_args!("ANTHROPIC_BASE_URL={url} claude"),
            );
            row(
                "Codex, others",
                "open-cursor run -- codex, or any other client",
            );
            row("page", format_args!("{url}/"));
        }
        Address::Unix(path) => row(
            "curl",
            format_args!("curl --unix-socket {} {url}/v1/models", path.display()),
        ),
    }
    render::note("Ctrl-C stops it; running answers have 10 s to finish");
}

/// The strongest layer that holds, or why there is none.
fn fence(status: &FenceStatus) -> &str {
    let layer = if status.view.holds() || !status.writes.holds() {
        &status.view
    } else {
        &status.writes
    };
    &layer.sentence
}

fn key(app: &App) -> &'static str {
    let config = app.config();
    if app.engine().has_callers() {
        "with each caller's own Cursor API key"
    } else if config.api_key.is_some() || !config.keys.is_empty() {
        "with the server's API key"
    } else {
        "any API key"
    }
}

/// Who can use the server, and with it read what its agent can read.
fn who(app: &App, address: &Address) -> String {
    let config = app.config();
    match (address, &config.allowed_users) {
        _ if app.engine().has_callers() => "all that bring a key of Cursor's".to_owned(),
        _ if config.api_key.is_some() || !config.keys.is_empty() => {
            "all that know the API key".to_owned()
        }
        (Address::Unix(_), _) => "only yours can open the socket".to_owned(),
        (_, Some(uids)) if uids.len() == 1 => {
            "only yours; other users of this machine are refused (--allow-users)".to_owned()
        }
        (_, Some(uids)) => {
            let uids: Vec<_> = uids.iter().map(u32::to_string).collect();
            format!(
                "{}; other users of this machine are refused",
                uids.join(", ")
            )
        }
        (_, None) => "other users of this machine can use this server, and through it read your \
                      files; set a key with --api-key-file"
            .to_owned(),
    }
}

/// Login, models and how the agent takes tools, which it takes seconds to tell.
pub async fn say_account(app: Arc<App>) {
    let engine = app.engine();
    if engine.has_callers() {
        return;
    }
    let agent = engine.agent();
    let (listing, login, (), ()) = tokio::join!(
        engine.models().list(),
        agent.logged_in(),
        agent.verify_login(),
        agent.learn_serving()
    );
    match login {
        Some(true) => row("login", "logged in"),
        Some(false) => row("login", "not logged in; run `open-cursor login`"),
        None => row("login", "unknown; run `open-cursor auth status`"),
    }
    row("models", listing.entries().count());
    let problem = agent.serving_problem();
    let problem = problem.map_or(String::new(), |problem| format!(" ({problem})"));
    let how = match engine.carrier() {
        "bridge" | "mcp" => "are served to the agent, whose run waits for their results",
        "view" => {
            "are asked for in text, with a new run for each round; changes of files go out together"
        }
        _ => "are asked for in text, with a new run for each round",
    };
    row("client tools", format_args!("{how}{problem}"));
}

fn row(name: &str, value: impl std::fmt::Display) {
    render::note(format_args!("  {name:<13} {value}"));
}
