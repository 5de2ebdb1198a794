//! Where the bridge is installed.
//!
//! It comes with the Python package `cursor-sdk`, as `cursor_sdk/_vendor/bridge/bin/cursor-sdk-bridge`
//! in the environment that the package was installed into, or as a download of its own.

use std::{
    ffi::OsStr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::agent::{AgentError, Env};

/// The program's name.
pub const NAME: &str = "cursor-sdk-bridge";

/// The variable that names it.
pub const VARIABLE: &str = "CURSOR_SDK_BRIDGE";

/// Below a directory of Python packages.
const IN_PACKAGE: &str = "cursor_sdk/_vendor/bridge/bin/cursor-sdk-bridge";

/// Where `setup bridge` installs it: `~/.local/share/open-cursor/bridge`, a Python environment.
#[must_use]
pub fn data_dir(env: &Env) -> Option<PathBuf> {
    let base = data_home(env)?;
    Some(base.join("open-cursor/bridge"))
}

/// The file that says that runs may use the bridge without being told to each time: the user has run
/// `setup bridge`, and so knows that its API key can be billed otherwise than the CLI's login.
#[must_use]
pub fn choice_file(env: &Env) -> Option<PathBuf> {
    Some(data_home(env)?.join("open-cursor/bridge.json"))
}

/// Finds the bridge: `explicit`, else `CURSOR_SDK_BRIDGE`, else what `setup bridge` installed, the
/// active virtual environment, PATH, the user's Python packages, pipx and uv tools. What is named may
/// be the program, or a directory that the package is installed in. Blocking.
///
/// # Errors
/// [`AgentError::Missing`] with the way to install it.
pub fn locate(explicit: Option<&OsStr>, env: &Env) -> Result<PathBuf, AgentError> {
    let named = explicit.filter(|name| !name.is_empty());
    if let Some(path) = named.or_else(|| env.get(VARIABLE)) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let searched = format!(
            "{} is neither an executable file nor a directory that cursor-sdk is installed in",
            path.display()
        );
        let found = Some(path.clone()).filter(|path| is_executable(path));
        return found
            .or_else(|| in_environment(&path))
            .ok_or(AgentError::Missing(searched));
    }
    let home = env.get("HOME").map(PathBuf::from);
    let own = data_dir(env).and_then(|dir| in_environment(&dir));
    let active = || in_environment(Path::new(env.get("VIRTUAL_ENV")?));
    let on_path = || {
        let path = env.get("PATH")?;
        let places = std::env::split_paths(path).filter(|place| place.is_absolute());
        let mut programs = places.map(|place| place.join(NAME));
        programs.find(|path| is_executable(path))
    };
    let user = || {
        let home = home.as_ref()?;
        let local = in_environment(&home.join(".local"));
        local.or_else(|| {
            entries(&home.join("Library/Python")).find_map(|dir| in_lib(&dir.join("lib")))
        })
    };
    let tools = || {
        let data = data_home(env);
        let pipx = env.get("PIPX_HOME").map(PathBuf::from);
        let pipx = pipx.or_else(|| Some(data.as_ref()?.join("pipx")));
        let uv = env.get("UV_TOOL_DIR").map(PathBuf::from);
        let uv = uv.or_else(|| Some(data.as_ref()?.join("uv/tools")));
        let dirs = [pipx.map(|dir| dir.join("venvs")), uv]
            .into_iter()
            .flatten();
        dirs.flat_map(|dir| entries(&dir))
            .find_map(|dir| in_environment(&dir))
    };
    own.or_else(active)
        .or_else(on_path)
        .or_else(user)
        .or_else(tools)
        .ok_or_else(|| {
            AgentError::Missing(format!(
                "{NAME} is not on PATH, nor is the Python package cursor-sdk installed. Run \
                 `open-cursor setup bridge`, or name the program with --bridge or {VARIABLE}"
            ))
        })
}

/// In a Python environment, in a directory of packages, or in an unpacked bridge.
fn in_environment(dir: &Path) -> Option<PathBuf> {
    // The package puts a Python script into `bin`, which would be one process more.
    let package = Some(dir.join(IN_PACKAGE)).filter(|path| is_executable(path));
    let unpacked = || Some(dir.join("bin").join(NAME)).filter(|path| is_executable(path));
    package
        .or_else(|| in_lib(&dir.join("lib")))
        .or_else(unpacked)
}

/// In one of `lib/python3.X/site-packages`; macOS has `lib/python` for the user's packages.
fn in_lib(lib: &Path) -> Option<PathBuf> {
    let mut pythons = entries(lib).filter(|dir| {
        let name = dir.file_name().map(OsStr::to_string_lossy);
        name.is_some_and(|name| name.starts_with("python"))
    });
    pythons.find_map(|dir| {
        Some(dir.join("site-packages").join(IN_PACKAGE)).filter(|path| is_executable(path))
    })
}

fn data_home(env: &Env) -> Option<PathBuf> {
    let named = env.get("XDG_DATA_HOME").map(PathBuf::from);
    let home = || Some(Path::new(env.get("HOME")?).join(".local/share"));
    named.filter(|dir| dir.is_absolute()).or_else(home)
}

/// What lies in a directory, by name; nothing if it cannot be read.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let read = std::fs::read_dir(dir).into_iter().flatten();
    let mut paths: Vec<_> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter()
}

fn is_executable(path: &Path) -> bool {
    let file = std::fs::metadata(path);
    file.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn install(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn every_place_in_its_order() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path();
        let text = |path: &str| home.join(path).to_str().unwrap().to_owned();
        let env: Env = [
            ("HOME", text("")),
            ("VIRTUAL_ENV", text("venv")),
            ("PATH", format!("relative:{}", text("path"))),
        ]
        .into_iter()
        .collect();
        let missing = locate(None, &env).unwrap_err().to_string();
        assert!(missing.contains("setup bridge"), "{missing}");
        // From the last to the first.
        let site = "lib/python3.11/site-packages/cursor_sdk/_vendor/bridge/bin/cursor-sdk-bridge";
        for place in [
            ".local/share/uv/tools/a/",
            ".local/share/pipx/venvs/b/",
            ".local/",
            "",
            "venv/",
            ".local/share/open-cursor/bridge/",
        ] {
            let path = match place {
                "" => home.join("path/cursor-sdk-bridge"),
                place => home.join(place).join(site),
            };
            install(&path);
            if !place.is_empty() {
                install(&home.join(place).join("bin").join(NAME));
            }
            assert_eq!(locate(None, &env).unwrap(), path);
        }
        let venv = home.join("venv").join(site);
        assert_eq!(locate(Some(text("venv").as_ref()), &env).unwrap(), venv);
        let named: Env = [("CURSOR_SDK_BRIDGE", text("path/cursor-sdk-bridge"))]
            .into_iter()
            .collect();
        assert_eq!(
            locate(None, &named).unwrap(),
            home.join("path/cursor-sdk-bridge")
        );
        let wrong = locate(Some(text("nowhere").as_ref()), &env)
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("nowhere is neither"), "{wrong}");
    }

    #[test]
    fn what_cannot_be_run_is_not_the_bridge() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("bin").join(NAME);
        install(&path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(locate(Some(root.path().as_os_str()), &Env::default()).is_err());
    }
}
