//! Where things are on this machine, by the environment.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What Cursor writes in its data directory for itself. Everything else there makes a later agent do
/// something, one outside of any fence included: hooks, MCP servers, commands, rules, extensions.
const OWN_STATE: [&str; 3] = ["cache", "chats", "projects"];

/// The login, in Cursor's configuration directory. The CLI writes it in place, so that it needs no name
/// beside it: what else is found there has the same effect as in the data directory.
const LOGIN: &str = "auth.json";

/// The places that slots and the fence depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Candidates for [`Slots::open`](super::Slots::open), best first. They are tried in turn
    /// because a view needs a file system that can carry it, which a home on NFS or a container's
    /// own overlay cannot.
    pub slot_roots: Vec<PathBuf>,
    /// The user's own Cursor configuration directory (FACTS 1.5).
    pub user_config: PathBuf,
    /// The directories that Cursor must be able to write for its own purposes: projects, chats, caches
    /// (FACTS 1.5). Not Node's compile cache: what is found there is executed.
    pub state: Vec<PathBuf>,
    /// Where the login may be: files that Cursor must be able to renew.
    pub logins: Vec<PathBuf>,
}

impl Places {
    /// For a program that is none of Cursor's.
    #[must_use]
    pub fn without_cursor(self) -> Self {
        Self {
            state: Vec::new(),
            logins: Vec::new(),
            ..self
        }
    }

    /// Reads the environment through `get`; `temp` is the system's temporary directory.
    #[must_use]
    pub fn from_env(get: impl Fn(&str) -> Option<OsString>, temp: &Path) -> Self {
        let directory = |name: &str| {
            get(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = directory("HOME");
        let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
        let cache = directory("XDG_CACHE_HOME").or_else(|| in_home(".cache"));
        let xdg_config = directory("XDG_CONFIG_HOME");
        let config = xdg_config.clone().or_else(|| in_home(".config"));
        let cursor = |base: PathBuf| base.join("cursor");

        // A shared temporary directory needs a name per user.
        let user = nix::unistd::geteuid();
        let shared = format!("open-cursor-{user}/slots");
        let slot_roots = cache
            .iter()
            .map(|cache| cache.join("open-cursor/slots"))
            .chain([PathBuf::from("/var/tmp").join(&shared), temp.join(&shared)])
            .chain(directory("XDG_RUNTIME_DIR").map(|run| run.join("open-cursor/slots")))
            .collect();
        let user_config = directory("CURSOR_CONFIG_DIR")
            .or_else(|| {
                xdg_config
                    .filter(|_| cfg!(not(target_os = "macos")))
                    .map(cursor)
            })
            .or_else(|| in_home(".cursor"))
            .unwrap_or_default();
        let data = in_home(".cursor")
            .into_iter()
            .chain(directory("CURSOR_DATA_DIR"));
        let state = data
            .flat_map(|data| OWN_STATE.map(|name| data.join(name)))
            .collect();
        // On macOS the login is in the keychain or, if so configured, in a file.
        let on_mac = in_home(".cursor").filter(|_| cfg!(target_os = "macos"));
        let logins = config
            .map(cursor)
            .into_iter()
            .chain(on_mac)
            .map(|directory| directory.join(LOGIN))
            .collect();
        Self {
            slot_roots,
            user_config,
            state,
            logins,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn places(env: &[(&str, &str)]) -> Places {
        let get = |name: &str| {
            let value = env.iter().find(|(key, _)| *key == name)?.1;
            Some(OsString::from(value))
        };
        Places::from_env(get, Path::new("/tmp"))
    }

    fn texts(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn a_plain_home() {
        let places = places(&[("HOME", "/home/me")]);
        let user = nix::unistd::geteuid();
        let shared = [
            format!("/var/tmp/open-cursor-{user}/slots"),
            format!("/tmp/open-cursor-{user}/slots"),
        ];
        assert_eq!(
            texts(&places.slot_roots),
            ["/home/me/.cache/open-cursor/slots", &shared[0], &shared[1]]
        );
        assert_eq!(places.user_config, Path::new("/home/me/.cursor"));
        assert_eq!(
            texts(&places.state),
            [
                "/home/me/.cursor/cache",
                "/home/me/.cursor/chats",
                "/home/me/.cursor/projects"
            ]
        );
        assert_eq!(
            texts(&places.logins)[0],
            "/home/me/.config/cursor/auth.json"
        );
    }

    #[test]
    fn variables_move_it() {
        let places = places(&[
            ("HOME", "/home/me"),
            ("XDG_CACHE_HOME", "/c"),
            ("XDG_CONFIG_HOME", "relative is ignored"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("CURSOR_CONFIG_DIR", "/cc"),
            ("CURSOR_DATA_DIR", "/data"),
        ]);
        assert_eq!(places.slot_roots[0], Path::new("/c/open-cursor/slots"));
        assert_eq!(
            places.slot_roots[3],
            Path::new("/run/user/1/open-cursor/slots")
        );
        assert_eq!(places.user_config, Path::new("/cc"));
        assert_eq!(
            texts(&places.state),
            [
                "/home/me/.cursor/cache",
                "/home/me/.cursor/chats",
                "/home/me/.cursor/projects",
                "/data/cache",
                "/data/chats",
                "/data/projects"
            ]
        );
    }

    #[test]
    fn no_home_still_has_a_place() {
        let places = places(&[]);
        assert_eq!(places.slot_roots.len(), 2);
        assert!(places.state.is_empty() && places.logins.is_empty());
    }
}
