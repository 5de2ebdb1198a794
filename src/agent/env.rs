//! The environment: what we were started with, and what of it the agent may have.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use crate::{
    credential::Credential,
    sandbox::environment::{NETWORK, is_usual, names},
    turn::CallerKey,
};

/// A snapshot of an environment. The program takes it once; tests make their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<OsString, OsString>);

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// What the agent may have besides the usual. The sockets of a session ([`REACH_AROUND`]) are left out on
/// purpose: through them a tool could act outside of every fence. Of `CURSOR_…` it is what the CLI reads
/// (FACTS 1.4): the rest is ours (`CURSOR_ACP_…`), or tells a CLI that it runs inside another one.
///
/// [`REACH_AROUND`]: crate::sandbox::environment::REACH_AROUND
const OF_AGENT: &str = "TERM TMPDIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME XDG_STATE_HOME \
     AGENT_CLI_CREDENTIAL_STORE NO_OPEN_BROWSER DO_NOT_TRACK CURSOR_API_KEY CURSOR_AUTH_TOKEN \
     CURSOR_API_ENDPOINT CURSOR_API_BASE_URL CURSOR_CONFIG_DIR CURSOR_DATA_DIR \
     CURSOR_AGENT_DISABLE_DEBUG_LOG CURSOR_AGENT_CLI_AUTHLESS_MODE CURSOR_LOCAL_AGENT_BASE_URL \
     CURSOR_LOCAL_AGENT_API_KEY CURSOR_RIPGREP_PATH CURSOR_WORKTREES_ROOT CURSOR_ENABLE_BEDROCK \
     CURSOR_STATSIG_OVERRIDES";

impl Env {
    /// A variable's value; an empty one counts as unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.0.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// The agent's whole environment: the variables of ours that it may have, then `set`, which
    /// wins.
    ///
    /// An empty `CURSOR_API_KEY` would count as a bad key, and is left out. The CLI does not know
    /// `CURSOR_ACCESS_TOKEN`: it becomes one of those that it does, by its shape, unless one of
    /// them is given already.
    #[must_use]
    pub fn for_agent(&self, set: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let passed = self.0.iter().filter(|(name, value)| {
            let is_cursors = name
                .to_str()
                .is_some_and(|name| name.starts_with("CURSOR_"));
            (is_usual(name) || names(&[NETWORK, OF_AGENT], name))
                && !(value.is_empty() && is_cursors)
        });
        let mut child: BTreeMap<OsString, OsString> = passed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        // Without it every run leaves a log with the user's id and path in the temp directory.
        child
            .entry("CURSOR_AGENT_DISABLE_DEBUG_LOG".into())
            .or_insert("1".into());
        child.extend(set.iter().cloned());
        child.retain(|name, value| !(value.is_empty() && is_credential(name)));
        let has_credential = child.keys().any(|name| is_credential(name));
        let token = child.remove(OsStr::new(ACCESS_TOKEN));
        let token = token.as_deref().or_else(|| self.get(ACCESS_TOKEN));
        let token = token.and_then(OsStr::to_str).and_then(Credential::of);
        if let Some(credential) = token.filter(|_| !has_credential) {
            let (name, value) = match credential {
                Credential::Key(key) => ("CURSOR_API_KEY", key),
                Credential::Token(token) => ("CURSOR_AUTH_TOKEN", token),
            };
            child.insert(name.into(), value.into());
        }
        child.into_iter().collect()
    }
}

const ACCESS_TOKEN: &str = "CURSOR_ACCESS_TOKEN";

/// Gives an agent's environment this key, in place of any other. What has no known shape counts as a
/// key, which Cursor refuses then.
pub(super) fn with_key(env: &mut Vec<(OsString, OsString)>, key: &CallerKey) {
    env.retain(|(name, _)| !is_credential(name));
    let (name, value) = match Credential::of(key.secret()) {
        Some(Credential::Token(token)) => ("CURSOR_AUTH_TOKEN", token),
        Some(Credential::Key(_)) | None => ("CURSOR_API_KEY", key.secret()),
    };
    env.push((name.into(), value.into()));
}

fn is_credential(name: &OsStr) -> bool {
    name == "CURSOR_API_KEY" || name == "CURSOR_AUTH_TOKEN"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `A=1 B=2` as pairs.
    fn pairs(text: &str) -> Vec<(OsString, OsString)> {
        let pairs = text
            .split_whitespace()
            .map(|pair| pair.split_once('=').unwrap());
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn a_callers_key_is_the_only_one() {
        let table = [
            ("key_2", "CURSOR_API_KEY=key_2"),
            ("user_1::a.b.c", "CURSOR_AUTH_TOKEN=a.b.c"),
            ("whatever", "CURSOR_API_KEY=whatever"),
        ];
        for (key, expected) in table {
            let mut env = pairs("HOME=/h CURSOR_API_KEY=key_1 CURSOR_AUTH_TOKEN=t");
            with_key(&mut env, &CallerKey::new(key.as_bytes()).unwrap());
            assert_eq!(env, pairs(&format!("HOME=/h {expected}")), "{key}");
        }
    }

    #[test]
    fn child_environment() {
        let log = "CURSOR_AGENT_DISABLE_DEBUG_LOG=1";
        // (ours, set by the user, the agent's)
        let table = [
            (
                "HOME=/h LC_ALL=C LC_TIME=C https_proxy=p SSH_AUTH_SOCK=s DBUS_SESSION_BUS_ADDRESS=b XDG_RUNTIME_DIR=r \
                 TMUX=t DISPLAY=:0 WAYLAND_DISPLAY=w DOCKER_HOST=d OPENAI_API_KEY=k CURSOR_CLI=1 CURSOR_ACP_X=1",
                "",
                "HOME=/h LC_ALL=C LC_TIME=C https_proxy=p",
            ),
            (
                "HOME=/h DOCKER_HOST=a",
                "HOME=/i DOCKER_HOST=b X=",
                "HOME=/i DOCKER_HOST=b X=",
            ),
            ("CURSOR_API_KEY= CURSOR_DATA_DIR=", "", ""),
            ("CURSOR_API_KEY=k", "CURSOR_API_KEY=", ""),
            (
                "CURSOR_ACCESS_TOKEN=a-b.c_d.e",
                "",
                "CURSOR_AUTH_TOKEN=a-b.c_d.e",
            ),
            (
                "CURSOR_ACCESS_TOKEN=user_1::a.b.c",
                "",
                "CURSOR_AUTH_TOKEN=a.b.c",
            ),
            (
                "CURSOR_ACCESS_TOKEN=user_1%3A%3Aa.b.c",
                "",
                "CURSOR_AUTH_TOKEN=a.b.c",
            ),
            ("CURSOR_ACCESS_TOKEN=key_1", "", "CURSOR_API_KEY=key_1"),
            (
                "CURSOR_ACCESS_TOKEN=crsr_1 CURSOR_API_KEY=",
                "",
                "CURSOR_API_KEY=crsr_1",
            ),
            ("", "CURSOR_ACCESS_TOKEN=crsr_1", "CURSOR_API_KEY=crsr_1"),
            (
                "CURSOR_ACCESS_TOKEN=a.b.c CURSOR_API_KEY=k",
                "",
                "CURSOR_API_KEY=k",
            ),
            (
                "CURSOR_ACCESS_TOKEN=key_1",
                "CURSOR_AUTH_TOKEN=t",
                "CURSOR_AUTH_TOKEN=t",
            ),
            ("CURSOR_ACCESS_TOKEN=what..ever", "", ""),
        ];
        for (ours, set, expected) in table {
            let env: Env = pairs(ours).into_iter().collect();
            let mut expected = pairs(&format!("{expected} {log}"));
            expected.sort();
            assert_eq!(env.for_agent(&pairs(set)), expected, "{ours} + {set}");
        }
        let kept: Env = pairs("CURSOR_AGENT_DISABLE_DEBUG_LOG=0")
            .into_iter()
            .collect();
        assert_eq!(
            kept.for_agent(&[]),
            pairs("CURSOR_AGENT_DISABLE_DEBUG_LOG=0")
        );
    }

    #[test]
    fn empty_is_unset() {
        let env: Env = [("A", ""), ("B", "b")].into_iter().collect();
        assert_eq!(
            (env.get("A"), env.get("B"), env.get("C")),
            (None, Some(OsStr::new("b")), None)
        );
    }
}
