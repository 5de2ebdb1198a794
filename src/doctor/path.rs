//! Whether `open-cursor` is on PATH, and is this program.

use std::path::Path;

use super::{CheckResult, Checked, Context};
use crate::agent::find_program;

pub(super) async fn check(context: &Context) -> Checked {
    let real = |path: &Path| path.canonicalize().ok();
    let own = std::env::current_exe().ok();
    let found = find_program("open-cursor".as_ref(), &context.env, &[]).await;
    let found = found.ok_or_else(|| {
        let own = own
            .as_ref()
            .map(|own| format!("; this is {}", own.display()));
        let own = own.unwrap_or_default();
        CheckResult::info(format!("open-cursor is not on PATH{own}"))
            .hint("`cargo install --path .` installs it to ~/.cargo/bin")
    })?;
    let shown = found.display();
    Ok(match (real(&found), own.as_deref().and_then(real)) {
        (Some(first), Some(own)) if first != own => {
            let own = own.display();
            CheckResult::warning(format!("{shown} comes first on PATH, but this is {own}"))
                .hint("remove the older one")
        }
        _ => CheckResult::ok(shown),
    })
}
