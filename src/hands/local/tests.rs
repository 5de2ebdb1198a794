//! The tools themselves, in this process and without a fence.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::json;

use super::*;

fn scene() -> (tempfile::TempDir, Workspace) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("ws/src")).unwrap();
    fs::write(root.join("outside"), "secret").unwrap();
    fs::write(root.join("ws/src/a.rs"), "fn a() {}\nfn b() {}\n").unwrap();
    fs::write(root.join("ws/src/b.txt"), "fn c\r\nfn d\r\n").unwrap();
    fs::write(root.join("ws/ignored.rs"), "fn ignored() {}\n").unwrap();
    fs::write(root.join("ws/.gitignore"), "ignored.rs\n").unwrap();
    symlink("../outside", root.join("ws/link")).unwrap();
    let workspace = Workspace::new(&root.join("ws"));
    (dir, workspace)
}

/// Calls a tool; `Err` is what the model reads of a failure.
fn call(workspace: &Workspace, tool: &str, arguments: Value) -> Result<String, String> {
    let Value::Object(arguments) = arguments else {
        panic!("no object")
    };
    let tool = find(tool).unwrap();
    match (tool.run)(workspace, &arguments) {
        Ok(done) if done.is_error => Err(done.content),
        Ok(done) => Ok(done.content),
        Err(fault) => Err(fault.to_string()),
    }
}

#[test]
fn names_are_unique_and_schemas_are_valid() {
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TOOLS.len());
    for tool in TOOLS {
        let schema = (tool.schema)();
        assert!(jsonschema::validator_for(&schema).is_ok(), "{}", tool.name);
        assert_eq!(schema["type"], "object");
    }
}

#[test]
fn bash_says_how_a_command_ended() {
    let (_dir, ws) = scene();
    let bash = |arguments| call(&ws, "bash", arguments);
    let pwd = format!("{}\n", ws.root().display());
    assert_eq!(bash(json!({"command": "pwd"})).unwrap(), pwd);
    let out = bash(json!({"command": "echo out; echo err >&2; cat", "workdir": "src"}));
    assert_eq!(out.unwrap(), "out\nerr\n");
    assert_eq!(bash(json!({"command": "true"})).unwrap(), "(no output)");
    let failed = bash(json!({"command": "echo no; exit 3"})).unwrap_err();
    assert_eq!(failed, "Exit code 3\nno\n");
    let killed = bash(json!({"command": "kill -9 $$"})).unwrap_err();
    assert!(
        killed.starts_with("Exit code 137 (ended by signal 9)"),
        "{killed}"
    );
    let late = bash(json!({"command": "echo begun; sleep 60", "timeout": 300})).unwrap_err();
    assert!(late.starts_with("command timed out after 0.3 s"), "{late}");
    assert!(late.contains("begun"), "{late}");
    assert!(
        bash(json!({"command": "true", "workdir": ".."}))
            .unwrap_err()
            .contains("outside")
    );
    assert!(
        bash(json!({}))
            .unwrap_err()
            .starts_with("invalid arguments: missing field `command`")
    );
}

#[test]
fn bash_does_not_wait_for_what_stays_in_the_background() {
    let (_dir, ws) = scene();
    let begun = std::time::Instant::now();
    let said = call(&ws, "bash", json!({"command": "(sleep 5 &); echo done"}));
    assert_eq!(said.unwrap(), "done\n");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[test]
fn bash_keeps_the_ends_of_a_long_output() {
    let (_dir, ws) = scene();
    let command = "head -c 50000000 /dev/zero | tr '\\0' x; echo; seq 1 100000; echo the end";
    let said = call(&ws, "bash", json!({"command": command})).unwrap();
    assert!(said.len() < clip::BYTES + 500, "{}", said.len());
    assert!(said.starts_with("xxx") && said.ends_with("the end\n"));
    assert!(said.contains("left out here"));
}

#[test]
fn read_shows_lines_with_their_numbers() {
    let (_dir, ws) = scene();
    let read = |arguments| call(&ws, "read", arguments);
    let whole = read(json!({"filePath": "src/a.rs"})).unwrap();
    assert_eq!(whole, "     1\tfn a() {}\n     2\tfn b() {}\n");
    let second = read(json!({"filePath": "src/b.txt", "offset": 2})).unwrap();
    assert_eq!(second, "     2\tfn d\n");
    let first = read(json!({"filePath": "src/b.txt", "limit": 1})).unwrap();
    assert!(first.contains("\"offset\": 2"), "{first}");
    let beyond = read(json!({"filePath": "src/a.rs", "offset": 9})).unwrap_err();
    assert!(beyond.contains("only 2 lines"), "{beyond}");
    assert!(
        read(json!({"filePath": "src"}))
            .unwrap_err()
            .contains("tool `ls`")
    );
    assert!(
        read(json!({"filePath": "no"}))
            .unwrap_err()
            .starts_with("no such file")
    );
    for outside in ["link", "../outside", "/etc/passwd"] {
        let refused = read(json!({"filePath": outside})).unwrap_err();
        assert!(refused.starts_with("permission denied"), "{refused}");
    }
}

#[test]
fn read_stays_within_its_bounds() {
    let (_dir, ws) = scene();
    let large = ws.root().join("large");
    fs::write(&large, "0123456789\n".repeat(100_000)).unwrap();
    let said = call(&ws, "read", json!({"filePath": "large"})).unwrap();
    assert_eq!(said.lines().count(), clip::LINES + 1);
    assert!(said.contains("\"offset\": 2001"));
    fs::write(&large, "x".repeat(20 << 20)).unwrap();
    let said = call(&ws, "read", json!({"filePath": "large"})).unwrap();
    assert!(said.len() < 5_000 && said.contains("the line continues"));
    fs::write(&large, b"a\0b").unwrap();
    assert!(
        call(&ws, "read", json!({"filePath": "large"}))
            .unwrap_err()
            .contains("binary")
    );
    nix::unistd::mkfifo(&ws.root().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = call(&ws, "read", json!({"filePath": "pipe"})).unwrap_err();
    assert!(pipe.contains("not a regular file"), "{pipe}");
}

#[test]
fn a_picture_is_passed_on() {
    let (_dir, ws) = scene();
    fs::write(ws.root().join("p.JPEG"), b"\xff\xd8\xff").unwrap();
    let arguments = json!({"filePath": "p.JPEG"});
    let done = (find("read").unwrap().run)(&ws, arguments.as_object().unwrap()).unwrap();
    let image = done.image.unwrap();
    assert_eq!(
        (image.extension.as_str(), image.base64.as_str()),
        ("jpg", "/9j/")
    );
}

#[test]
fn write_makes_and_replaces() {
    let (_dir, ws) = scene();
    let write = |path: &str| call(&ws, "write", json!({"filePath": path, "content": "new"}));
    let text = |path: &str| fs::read_to_string(ws.root().join(path)).unwrap();
    assert_eq!(write("a/b/c.txt").unwrap(), "Wrote 3 bytes to a/b/c.txt.");
    assert_eq!(text("a/b/c.txt"), "new");
    write("src/a.rs").unwrap();
    assert_eq!(text("src/a.rs"), "new");
    assert!(write("src").is_err());
    for outside in ["link", "../outside", "../new", "/tmp/open-cursor-new"] {
        assert!(
            write(outside).unwrap_err().starts_with("permission denied"),
            "{outside}"
        );
    }
    assert_eq!(text("../outside"), "secret");
}

#[test]
fn edits_are_exact() {
    let (_dir, ws) = scene();
    let text = |path: &str| fs::read_to_string(ws.root().join(path)).unwrap();
    let edit = |file: &str, old: &str, new: &str, all: bool| {
        let arguments =
            json!({"filePath": file, "oldString": old, "newString": new, "replaceAll": all});
        call(&ws, "edit", arguments)
    };
    assert_eq!(
        edit("src/a.rs", "a()", "z()", false).unwrap(),
        "Changed src/a.rs in 1 place."
    );
    assert!(
        edit("src/a.rs", "fn", "pub fn", false)
            .unwrap_err()
            .contains("occurs 2 times")
    );
    assert!(
        edit("src/a.rs", "nothing", "x", false)
            .unwrap_err()
            .contains("does not occur")
    );
    assert!(
        edit("src/a.rs", "", "x", false)
            .unwrap_err()
            .contains("is empty")
    );
    assert!(
        edit("src/a.rs", "fn", "fn", true)
            .unwrap_err()
            .contains("the same")
    );
    edit("src/a.rs", "fn", "pub fn", true).unwrap();
    assert_eq!(text("src/a.rs"), "pub fn z() {}\npub fn b() {}\n");
    edit("src/b.txt", "fn c\nfn d", "fn c\nfn e", false).unwrap();
    assert_eq!(text("src/b.txt"), "fn c\r\nfn e\r\n");
    assert!(
        edit("link", "secret", "x", false)
            .unwrap_err()
            .starts_with("permission denied")
    );

    let multi = |edits: Value| {
        call(
            &ws,
            "multiedit",
            json!({"filePath": "src/a.rs", "edits": edits}),
        )
    };
    let one = |old: &str, new: &str| json!({"oldString": old, "newString": new});
    let half = multi(json!([one("z()", "y()"), one("none", "x")])).unwrap_err();
    assert!(half.contains("edits[1].oldString does not occur"), "{half}");
    assert_eq!(
        text("src/a.rs"),
        "pub fn z() {}\npub fn b() {}\n",
        "all or none"
    );
    let said = multi(json!([one("z()", "y()"), one("y() {}", "y();")])).unwrap();
    assert_eq!(said, "Changed src/a.rs in 2 places.");
    assert_eq!(text("src/a.rs"), "pub fn y();\npub fn b() {}\n");
    assert!(multi(json!([])).unwrap_err().contains("edits is empty"));
}

#[test]
fn searches_leave_out_what_git_ignores() {
    let (_dir, ws) = scene();
    let grep = |arguments| call(&ws, "grep", arguments).unwrap();
    let all = grep(json!({"pattern": "^fn \\w"}));
    assert_eq!(
        all,
        "src/a.rs:1: fn a() {}\nsrc/a.rs:2: fn b() {}\nsrc/b.txt:1: fn c\nsrc/b.txt:2: fn d\n"
    );
    assert_eq!(
        grep(json!({"pattern": "B\\(", "ignoreCase": true})),
        "src/a.rs:2: fn b() {}\n"
    );
    assert_eq!(
        grep(json!({"pattern": "fn d", "include": "*.txt"})),
        "src/b.txt:2: fn d\n"
    );
    assert_eq!(
        grep(json!({"pattern": "fn d", "path": "src/b.txt"})),
        "src/b.txt:2: fn d\n"
    );
    assert_eq!(
        grep(json!({"pattern": "secret"})),
        "No matches.",
        "a link is not followed"
    );
    assert!(
        call(&ws, "grep", json!({"pattern": "("}))
            .unwrap_err()
            .starts_with("invalid arguments")
    );
    assert!(call(&ws, "grep", json!({"pattern": "x", "path": ".."})).is_err());

    let glob = |pattern: &str| call(&ws, "glob", json!({"pattern": pattern})).unwrap();
    assert_eq!(glob("*.rs").lines().filter(|l| *l == "src/a.rs").count(), 1);
    assert_eq!(glob("src/*.txt"), "src/b.txt\n");
    assert_eq!(glob("*.none"), "No files fit.");
    assert!(call(&ws, "glob", json!({"pattern": "[z"})).is_err());
    fs::write(ws.root().join("many"), "match\n".repeat(5_000)).unwrap();
    let many = grep(json!({"pattern": "match"}));
    assert!(many.lines().count() <= clip::LINES + 1 && many.contains("more matches"));
}

#[test]
fn directories() {
    let (_dir, ws) = scene();
    assert_eq!(
        call(&ws, "ls", json!({"path": "src"})).unwrap(),
        "a.rs\nb.txt\n"
    );
    let root = call(&ws, "ls", json!({})).unwrap();
    assert!(
        root.contains("src/\n") && root.contains("link -> ../outside\n"),
        "{root}"
    );
    assert!(call(&ws, "ls", json!({"path": "/"})).is_err());
    let stat = |path: &str| call(&ws, "stat", json!({"path": path}));
    assert!(
        stat("src/a.rs")
            .unwrap()
            .starts_with("type: file\nsize: 20 bytes\n")
    );
    assert!(stat(".").unwrap().starts_with("type: directory"));
    assert!(
        stat("link")
            .unwrap()
            .starts_with("type: link to ../outside")
    );
    assert!(stat("../outside").is_err());
    assert_eq!(
        call(&ws, "mkdir", json!({"path": "x/y"})).unwrap(),
        "Made x/y."
    );
    assert!(call(&ws, "mkdir", json!({"path": "../x"})).is_err());
    assert!(call(&ws, "mkdir", json!({"path": "src/a.rs"})).is_err());

    let rm = |path: &str, recursive: bool| {
        call(&ws, "rm", json!({"filePath": path, "recursive": recursive}))
    };
    assert!(rm("src", false).is_err(), "it is not empty");
    assert!(rm(".", true).unwrap_err().contains("the workspace itself"));
    assert!(rm("..", true).is_err() && rm("../outside", false).is_err());
    assert_eq!(rm("link", false).unwrap(), "Removed link.");
    assert!(Path::new(ws.root()).join("../outside").exists());
    rm("x/y", false).unwrap();
    rm("src", true).unwrap();
    assert!(!ws.root().join("src").exists());
}
