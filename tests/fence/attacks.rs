//! Ways around the fence that go through the kernel and not through files: memory, keys and locks that
//! are shared, the run's own pid 1, descriptors that somebody left open.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output},
};

use nix::libc;
use open_cursor::sandbox::{fence::FenceMode, process::SpawnSpec};

use crate::{
    escapes::{prepared, wait_until},
    harness::{Scene, execute, skip, stdout},
};

/// Tries something by Python and says whether it worked.
fn python(attempt: &str) -> String {
    format!(
        "python3 -c 'import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    if libc.syscall(*args) < 0: raise OSError(ctypes.get_errno(), \"refused\")
try: {attempt}; print(\"done\")
except OSError as error: print(\"refused\")'"
    )
}

/// The same, but tells the number of the error.
fn python_told(attempt: &str) -> String {
    python(attempt).replace("print(\"refused\")", "print(error.errno)")
}

#[tokio::test]
async fn shared_memory_of_others_is_out_of_reach() {
    let ipc = |program: &str, args: &[&str]| -> Option<Output> {
        Command::new(program).args(args).output().ok()
    };
    let Some(made) = ipc("ipcmk", &["-M", "4096"]) else {
        return skip("no ipcmk here");
    };
    let made = stdout(&made);
    let id = made.rsplit(' ').next().unwrap();
    let scene = Scene::new(FenceMode::Require).await;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let script = format!("ipcrm -m {id} 2> /dev/null && echo removed; ipcs -m | grep -c 4096");
        assert_eq!(stdout(&scene.agent(&run, run.workspace(), &script)), "0");
    }
    let removed = ipc("ipcrm", &["-m", id]).unwrap();
    assert!(removed.status.success(), "it was still there: {removed:?}");
}

#[tokio::test]
async fn keys_and_leases_are_out_of_reach() {
    // The keyring of the user; a key of that name there.
    let add = format!(
        "call({}, b\"user\", b\"open-cursor-test\", b\"x\", 1, ctypes.c_int(-4))",
        libc::SYS_add_key
    );
    let list = format!("call({}, 11, ctypes.c_int(-4), None, 0)", libc::SYS_keyctl);
    // Who only reads a file holds up everybody who opens it to write, for 45 s.
    let lease = format!(
        "fcntl.fcntl(os.open(os.environ[\"OUTSIDE\"] + \"/old\", os.O_RDONLY), {}, {})",
        libc::F_SETLEASE,
        libc::F_RDLCK
    );
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("outside/old", "x");
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        for attempt in [&add, &list, &lease] {
            let output = scene.agent(&run, run.workspace(), &python(attempt));
            assert_eq!(stdout(&output), "refused", "{attempt}: {output:?}");
        }
    }
    let open = Scene::new(FenceMode::Off).await;
    open.write("outside/old", "x");
    let run = open.prepare(&open.path("ws")).await;
    let output = open.agent(&run, run.workspace(), &python(&lease));
    assert_eq!(stdout(&output), "done", "{output:?}");
}

/// A machine's host, other kernels' parts, and what is on the wire: no part of a network that programs use.
#[tokio::test]
async fn sockets_of_other_kinds_cannot_be_made() {
    let families = [
        libc::AF_VSOCK,
        libc::AF_PACKET,
        libc::AF_ALG,
        libc::AF_BLUETOOTH,
    ];
    let attempt = |family: i32| {
        format!(
            "call({}, {family}, {}, 0)",
            libc::SYS_socket,
            libc::SOCK_DGRAM
        )
    };
    let scene = Scene::new(FenceMode::Auto).await;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let told = |family| {
            let script = format!("{} 2>&1", python_told(&attempt(family)));
            stdout(&scene.agent(&run, run.workspace(), &script))
        };
        for family in families {
            assert_eq!(told(family), libc::EACCES.to_string(), "{family}");
        }
        for family in [libc::AF_INET, libc::AF_UNIX] {
            assert_eq!(told(family), "done", "{family}");
        }
        let netlink = format!("call({}, {}, 3, 0)", libc::SYS_socket, libc::AF_NETLINK);
        let script = python_told(&netlink);
        assert_eq!(stdout(&scene.agent(&run, run.workspace(), &script)), "done");
    }
}

/// The kernel hands what a crashed process had in memory to a program outside of the fence, unless the
/// limit is 1.
#[tokio::test]
async fn a_crash_leaves_nothing() {
    let scene = Scene::new(FenceMode::Require).await;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let script =
            "python3 -c 'import resource; print(*resource.getrlimit(resource.RLIMIT_CORE))'
            ulimit -c unlimited 2> /dev/null && echo raised; true";
        let output = stdout(&scene.agent(&run, run.workspace(), script));
        let (soft, hard) =
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE).unwrap();
        let expected = format!("{0} {0}", hard.min(1));
        assert_eq!(output, expected, "{soft} {hard}");
    }
}

/// The marks of overlayfs itself, which say that something was deleted.
#[tokio::test]
async fn marks_in_the_view_delete_nothing() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("ws/d/kept", "x");
    scene.write("ws/f", "x");
    let ws = scene.path("ws").canonicalize().unwrap();
    let run = scene.prepare(&ws).await;
    let script = r#"python3 -c 'import os
for at in ".", "d", "f":
    for name, value in ("opaque", b"y"), ("opaque", b"x"), ("whiteout", b""), ("redirect", b"/"), ("metacopy", b""):
        for prefix in "user.overlay.", "user.overlay.overlay.", "trusted.overlay.":
            try: os.setxattr(at, prefix + name, value)
            except OSError: pass
open("d/new", "w")
for at in "f", "d/gone":
    try: os.mknod(at + ".wh", 0o20666, 0)
    except OSError: print("refused")'; ls d"#;
    let output = scene.agent(&run, &ws, script);
    assert_eq!(stdout(&output), "refused\nrefused\nkept\nnew", "{output:?}");
    let changes = scene.changes(&run).await;
    assert_eq!(crate::harness::told(&changes, &ws), ["Created d/new"]);
}

/// A user namespace makes its maker mighty, but only there.
#[tokio::test]
async fn a_user_namespace_of_its_own_changes_nothing() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("outside/old", "x");
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let script = r#"exec python3 -c 'import ctypes, os
libc = ctypes.CDLL(None)
if libc.unshare(0x10000000 | 0x20000) == 0:
    for file, text in ("setgroups", "deny"), ("uid_map", f"0 {os.getuid()} 1"):
        try: open(f"/proc/self/{file}", "w").write(text)
        except OSError: pass
    outside = os.environ["OUTSIDE"].encode()
    mounts = (b"x", b"/tmp", b"tmpfs", 0), (None, b"/", None, 32 | 4096), (b"/usr", b"/mnt", None, 4096),         (None, outside, None, 32 | 4096), (b"proc", b"/proc", b"proc", 0)
    for source, at, kind, flags in mounts:
        if libc.mount(source, at, kind, flags, None) == 0: print("mounted", at)
    for at in b"/dev", b"/proc", os.environ["WS"].encode(), b"/run":
        if libc.umount2(at, 2) == 0: print("unmounted", at)
for attempt in (lambda: os.chmod(os.environ["OUTSIDE"] + "/old", 0o777), lambda: os.chroot("/tmp"),
        lambda: os.mknod(os.environ["TMPDIR"] + "/disk", 0o60666, os.makedev(254, 0)),
        lambda: open("/proc/sys/kernel/core_pattern", "w")):
    try: attempt()
    except OSError: continue
    print("went through")'"#;
        let output = scene.agent(&run, run.workspace(), script);
        let allowed = ["", "went through"];
        // In it a process may enter a directory as its root; all else stays where it was.
        let said = stdout(&output);
        assert!(
            output.status.success() && allowed.contains(&&*said),
            "{output:?}"
        );
        assert_eq!(fs::read_to_string(scene.path("outside/old")).unwrap(), "x");
    }
}

/// Who traces pid 1 can stop it, so that nobody notices the end of the run, and speak in its name.
#[tokio::test]
async fn the_runs_own_pid_1_is_out_of_reach() {
    let trace = "
    parent = os.getppid()
    if libc.ptrace(0x4206, parent, 0, 0) < 0: raise OSError(1, \"refused\")";
    let files = "os.readlink(f\"/proc/{os.getppid()}/fd/2\")";
    let scene = Scene::new(FenceMode::Require).await;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        for attempt in [trace, files] {
            let script = format!("exec {}", python(attempt));
            let output = scene.agent(&run, run.workspace(), &script);
            assert_eq!(stdout(&output), "refused", "{attempt}: {output:?}");
        }
    }
    let open = Scene::new(FenceMode::Off).await;
    let run = open.prepare(&open.path("ws")).await;
    let output = open.agent(&run, run.workspace(), &format!("exec {}", python(files)));
    assert_eq!(stdout(&output), "done", "{output:?}");
}

#[tokio::test]
async fn what_the_server_inherited_is_closed() {
    for mode in [FenceMode::Off, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let run = scene.prepare(&scene.path("ws")).await;
        let script = "(echo x >&9) 2> /dev/null; ls /proc/self/fd | tr '\\n' ' '";
        let spec = run.wrap(scene.spec(&run, run.workspace(), script));
        // As a server that was started with a file open.
        let open = r#"exec 9> "$OUTSIDE/leak"; exec "$0" "$@""#;
        let spec = SpawnSpec {
            args: ["-c".into(), open.into(), spec.program.into()]
                .into_iter()
                .chain(spec.args)
                .collect(),
            program: "/bin/sh".into(),
            ..spec
        };
        // The last is the directory that is listed.
        assert_eq!(stdout(&execute(&spec)), "0 1 2 3", "{mode}");
        let leaked = fs::read_to_string(scene.path("outside/leak")).unwrap();
        assert_eq!(leaked, "", "{mode}");
    }
}

#[tokio::test]
async fn the_kernel_ends_a_run_before_the_server() {
    let scene = Scene::new(FenceMode::Require).await;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        let script =
            "(echo 0 > /proc/self/oom_score_adj) 2> /dev/null; cat /proc/self/oom_score_adj";
        assert_eq!(stdout(&scene.agent(&run, run.workspace(), script)), "500");
    }
}

/// A run could make so many sockets that no other could start for all their covers.
#[tokio::test]
async fn sockets_of_other_runs_are_not_covered_one_by_one() {
    let scene = Scene::new(FenceMode::Auto).await;
    let socket = |path: &str| {
        let path = scene.path(path).canonicalize().unwrap().join("socket");
        UnixListener::bind(path).unwrap()
    };
    fs::create_dir_all(scene.path("slots/77/tmp")).unwrap();
    let _sockets = [socket("slots/77/tmp"), socket("outside")];
    let run = scene.prepare(&scene.path("ws")).await;
    let script = "grep -c '/socket ' /proc/self/mountinfo; grep -c /slots/77/ /proc/self/mountinfo";
    let output = stdout(&scene.agent(&run, run.workspace(), script));
    let covered = Path::new("/proc/net/unix").exists();
    assert_eq!(output, if covered { "1\n0" } else { "0\n0" });
}

/// What ends a run must not need its cooperation.
#[tokio::test]
async fn a_run_that_hears_no_signal_ends() {
    for mode in [FenceMode::Off, FenceMode::Require] {
        let scene = Scene::new(mode).await;
        let run = scene.prepare(&scene.path("ws")).await;
        let mark = format!("4714.{}", std::process::id());
        let script = format!(
            "trap '' TERM HUP INT QUIT; (trap '' TERM HUP INT QUIT; setsid sleep {mark}) & echo up; \
             while :; do sleep {mark}; done"
        );
        let spec = run.wrap(scene.spec(&run, run.workspace(), &script));
        let mut warden = Command::new(&spec.program)
            .args(&spec.args)
            .env_clear()
            .envs(spec.env.iter().cloned())
            .current_dir(&spec.cwd)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the run", || crate::escapes::with_mark(&mark) >= 3);
        let warden_id = nix::unistd::Pid::from_raw(warden.id().cast_signed());
        nix::sys::signal::kill(warden_id, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(!warden.wait().unwrap().success());
        wait_until("the end of the run", || {
            crate::escapes::with_mark(&mark) == 0
        });
    }
}
