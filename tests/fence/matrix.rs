//! The write matrix: every way to change a file, from the agent, a shell, a grandchild and git.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use open_cursor::sandbox::fence::changes::{Changes, Content};
use open_cursor::sandbox::fence::{Enclosure, FenceMode};

use crate::harness::{Scene, Tree, differing, execute as execute_spec, sh, snapshot, stdout, told};

/// What a run would change without a fence. Nothing here stops at a failure.
pub const WRITES: &str = r#"
printf new > new.txt
printf changed > overwrite.txt
printf more >> append.txt
true > truncate.txt
rm unlink.txt
mv rename.txt renamed.txt
mv overwrites.txt overwritten.txt
ln append.txt hardlink.txt
ln "$WS/linked.txt" "$TMPDIR/hard" && printf via-hardlink > "$TMPDIR/hard"
ln -s append.txt softlink.txt
printf through > symlink.txt
ln -s "$WS/behind.txt" "$TMPDIR/soft"; printf through > "$TMPDIR/soft"
mkdir -p made/deep; printf x > made/deep/file
mkdir empty
rm -r dir
mv tree moved
rm -r again; mkdir again; printf 2 > again/b
sh -c 'printf shell > shell.txt'
sh -c 'sh -c "printf grandchild > grandchild.txt; exit" & wait'
setsid sh -c 'printf detached > detached.txt' < /dev/null
git mv git-moved.txt git-new.txt
git rm -q git-removed.txt
git -c user.name=a -c user.email=a@b commit -qam agent
git checkout -q -b other; git config agent.was here
printf escape > "/proc/$PPID/root$WS/escape.txt"
umount "$WS"; printf unmounted > unmounted.txt
touch overwrite.txt
printf x > "$OUTSIDE/new"; printf x >> "$OUTSIDE/old"; rm "$OUTSIDE/gone"
"#;

/// Landlock does not cover these; the view does.
const METADATA: &str = "chmod 755 mode.txt; chmod 700 modes; touch -d 2001-01-01 touched.txt";

/// Leaves a copy of what the agent sees.
const SEEN: &str = r#"rm -rf "$TMPDIR/seen"; cp -a "$WS" "$TMPDIR/seen""#;

/// What it comes to, as far as the client can execute it.
const EXPECTED: [&str; 31] = [
    "Modified again/b",
    "Deleted again/a",
    "Modified append.txt",
    "Modified behind.txt",
    "Created detached.txt",
    "Deleted dir/one.txt",
    "Deleted dir/sub/two.txt",
    "Deleted dir/sub",
    "Deleted dir",
    "Created empty",
    "Deleted git-moved.txt",
    "Created git-new.txt",
    "Deleted git-removed.txt",
    "Created grandchild.txt",
    "Created hardlink.txt",
    "Created made/deep/file",
    "Created moved/leaf.txt",
    "Created new.txt",
    "Modified overwrite.txt",
    "Deleted overwrites.txt",
    "Modified overwritten.txt",
    "Deleted rename.txt",
    "Created renamed.txt",
    "Created shell.txt",
    "Created softlink.txt",
    "Modified target.txt",
    "Deleted tree/leaf.txt",
    "Deleted tree",
    "Modified truncate.txt",
    "Deleted unlink.txt",
    "Created unmounted.txt",
];

pub fn workspace(scene: &Scene) -> PathBuf {
    for name in [
        "overwrite",
        "append",
        "truncate",
        "unlink",
        "rename",
        "overwrites",
        "overwritten",
        "linked",
        "target",
        "behind",
        "mode",
        "touched",
        "git-moved",
        "git-removed",
    ] {
        scene.write(&format!("ws/{name}.txt"), format!("{name}\n"));
    }
    for path in [
        "dir/one.txt",
        "dir/sub/two.txt",
        "tree/leaf.txt",
        "again/a",
        "again/b",
        "modes/x",
    ] {
        scene.write(&format!("ws/{path}"), "1\n");
    }
    scene.write("outside/old", "old");
    scene.write("outside/gone", "gone");
    let ws = scene.path("ws").canonicalize().unwrap();
    symlink("target.txt", ws.join("symlink.txt")).unwrap();
    sh(
        &ws,
        "git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm first",
    );
    ws
}

/// Runs the matrix and returns the real tree before and after it.
pub fn run(scene: &Scene, run: &Enclosure, script: &str) -> [Tree; 2] {
    let before = snapshot(&scene.path("ws"));
    let script = format!("{script}\nprintf done > \"$TMPDIR/ran\"");
    let output = scene.agent(run, run.workspace(), &script);
    let ran = fs::read_to_string(scene.slot.dirs().tmp().join("ran"));
    assert_eq!(ran.ok().as_deref(), Some("done"), "{output:?}");
    [before, snapshot(&scene.path("ws"))]
}

pub fn assert_outside_untouched(scene: &Scene) {
    let outside = snapshot(&scene.path("outside"));
    let names: Vec<_> = outside.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["gone", "old"]);
    assert!(outside[Path::new("old")].ends_with(" old"), "{outside:?}");
}

#[tokio::test]
async fn with_the_view_the_workspace_stays_and_every_change_is_told() {
    let scene = Scene::new(FenceMode::Require).await;
    let ws = workspace(&scene);
    let enclosure = scene.prepare(&ws).await;
    assert!(enclosure.has_view());
    let [before, after] = run(&scene, &enclosure, &format!("{METADATA}\n{WRITES}\n{SEEN}"));
    assert_eq!(differing(&before, &after), BTreeSet::new());
    assert_outside_untouched(&scene);

    let changes = scene.changes(&enclosure).await;
    let mut expected: Vec<_> = EXPECTED.map(str::to_owned).into();
    let mut told = told(&changes, &ws);
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
    let git = changes
        .list
        .iter()
        .any(|change| change.path == ws.join(".git/HEAD"));
    assert!(git, "what git did is told too");

    // The client executes the changes, and has what the agent saw.
    sh(scene.root.path(), "cp -a ws client");
    let client = scene.path("client");
    execute(&changes, &ws, &client);
    let seen = scene.slot.dirs().tmp().join("seen");
    let (client, seen) = (work_tree(&client), work_tree(&seen));
    // A client has no tool for modes, so they are not told.
    let modes = ["mode.txt", "modes"].map(Path::new);
    assert_eq!(differing(&client, &seen), modes.into());
    assert!(seen.contains_key(Path::new("unmounted.txt")));
}

#[tokio::test]
async fn with_landlock_alone_the_workspace_stays() {
    let scene = Scene::new(FenceMode::Require).await;
    let ws = workspace(&scene);
    let enclosure = scene.without_view(&ws).await;
    let [before, after] = run(&scene, &enclosure, WRITES);
    assert_eq!(differing(&before, &after), BTreeSet::new());
    assert_outside_untouched(&scene);
    assert_eq!(enclosure.changes(Default::default()).await.unwrap(), None);
}

/// An executor changes its workspace for real, and nothing else.
#[tokio::test]
async fn an_executor_changes_its_workspace_only() {
    let scene = Scene::new(FenceMode::Require).await;
    let ws = workspace(&scene);
    let tmp = scene.slot.dirs().tmp();
    let enclosure = scene.prepare(&ws).await;
    let script = format!("{WRITES}\nprintf done > \"$TMPDIR/ran\"");
    let mut spec = scene.spec(&enclosure, &ws, &script);
    spec.env.push(("TMPDIR".into(), tmp.clone().into()));
    let before = snapshot(&ws);
    let output = execute_spec(&scene.fence.confine(spec, &[ws.clone(), tmp.clone()], false));
    let ran = fs::read_to_string(tmp.join("ran"));
    assert_eq!(ran.ok().as_deref(), Some("done"), "{output:?}");
    let after = snapshot(&ws);
    let differing = differing(&before, &after);
    for line in EXPECTED {
        let path = Path::new(line.split_once(' ').unwrap().1);
        assert!(differing.contains(path), "{line}");
    }
    assert_outside_untouched(&scene);
}

/// The same agent without a fence changes everything: the tests above can fail.
#[tokio::test]
async fn without_the_fence_the_agent_changes_everything() {
    let scene = Scene::new(FenceMode::Off).await;
    let ws = workspace(&scene);
    let enclosure = scene.prepare(&ws).await;
    let [before, after] = run(&scene, &enclosure, &format!("{METADATA}\n{WRITES}"));
    let differing = differing(&before, &after);
    let more = [
        "Modified mode.txt",
        "Modified modes",
        "Modified linked.txt",
        "Created escape.txt",
    ];
    for line in EXPECTED.into_iter().chain(more) {
        let path = Path::new(line.split_once(' ').unwrap().1);
        assert!(differing.contains(path), "{line}");
    }
    assert!(scene.path("outside/new").exists() && !scene.path("outside/gone").exists());
}

#[tokio::test]
async fn the_agent_works_where_it_may() {
    let scene = Scene::new(FenceMode::Require).await;
    let ws = workspace(&scene);
    let script = r#"
        printf 1 > "$TMPDIR/t"; printf 2 > "$CURSOR_CONFIG_DIR/c"; printf 3 > "$CURSOR_CONFIG_DIR/chats/c"
        printf 4 > "$HOME/s"; echo > /dev/null; git status --short; cat overwrite.txt
        pwd; echo "$SSH_AUTH_SOCK|$TMPDIR|$CURSOR_CONFIG_DIR""#;
    for view in [true, false] {
        let enclosure = match view {
            true => scene.prepare(&ws).await,
            false => scene.without_view(&ws).await,
        };
        let output = scene.agent(&enclosure, &ws, script);
        let dirs = scene.slot.dirs();
        let expected = format!(
            "overwrite\n{}\n|{}|{}",
            ws.display(),
            dirs.tmp().display(),
            dirs.config().display()
        );
        assert_eq!(stdout(&output), expected, "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let wrote = [
            dirs.tmp().join("t"),
            dirs.config().join("c"),
            dirs.chats().join("c"),
            scene.path("state/s"),
        ];
        for (file, content) in wrote.iter().zip(["1", "2", "3", "4"]) {
            assert_eq!(fs::read_to_string(file).unwrap(), content);
            fs::remove_file(file).unwrap();
        }
    }
}

#[tokio::test]
async fn every_run_starts_from_the_real_files() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("ws/f", "real");
    let ws = scene.path("ws").canonicalize().unwrap();
    for real in ["real", "edited by the client"] {
        fs::write(ws.join("f"), real).unwrap();
        let enclosure = scene.prepare(&ws).await;
        let output = scene.agent(
            &enclosure,
            &ws,
            "cat f; printf mine > f; printf x > new; ls",
        );
        assert_eq!(stdout(&output), format!("{real}f\nnew"));
        let changes = scene.changes(&enclosure).await;
        assert_eq!(told(&changes, &ws), ["Modified f", "Created new"]);
        let text = |text: &str| Some(Content::Text(text.into()));
        assert_eq!(changes.list[0].before, text(real));
        assert_eq!(changes.list[0].after, text("mine"));
    }
}

/// What a client does with the changes: deletions first, then what is there now.
fn execute(changes: &Changes, from: &Path, to: &Path) {
    let changes = changes.list.iter().map(|change| {
        (
            to.join(change.path.strip_prefix(from).unwrap()),
            &change.before,
            &change.after,
        )
    });
    for (path, before, _) in changes.clone().filter(|(_, _, after)| after.is_none()) {
        let is_directory = *before == Some(Content::Directory);
        let removed = if is_directory {
            fs::remove_dir(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    for (path, _, after) in changes {
        let Some(content) = after else {
            continue;
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content {
            Content::Text(text) => fs::write(&path, text).unwrap(),
            Content::Directory => fs::create_dir_all(&path).unwrap(),
            Content::Symlink(target) => {
                symlink(target, &path).unwrap();
            }
            // Git's own files, which a client has no tool for.
            other => assert!(
                path.starts_with(to.join(".git")),
                "{}: {other:?}",
                path.display()
            ),
        }
    }
}

/// The tree without git's own files.
fn work_tree(directory: &Path) -> Tree {
    let mut tree = snapshot(directory);
    tree.retain(|path, _| !path.starts_with(".git"));
    tree
}
