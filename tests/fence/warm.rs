//! Launchers that wait in free slots for the next run.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::BytesMut;
use open_cursor::sandbox::{
    fence::{Enclosure, FenceMode},
    process::{Process, Start},
    slot::Rules,
};
use tokio_util::task::TaskTracker;

use crate::{
    escapes::wait_until,
    harness::{Scene, told},
};

/// Runs a shell script as the agent, by the launcher that waits.
async fn agent(scene: &Scene, run: &mut Enclosure, script: &str) -> String {
    let workspace = run.workspace().to_owned();
    let start = run.start(scene.spec(run, &workspace, script));
    assert!(
        matches!(start, Start::Waiting(..)),
        "no launcher has waited"
    );
    execute(start, "a prompt").await
}

/// Runs a program to its end. Its output.
async fn execute(start: Start, stdin: &str) -> String {
    let tracker = TaskTracker::new();
    let mut process = Process::begin(start, &tracker).unwrap();
    process.feed(stdin.to_owned().into(), &tracker);
    let mut output = BytesMut::new();
    while !process.is_closed() {
        output.reserve(4096);
        process.read(&mut output).await;
    }
    let errors = process.exit().await.stderr.clone();
    let output = String::from_utf8(output.to_vec()).unwrap();
    format!("{output}{errors}").trim().to_owned()
}

/// How many processes wait for an order in a scene, two a launcher.
fn waiting(scene: &Scene) -> usize {
    let slots = scene.path("slots").canonicalize().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let waits = |process: &fs::DirEntry| {
        let args = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let args = String::from_utf8_lossy(&args).into_owned();
        args.contains("--waits") && args.contains(slots.to_str().unwrap())
    };
    processes.filter(waits).count()
}

/// A scene after a run that has written wherever it could.
async fn after_a_run(mode: FenceMode) -> (Scene, PathBuf) {
    let mut scene = Scene::new(mode).await;
    for file in [
        "ws/kept",
        "ws/edited",
        "ws/removed",
        "ws/d/renamed",
        "outside/old",
    ] {
        scene.write(file, "1");
    }
    let ws = scene.path("ws").canonicalize().unwrap();
    let run = scene.prepare(&ws).await;
    let script = "cd \"$WS\"; echo a > kept; echo b > new
        echo c > \"$TMPDIR/t\"; echo d > \"$CURSOR_CONFIG_DIR/c\"; ls; cat kept";
    assert!(scene.agent(&run, &ws, script).status.success());
    scene.next_run(&run).await;
    (scene, ws)
}

#[tokio::test]
async fn the_next_run_starts_in_a_fence_that_is_there_already() {
    for mode in [FenceMode::Require, FenceMode::Auto] {
        let (scene, ws) = after_a_run(mode).await;
        // What the client does while the launcher waits.
        fs::write(ws.join("edited"), "2").unwrap();
        fs::remove_file(ws.join("removed")).unwrap();
        fs::rename(ws.join("d/renamed"), ws.join("d/other")).unwrap();
        fs::create_dir(ws.join("made")).unwrap();
        fs::write(ws.join("made/file"), "3").unwrap();
        let mut run = scene.prepare(&ws).await;
        assert!(run.has_view());
        let script = r#"find . | LC_ALL=C sort | tr '\n' ' '; cat kept edited made/file; echo; cat; echo
            ls -A "$TMPDIR"; ls -A "$CURSOR_CONFIG_DIR" | tr '\n' ' '; echo; pwd; echo "$SSH_AUTH_SOCK|$TMPDIR|$HOME"
            grep -E '^(CapBnd|CapEff|NoNewPrivs)' /proc/self/status | tr '\n\t' '  '; echo
            ls -d /proc/[0-9]* | wc -l; (: < /dev/tty) 2> /dev/null && echo terminal
            chmod 700 "$OUTSIDE/old" 2> /dev/null && echo changed; echo x 2> /dev/null > "$OUTSIDE/old"
            echo x > edited; echo y > made/new; rm kept; mv made/file made/moved"#;
        let output = agent(&scene, &mut run, script).await;
        let (tmp, home) = (scene.slot.dirs().tmp(), scene.path("state"));
        let none = "0000000000000000";
        let expected = [
            ". ./d ./d/other ./edited ./kept ./made ./made/file 123",
            "a prompt",
            "chats cli-config.json ",
            ws.to_str().unwrap(),
            &format!("|{}|{}", tmp.display(), home.display()),
            &format!("CapEff: {none} CapBnd: {none} NoNewPrivs: 1 "),
        ];
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[..6], expected, "{mode}: {output}");
        assert!(lines[6].parse::<u32>().unwrap() < 8, "{output}");
        assert!(
            !output.contains("terminal") && !output.contains("changed"),
            "{output}"
        );
        assert_eq!(
            told(&scene.changes(&run).await, &ws),
            [
                "Modified edited",
                "Deleted kept",
                "Deleted made/file",
                "Created made/moved",
                "Created made/new",
            ]
        );
        for (file, content) in [("kept", "1"), ("edited", "2"), ("made/file", "3")] {
            assert_eq!(fs::read_to_string(ws.join(file)).unwrap(), content);
        }
        assert_eq!(fs::read_to_string(scene.path("outside/old")).unwrap(), "1");
        wait_until("the end of the launcher", || waiting(&scene) == 0);
    }
}

#[tokio::test]
async fn a_launcher_that_does_not_fit_any_more_is_ended() {
    type Change = fn(&Scene, &Path) -> PathBuf;
    let changes: [(&str, Change); 6] = [
        ("another workspace", |scene, _| scene.path("outside")),
        ("a workspace that was made anew", |scene, ws| {
            fs::rename(ws, scene.path("moved")).unwrap();
            fs::create_dir(ws).unwrap();
            ws.to_owned()
        }),
        ("a workspace with another mode", |_, ws| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(ws, fs::Permissions::from_mode(0o750)).unwrap();
            ws.to_owned()
        }),
        ("another login", |scene, ws| {
            let login = scene.path("cursor/auth.json");
            fs::rename(login, scene.path("outside/auth.json")).unwrap();
            scene.write("cursor/auth.json", "{}");
            ws.to_owned()
        }),
        ("a login elsewhere", |scene, ws| {
            let login = scene.path("cursor/auth.json");
            fs::rename(&login, scene.path("outside/auth.json")).unwrap();
            std::os::unix::fs::symlink("../outside/auth.json", login).unwrap();
            ws.to_owned()
        }),
        ("a state that was made anew", |scene, ws| {
            fs::rename(scene.path("state"), scene.path("old")).unwrap();
            fs::create_dir(scene.path("state")).unwrap();
            ws.to_owned()
        }),
    ];
    for (what, change) in changes {
        let mut scene = Scene::new(FenceMode::Require).await;
        scene.write("cursor/auth.json", "{}");
        let ws = scene.path("ws").canonicalize().unwrap();
        let run = scene.prepare(&ws).await;
        scene.next_run(&run).await;
        wait_until("the launcher", || waiting(&scene) == 2);
        let workspace = change(&scene, &ws);
        let mut run = scene.prepare(&workspace).await;
        let script = "echo x > new; (echo x > \"$HOME/../cursor/mcp.json\") 2> /dev/null; cat \"$HOME/../cursor/\"*; pwd";
        let start = run.start(scene.spec(&run, &workspace, script));
        assert!(matches!(start, Start::New(_)), "{what}");
        wait_until("the end of the launcher", || waiting(&scene) == 0);
        let output = execute(start, "").await;
        assert_eq!(
            output,
            format!("{{}}{}", run.workspace().display()),
            "{what}"
        );
        assert!(!workspace.join("new").exists());
    }
}

#[tokio::test]
async fn sockets_that_came_while_it_waited_are_covered() {
    let (scene, ws) = after_a_run(FenceMode::Auto).await;
    let socket = scene.path("outside/socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut run = scene.prepare(&ws).await;
    let script = format!(
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{}\"); print(\"connected\")' 2> /dev/null",
        socket.display()
    );
    assert_eq!(agent(&scene, &mut run, &script).await, "");
}

#[tokio::test]
async fn they_end_with_the_fence_and_are_few() {
    let (scene, ws) = after_a_run(FenceMode::Require).await;
    wait_until("the launcher", || waiting(&scene) == 2);
    scene.fence.close().await;
    wait_until("the end of the launcher", || waiting(&scene) == 0);
    // From then on there are none.
    let mut scene = scene;
    let run = scene.prepare(&ws).await;
    scene.next_run(&run).await;
    assert_eq!(waiting(&scene), 0);

    let scene = Scene::new(FenceMode::Require).await;
    let mut slots = Vec::new();
    for _ in 0..6 {
        slots.push(scene.slots.acquire().await.unwrap());
    }
    for mut slot in slots {
        let run = scene
            .fence
            .prepare(slot.dirs(), &scene.path("ws"))
            .await
            .unwrap();
        slot.when_clean(scene.fence.warming(&run));
    }
    wait_until("the launchers", || waiting(&scene) == 8);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(waiting(&scene), 8);
}

#[tokio::test]
async fn without_a_fence_a_launcher_may_start_before_it_was_looked_at() {
    for mode in [FenceMode::Auto, FenceMode::Require] {
        let (scene, ws) = after_a_run(mode).await;
        assert!(scene.fence.awaited(scene.slot.dirs(), &ws, None).is_none());
    }
    type Change = fn(&Scene, &Path);
    let changes: [(&str, bool, Change); 4] = [
        ("nothing", true, |_, _| {}),
        ("a file in the workspace", true, |_, ws| {
            fs::write(ws.join("new"), "1").unwrap();
        }),
        ("the user's settings", false, |scene, _| {
            scene.write("user/cli-config.json", r#"{"version": 1, "editor": {}}"#);
        }),
        ("a link in the workspace's place", false, |scene, ws| {
            fs::rename(ws, scene.path("moved")).unwrap();
            std::os::unix::fs::symlink(scene.path("moved"), ws).unwrap();
        }),
    ];
    for (what, is_ready, change) in changes {
        let (scene, ws) = after_a_run(FenceMode::Off).await;
        let dirs = scene.slot.dirs();
        let rules = Some(Rules::default());
        let elsewhere = scene.fence.awaited(dirs, &scene.path("outside"), None);
        assert!(elsewhere.is_none() && scene.fence.awaited(dirs, &ws, rules).is_none());
        change(&scene, &ws);
        let mut run = scene.fence.awaited(dirs, &ws, None).unwrap();
        let start = run.start(scene.spec(&run, &ws, "cat; pwd"));
        assert!(matches!(start, Start::Waiting(..)), "{what}");
        assert_eq!(scene.fence.is_ready(&run, dirs, None), is_ready, "{what}");
        if is_ready {
            let expected = format!("a prompt{}", ws.display());
            assert_eq!(execute(start, "a prompt").await, expected);
        }
        assert!(
            scene.fence.awaited(dirs, &ws, None).is_none(),
            "it is taken"
        );
    }
}
