//! Upper layers as overlayfs leaves them, made by hand.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::{Mode, SFlag, mknod};
use tempfile::TempDir;

use super::*;

struct Layers {
    root: TempDir,
}

impl Layers {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("real")).unwrap();
        fs::create_dir_all(root.path().join("upper")).unwrap();
        Self { root }
    }

    fn real(&self, path: &str) -> PathBuf {
        self.root.path().join("real").join(path)
    }

    fn upper(&self, path: &str) -> PathBuf {
        self.root.path().join("upper").join(path)
    }

    fn whiteout(&self, path: &str) {
        mknod(&self.upper(path), SFlag::S_IFCHR, Mode::empty(), 0).unwrap();
    }

    fn opaque(&self, path: &str) {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(self.upper(path), "user.overlay.opaque", b"y", flags).unwrap();
    }

    fn read_with(&self, limits: &ReadLimits) -> Changes {
        let overlay = Overlay {
            at: self.real(""),
            upper: self.upper(""),
            work: PathBuf::new(),
        };
        read(&[overlay], limits).unwrap()
    }

    /// `path: before -> after`, one line per change.
    fn told(&self) -> Vec<String> {
        let changes = self.read_with(&ReadLimits::default());
        assert!(changes.complete);
        changes
            .list
            .iter()
            .map(|change| self.line(change))
            .collect()
    }

    fn line(&self, change: &Change) -> String {
        let path = change.path.strip_prefix(self.real("")).unwrap();
        let side = |content: &Option<Content>| match content {
            None => "-".to_owned(),
            Some(content) => format!("{content:?}"),
        };
        let (before, after) = (side(&change.before), side(&change.after));
        format!("{}: {before} -> {after}", path.display())
    }
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

fn directory(path: &Path) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn files() {
    let layers = Layers::new();
    write(&layers.real("edited"), "old");
    write(&layers.upper("edited"), "new");
    write(&layers.real("touched"), "same");
    write(&layers.upper("touched"), "same");
    write(&layers.real("mode"), "x");
    write(&layers.upper("mode"), "x");
    fs::set_permissions(layers.upper("mode"), Permissions::from_mode(0o755)).unwrap();
    write(&layers.real("gone"), "bye");
    layers.whiteout("gone");
    layers.whiteout("never-was");
    write(&layers.upper("a/b/made"), "hi");
    symlink("edited", layers.upper("link")).unwrap();
    write(&layers.real("bytes"), [0, 1, 2]);
    write(&layers.upper("bytes"), [0, 1, 3]);
    write(&layers.upper("latin1"), [0xe9]);
    assert_eq!(
        layers.told(),
        [
            r#"a/b/made: - -> Text("hi")"#,
            "bytes: Binary { bytes: 3 } -> Binary { bytes: 3 }",
            r#"edited: Text("old") -> Text("new")"#,
            r#"gone: Text("bye") -> -"#,
            "latin1: - -> Binary { bytes: 1 }",
            r#"link: - -> Symlink("edited")"#,
        ]
    );
}

#[test]
fn directories() {
    let layers = Layers::new();
    for path in [
        "dropped/a",
        "dropped/b/c",
        "replaced/old",
        "replaced/kept",
        "was-dir/x",
    ] {
        write(&layers.real(path), "1");
    }
    for path in ["dropped", "dropped/b", "replaced", "was-dir"] {
        directory(&layers.real(path));
    }
    write(&layers.real("was-file"), "2");
    layers.whiteout("dropped");
    directory(&layers.upper("replaced"));
    layers.opaque("replaced");
    write(&layers.upper("replaced/kept"), "1");
    write(&layers.upper("replaced/new"), "3");
    write(&layers.upper("was-dir"), "4");
    write(&layers.upper("was-file/in"), "5");
    directory(&layers.upper("was-file"));
    directory(&layers.upper("empty"));
    assert_eq!(
        layers.told(),
        [
            r#"dropped/a: Text("1") -> -"#,
            r#"dropped/b/c: Text("1") -> -"#,
            "dropped/b: Directory -> -",
            "dropped: Directory -> -",
            "empty: - -> Directory",
            r#"replaced/old: Text("1") -> -"#,
            r#"replaced/new: - -> Text("3")"#,
            r#"was-dir/x: Text("1") -> -"#,
            r#"was-dir: Directory -> Text("4")"#,
            r#"was-file: Text("2") -> Directory"#,
            r#"was-file/in: - -> Text("5")"#,
        ]
    );
}

#[test]
fn a_replaced_symlink_is_not_followed() {
    let layers = Layers::new();
    write(&layers.real("target/f"), "1");
    symlink("target", layers.real("link")).unwrap();
    write(&layers.upper("link/f"), "1");
    directory(&layers.upper("link"));
    assert_eq!(
        layers.told(),
        [
            r#"link: Symlink("target") -> Directory"#,
            r#"link/f: - -> Text("1")"#,
        ]
    );
}

#[test]
fn gits_caches_are_left_out() {
    let layers = Layers::new();
    directory(&layers.real(".git"));
    directory(&layers.upper(".git"));
    write(&layers.upper(".git/index"), "x");
    write(&layers.upper(".git/objects/ab/cd"), "x");
    write(&layers.upper("f"), "y");
    let changes = layers.read_with(&ReadLimits::default());
    let paths: Vec<_> = changes.list.iter().map(|change| &change.path).collect();
    assert_eq!(paths, [&layers.real("f")]);
}

#[test]
fn limits_hold() {
    let layers = Layers::new();
    for name in ["a", "b", "c", "d"] {
        write(&layers.upper(name), "12345678");
    }
    let limits = ReadLimits {
        changes: 3,
        file_bytes: 8,
        total_bytes: 20,
    };
    let changes = layers.read_with(&limits);
    assert!(!changes.complete);
    let contents: Vec<_> = changes
        .list
        .iter()
        .map(|change| change.after.clone().unwrap())
        .collect();
    let text = Content::Text("12345678".into());
    assert_eq!(
        contents,
        [text.clone(), text, Content::TooLarge { bytes: 8 }]
    );
}

#[test]
fn special_files_are_not_opened() {
    let layers = Layers::new();
    nix::unistd::mkfifo(&layers.upper("pipe"), Mode::S_IRWXU).unwrap();
    assert_eq!(layers.told(), ["pipe: - -> Special"]);
}

#[test]
fn a_tree_that_is_too_deep_is_cut_short() {
    let layers = Layers::new();
    let deep = "d/".repeat(1000);
    fs::create_dir_all(layers.upper(&deep)).unwrap();
    fs::write(layers.upper("a"), "").unwrap();
    let changes = layers.read_with(&ReadLimits::default());
    assert!(!changes.complete);
    assert_eq!(changes.list.len(), 1);
    // The whole of a deep directory is deleted.
    let layers = Layers::new();
    fs::create_dir_all(layers.real(&deep)).unwrap();
    layers.whiteout("d");
    assert!(!layers.read_with(&ReadLimits::default()).complete);
}

#[test]
fn a_flood_of_names_is_cut_short_and_said() {
    let layers = Layers::new();
    let long = "x".repeat(200);
    let name = |at: usize| layers.upper(&format!("{long}{at}"));
    fs::write(name(0), "").unwrap();
    // Names are what costs memory here; they may all be of one file.
    for at in 1..=MOST_NAMES {
        let of = at / 50_000 * 50_000;
        if at == of {
            fs::write(name(at), "").unwrap();
        } else {
            fs::hard_link(name(of), name(at)).unwrap();
        }
    }
    let limits = ReadLimits {
        changes: usize::MAX,
        ..ReadLimits::default()
    };
    let changes = layers.read_with(&limits);
    assert_eq!(changes.list.len(), MOST_NAMES);
    assert!(!changes.complete);
}

#[test]
fn what_has_too_long_a_path_or_is_locked_is_not_taken_for_nothing() {
    let layers = Layers::new();
    let flags = rustix::fs::OFlags::DIRECTORY;
    let mut deep = rustix::fs::open(layers.upper(""), flags, rustix::fs::Mode::empty()).unwrap();
    let name = "d".repeat(255);
    for _ in 0..20 {
        rustix::fs::mkdirat(&deep, &name, rustix::fs::Mode::RWXU).unwrap();
        deep = rustix::fs::openat(&deep, &name, flags, rustix::fs::Mode::empty()).unwrap();
    }
    write(&layers.upper("a"), "told");
    let changes = layers.read_with(&ReadLimits::default());
    assert!(!changes.complete);
    assert_eq!(changes.list[0].path, layers.real("a"));
    drop(deep);
    // `remove_dir_all` cannot name it either.
    let removed = std::process::Command::new("rm")
        .arg("-rf")
        .arg(layers.upper(""))
        .status();
    assert!(removed.unwrap().success());
}

/// As when the agent replaces a directory while it is being read.
#[test]
fn nothing_is_read_through_a_link() {
    let layers = Layers::new();
    write(&layers.real("outside/secret"), "secret");
    symlink(layers.real("outside"), layers.upper("link")).unwrap();
    let meta = fs::metadata(layers.upper("link/secret")).unwrap();
    let mut reader = Reader::new(&ReadLimits::default());
    let read = reader.content(&layers.upper("link/secret"), &meta);
    assert_eq!(read, Content::Unreadable);
    let real = reader.content(&layers.real("outside/secret"), &meta);
    assert_eq!(real, Content::Text("secret".into()));
}
