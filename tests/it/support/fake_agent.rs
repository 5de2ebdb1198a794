//! Builds and finds the fake agent and the fake bridge, whatever started the tests.
//!
//! `cargo test` builds examples by itself, but `cargo test --test it` and test runners that start
//! the binary directly don't. So the first caller asks cargo for it, with the profile and the
//! target directory that this very test binary was built with; if it is there already, that costs
//! a fraction of a second.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The executable, for `--agent`.
///
/// # Panics
/// If it can't be built: then no test that needs it can say anything.
pub fn fake_agent() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("fake-agent"))
}

/// The bridge, for `--bridge`.
///
/// # Panics
/// If it can't be built.
pub fn fake_bridge() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("fake-bridge"))
}

/// The MCP server.
///
/// # Panics
/// If it can't be built.
pub fn fake_mcp() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("fake-mcp"))
}

fn build(example: &str) -> PathBuf {
    // <target>[/<triple>]/<profile>/deps/it-<hash>
    let test = std::env::current_exe().expect("the test binary has a path");
    let profile_dir = test
        .ancestors()
        .nth(2)
        .expect("the test binary lies in <profile>/deps");
    let parent = profile_dir.parent().expect("<profile> lies in <target>");
    let profile = match name(profile_dir) {
        "debug" => "dev",
        other => other,
    };

    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--example", example])
        .args(["--profile", profile]);
    // Cargo tags the root of a target directory; below it, a directory is a target triple's.
    if parent.join("CACHEDIR.TAG").exists() {
        cargo.arg("--target-dir").arg(parent);
    } else {
        let root = parent.parent().expect("<triple> lies in <target>");
        cargo.arg("--target-dir").arg(root);
        cargo.args(["--target", name(parent)]);
    }
    // Build scripts read what cargo told this test; a change of it would build everything anew.
    for (name, _) in std::env::vars_os() {
        let told = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        let name = name.to_string_lossy();
        if told.iter().any(|prefix| name.starts_with(prefix)) {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "cargo could not build {example}");

    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    profile_dir.join("examples").join(name)
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("cargo's directories have plain names")
}
