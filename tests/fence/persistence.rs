//! What an agent might leave for a later one, which may run without any fence.

use std::{fs, os::unix::fs::symlink, path::Path};

use open_cursor::sandbox::{
    fence::{
        Enclosure, Fence, FenceMode,
        launcher::{Failure, Stage},
    },
    slot::Places,
};

use crate::{
    escapes::prepared,
    harness::{Scene, config, differing, execute, snapshot, stdout},
};

/// What makes an agent of tomorrow do something (FACTS 1.5, 1.7).
const PLANTED: [&str; 12] = [
    "argv.json",
    "auth.json.tmp",
    "cli-config.json",
    "commands",
    "extensions",
    "hooks.json",
    "mcp.json",
    "plugins",
    "rules",
    "sandbox.json",
    "skills",
    "statsig-cache.json",
];

/// A home with what Cursor has made there, and the fence that a server would have.
pub async fn home(mode: FenceMode) -> (Scene, Fence) {
    let scene = Scene::new(mode).await;
    scene.write("home/.config/cursor/auth.json", "old");
    scene.write("home/.config/cursor/mcp.json", "user");
    scene.write("home/.config/cursor/skills/y/SKILL.md", "user");
    scene.write("home/.cursor/rules/own.mdc", "user");
    scene.write("home/.cursor/projects/x/state", "old");
    scene.write("home/.cache/cursor-compile-cache/v22/code", "user");
    let home = scene.path("home");
    let get = |name: &str| (name == "HOME").then(|| home.clone().into_os_string());
    let places = Places::from_env(get, Path::new("/tmp"));
    let slot = scene.slot.dirs();
    let fence = Fence::probe(&config(mode), &places, slot, None).await;
    (scene, fence.unwrap())
}

/// Tries to plant everything, whatever exists. What it could change by name.
pub fn plant() -> String {
    format!(
        r#"cd "$HOME_OF_USER"
        for d in .config/cursor .cursor; do for f in {}; do
            (echo evil > $d/$f; mkdir $d/$f; ln -s /tmp/x $d/$f; rm -rf $d/$f
             mv -T $d/$f $d/other; mv -T $d/auth.json $d/$f; ln $d/auth.json $d/$f; cp -r "$TMPDIR" $d/$f
             echo evil > $d/skills/new; echo evil >> $d/mcp.json) 2> /dev/null
        done; done
        (mv .config/cursor .config/other; mv .cursor .other; rm .config/cursor/auth.json; mkdir .vscode
         echo evil > .cache/cursor-compile-cache/v22/code; echo evil > .cache/cursor-compile-cache/v22/new
         echo evil > .bashrc) 2> /dev/null
        printf new > .config/cursor/auth.json && cat .config/cursor/auth.json
        echo state > .cursor/projects/x/state; echo kept > .cursor/cache/made; echo kept > .cursor/chats/made"#,
        PLANTED.join(" ")
    )
}

/// Runs the attempt and checks what has become of the home.
pub fn assert_nothing_planted(scene: &Scene, run: &Enclosure) {
    let home = scene.path("home");
    let before = snapshot(&home);
    let mut spec = scene.spec(run, run.workspace(), &plant());
    spec.env.push(("HOME_OF_USER".into(), home.clone().into()));
    let output = execute(&run.wrap(spec));
    assert_eq!(
        stdout(&output),
        "new",
        "the login can be renewed: {output:?}"
    );
    let after = snapshot(&home);
    let mut changed: Vec<&str> = differing(&before, &after)
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    changed.sort_unstable();
    let expected = [
        ".config/cursor/auth.json",
        ".cursor/cache/made",
        ".cursor/chats/made",
        ".cursor/projects/x/state",
    ];
    assert_eq!(changed, expected);
    for made in ["cache/made", "chats/made"] {
        fs::remove_file(home.join(".cursor").join(made)).unwrap();
    }
    fs::write(home.join(".config/cursor/auth.json"), "old").unwrap();
    fs::write(home.join(".cursor/projects/x/state"), "old").unwrap();
}

#[tokio::test]
async fn what_a_later_agent_would_do_cannot_be_planted() {
    let (scene, fence) = home(FenceMode::Require).await;
    let ws = scene.path("ws").canonicalize().unwrap();
    let with_view = fence.prepare(scene.slot.dirs(), &ws).await.unwrap();
    assert!(with_view.has_view());
    assert_nothing_planted(&scene, &with_view);
    let failure = Failure {
        stage: Stage::Overlay,
        errno: Some(22),
        message: "a test".into(),
    };
    fence.fall_back(&with_view, failure).await.unwrap();
    let without = fence.prepare(scene.slot.dirs(), &ws).await.unwrap();
    assert!(!without.has_view());
    assert_nothing_planted(&scene, &without);
}

/// Its owner may keep it elsewhere, and may log in while the server runs.
#[tokio::test]
async fn the_login_is_found_where_it_is() {
    let scene = Scene::new(FenceMode::Require).await;
    let write = r#"printf new > "$OUTSIDE/../cursor/auth.json"; true"#;
    for view in [true, false] {
        let run = prepared(&scene, view).await;
        scene.agent(&run, run.workspace(), write);
        assert!(!scene.path("cursor/auth.json").exists(), "there is none");
        scene.write("outside/login", "old");
        fs::create_dir_all(scene.path("cursor")).unwrap();
        symlink("../outside/login", scene.path("cursor/auth.json")).unwrap();
        let run = scene.prepare(run.workspace()).await;
        scene.agent(&run, run.workspace(), write);
        let login = || fs::read_to_string(scene.path("outside/login")).unwrap();
        assert_eq!(login(), "new");
        // In the place of a file there may be anything.
        fs::remove_file(scene.path("cursor/auth.json")).unwrap();
        fs::create_dir(scene.path("cursor/auth.json")).unwrap();
        let run = scene.prepare(run.workspace()).await;
        let plant = r#"echo x > "$OUTSIDE/../cursor/auth.json/x"; true"#;
        scene.agent(&run, run.workspace(), plant);
        let made = fs::read_dir(scene.path("cursor/auth.json"))
            .unwrap()
            .count();
        assert_eq!(made, 0);
        fs::remove_dir_all(scene.path("cursor")).unwrap();
    }
}
