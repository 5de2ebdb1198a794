//! What a run may use up.

use std::{
    os::unix::process::ExitStatusExt,
    process::Output,
    time::{Duration, Instant},
};

use open_cursor::sandbox::fence::{FenceConfig, FenceMode, ResourceLimits, launcher::Line};

use crate::{
    escapes::{prepared, wait_until, with_mark},
    harness::{Scene, config, stdout},
};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A scene whose runs may have this many MiB of files.
async fn scene(mebibytes: u64) -> Scene {
    let limits = ResourceLimits {
        disk: mebibytes << 20,
        ..ResourceLimits::default()
    };
    let config = FenceConfig {
        limits,
        ..config(FenceMode::Require)
    };
    Scene::with(config, "slots").await
}

#[tokio::test]
async fn a_run_that_fills_the_disk_is_ended() {
    let mark = format!("4713.{}", std::process::id());
    // Each writes 2 MiB at a time, wherever a run may.
    let files = |place: &str| {
        format!(
            "n=0; while :; do n=$((n+1)); head -c 2M /dev/zero > \"{place}/$n\"; sleep 0.02; done"
        )
    };
    let nameless = "python3 -c 'import os, time
kept = []
for n in range(100):
    kept.append(open(os.environ[\"TMPDIR\"] + \"/f\", \"wb\")); os.unlink(kept[-1].name)
    kept[-1].write(bytes(2 << 20)); kept[-1].flush(); time.sleep(0.02)
time.sleep(60)'";
    // A process that must not be traced does not show what it has open.
    let hidden = format!(
        "exec {}",
        nameless
            .replace(
                "import os, time",
                "import ctypes, os, time\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)"
            )
            .replace("range(100)", "range(400)")
    );
    let reserved = "python3 -c 'import os, time
for n in range(100):
    os.posix_fallocate(os.open(os.environ[\"TMPDIR\"] + f\"/{n}\", os.O_CREAT | os.O_RDWR), 0, 2 << 20)
time.sleep(60)'";
    let empty = "cd \"$TMPDIR\"; python3 -c 'import time
for n in range(6000): open(str(n), \"w\")
time.sleep(60)'";
    for (view, script) in [
        (true, files("$WS")),
        (false, files("$TMPDIR")),
        (true, files("$CURSOR_CONFIG_DIR")),
        (false, nameless.to_owned()),
        (true, nameless.to_owned()),
        (true, hidden),
        (true, files("$HOME")),
        (false, files("$CURSOR_CONFIG_DIR/chats")),
        (true, reserved.to_owned()),
        (true, empty.to_owned()),
    ] {
        let scene = scene(16).await;
        let run = prepared(&scene, view).await;
        let script = format!("setsid -f sleep {mark} > /dev/null 2>&1; {script}");
        let begun = Instant::now();
        let output = scene.agent(&run, run.workspace(), &script);
        assert!(begun.elapsed() < Duration::from_secs(30), "{script}");
        assert!(!output.status.success());
        let stderr = stderr(&output);
        let Some(Line::Stopped(why)) = stderr.lines().find_map(Line::parse) else {
            panic!("{script}: {stderr}");
        };
        assert_eq!(
            why,
            "the agent was ended: it has more than 16 MiB of files (--agent-disk)"
        );
        wait_until("the end of the strays", || with_mark(&mark) == 0);
    }
}

#[tokio::test]
async fn a_run_within_its_limits_goes_on() {
    let scene = scene(16).await;
    let run = prepared(&scene, true).await;
    // The size of a file is not what it holds; what is removed does not count.
    let script = "truncate -s 15M sparse; truncate -s 15M \"$TMPDIR/sparse\"
        for n in 1 2 3 4 5 6; do head -c 9M /dev/zero > big; sleep 0.4; rm big; done; echo done";
    let output = scene.agent(&run, run.workspace(), script);
    assert_eq!(stdout(&output), "done", "{output:?}");
}

/// By the signal for it, or by an error where that is ignored, as Python and overlayfs do.
#[tokio::test]
async fn one_file_cannot_be_too_long() {
    let scene = scene(16).await;
    let run = prepared(&scene, true).await;
    for place in ["$WS", "$TMPDIR"] {
        let script = format!("exec head -c 17M /dev/zero > \"{place}/big\"");
        let output = scene.agent(&run, run.workspace(), &script);
        let signal = output.status.signal() == Some(nix::libc::SIGXFSZ);
        let refused = stderr(&output).contains("File too large");
        assert!(signal || refused, "{output:?}");
    }
}

/// The kernel's own limit where a PID namespace has one, else this says so.
#[tokio::test]
async fn processes_are_limited_or_it_is_said() {
    let scene = scene(16).await;
    let status = serde_json::to_value(scene.fence.status()).unwrap();
    let run = prepared(&scene, true).await;
    let limit = stdout(&scene.agent(&run, run.workspace(), "cat /proc/sys/kernel/pid_max"));
    let sentence = status["limits"]["sentence"].as_str().unwrap();
    if status["limits"]["state"] == "enforced" {
        assert_eq!(limit, "4096");
        assert!(
            sentence.contains("16 MiB of files, 4096 processes"),
            "{sentence}"
        );
    } else {
        assert_eq!(status["limits"]["reason"], "no_process_limit", "{status}");
        assert!(!sentence.contains("4096 processes"), "{sentence}");
    }
}

#[tokio::test]
async fn memory_is_limited_or_it_is_said() {
    let limits = ResourceLimits {
        memory: Some(64 << 20),
        ..ResourceLimits::default()
    };
    let config = FenceConfig {
        limits,
        ..config(FenceMode::Auto)
    };
    let scene = Scene::with(config, "slots").await;
    let status = serde_json::to_value(scene.fence.status()).unwrap();
    let run = prepared(&scene, true).await;
    let script = "python3 -c 'held = bytearray(200 << 20); print(len(held))'";
    let output = scene.agent(&run, run.workspace(), script);
    if status["limits"]["reason"] == "no_cgroup" {
        crate::harness::skip("no cgroup is delegated to this process");
        assert_eq!(stdout(&output), (200 << 20).to_string());
        let sentence = status["limits"]["sentence"].as_str().unwrap();
        assert!(sentence.contains("its memory is not limited"), "{sentence}");
        return;
    }
    assert!(!output.status.success(), "{output:?} {status}");
    let stderr = stderr(&output);
    assert!(
        stderr.contains("it used more than 64 MiB of memory"),
        "{stderr}"
    );
}
