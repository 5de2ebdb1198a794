//! The rules that Cursor itself is asked to keep (FACTS 1.6: deny beats allow, also with `--force`).

use crate::sandbox::slot::Rules;

/// Shell, MCP and web fetches are the client's to do. Writing is denied only where there is no
/// view: in a view, an edit is how the model says what it wants.
pub(super) fn rules(view: bool) -> Rules {
    const WITHOUT_VIEW: &[&str] = &["Shell(**)", "Mcp(*:*)", "WebFetch(*)", "Write(**)"];
    Rules {
        allow: &[],
        deny: if view {
            &WITHOUT_VIEW[..3]
        } else {
            WITHOUT_VIEW
        },
    }
}
