//! Whether a shell finds us, and the same one.

use super::{Context, finding::Verdict};

pub(super) async fn check(context: &Context) -> Verdict {
    let real = |path: &std::path::Path| path.canonicalize().ok();
    let own = std::env::current_exe().ok();
    let Some(found) = context.find("open-cursor", &[]) else {
        let own = own.map(|own| format!("; this is {}", own.display()));
        return Verdict::info(format!(
            "open-cursor is not on PATH{}",
            own.unwrap_or_default()
        ))
        .hint("`cargo install --path .` puts it into ~/.cargo/bin");
    };
    let shown = found.display().to_string();
    match (real(&found), own.as_deref().and_then(real)) {
        (Some(found), Some(own)) if found != own => {
            Verdict::warning(format!("PATH finds {shown}, but this is {}", own.display()))
                .hint("remove the older one")
        }
        _ => Verdict::ok(shown),
    }
}
