//! Which users of this machine may connect to a server of ours.

use nix::unistd::{User, getuid};

use super::render;
use crate::{http, settings::ServeSettings};

/// The users of `--allow-users`, and our own; `None` is all. Without the setting it is all where
/// clients must send a key or owners can't be looked up.
///
/// # Errors
/// Wrong usage: an unknown user, or a system where this can't be checked.
pub fn allowed(settings: &ServeSettings, has_key: bool) -> anyhow::Result<Option<Vec<u32>>> {
    let names = &settings.allow_users.0;
    let can_look = settings.socket.is_some() || http::knows_users();
    if names.iter().any(|name| name == "all") || (names.is_empty() && (has_key || !can_look)) {
        return Ok(None);
    }
    if !can_look {
        return Err(render::usage(
            "--allow-users: this system does not tell who owns a connection",
            "use --api-key-file or --socket",
        ));
    }
    let named = names.iter().map(|name| uid(name));
    let ours = std::iter::once(Ok(getuid().as_raw()));
    ours.chain(named).collect::<anyhow::Result<_>>().map(Some)
}

fn uid(name: &str) -> anyhow::Result<u32> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    let problem = match User::from_name(name) {
        Ok(Some(user)) => return Ok(user.uid.as_raw()),
        Ok(None) => format!("--allow-users: there is no user `{name}`"),
        Err(error) => format!("--allow-users {name}: {error}"),
    };
    let hint = "name users of this machine, or their numbers, or `all`";
    Err(render::usage(problem, hint))
}
