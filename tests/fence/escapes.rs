//! Ways out of the fence that are not writes to files: terminals, sockets, privileges, processes.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use open_cursor::sandbox::{
    fence::{Enclosure, FenceMode},
    process::SpawnSpec,
};

use crate::harness::{Scene, execute, is_root, sh, stdout};

/// A run with the view, or without.
pub async fn prepared(scene: &Scene, view: bool) -> Enclosure {
    let ws = scene.path("ws").canonicalize().unwrap();
    match view {
        true => scene.prepare(&ws).await,
        false => scene.without_view(&ws).await,
    }
}

/// Runs a command with a controlling terminal.
fn at_a_terminal(spec: &SpawnSpec) -> Output {
    let words = std::iter::once(spec.program.as_os_str()).chain(spec.args.iter().map(|arg| &**arg));
    let quoted: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''")))
        .collect();
    Command::new("script")
        .args(["-qefc", &format!("exec {}", quoted.join(" ")), "/dev/null"])
        .env_clear()
        .envs(spec.env.iter().cloned())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A shell script whose arguments are a command.
fn by_shell(script: &str, command: SpawnSpec) -> SpawnSpec {
    let args = ["-c", script, "sh"].map(Into::into).into_iter();
    let args = args.chain([command.program.into_os_string()]);
    SpawnSpec {
        program: "/bin/sh".into(),
        args: args.chain(command.args).collect(),
        ..command
    }
}

#[tokio::test]
async fn the_agent_begins_with_every_signal_as_it_is_by_default() {
    for mode in [FenceMode::Off, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let ws = scene.path("ws").canonicalize().unwrap();
        let run = scene.prepare(&ws).await;
        let script = "grep -E '^Sig(Blk|Ign)' /proc/self/status";
        let wrapped = run.wrap(scene.spec(&run, &ws, script));
        // As `nohup` starts a server.
        let ignoring = r#"trap "" HUP PIPE USR1; exec "$@""#;
        let spec = by_shell(ignoring, wrapped);
        let none = "0000000000000000";
        // glibc has two for itself, 32 and 33, which a program that it starts ignores at first.
        let found = stdout(&execute(&spec)).replace("0000000180000000", none);
        assert_eq!(found, format!("SigBlk:\t{none}\nSigIgn:\t{none}"));
    }
}

#[tokio::test]
async fn the_agent_has_no_terminal() {
    for mode in [FenceMode::Off, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let ws = scene.path("ws").canonicalize().unwrap();
        let run = scene.prepare(&ws).await;
        // The fields after the name: state, parent, group, session, terminal.
        let script = r#"read -r stat < /proc/self/stat; set -- ${stat##*) }; echo "terminal $5"
            (: < /dev/tty) 2> /dev/null && echo opened"#;
        let spec = scene.spec(&run, &ws, script);
        let plain = stdout(&at_a_terminal(&spec));
        assert!(
            plain.contains("opened") && !plain.contains("terminal 0"),
            "there is a terminal to lose: {plain}"
        );
        // `script` is the parent of what it starts, and the run must end with that.
        let wrapped = run.wrap(spec);
        let script = r#"launcher=$1; first=$2; shift 4; "$launcher" "$first" --server $$ "$@""#;
        let spec = by_shell(script, wrapped);
        let fenced = stdout(&at_a_terminal(&spec));
        assert_eq!(fenced, "terminal 0", "{mode}");
    }
}

#[tokio::test]
async fn no_capability_is_left() {
    let scene = Scene::new(FenceMode::Require).await;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let script = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status
            mknod \"$TMPDIR/disk\" b 254 0 2> /dev/null; mknod \"$WS/disk\" c 1 1 2> /dev/null
            ls \"$TMPDIR\" \"$WS\" | grep disk; ls /dev";
        let output = stdout(&scene.agent(&run, run.workspace(), script));
        let none = "0000000000000000";
        let mut lines = output.lines();
        for name in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
            let line = lines.next().unwrap();
            // Without privilege the bounding set cannot be emptied, only made useless.
            let bound = name == "Bnd" && !run.has_view() && !is_root();
            assert!(bound || line == format!("Cap{name}:\t{none}"), "{line}");
        }
        assert_eq!(lines.next(), Some("NoNewPrivs:\t1"));
        let devices: Vec<&str> = lines.collect();
        let expected = "fd full null random shm stderr stdin stdout urandom zero";
        assert_eq!(devices.join(" "), expected);
    }
}

#[tokio::test]
async fn modes_times_and_attributes_outside_stay() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("outside/old", "x");
    let ws = scene.path("ws").canonicalize().unwrap();
    let script = "cd \"$OUTSIDE\"; for command in 'chmod 777 old' 'chmod 777 .' 'touch old' \
        'touch -d 2001-01-01 .' 'chown 1:1 old' 'mkfifo pipe'; do \
        $command 2> /dev/null && echo \"$command\"; done; \
        python3 -c 'import os; os.setxattr(\"old\", \"user.x\", b\"y\")' 2> /dev/null && echo xattr; true";
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        assert_eq!(stdout(&scene.agent(&run, &ws, script)), "");
    }
    let open = Scene::new(FenceMode::Off).await;
    open.write("outside/old", "x");
    let run = open.prepare(&open.path("ws")).await;
    let output = stdout(&open.agent(&run, run.workspace(), script));
    assert!(
        output.contains("chmod 777 old") && output.contains("xattr"),
        "{output}"
    );
}

#[tokio::test]
async fn the_run_sees_only_itself() {
    let scene = Scene::new(FenceMode::Require).await;
    let mut victim = Command::new("sleep")
        .arg("30")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let script = format!(
            "ls -d /proc/[0-9]* | wc -l; kill {0} 2> /dev/null && echo killed; \
             prlimit --pid {0} --nofile=1 2> /dev/null && echo limited
             python3 -c 'import os; os.setpriority(os.PRIO_USER, os.getuid(), 9)'",
            victim.id()
        );
        let output = stdout(&scene.agent(&run, run.workspace(), &script));
        let count: u32 = output.parse().unwrap_or_else(|_| panic!("{output}"));
        assert!(count < 6, "{count}");
        assert_eq!(niceness(victim.id()), niceness(std::process::id()));
    }
    assert_eq!(victim.try_wait().unwrap(), None);
    victim.kill().unwrap();
    victim.wait().unwrap();
}

/// How much a process lets others go first.
pub fn niceness(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').nth(16).unwrap().to_owned()
}

/// The processes whose arguments hold a mark.
pub fn with_mark(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let has = |entry: fs::DirEntry| {
        let args = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&args).contains(mark)
    };
    entries.map(has).filter(|has| *has).count()
}

pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn nothing_that_the_agent_starts_outlives_it() {
    for mode in [FenceMode::Off, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let run = scene.prepare(&scene.path("ws")).await;
        for (end, code) in [
            ("exit 3", Some(3)),
            ("exit 97", Some(1)),
            ("kill -9 $$", None),
        ] {
            let mark = format!("4711.{}", scene.root.path().display().to_string().len());
            let mark = format!("{mark}{}", std::process::id());
            let script = format!(
                "setsid -f sh -c 'trap \"\" TERM HUP; sleep {mark}; sleep {mark}' > /dev/null 2>&1
                 (setsid sleep {mark} > /dev/null 2>&1 &)
                 until [ \"$(ps ax -o args | grep -c '^sleep {mark}')\" = 2 ]; do :; done; {end}"
            );
            let output = scene.agent(&run, run.workspace(), &script);
            assert_eq!(output.status.code(), code, "{mode} {end}: {output:?}");
            wait_until("the end of the strays", || with_mark(&mark) == 0);
        }
    }
}

#[tokio::test]
async fn unix_sockets_of_others_lead_nowhere() {
    let connect = |path: &Path| {
        format!(
            "python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(\"{}\"); print(\"connected\")' 2> /dev/null; true",
            path.display()
        )
    };
    for mode in [FenceMode::Off, FenceMode::Auto, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let before = scene.path("outside/before");
        let _listener = UnixListener::bind(&before).unwrap();
        let ws = scene.path("ws").canonicalize().unwrap();
        let run = scene.prepare(&ws).await;
        let expected = if mode == FenceMode::Off {
            "connected"
        } else {
            ""
        };
        let output = stdout(&scene.agent(&run, &ws, &connect(&before)));
        assert_eq!(output, expected, "{mode}");

        // A socket that is made while the agent runs.
        let later = scene.path("outside/later");
        let script = format!(
            "until [ -e '{0}.made' ]; do sleep 0.01; done; {1}",
            later.display(),
            connect(&later)
        );
        let spec = run.wrap(scene.spec(&run, &ws, &script));
        let agent = std::thread::spawn(move || execute(&spec));
        std::thread::sleep(Duration::from_millis(300));
        let _listener = UnixListener::bind(&later).unwrap();
        fs::write(scene.path("outside/later.made"), "").unwrap();
        let output = stdout(&agent.join().unwrap());
        let holds = serde_json::to_value(scene.fence.status()).unwrap();
        let enforced = holds["sockets"]["state"] == "enforced";
        assert!(enforced || mode != FenceMode::Require, "{holds}");
        assert_eq!(output == "connected", !enforced, "{mode}: {holds}");
    }
}

/// Cursor's worker listens below its own state, and Node talks to its children through pairs.
#[tokio::test]
async fn nodes_own_sockets_work_where_they_may() {
    if Command::new("node").arg("--version").output().is_err() {
        return crate::harness::skip("no node here");
    }
    let own = r#"node -e '
const net = require("net"), path = process.env.HOME + "/worker.sock";
const server = net.createServer(c => c.end("hello")).on("error", e => console.log(e.code));
server.listen(path, () => net.connect(path).on("data", d => { console.log("" + d); server.close(); }));
const child = require("child_process").spawnSync("echo", ["child"]);
console.log("" + child.stdout);'; rm -f "$HOME/worker.sock""#;
    for mode in [FenceMode::Auto, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let ws = scene.path("ws").canonicalize().unwrap();
        let run = scene.prepare(&ws).await;
        let output = stdout(&scene.agent(&run, &ws, own));
        assert!(output.starts_with("child"), "{output}");
        let status = serde_json::to_value(scene.fence.status()).unwrap();
        let denied = status["sockets"]["sentence"]
            .as_str()
            .unwrap()
            .contains("filter denies");
        assert_eq!(output.ends_with("EACCES"), denied, "{output} {status}");
        assert_eq!(output.ends_with("hello"), !denied, "{output} {status}");
    }
}

#[tokio::test]
async fn a_run_is_bounded() {
    let scene = Scene::new(FenceMode::Require).await;
    let run = scene.prepare(&scene.path("ws")).await;
    let script = "ulimit -f; cat /proc/sys/kernel/pid_max";
    let output = stdout(&scene.agent(&run, run.workspace(), script));
    let (blocks, pids) = output.split_once('\n').unwrap();
    assert_eq!(blocks, (4u64 << 30 >> 9).to_string());
    let release: Vec<u32> = sh(Path::new("/"), "uname -r")
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    if release >= vec![6, 14] {
        assert_eq!(pids, "4096");
        assert_ne!(
            fs::read_to_string("/proc/sys/kernel/pid_max")
                .unwrap()
                .trim(),
            "4096"
        );
    }
}

#[tokio::test]
async fn a_workspace_that_became_a_link_is_not_entered() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("outside/secret", "s");
    let ws = scene.path("ws").canonicalize().unwrap();
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        fs::rename(&ws, scene.path("moved")).unwrap();
        std::os::unix::fs::symlink(scene.path("outside"), &ws).unwrap();
        let output = scene.agent(&run, &ws, "cat secret");
        fs::remove_file(&ws).unwrap();
        fs::rename(scene.path("moved"), &ws).unwrap();
        assert_eq!(output.status.code(), Some(97), "{output:?}");
        assert_eq!(stdout(&output), "");
    }
}
