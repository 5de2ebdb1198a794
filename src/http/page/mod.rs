//! The page at `/`: what runs now, what it cost, how to connect a client. It changes nothing.
//!
//! Its files are part of the program and hold no data, so that a browser gets them without the API
//! key. What they show is asked for by `fetch`, with the key that the user gave the page. No prompt
//! and no answer is among it.

mod figures;
mod now;

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use warp::reply::Response;

use super::{App, reply};
use crate::{models::explain, turn::TurnError};

/// Everything comes from here, and nobody may frame it.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page asks for first. A browser fetches it while it reads the page, where it needs no key.
const EARLY: &str = "</page/figures>; rel=preload; as=fetch; crossorigin, \
                     </page/turns>; rel=preload; as=fetch; crossorigin, \
                     </page/models>; rel=preload; as=fetch; crossorigin, \
                     </page/setup>; rel=preload; as=fetch; crossorigin";

/// A file of the page.
#[derive(Debug)]
pub(super) struct PageFile {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

static FILES: [PageFile; 5] = [
    file("/", HTML, include_str!("index.html")),
    file(
        "/page/page.css",
        "text/css; charset=utf-8",
        include_str!("page.css"),
    ),
    file("/page/page.js", SCRIPT, include_str!("page.js")),
    file("/page/draw.js", SCRIPT, include_str!("draw.js")),
    file("/page/views.js", SCRIPT, include_str!("views.js")),
];

const fn file(path: &'static str, content_type: &'static str, text: &'static str) -> PageFile {
    PageFile {
        path,
        content_type,
        text,
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum PagePart {
    File(&'static PageFile),
    Now,
    Turns,
    Figures,
    Models,
    Setup,
}

/// How a client is pointed at this server; `{address}` and `{key}` stand for what the page knows.
#[derive(Debug, Clone, Serialize)]
pub struct Recipe {
    /// Its name.
    pub client: &'static str,
    /// The command that installs it.
    pub install: Option<&'static str>,
    /// What to type.
    pub text: String,
}

impl PagePart {
    pub fn find(path: &str) -> Option<Self> {
        if let Some(file) = FILES.iter().find(|file| file.path == path) {
            return Some(Self::File(file));
        }
        Some(match path.strip_prefix("/page/")? {
            "now" => Self::Now,
            "turns" => Self::Turns,
            "figures" => Self::Figures,
            "models" => Self::Models,
            "setup" => Self::Setup,
            _ => return None,
        })
    }

    /// Whether it is the same for everybody, and shows nothing.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// Answers a request for a part of the page.
///
/// # Errors
/// The history can't be read, or too many watch.
pub(super) async fn answer(
    app: &Arc<App>,
    part: PagePart,
    query: &str,
) -> Result<Response, TurnError> {
    let mut response = match part {
        PagePart::File(file) => content(app, file),
        PagePart::Now => now::watch(app)?,
        PagePart::Turns => figures::turns(app, query).await?,
        PagePart::Figures => figures::figures(app).await?,
        PagePart::Models => models(app).await,
        PagePart::Setup => setup(app),
    };
    let headers = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ];
    reply::set(&mut response, headers);
    Ok(response)
}

fn content(app: &App, file: &'static PageFile) -> Response {
    let mut response = reply::typed(file.content_type, file.text);
    let config = app.config();
    let needs_key =
        config.api_key.is_some() || !config.keys.is_empty() || app.engine().has_callers();
    if file.path == "/" && !needs_key {
        reply::set(&mut response, [("link", EARLY)]);
    }
    response
}

async fn models(app: &App) -> Response {
    let listing = app.engine().models().list().await;
    let families = explain(&listing.families).groups;
    let models: Vec<_> = families.into_iter().flat_map(|it| it.members).collect();
    reply::value(&json!({"models": models, "problem": listing.problem}))
}

fn setup(app: &App) -> Response {
    let (engine, config) = (app.engine(), app.config());
    let agent = engine.agent();
    let workspace = engine.workspace();
    reply::value(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "agent": agent.to_string(),
        "agentKind": agent.kind(),
        "workspace": workspace.map(|dir| dir.display().to_string()),
        "fence": agent.fence(),
        "carrier": app.engine().carrier(),
        "carrierProblem": agent.serving_problem(),
        "historyFile": app.history().map(|history| history.path().display().to_string()),
        "recipes": config.recipes,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_files_name_is_here() {
        for file in &FILES {
            let quoted = file.text.split(['"', '\'', '`']);
            for name in quoted.filter(|it| it.starts_with("/page/")) {
                let path = name.split('?').next().unwrap_or_default();
                assert!(PagePart::find(path).is_some(), "{}: {name}", file.path);
            }
            for foreign in ["http://", "https://", "innerHTML", "style="] {
                let text = file.text.replace("http://www.w3.org/2000/svg", "");
                assert!(!text.contains(foreign), "{}: {foreign}", file.path);
            }
        }
    }
}
