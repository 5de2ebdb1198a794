//! What is mounted: below a directory, where an overlay does not show it, so that each needs its
//! own, and on it.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The type of a view's mount.
pub(super) const OVERLAY: &str = "overlay";

/// What a view's mount names as its source.
pub(super) const SOURCE: &str = "open-cursor";

/// The mount points strictly below `directory`, parents first, each once.
pub(super) fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?, directory))
}

/// Whether this directory, as this process sees it, is an overlay that the launcher mounted.
#[must_use]
pub fn is_view(directory: &Path) -> bool {
    directory.canonicalize().is_ok_and(|directory| {
        std::fs::read("/proc/self/mountinfo").is_ok_and(|info| shows_view(&info, &directory))
    })
}

/// Of several mounts at one point the last is seen. After a lone `-` come type and source.
fn shows_view(mountinfo: &[u8], directory: &Path) -> bool {
    let fields = |line: &[u8]| -> Vec<Vec<u8>> {
        let fields = line.split(|byte| *byte == b' ');
        fields.map(unescape).collect()
    };
    mountinfo
        .split(|byte| *byte == b'\n')
        .map(fields)
        .rfind(|line| {
            let point = line.get(4).cloned().map(OsString::from_vec);
            point.is_some_and(|point| directory == Path::new(&point))
        })
        .is_some_and(|line| {
            let after = line.iter().skip_while(|field| *field != b"-").skip(1);
            after.take(2).eq([OVERLAY.as_bytes(), SOURCE.as_bytes()])
        })
}

/// `mountinfo` has one mount per line; the fifth field is the mount point (proc_pid_mountinfo(5)).
fn parse(mountinfo: &[u8], directory: &Path) -> Vec<PathBuf> {
    let mut mounts: Vec<PathBuf> = mountinfo
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescape(field))))
        .filter(|mount| mount != directory && mount.starts_with(directory))
        .collect();
    mounts.sort();
    mounts.dedup();
    mounts
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let digits = tail.first_chunk::<3>().filter(|_| *first == b'\\');
        let octal = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
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
            let found = shows_view(mounts.as_bytes(), Path::new("/w/a b"));
            assert_eq!(found, expected, "{mounts}");
            assert!(!shows_view(mounts.as_bytes(), Path::new("/w")));
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
        assert_eq!(parse(mountinfo, Path::new("/w")), expected);
        assert_eq!(
            parse(mountinfo, Path::new("/w/a/deep")),
            [""; 0].map(PathBuf::from)
        );
    }
}
