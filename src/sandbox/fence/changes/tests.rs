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

    /// `kind path before after`, one line per change.
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
        let side = |node: &Option<Node>| match node {
            None => "-".to_owned(),
            Some(node) => format!("{:o} {:?}", node.mode, node.content),
        };
        let (before, after) = (side(&change.before), side(&change.after));
        format!("{:?} {}: {before} -> {after}", change.kind, path.display())
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
            r#"Created a/b/made: - -> 644 Text("hi")"#,
            "Modified bytes: 644 Binary { bytes: 3 } -> 644 Binary { bytes: 3 }",
            r#"Modified edited: 644 Text("old") -> 644 Text("new")"#,
            r#"Deleted gone: 644 Text("bye") -> -"#,
            "Created latin1: - -> 644 Binary { bytes: 1 }",
            r#"Created link: - -> 777 Symlink("edited")"#,
            r#"Mode mode: 644 Text("x") -> 755 Text("x")"#,
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
            r#"Deleted dropped/a: 644 Text("1") -> -"#,
            r#"Deleted dropped/b/c: 644 Text("1") -> -"#,
            "Deleted dropped/b: 755 Directory -> -",
            "Deleted dropped: 755 Directory -> -",
            "Created empty: - -> 755 Directory",
            r#"Deleted replaced/old: 644 Text("1") -> -"#,
            r#"Created replaced/new: - -> 644 Text("3")"#,
            r#"Deleted was-dir/x: 644 Text("1") -> -"#,
            r#"Modified was-dir: 755 Directory -> 644 Text("4")"#,
            r#"Modified was-file: 644 Text("2") -> 755 Directory"#,
            r#"Created was-file/in: - -> 644 Text("5")"#,
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
            r#"Modified link: 777 Symlink("target") -> 755 Directory"#,
            r#"Created link/f: - -> 644 Text("1")"#,
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
        .map(|change| change.after.clone().unwrap().content)
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
    assert_eq!(layers.told(), ["Created pipe: - -> 700 Special"]);
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
