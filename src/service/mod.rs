//! The file that makes the system keep the server running: a systemd user unit (Linux) or a launch
//! agent (macOS), its path and the commands that start and stop it. Writes and starts nothing.

use std::path::{Path, PathBuf};

/// A file for the system's service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// The command that starts the service, now and at every login.
    pub start: String,
    /// The command that stops the service, also at later logins.
    pub stop: String,
}

/// The service that runs `program serve`, with this file as `--api-key-file`. `config` is `$XDG_CONFIG_HOME` or `~/.config`. `None` on
/// other systems.
#[must_use]
pub fn service(
    program: &Path,
    key_file: Option<&Path>,
    home: &Path,
    config: &Path,
) -> Option<Service> {
    if cfg!(target_os = "linux") {
        let path = config.join("systemd/user/open-cursor.service");
        return Some(Service {
            text: systemd(program, key_file),
            start: "systemctl --user daemon-reload && systemctl --user enable --now open-cursor"
                .into(),
            stop: "systemctl --user disable --now open-cursor".into(),
            path,
        });
    }
    if cfg!(target_os = "macos") {
        let path = home.join(format!("Library/LaunchAgents/{LABEL}.plist"));
        return Some(Service {
            text: launchd(program, key_file, home),
            start: format!("launchctl load -w {}", quoted(&path)),
            stop: format!("launchctl unload -w {}", quoted(&path)),
            path,
        });
    }
    None
}

const LABEL: &str = "open-cursor.serve";

/// A user unit. Settings belong in config.toml, since a unit has no shell's environment.
fn systemd(program: &Path, key_file: Option<&Path>) -> String {
    let quoted = |path: &Path| {
        let mut quoted = String::from('"');
        for c in path.display().to_string().chars() {
            match c {
                '\\' | '"' => quoted.extend(['\\', c]),
                '%' | '$' => quoted.extend([c, c]),
                _ => quoted.push(c),
            }
        }
        quoted + "\""
    };
    let program = quoted(program);
    let key = key_file.map(|file| format!(" --api-key-file {}", quoted(file)));
    let key = key.unwrap_or_default();
    format!(
        "[Unit]
Description=open-cursor: Cursor's models for OpenAI-compatible clients

[Service]
ExecStart={program} serve{key}
WorkingDirectory=%h
Restart=on-failure
RestartSec=2
# Running answers have 10 s to finish.
TimeoutStopSec=20
# For --agent-memory.
Delegate=memory pids

[Install]
WantedBy=default.target
"
    )
}

/// A launch agent.
fn launchd(program: &Path, key_file: Option<&Path>, home: &Path) -> String {
    let text = |path: PathBuf| {
        let path = path.display().to_string();
        path.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let program = text(program.to_owned());
    let key = key_file.map(|file| {
        let file = text(file.to_owned());
        format!("\n    <string>--api-key-file</string>\n    <string>{file}</string>")
    });
    let key = key.unwrap_or_default();
    let log = text(home.join("Library/Logs/open-cursor.log"));
    let home = text(home.to_owned());
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
    <string>{program}</string>
    <string>serve</string>{key}
  </array>
  <key>WorkingDirectory</key>
  <string>{home}</string>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"#
    )
}

fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    shlex::try_quote(&path).map_or_else(|_| path.clone(), Into::into)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_the_same_unit() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/package/open-cursor.service");
        let unit = std::fs::read_to_string(file).unwrap();
        assert_eq!(unit, systemd(Path::new("/usr/bin/open-cursor"), None));
    }

    #[test]
    fn paths_are_escaped() {
        let program = Path::new("/home/a b/100% \"x\" $y/open-cursor");
        let unit = systemd(program, Some(Path::new("/k 1")));
        let line = "ExecStart=\"/home/a b/100%% \\\"x\\\" $$y/open-cursor\" serve --api-key-file \"/k 1\"\n";
        assert!(unit.contains(line), "{unit}");
        let plist = launchd(
            Path::new("/a & <b>/open-cursor"),
            None,
            Path::new("/Users/me"),
        );
        assert!(
            plist.contains("<string>/a &amp; &lt;b&gt;/open-cursor</string>"),
            "{plist}"
        );
        assert!(plist.contains("<string>/Users/me/Library/Logs/open-cursor.log</string>"));
        assert_eq!(quoted(Path::new("/it's")), "\"/it's\"");
    }
}
