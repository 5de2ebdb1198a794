//! The launcher's arguments: a private contract, since both sides come from the same build.

use std::{ffi::OsString, path::PathBuf};

use super::SUBCOMMAND;

/// One overlay: `at` shows itself, and what is written there goes to `upper`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Overlay {
    /// A directory, without symlinks in its path.
    pub at: PathBuf,
    /// Receives the changes; empty at the start.
    pub upper: PathBuf,
    /// Overlayfs's working directory, on the same file system as `upper`.
    pub work: PathBuf,
}

/// Everything that the launcher needs to know. The default starts the program in a session of its
/// own, ends what it leaves behind, and restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Launch {
    /// The process that waits for the run: the run ends with it.
    pub server: u32,
    /// Use a mount namespace in which only the writable places are writable.
    pub mounts: bool,
    /// Use a PID namespace too, with a `/proc` that shows the run only.
    pub processes: bool,
    /// The view: the workspace's overlay, then those of the mounts below it, parents first. Only
    /// with `mounts`.
    pub overlays: Vec<Overlay>,
    /// Mount points in the view, and files, that are shown but not writable. Only with `mounts`.
    pub read_only: Vec<PathBuf>,
    /// What the run may write besides the view; it is shown as it really is. Paths that do not
    /// exist are left out.
    pub writable: Vec<PathBuf>,
    /// Use Landlock.
    pub landlock: bool,
    /// Drop every capability and the ways to get one back.
    pub unprivileged: bool,
    /// Deny every UNIX socket but unnamed pairs.
    pub no_unix_sockets: bool,
    /// Deny every socket that leads to a network.
    pub no_network: bool,
    /// The longest file that the run can write, in bytes; 0 is no limit.
    pub disk_bytes: u64,
    /// A directory that the run writes to and that may hold no more than `disk_bytes` either.
    pub measured: Option<PathBuf>,
    /// The cgroup to run in; it limits memory.
    pub cgroup: Option<PathBuf>,
    /// Write what was set up to stderr. For the probe.
    pub report: bool,
    /// Get the program, its arguments, its environment and its working directory as an order on
    /// stdin, when all is set up.
    pub waits: bool,
    /// The program's working directory, entered when the view stands.
    pub cwd: PathBuf,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Launch {
    /// The arguments of our own binary that make it this launcher.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![SUBCOMMAND.into()];
        let mut push = |flag: &str, values: &[OsString]| {
            args.push(flag.into());
            args.extend_from_slice(values);
        };
        push("--server", &[self.server.to_string().into()]);
        for (flag, set) in self.clone().switches() {
            if *set {
                push(flag, &[]);
            }
        }
        if self.disk_bytes > 0 {
            push("--disk-bytes", &[self.disk_bytes.to_string().into()]);
        }
        for (flag, path) in [("--measured", &self.measured), ("--cgroup", &self.cgroup)] {
            if let Some(path) = path {
                push(flag, &[path.into()]);
            }
        }
        for Overlay { at, upper, work } in &self.overlays {
            push("--view", &[at, upper, work].map(|path| path.into()));
        }
        for path in &self.read_only {
            push("--read-only", &[path.into()]);
        }
        for path in &self.writable {
            push("--writable", &[path.into()]);
        }
        push("--cwd", &[(&self.cwd).into()]);
        push("--", &[(&self.program).into()]);
        args.extend(self.args.iter().cloned());
        args
    }

    fn switches(&mut self) -> [(&'static str, &mut bool); 8] {
        [
            ("--mounts", &mut self.mounts),
            ("--processes", &mut self.processes),
            ("--landlock", &mut self.landlock),
            ("--unprivileged", &mut self.unprivileged),
            ("--no-unix-sockets", &mut self.no_unix_sockets),
            ("--no-network", &mut self.no_network),
            ("--report", &mut self.report),
            ("--waits", &mut self.waits),
        ]
    }

    /// The inverse of [`Launch::to_args`], without the subcommand. `None` if it is not its output.
    pub(super) fn from_args(args: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut args = args.into_iter();
        let mut launch = Self::default();
        loop {
            let flag = args.next()?;
            let mut path = || args.next().map(PathBuf::from);
            match flag.to_str()? {
                "--server" => launch.server = number(args.next()?)?,
                "--disk-bytes" => launch.disk_bytes = number(args.next()?)?,
                "--measured" => launch.measured = Some(path()?),
                "--cgroup" => launch.cgroup = Some(path()?),
                "--view" => launch.overlays.push(Overlay {
                    at: path()?,
                    upper: path()?,
                    work: path()?,
                }),
                "--read-only" => launch.read_only.push(path()?),
                "--writable" => launch.writable.push(path()?),
                "--cwd" => launch.cwd = path()?,
                "--" => {
                    launch.program = path()?;
                    launch.args = args.collect();
                    return Some(launch);
                }
                flag => {
                    let mut switches = launch.switches().into_iter();
                    *switches.find(|(name, _)| *name == flag)?.1 = true;
                }
            }
        }
    }
}

fn number<N: std::str::FromStr>(text: OsString) -> Option<N> {
    text.to_str()?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        ".{0,12}".prop_map(PathBuf::from)
    }

    proptest! {
        #[test]
        fn the_arguments_survive(
            numbers in (0u32.., 0u64..),
            paths in (prop::option::of(path()), prop::option::of(path())),
            switches: [bool; 8],
            overlays in prop::collection::vec((path(), path(), path()), 0..3),
            read_only in prop::collection::vec(path(), 0..3),
            writable in prop::collection::vec(path(), 0..3),
            cwd in path(),
            program in path(),
            args in prop::collection::vec(".{0,12}".prop_map(OsString::from), 0..4),
        ) {
            let overlays = overlays
                .into_iter()
                .map(|(at, upper, work)| Overlay { at, upper, work })
                .collect();
            let (server, disk_bytes) = numbers;
            let (measured, cgroup) = paths;
            let [
                mounts, processes, landlock, unprivileged, no_unix_sockets, no_network, report, waits,
            ] = switches;
            let launch = Launch {
                server, disk_bytes, measured, cgroup, mounts, processes, landlock, unprivileged, no_unix_sockets,
                no_network, report, waits, overlays, read_only, writable, cwd, program, args,
            };
            let rendered = launch.to_args();
            prop_assert_eq!(rendered[0].as_os_str(), SUBCOMMAND);
            prop_assert_eq!(Launch::from_args(rendered.into_iter().skip(1)), Some(launch));
        }
    }

    #[test]
    fn broken_arguments_are_refused() {
        for args in [
            &[][..],
            &["--cwd"],
            &["--cwd", "/"],
            &["--server", "x", "--", "x"],
            &["--what", "--", "x"],
        ] {
            let args = args.iter().map(OsString::from);
            assert_eq!(Launch::from_args(args), None);
        }
    }
}
