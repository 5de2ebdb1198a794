//! Whether OpenCode is installed.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    match context.find("opencode", &[".opencode/bin", ".bun/bin", ".local/bin"]) {
        Some(path) => Verdict::ok(path.display().to_string()),
        None => Verdict::info("OpenCode was not found; other clients need none")
            .hint("install it with `npm install -g opencode-ai`"),
    }
}
