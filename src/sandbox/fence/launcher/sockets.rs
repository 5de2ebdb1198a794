//! Covers for UNIX sockets: behind each of them is a program that acts outside of the fence.
//!
//! A read-only mount does not keep a socket from being connected to. So the places where they are
//! known to be become empty, and the sockets that exist when the run starts become the null device.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};

use super::{Failure, Launch, Stage, view};

/// Directories that hold little but sockets; `UID` stands for the user's number.
const PLACES: [&str; 9] = [
    "/run/user/UID",
    "/run/dbus",
    "/run/containerd",
    "/run/docker",
    "/run/podman",
    "/run/screen",
    "/tmp/.X11-unix",
    "/tmp/.ICE-unix",
    "/tmp/tmux-UID",
];

/// What is covered so far.
pub(super) struct SocketCovers {
    /// What stands for a covered socket.
    pub null: File,
    /// The covered places with the devices of their covers: one that was made anew has lost its own.
    pub places: Vec<(PathBuf, u64)>,
}

impl SocketCovers {
    /// Covers what exists and is not covered yet.
    pub fn cover(&mut self, launch: &Launch) -> Result<(), Failure> {
        let user = nix::unistd::geteuid().to_string();
        for place in PLACES {
            let place = PathBuf::from(place.replace("UID", &user));
            let needed = || {
                let views = launch.overlays.iter().map(|overlay| &overlay.at);
                let mut used = views.chain(&launch.writable).chain([&launch.cwd]);
                used.any(|path| path.starts_with(&place))
            };
            let directory = || {
                fs::symlink_metadata(&place)
                    .ok()
                    .filter(|meta| meta.is_dir())
            };
            let Some(meta) = directory().filter(|_| !needed()) else {
                continue;
            };
            let covered =
                |(covered, device): &(PathBuf, u64)| *covered == place && *device == meta.dev();
            if !self.places.iter().any(covered) {
                empty(&place)?;
                if let Some(cover) = directory() {
                    self.places.push((place.clone(), cover.dev()));
                }
            }
        }
        let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        // Those of other runs lead to nobody outside, and a run could make a flood of them.
        let runs = launch.measured.as_deref().and_then(Path::parent);
        for socket in named(&table) {
            let mut left = launch.writable.iter().map(PathBuf::as_path).chain(runs);
            let is_left = left.any(|place| socket.starts_with(place));
            let is_socket =
                || fs::symlink_metadata(socket).is_ok_and(|meta| meta.file_type().is_socket());
            if !is_left && is_socket() {
                match view::bind(&self.null, socket, Stage::Socket) {
                    // Its program has removed it just now.
                    Err(failure) if failure.errno == Some(Errno::ENOENT as i32) => {}
                    covered => covered?,
                }
            }
        }
        Ok(())
    }
}

fn empty(directory: &Path) -> Result<(), Failure> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let options = Some("size=4k,mode=755");
    mount(
        Some("open-cursor"),
        directory,
        Some("tmpfs"),
        flags,
        options,
    )
    .map_err(Failure::at(Stage::Socket, directory.display()))
}

/// The absolute paths in `/proc/net/unix`: the eighth column, which may hold spaces. Abstract names
/// begin with `@`; a connected socket has the name of the one that accepted it.
fn named(table: &str) -> BTreeSet<&Path> {
    let path = |line: &'_ str| line.find(" /").map(|at| at + 1);
    table
        .lines()
        .filter_map(|line| Some(Path::new(&line[path(line)?..])))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn sockets_with_a_path_are_found() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
ffff: 00000002 00000000 00010000 0001 01 100 /run/user/1000/a b
ffff: 00000003 00000000 00000000 0001 03 101 /run/user/1000/a b
ffff: 00000002 00000000 00010000 0001 01 102 @/tmp/abstract
ffff: 00000002 00000000 00000000 0002 01 103 /dev/log
ffff: 00000002 00000000 00000000 0002 01 104
";
        let found: Vec<&Path> = named(table).into_iter().collect();
        assert_eq!(found, ["/dev/log", "/run/user/1000/a b"].map(Path::new));
    }
}
