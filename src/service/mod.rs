//! Keeping the server running: the file that makes the system start it, as text, and where it goes.
//!
//! systemd's user manager on Linux, launchd on macOS. Starts nothing: the commands for that are for
//! the user, who sees what they do.

use std::path::{Path, PathBuf};

/// A file for the system's service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where it goes.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
    /// The command that starts the service, now and at every login.
    pub start: String,
    /// The command that stops it for good.
    pub stop: String,
}

/// The service that runs `program serve`. `config` is `~/.config` or its stand-in. `None` where we
/// know of no service manager.
#[must_use]
pub fn service(program: &Path, home: &Path, config: &Path) -> Option<Service> {
    if cfg!(target_os = "linux") {
        let path = config.join("systemd/user/open-cursor.service");
        return Some(Service {
            text: systemd(program),
            start: "systemctl --user daemon-reload && systemctl --user enable --now open-cursor"
                .into(),
            stop: "systemctl --user disable --now open-cursor".into(),
            path,
        });
    }
    if cfg!(target_os = "macos") {
        let path = home.join(format!("Library/LaunchAgents/{LABEL}.plist"));
        return Some(Service {
            text: launchd(program, home),
            start: format!("launchctl load -w {}", quoted(&path)),
            stop: format!("launchctl unload -w {}", quoted(&path)),
            path,
        });
    }
    None
}

const LABEL: &str = "open-cursor.serve";

/// A user unit. What `serve` needs besides is in config.toml: units have no shell's environment.
fn systemd(program: &Path) -> String {
    let program = program.display().to_string();
    let mut quoted = String::new();
    for c in program.chars() {
        match c {
            '\\' | '"' => quoted.extend(['\\', c]),
            '%' | '$' => quoted.extend([c, c]),
            _ => quoted.push(c),
        }
    }
    format!(
        "[Unit]
Description=open-cursor: Cursor's models for OpenAI-compatible clients

[Service]
ExecStart=\"{quoted}\" serve
WorkingDirectory=%h
Restart=on-failure
RestartSec=2
# Running answers have 10 s to finish.
TimeoutStopSec=20

[Install]
WantedBy=default.target
"
    )
}

/// A launch agent.
fn launchd(program: &Path, home: &Path) -> String {
    let text = |path: PathBuf| {
        let path = path.display().to_string();
        path.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let program = text(program.to_owned());
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
    <string>serve</string>
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
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        let unit = systemd(Path::new("/home/a b/100% \"x\" $y/open-cursor"));
        let line = "ExecStart=\"/home/a b/100%% \\\"x\\\" $$y/open-cursor\" serve\n";
        assert!(unit.contains(line), "{unit}");
        let plist = launchd(Path::new("/a & <b>/open-cursor"), Path::new("/Users/me"));
        assert!(
            plist.contains("<string>/a &amp; &lt;b&gt;/open-cursor</string>"),
            "{plist}"
        );
        assert!(plist.contains("<string>/Users/me/Library/Logs/open-cursor.log</string>"));
        assert_eq!(quoted(Path::new("/it's")), "\"/it's\"");
    }
}
