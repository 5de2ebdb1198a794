//! Names of variables, by what they lead to. Each list is words with spaces between them.
//!
//! What a child gets of our environment is chosen from these by name: a variable that no list of the
//! child's names is a key, or leads to a helper outside of the fence. Knows no child.

use std::ffi::OsStr;

/// The user, their programs and their language, but for the variables `LC_…`.
const USUAL: &str = "HOME USER LOGNAME SHELL PATH LANG LANGUAGE TZ";

/// Where toolchains are.
pub const TOOLCHAINS: &str = "CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN GOPATH GOROOT JAVA_HOME \
     VIRTUAL_ENV PYENV_ROOT NVM_DIR ANDROID_HOME DOTNET_ROOT";

/// How the network is reached, and who is trusted there.
pub const NETWORK: &str = "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy \
     no_proxy SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS";

/// Where a program finds helpers that act for the user outside of any fence, and the user's keys.
pub const REACH_AROUND: &str = "DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS XDG_RUNTIME_DIR \
     SSH_AUTH_SOCK SSH_AGENT_PID GPG_AGENT_INFO TMUX STY DISPLAY WAYLAND_DISPLAY XAUTHORITY DOCKER_HOST \
     CONTAINER_HOST NVIM VSCODE_IPC_HOOK_CLI VSCODE_GIT_IPC_HANDLE";

/// Whether a variable is in one of the lists.
#[must_use]
pub fn names(lists: &[&str], variable: &OsStr) -> bool {
    let mut names = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    names.any(|name| variable == name)
}

/// Whether a variable is about the user, their programs or their language.
#[must_use]
pub fn is_usual(variable: &OsStr) -> bool {
    let is_locale = variable
        .to_str()
        .is_some_and(|name| name.starts_with("LC_"));
    is_locale || names(&[USUAL], variable)
}
