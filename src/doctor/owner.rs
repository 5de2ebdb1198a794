//! Which process listens on a port: on Linux, by `/proc`.

use std::path::Path;

/// `name (pid 42)`, if it is a process that we may look at. Blocking.
pub(super) fn of(port: u16) -> Option<String> {
    let read = |file: &str| std::fs::read_to_string(Path::new("/proc/net").join(file)).ok();
    let inodes: Vec<String> = ["tcp", "tcp6"]
        .into_iter()
        .filter_map(read)
        .flat_map(|table| listeners(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else {
            continue;
        };
        let files = std::fs::read_dir(process.path().join("fd"));
        let mut files = files.into_iter().flatten().filter_map(Result::ok);
        let holds = files.any(|file| {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            inodes
                .iter()
                .any(|inode| target.as_os_str() == inode.as_str())
        });
        if holds {
            let command = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", command.trim()));
        }
    }
    None
}

/// The inodes of the sockets that listen on a port, from a table such as `/proc/net/tcp`.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let local = fields.nth(1)?;
            // 0A is LISTEN.
            let listens = local.ends_with(&suffix) && fields.nth(1)? == "0A";
            listens.then(|| fields.nth(5)).flatten().map(str::to_owned)
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_on_the_port() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:7D7C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:7D7C 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 0100007F:7D7D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1
";
        assert_eq!(listeners(table, 32124), ["111"]);
        assert_eq!(listeners("", 1), [""; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = of(listener.local_addr().unwrap().port()).unwrap();
        assert!(
            owner.ends_with(&format!("(pid {})", std::process::id())),
            "{owner}"
        );
    }
}
