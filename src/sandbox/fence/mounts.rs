//! What is mounted, from `/proc/self/mountinfo`.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type of a view's mount.
pub(super) const OVERLAY: &str = "overlay";

/// What a view's mount names as its source.
pub(super) const SOURCE: &str = "open-cursor";

/// A line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The flags of the mount itself: `rw,nosuid,relatime`.
    options: String,
    kind: Vec<u8>,
    source: Vec<u8>,
}

impl Mount {
    /// Whether the mount has a flag.
    pub fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|has| has == option)
    }

    /// Whether it shows the cgroups of version 2.
    pub fn is_cgroup(&self) -> bool {
        self.kind == b"cgroup2"
    }

    /// Whether the launcher mounted it as part of a view.
    pub fn is_view(&self) -> bool {
        self.kind == OVERLAY.as_bytes() && self.source == SOURCE.as_bytes()
    }
}

/// Every mount that this process has, in the order in which they were made.
pub(super) fn all() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// The mount points strictly below `directory`, parents first, each once.
pub(super) fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(points_below(all()?, directory))
}

/// Whether this directory, as this process sees it, is an overlay that the launcher mounted.
#[must_use]
pub fn is_view(directory: &Path) -> bool {
    directory
        .canonicalize()
        .is_ok_and(|directory| all().is_ok_and(|mounts| shows_view(&mounts, &directory)))
}

/// Of several mounts at one point the last is seen.
fn shows_view(mounts: &[Mount], directory: &Path) -> bool {
    let top = mounts.iter().rfind(|mount| mount.point == directory);
    top.is_some_and(Mount::is_view)
}

fn points_below(mounts: Vec<Mount>, directory: &Path) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = mounts
        .into_iter()
        .map(|mount| mount.point)
        .filter(|point| point != directory && point.starts_with(directory))
        .collect();
    points.sort();
    points.dedup();
    points
}

/// One mount per line: the fifth field is the mount point, the sixth its flags; after a lone `-`
/// come type and source.
fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    let mount = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let mut after = fields.iter().skip_while(|field| **field != b"-").skip(1);
        Some(Mount {
            point: PathBuf::from(OsString::from_vec(unescape(fields.get(4)?))),
            options: String::from_utf8_lossy(fields.get(5)?).into_owned(),
            kind: unescape(after.next()?),
            source: unescape(after.next()?),
        })
    };
    mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(mount)
        .collect()
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut parts = field.split(|byte| *byte == b'\\');
    let mut bytes = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let digits = part
            .first_chunk::<3>()
            .map(|digits| std::str::from_utf8(digits));
        let octal = digits.and_then(|digits| u8::from_str_radix(digits.ok()?, 8).ok());
        bytes.push(octal.unwrap_or(b'\\'));
        bytes.extend_from_slice(octal.map_or(part, |_| &part[3..]));
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_the_mount_on_top() {
        let ours = "40 30 0:50 / /w/a\\040b rw shared:1 - overlay open-cursor rw,lowerdir=x\n";
        let other = "41 30 0:51 / /w/a\\040b rw - overlay overlay rw,lowerdir=x\n";
        for (mounts, expected) in [
            (ours.to_owned(), true),
            (format!("{other}{ours}"), true),
            (format!("{ours}{other}"), false),
            (String::new(), false),
        ] {
            let found = shows_view(&parse(mounts.as_bytes()), Path::new("/w/a b"));
            assert_eq!(found, expected, "{mounts}");
            assert!(!shows_view(&parse(mounts.as_bytes()), Path::new("/w")));
        }
        assert!(!is_view(Path::new("/")));
    }

    #[test]
    fn only_what_is_below_counts() {
        let mountinfo = b"\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
30 22 0:5 / /w rw - tmpfs t rw\n\
31 30 0:6 / /w/b\\040c\\134 rw shared:1 - tmpfs t rw\n\
32 30 0:7 / /w/a/deep rw - tmpfs t rw\n\
33 30 0:8 / /w/a rw - tmpfs t rw\n\
34 33 0:9 / /w/a rw - tmpfs t rw\n\
35 22 0:9 / /workspace rw - tmpfs t rw\n\
broken\n";
        let expected = ["/w/a", "/w/a/deep", "/w/b c\\"].map(PathBuf::from);
        let mounts = parse(mountinfo);
        assert!(mounts[0].has("relatime") && !mounts[0].has("time"));
        assert_eq!(points_below(mounts.clone(), Path::new("/w")), expected);
        assert_eq!(
            points_below(mounts, Path::new("/w/a/deep")),
            [""; 0].map(PathBuf::from)
        );
    }
}
