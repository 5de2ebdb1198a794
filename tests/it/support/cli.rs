//! The program as a user runs it, in a home of its own.

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A home directory, an empty project in it, and no other environment.
pub struct Home {
    dir: tempfile::TempDir,
    env: Vec<(OsString, OsString)>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("project")).unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        Self {
            dir,
            env: Vec::new(),
        }
    }

    /// Sets a variable for every command from now on.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Puts a program of this text on PATH. Written by another process: if this one had it open for
    /// writing while another test forks, it could not be executed.
    pub fn program(&self, name: &str, text: &str) {
        let file = self.path().join("bin").join(name);
        let mut shell = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
            .arg(file)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        shell
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(shell.wait().unwrap().success());
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// A command of ours, in the project.
    pub fn command(&self, args: &[&str]) -> Command {
        let home = self.path();
        let system = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(home.join("bin")).chain(std::env::split_paths(&system));
        let mut command = Command::new(env!("CARGO_BIN_EXE_open-cursor"));
        command
            .args(args)
            .current_dir(home.join("project"))
            .env_clear()
            .env("HOME", &home)
            .env("PATH", std::env::join_paths(path).unwrap())
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        ended(&self.command(args).output().unwrap())
    }

    /// A command, what it printed and its exit code, as in a terminal; the home is `~`.
    pub fn transcript(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        let mut text = format!("$ open-cursor {}\n{}", args.join(" "), ended.stdout);
        if !ended.stderr.is_empty() {
            text += &format!("--- stderr\n{}", ended.stderr);
        }
        text += &format!("--- exit code {}\n\n", ended.code);
        text.replace(self.path().to_str().unwrap(), "~")
            .replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    /// Every file below the home, with its content; what a command must not have changed.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.path(), &mut files);
        files.sort();
        files
    }
}

pub fn ended(output: &Output) -> Ended {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn collect(dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files);
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
}

/// Compares with `fixtures/cli/<name>`, or writes that where `OPEN_CURSOR_BLESS` is set.
pub fn golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/cli")
        .join(name);
    if std::env::var_os("OPEN_CURSOR_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{name}; OPEN_CURSOR_BLESS=1 accepts it");
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
}
