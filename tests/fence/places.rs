//! Workspaces that are not a plain directory of the user's own.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use open_cursor::sandbox::fence::FenceMode;
use open_cursor::sandbox::fence::changes::Content;
use open_cursor::sandbox::fence::launcher::{Line, Stage};
use open_cursor::sandbox::process::SpawnSpec;

use crate::harness::{Mounted, Scene, execute, is_root, sh, skip, snapshot, stdout, told};

const GIT: &str = "git -c user.name=a -c user.email=a@b -c protocol.file.allow=always";

#[tokio::test]
async fn a_symlinked_workspace() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("ws/f", "real");
    let link = scene.path("link");
    symlink("ws", &link).unwrap();
    let run = scene.prepare(&link).await;
    let output = scene.agent(&run, &link, "pwd -P; printf x > f; cat \"$WS/f\"");
    let ws = scene.path("ws").canonicalize().unwrap();
    assert_eq!(stdout(&output), format!("{}\nx", ws.display()));
    assert_eq!(told(&scene.changes(&run).await, &ws), ["Modified f"]);
    assert_eq!(fs::read_to_string(ws.join("f")).unwrap(), "real");
}

#[tokio::test]
async fn names_need_no_escaping() {
    let scene = Scene::with_slots_at(FenceMode::Require, "sl,o:t\\s \"x\"").await;
    scene.write("w:s, lower=\\ü/a,b:c", "real");
    let ws = scene.path("w:s, lower=\\ü").canonicalize().unwrap();
    let run = scene.prepare(&ws).await;
    scene.agent(&run, &ws, "printf x > a,b:c");
    assert_eq!(told(&scene.changes(&run).await, &ws), ["Modified a,b:c"]);
    assert_eq!(fs::read_to_string(ws.join("a,b:c")).unwrap(), "real");
}

#[tokio::test]
async fn changes_are_told_by_names_of_any_bytes() {
    let scene = Scene::new(FenceMode::Require).await;
    let ws = scene.path("ws").canonicalize().unwrap();
    let run = scene.prepare(&ws).await;
    let names: [&[u8]; 4] = [b"a\nb", b"-rf", b"\xff\xfe", b"\x1b[2J"];
    let made = names.map(|name| name.escape_ascii().to_string());
    let script = format!(
        "exec python3 -c 'for name in {}: open(name, \"w\")'",
        made.map(|name| format!("b\"{name}\"")).join(", ")
    );
    let output = scene.agent(&run, &ws, &script);
    assert!(output.status.success(), "{output:?}");
    let changes = scene.changes(&run).await;
    let mut expected = names.map(|name| ws.join(OsStr::from_bytes(name)));
    expected.sort();
    let told = changes.list.iter().map(|change| change.path.clone());
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_git_worktree() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("main/f", "1\n");
    let main = scene.path("main");
    sh(
        &main,
        &format!("git init -q . && git add . && {GIT} commit -qm 1 && git worktree add -q ../tree"),
    );
    let before = snapshot(&main);
    let tree = scene.path("tree").canonicalize().unwrap();
    let run = scene.prepare(&tree).await;
    let script =
        format!("printf '2\\n' > f; git status --short; {GIT} commit -qam 2 || echo refused");
    let output = scene.agent(&run, &tree, &script);
    assert_eq!(stdout(&output), "M f\nrefused", "{output:?}");
    assert_eq!(told(&scene.changes(&run).await, &tree), ["Modified f"]);
    assert_eq!(
        snapshot(&main),
        before,
        "its repository is elsewhere and stays"
    );
}

#[tokio::test]
async fn submodules() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("lib/l", "1\n");
    scene.write("ws/f", "1\n");
    for name in ["lib", "ws"] {
        sh(
            &scene.path(name),
            &format!("git init -q . && git add . && {GIT} commit -qm 1"),
        );
    }
    let ws = scene.path("ws").canonicalize().unwrap();
    sh(
        &ws,
        &format!("{GIT} submodule --quiet add ../lib sub && {GIT} commit -qm 2"),
    );
    let before = snapshot(&ws);
    let run = scene.prepare(&ws).await;
    let script = format!(
        "printf '2\\n' > sub/l; git status --short; {GIT} -C sub commit -qam 3; git status --short"
    );
    let output = scene.agent(&run, &ws, &script);
    assert_eq!(stdout(&output), "m sub\n M sub", "{output:?}");
    let changes = scene.changes(&run).await;
    assert_eq!(told(&changes, &ws), ["Modified sub/l"]);
    assert_eq!(snapshot(&ws), before);
}

#[tokio::test]
async fn files_that_cannot_be_read() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("ws/secret", "s");
    scene.write("ws/closed/f", "s");
    scene.write("ws/open", "o");
    let ws = scene.path("ws").canonicalize().unwrap();
    if is_root() {
        // The agent of root has no capability: it is to files of others as their modes say.
        for path in ["secret", "closed", "closed/f"] {
            chown(ws.join(path), Some(65534), Some(65534)).unwrap();
        }
    }
    fs::set_permissions(ws.join("secret"), Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(ws.join("closed"), Permissions::from_mode(0o000)).unwrap();
    let run = scene.prepare(&ws).await;
    let script = "cat open secret closed/f 2>&1; printf x > open; printf x > secret; rm -f secret; printf x > closed/f";
    let output = stdout(&scene.agent(&run, &ws, script));
    let changes = scene.changes(&run).await;
    assert!(
        output.starts_with('o') && output.matches("Permission denied").count() == 2,
        "{output}"
    );
    assert_eq!(told(&changes, &ws), ["Modified open", "Deleted secret"]);
    let before = changes.list[1].before.clone().unwrap();
    let seen = match is_root() {
        true => Content::Text("s".into()),
        false => Content::Unreadable,
    };
    assert_eq!(before, seen);
    fs::set_permissions(ws.join("secret"), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(ws.join("closed"), Permissions::from_mode(0o700)).unwrap();
    let real =
        ["secret", "closed/f", "open"].map(|path| fs::read_to_string(ws.join(path)).unwrap());
    assert_eq!(real, ["s", "s", "o"]);
}

/// As when the workspace is the user's home: slots and Cursor's own state lie in it.
#[tokio::test]
async fn a_workspace_around_the_slots() {
    let scene = Scene::with_slots_at(FenceMode::Require, "cache/slots").await;
    scene.write("outside/old", "real");
    let ws = scene.root.path().canonicalize().unwrap();
    let run = scene.prepare(&ws).await;
    assert!(run.has_view());
    let script =
        r#"printf x > outside/old; printf x > new; printf s > state/s; printf t > "$TMPDIR/t""#;
    let output = scene.agent(&run, &ws, script);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read_to_string(ws.join("outside/old")).unwrap(), "real");
    assert!(!ws.join("new").exists());
    assert_eq!(
        fs::read_to_string(ws.join("state/s")).unwrap(),
        "s",
        "Cursor's state is real"
    );
    assert_eq!(
        fs::read_to_string(scene.slot.dirs().tmp().join("t")).unwrap(),
        "t"
    );
    assert_eq!(
        told(&scene.changes(&run).await, &ws),
        ["Created new", "Modified outside/old"]
    );
}

#[tokio::test]
async fn the_file_systems_root_gets_no_view() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("outside/old", "real");
    let run = scene.prepare(Path::new("/")).await;
    assert!(!run.has_view());
    scene.agent(&run, Path::new("/"), "printf x > \"$OUTSIDE/old\"");
    assert_eq!(
        fs::read_to_string(scene.path("outside/old")).unwrap(),
        "real"
    );
}

#[tokio::test]
async fn mounts_below_the_workspace() {
    if !is_root() {
        return skip("only root can mount what this test needs");
    }
    let scene = Scene::new(FenceMode::Require).await;
    for path in ["ws/f", "ws/disk/hidden", "ws/disk2/x", "ws/one-file"] {
        scene.write(path, "real");
    }
    let ws = scene.path("ws").canonicalize().unwrap();
    let mut mounts = Vec::new();
    for (source, at, kind, flags) in [
        (
            PathBuf::from("t"),
            "disk",
            Some("tmpfs"),
            MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID,
        ),
        (scene.path("outside"), "disk2", None, MsFlags::MS_BIND),
        (ws.join("f"), "one-file", None, MsFlags::MS_BIND),
    ] {
        mounts.push(Mounted::new(&source, ws.join(at), kind, flags, None));
    }
    scene.write("ws/disk/deep/f", "real");
    let deep = ws.join("disk/deep");
    let tmpfs = Mounted::new(Path::new("t"), deep, Some("tmpfs"), MsFlags::empty(), None);
    mounts.insert(0, tmpfs);
    scene.write("ws/disk/deep/g", "real");
    scene.write("ws/disk2/out", "real");
    let before = snapshot(&ws);

    let run = scene.prepare(&ws).await;
    let script = "cat f disk/deep/g disk2/out one-file; ls disk; for f in f disk/new disk/deep/g disk2/out; do printf x > $f; done; rm disk/deep/g
        printf x > one-file || printf x >> one-file || echo read-only";
    let output = scene.agent(&run, &ws, script);
    assert_eq!(
        stdout(&output),
        "realrealrealrealdeep\nread-only",
        "{output:?}"
    );
    assert_eq!(snapshot(&ws), before);
    let changes = scene.changes(&run).await;
    assert_eq!(
        told(&changes, &ws),
        [
            "Modified f",
            "Created disk/new",
            "Deleted disk/deep/g",
            "Modified disk2/out"
        ]
    );

    // Without privilege the kernel hides what a mount covers, so there is no view; the launcher
    // says so and the agent does not run.
    let everything = format!(
        "chown -R 65534:65534 '{0}'; chmod 711 '{0}'",
        scene.root.path().display()
    );
    sh(&ws, &everything);
    let run = scene.prepare(&ws).await;
    sh(&ws, &everything);
    let spec = run.wrap(scene.spec(&run, &ws, "printf x > \"$TMPDIR/ran\""));
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"].map(Into::into);
    let spec = SpawnSpec {
        program: "/usr/bin/setpriv".into(),
        args: user
            .into_iter()
            .chain([spec.program.into()])
            .chain(spec.args)
            .collect(),
        ..spec
    };
    let output = execute(&spec);
    assert_eq!(output.status.code(), Some(97), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let Some(Line::Failed(failure)) = stderr.lines().find_map(Line::parse) else {
        panic!("{stderr}")
    };
    assert_eq!((failure.stage, failure.errno), (Stage::Overlay, Some(22)));
    assert!(!scene.slot.dirs().tmp().join("ran").exists());
    scene.fence.fall_back(&run, failure).await.unwrap();
    assert!(!scene.prepare(&ws).await.has_view());
}
