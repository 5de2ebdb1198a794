//! Whether `open-cursor` is on PATH, and is this program.

use super::{Context, finding::CheckResult};
use crate::agent::find_program;

pub(super) async fn check(context: &Context) -> CheckResult {
    let real = |path: &std::path::Path| path.canonicalize().ok();
    let own = std::env::current_exe().ok();
    let found = find_program("open-cursor".as_ref(), &context.env, &[]).await;
    let Some(found) = found else {
        let own = own.map(|own| format!("; this is {}", own.display()));
        return CheckResult::info(format!(
            "open-cursor is not on PATH{}",
            own.unwrap_or_default()
        ))
        .hint("`cargo install --path .` installs it to ~/.cargo/bin");
    };
    let shown = found.display().to_string();
    match (real(&found), own.as_deref().and_then(real)) {
        (Some(found), Some(own)) if found != own => CheckResult::warning(format!(
            "{shown} comes first on PATH, but this is {}",
            own.display()
        ))
        .hint("remove the older one"),
        _ => CheckResult::ok(shown),
    }
}
