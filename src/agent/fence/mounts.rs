//! What is mounted below a directory. An overlay does not show it, so each needs its own.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The mount points strictly below `directory`, parents first, each once.
pub(super) fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?, directory))
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
