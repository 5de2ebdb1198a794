//! The machine's processes, from `/proc`. Linux only: elsewhere nothing is known.

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessInfo {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) arguments: Vec<String>,
}

/// All processes that we may look at. Blocking.
#[cfg(target_os = "linux")]
pub(super) fn all() -> Vec<ProcessInfo> {
    let read = |process: procfs::process::Process| {
        Some(ProcessInfo {
            pid: process.pid,
            parent: process.stat().ok()?.ppid,
            arguments: process.cmdline().ok()?,
        })
    };
    let processes = procfs::process::all_processes().into_iter().flatten();
    processes.flatten().filter_map(read).collect()
}

/// Which process listens on a TCP port: `name (pid 42)`. Blocking.
#[cfg(target_os = "linux")]
pub(super) fn listener(port: u16) -> Option<String> {
    use procfs::{net::TcpState, process::FDTarget};

    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let inodes: Vec<u64> = tables
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.local_address.port() == port && entry.state == TcpState::Listen)
        .map(|entry| entry.inode)
        .collect();
    let holds = |process: &procfs::process::Process| {
        let files = process.fd().into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| matches!(file.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
    };
    let mut processes = procfs::process::all_processes().ok()?.flatten();
    let owner = processes.find(holds)?;
    Some(format!("{} (pid {})", owner.stat().ok()?.comm, owner.pid))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn all() -> Vec<ProcessInfo> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn listener(_: u16) -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listening.local_addr().unwrap().port();
        let pid = std::process::id();
        let owner = listener(port).unwrap();
        assert!(owner.ends_with(&format!("(pid {pid})")), "{owner}");
        // A connection has the port too, but does not listen.
        drop(listening);
        assert_eq!(listener(port), None);
        assert!(all().iter().any(|process| process.pid == pid.cast_signed()));
    }
}
