//! macOS: the profile for `sandbox-exec -p`. The same promise as Landlock: reading is free, writing
//! is denied but for a list. There is no view on macOS.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The program that applies a profile and becomes the agent.
pub(super) const PROGRAM: &str = "/usr/bin/sandbox-exec";

/// Devices that programs write to and that keep nothing.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/random",
    "/dev/dtracehelper",
];

/// The profile text. Paths must be free of symlinks (`/tmp` is one on macOS): the kernel compares
/// resolved paths. A path that is not UTF-8 cannot be named and is left out, which denies it.
pub(super) fn profile<'a>(writable: impl IntoIterator<Item = &'a PathBuf>) -> String {
    let mut profile = String::from("(version 1)\n(allow default)\n(deny file-write*)\n");
    profile.push_str("(allow file-write*\n");
    for path in writable {
        if let Some(path) = quoted(path) {
            // Writing to a String cannot fail.
            let _ = writeln!(profile, "  (subpath {path})");
        }
    }
    for device in DEVICES {
        let _ = writeln!(profile, "  (literal \"{device}\")");
    }
    profile.push_str("  (regex #\"^/dev/ttys[0-9]+$\"))\n");
    profile
}

/// A string of the profile language: backslash and quote are escaped.
fn quoted(path: &Path) -> Option<String> {
    let path = path.to_str()?;
    Some(format!(
        "\"{}\"",
        path.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_denied_but_for_the_list() {
        let writable = ["/Users/me/.cursor", "/private/tmp/a \"b\"\\c"].map(PathBuf::from);
        assert_eq!(
            profile(&writable),
            r#"(version 1)
(allow default)
(deny file-write*)
(allow file-write*
  (subpath "/Users/me/.cursor")
  (subpath "/private/tmp/a \"b\"\\c")
  (literal "/dev/null")
  (literal "/dev/zero")
  (literal "/dev/tty")
  (literal "/dev/ptmx")
  (literal "/dev/random")
  (literal "/dev/dtracehelper")
  (regex #"^/dev/ttys[0-9]+$"))
"#
        );
    }

    #[test]
    fn a_path_cannot_close_its_string() {
        let profile = profile(&[PathBuf::from("x\") (allow default) (\"")]);
        assert!(profile.contains(r#"(subpath "x\") (allow default) (\"")"#));
    }
}
