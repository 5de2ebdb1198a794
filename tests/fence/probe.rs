//! What the probe finds here, and what follows from it.

use std::fs;
use std::path::{Path, PathBuf};

use open_cursor::sandbox::fence::launcher::{Failure, Line, Stage};
use open_cursor::sandbox::fence::{Fence, FenceConfig, FenceError, FenceMode, State};
use open_cursor::sandbox::process::SpawnSpec;
use open_cursor::sandbox::slot::Places;

use nix::mount::MsFlags;

use crate::harness::{LAUNCHER, Mounted, Scene, config, execute, is_root, places, sh, skip};

#[tokio::test]
async fn this_kernel_enforces_everything() {
    let scene = Scene::new(FenceMode::Require).await;
    let status = scene.fence.status();
    assert_eq!(status.view.state, State::Enforced, "{status:?}");
    assert_eq!(status.writes.state, State::Enforced, "{status:?}");
    let json = serde_json::to_value(status).unwrap();
    assert_eq!(json["mode"], "require");
    assert_eq!(json["view"]["state"], "enforced");
    assert!(
        json["writes"]["sentence"]
            .as_str()
            .unwrap()
            .contains("Landlock (ABI ")
    );
    assert!(json["writes"].get("reason").is_none());
}

#[tokio::test]
async fn the_workspace_itself_is_tried() {
    let scene = Scene::new(FenceMode::Auto).await;
    scene.write("ws/f", "real");
    for (workspace, expected) in [
        (scene.path("ws"), State::Enforced),
        (PathBuf::from("/"), State::Partial),
    ] {
        let places = places(scene.root.path(), "unused");
        let slot = scene.slot.dirs();
        let fence = Fence::probe(&config(FenceMode::Auto), &places, slot, Some(&workspace))
            .await
            .unwrap();
        assert_eq!(fence.status().view.state, expected, "{:?}", fence.status());
        let run = fence.prepare(slot, &workspace).await.unwrap();
        assert_eq!(run.has_view(), expected == State::Enforced);
    }
}

#[tokio::test]
async fn a_launcher_that_does_nothing_is_noticed() {
    let scene = Scene::new(FenceMode::Off).await;
    // Runs what follows `--` as it is: every write goes through. A shell writes it, so that no
    // other test's child can hold the file open while it is executed.
    let open = scene.path("open-launcher");
    let script = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done; shift; exec "$@""#;
    let make = format!("cat > open-launcher <<'END'\n{script}\nEND\nchmod +x open-launcher");
    sh(scene.root.path(), &make);
    let places = places(scene.root.path(), "unused");
    let (places, slot) = (&places, scene.slot.dirs());
    let probe = async |mode| {
        let launcher = open.clone();
        let config = FenceConfig {
            launcher,
            ..config(mode)
        };
        Fence::probe(&config, places, slot, None).await
    };
    let fence = probe(FenceMode::Auto).await.unwrap();
    let status = serde_json::to_value(fence.status()).unwrap();
    for layer in ["view", "writes"] {
        assert_eq!(status[layer]["state"], "unavailable", "{status}");
        assert_eq!(status[layer]["reason"], "ineffective", "{status}");
    }
    let error = probe(FenceMode::Require).await.unwrap_err();
    assert!(matches!(error, FenceError::NotEnforced { .. }), "{error}");
}

#[tokio::test]
async fn a_workspace_that_cursor_may_write_is_refused_or_warned_about() {
    for mode in [FenceMode::Require, FenceMode::Auto] {
        let scene = Scene::new(mode).await;
        scene.write("state/worktrees/x/f", "real");
        let workspace = scene.path("state/worktrees/x");
        let run = scene.fence.prepare(scene.slot.dirs(), &workspace).await;
        match (mode, run) {
            (FenceMode::Require, Err(FenceError::Exposed { .. })) => {}
            (FenceMode::Auto, Ok(run)) => {
                assert!(run.warning().unwrap().contains("worktrees"));
                // The view still holds.
                scene.agent(&run, &workspace, "printf x > f");
                assert_eq!(fs::read_to_string(workspace.join("f")).unwrap(), "real");
            }
            (mode, run) => panic!("{mode}: {run:?}"),
        }
        // And at the start, if it is known then.
        let places = places(scene.root.path(), "unused");
        let slot = scene.slot.dirs();
        let probed = Fence::probe(&config(mode), &places, slot, Some(&workspace)).await;
        match (mode, probed) {
            (FenceMode::Require, Err(FenceError::Exposed { .. })) | (FenceMode::Auto, Ok(_)) => {}
            (mode, probed) => panic!("{mode}: {probed:?}"),
        }
    }
}

#[tokio::test]
async fn the_next_place_is_tried_for_the_slots() {
    let scene = Scene::new(FenceMode::Off).await;
    scene.write("a-file", "");
    let good = scene.path("other/slots");
    let at = |slot_roots| Places {
        slot_roots,
        ..places(scene.root.path(), "unused")
    };
    let require = config(FenceMode::Require);
    let start = async |places| Fence::start(&require, &places, 2, None).await;

    let (unusable, blocked) = (
        PathBuf::from("/proc/open-cursor"),
        scene.path("a-file/slots"),
    );
    let (fence, slots) = start(at(vec![unusable.clone(), blocked, good.clone()]))
        .await
        .unwrap();
    assert!(fence.status().view.holds());
    let slot = slots.acquire().await.unwrap();
    assert!(slot.dirs().tmp().starts_with(good.canonicalize().unwrap()));
    let error = start(at(vec![unusable])).await.unwrap_err();
    assert!(error.to_string().contains("/proc/open-cursor"), "{error}");

    // An overlay, such as a container's root, cannot be the upper layer of another.
    if !is_root() {
        return skip("only root can mount an overlay for this test");
    }
    for directory in ["lower", "upper", "work", "container"] {
        fs::create_dir(scene.path(directory)).unwrap();
    }
    let _mounted = mount_overlay(&scene);
    let container = scene.path("container/slots");
    let (fence, _slots) = start(at(vec![container.clone()])).await.unwrap();
    let status = serde_json::to_value(fence.status()).unwrap();
    assert_eq!(status["view"]["reason"], "file_system", "{status}");
    assert_eq!(status["writes"]["state"], "enforced");
    let (fence, slots) = start(at(vec![container, scene.path("disk/slots")]))
        .await
        .unwrap();
    assert!(fence.status().view.holds());
    let slot = slots.acquire().await.unwrap();
    assert!(
        slot.dirs()
            .tmp()
            .starts_with(scene.path("disk").canonicalize().unwrap())
    );
}

fn mount_overlay(scene: &Scene) -> Mounted {
    let at = scene.path("container");
    let layer = |name: &str| scene.path(name).display().to_string();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        layer("lower"),
        layer("upper"),
        layer("work")
    );
    Mounted::new(
        Path::new("overlay"),
        at,
        Some("overlay"),
        MsFlags::empty(),
        Some(&options),
    )
}

#[tokio::test]
async fn deny_rules_follow_the_view() {
    let scene = Scene::new(FenceMode::Require).await;
    let ws = scene.path("ws");
    let config = || fs::read_to_string(scene.slot.dirs().config().join("cli-config.json")).unwrap();
    scene.prepare(&ws).await;
    assert!(config().contains("Shell(**)") && !config().contains("Write(**)"));
    scene.without_view(&ws).await;
    assert!(config().contains("Shell(**)") && config().contains("Write(**)"));
}

#[tokio::test]
async fn a_launch_that_fails_says_where() {
    let scene = Scene::new(FenceMode::Require).await;
    let run = scene.prepare(&scene.path("ws")).await;
    let start = |spec: SpawnSpec| {
        let output = execute(&spec);
        assert_eq!(output.status.code(), Some(97), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        match Line::parse(&stderr) {
            Some(Line::Failed(failure)) => failure,
            other => panic!("{other:?}: {stderr}"),
        }
    };
    let spec = scene.spec(&run, run.workspace(), "");
    let missing = start(run.wrap(SpawnSpec {
        program: "/no/agent".into(),
        ..spec.clone()
    }));
    assert_eq!((missing.stage, missing.errno), (Stage::Exec, Some(2)));
    let error = scene.fence.fall_back(&run, missing).await.unwrap_err();
    assert!(error.to_string().contains("/no/agent"), "{error}");
    let nowhere = start(run.wrap(SpawnSpec {
        cwd: "/no/where".into(),
        ..spec.clone()
    }));
    assert_eq!(nowhere.stage, Stage::Directory);
    let garbage = start(SpawnSpec {
        program: LAUNCHER.into(),
        args: vec!["agent-launcher".into()],
        ..spec
    });
    let expected = Failure {
        stage: Stage::Arguments,
        errno: None,
        message: garbage.message.clone(),
    };
    assert_eq!(garbage, expected);
}
