//! Changes that nobody made on purpose: git's refreshes of its own caches.

use std::ffi::OsStr;
use std::path::{Component, Path};

/// Whether a path is one of git's caches: the index, which `git status` rewrites, the object store,
/// which means nothing without a changed ref, and the files of its background helpers. Everything
/// else in `.git` (refs, HEAD, config, hooks) counts as a change.
pub(super) fn is_bookkeeping(path: &Path) -> bool {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let mut inside = names.skip_while(|name| *name != ".git").skip(1).peekable();
    if inside.peek().is_none() {
        return false;
    }
    let inside: Vec<&OsStr> = inside.collect();
    if inside.iter().any(|name| *name == "refs" || *name == "logs") {
        return false; // a branch may be called `objects`
    }
    inside.iter().any(|name| {
        let name = name.as_encoded_bytes();
        matches!(
            name,
            b"objects" | b"index" | b"index.lock" | b"gc.log" | b"gc.pid" | b"gc.pid.lock"
        ) || name.starts_with(b"sharedindex.")
            || name.starts_with(b"fsmonitor--daemon")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_told_from_changes() {
        for (path, expected) in [
            ("/w/.git/index", true),
            ("/w/.git/index.lock", true),
            ("/w/.git/modules/sub/index", true),
            ("/w/.git/worktrees/x/index", true),
            ("/w/.git/objects/ab/cdef", true),
            ("/w/.git/fsmonitor--daemon/cookies/1", true),
            ("/w/.git", false),
            ("/w/.git/HEAD", false),
            ("/w/.git/config", false),
            ("/w/.git/hooks/pre-commit", false),
            ("/w/.git/refs/heads/objects/x", false),
            ("/w/index", false),
            ("/w/src/objects/a", false),
            ("/w/.github/index", false),
        ] {
            assert_eq!(is_bookkeeping(Path::new(path)), expected, "{path}");
        }
    }
}
