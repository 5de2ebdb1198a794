//! What is left on a machine that refuses namespaces, as some containers do, or mounts in them, as
//! Ubuntu's AppArmor does: Landlock, and a process that cleans up.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

use open_cursor::sandbox::fence::{Fence, FenceError, FenceMode};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::{
    escapes::{wait_until, with_mark},
    harness::{Scene, config, differing, places, skip, stdout},
    matrix, persistence,
};

/// Set where the machine refuses them, to the reason that is to be found.
const REFUSED: &str = "FENCE_TEST_NAMESPACES_REFUSED";

#[test]
fn with_namespaces_refused() {
    if std::env::var_os(REFUSED).is_some() {
        return;
    }
    // A user namespace whose limit of further ones is 0, and in it no capability.
    let refuse = "echo 0 > /proc/sys/user/max_user_namespaces && \
        exec setpriv --bounding-set=-all --inh-caps=-all \"$0\" \"$@\"";
    let tests = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", refuse])
        .arg(tests)
        .args(["--nocapture", "without_namespaces"])
        .env(REFUSED, "user_namespaces_off")
        .current_dir("/")
        .output();
    match output {
        Ok(output) => assert_all_passed(&output),
        Err(_) => skip("no unshare here"),
    }
}

/// A user namespace can be made, but nothing can be mounted in it.
#[test]
fn with_mounts_refused() {
    if std::env::var_os(REFUSED).is_some() {
        return;
    }
    let deny = SeccompFilter::new(
        [(nix::libc::SYS_mount, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(nix::libc::EACCES.cast_unsigned()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = deny.unwrap().try_into().unwrap();
    // For this thread, and what it starts.
    seccompiler::apply_filter(&program).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "without_namespaces"])
        .env(REFUSED, "seccomp")
        .current_dir("/")
        .output();
    assert_all_passed(&output.unwrap());
}

fn assert_all_passed(output: &Output) {
    let (out, err) = (stdout(output), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("test result: ok. 8 passed"), "{out}\n{err}");
}

#[tokio::test]
async fn every_gap_is_reported_and_require_refuses() {
    let Ok(reason) = std::env::var(REFUSED) else {
        return;
    };
    let scene = Scene::new(FenceMode::Auto).await;
    let status = serde_json::to_value(scene.fence.status()).unwrap();
    for (layer, state) in [
        ("view", "unavailable"),
        ("writes", "partial"),
        ("processes", "partial"),
        ("sockets", "unavailable"),
    ] {
        assert_eq!(status[layer]["state"], state, "{status}");
    }
    for layer in ["view", "writes", "processes"] {
        assert_eq!(status[layer]["reason"], reason, "{status}");
    }
    let places = places(scene.root.path(), "slots");
    let started = Fence::start(&config(FenceMode::Require), &places, 1, None).await;
    let error = started.unwrap_err().to_string();
    let words = match reason.as_str() {
        "seccomp" => "unshare and mount",
        _ => "max_user_namespaces",
    };
    assert!(error.contains(words), "{error}");
    let Err(FenceError::NotEnforced { .. }) = Fence::probe(
        &config(FenceMode::Require),
        &places,
        scene.slot.dirs(),
        None,
    )
    .await
    else {
        panic!("it must be refused");
    };
}

#[tokio::test]
async fn the_matrix_holds() {
    if std::env::var_os(REFUSED).is_none() {
        return;
    }
    let scene = Scene::new(FenceMode::Auto).await;
    let ws = matrix::workspace(&scene);
    let run = scene.prepare(&ws).await;
    assert!(!run.has_view());
    let [before, after] = matrix::run(&scene, &run, matrix::WRITES);
    assert_eq!(differing(&before, &after), BTreeSet::new());
    matrix::assert_outside_untouched(&scene);
}

#[tokio::test]
async fn nothing_can_be_planted() {
    if std::env::var_os(REFUSED).is_none() {
        return;
    }
    let (scene, fence) = persistence::home(FenceMode::Auto).await;
    let run = fence.prepare(scene.slot.dirs(), &scene.path("ws")).await;
    persistence::assert_nothing_planted(&scene, &run.unwrap());
}

#[tokio::test]
async fn landlock_and_the_clean_up_hold() {
    if std::env::var_os(REFUSED).is_none() {
        return;
    }
    let scene = Scene::new(FenceMode::Auto).await;
    scene.write("ws/f", "real");
    scene.write("outside/old", "real");
    let run = scene.prepare(&scene.path("ws")).await;
    assert!(!run.has_view());
    let mark = format!("4712.{}", std::process::id());
    let script = format!(
        "echo x > f; echo x > \"$OUTSIDE/old\"; echo x > \"$OUTSIDE/new\"; rm f; echo x > \"$TMPDIR/t\"
         grep CapEff /proc/self/status; kill -9 $PPID 2> /dev/null || echo \"not its launcher\"
         setsid -f sh -c 'trap \"\" TERM; sleep {mark}; sleep {mark}' > /dev/null 2>&1
         until [ \"$(ps ax -o args | grep -c '^sleep {mark}')\" = 1 ]; do :; done; exit 3"
    );
    let output = scene.agent(&run, run.workspace(), &script);
    assert!(
        stdout(&output).contains("CapEff:\t0000000000000000"),
        "{output:?}"
    );
    wait_until("the end of the strays", || with_mark(&mark) == 0);
    for file in ["ws/f", "outside/old"] {
        assert_eq!(fs::read_to_string(scene.path(file)).unwrap(), "real");
    }
    assert!(!scene.path("outside/new").exists());
    assert!(scene.slot.dirs().tmp().join("t").exists());
}

/// They are seen, but neither limited nor slowed down.
#[tokio::test]
async fn the_users_other_processes_stay_as_they_are() {
    if std::env::var_os(REFUSED).is_none() {
        return;
    }
    let scene = Scene::new(FenceMode::Auto).await;
    let run = scene.prepare(&scene.path("ws")).await;
    let mut victim = Command::new("sleep").arg("30").spawn().unwrap();
    let script = format!(
        "exec python3 -c 'import os, resource, signal
for attempt in (lambda: os.setpriority(os.PRIO_USER, os.getuid(), 9), lambda: os.setpriority(os.PRIO_PROCESS, {0}, 9),
        lambda: os.setpriority(os.PRIO_PGRP, os.getpgid({0}), 9), lambda: os.sched_setaffinity({0}, [0]),
        lambda: resource.prlimit({0}, resource.RLIMIT_NOFILE, (1, 1)), lambda: os.kill({0}, signal.SIGSTOP),
        lambda: os.sched_setscheduler({0}, os.SCHED_IDLE, os.sched_param(0)),
        lambda: open(\"/proc/{0}/mem\"), lambda: open(\"/proc/{0}/environ\"), lambda: os.readlink(\"/proc/{0}/exe\")):
    try: attempt()
    except OSError: print(\"refused\")
os.setpriority(os.PRIO_PROCESS, 0, 19); resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))'",
        victim.id()
    );
    let output = scene.agent(&run, run.workspace(), &script);
    assert_eq!(stdout(&output), ["refused"; 10].join("\n"), "{output:?}");
    assert!(
        output.status.success(),
        "its own may be changed: {output:?}"
    );
    victim.kill().unwrap();
    victim.wait().unwrap();
}

/// Without a PID namespace the agent can stop its launcher.
#[tokio::test]
async fn a_run_that_stops_its_launcher_ends() {
    if std::env::var_os(REFUSED).is_none() {
        return;
    }
    let scene = Scene::new(FenceMode::Auto).await;
    let run = scene.prepare(&scene.path("ws")).await;
    let mark = format!("4715.{}", std::process::id());
    let script = format!("kill -STOP $PPID; exec sleep {mark}");
    let output = scene.agent(&run, run.workspace(), &script);
    assert!(!output.status.success(), "{output:?}");
    wait_until("the end of the run", || with_mark(&mark) == 0);
}
