//! Where a path leads, which must be below the workspace.
//!
//! The fence keeps writes inside by itself; this also keeps reads there, and gives both a clear
//! message. Links are followed before anything is compared.

use std::path::{Component, Path, PathBuf};

use super::failed;

/// The directory that tools work in.
#[derive(Debug)]
pub(in crate::hands) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// `root` is absolute and without symlinks.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Something that exists, without symlinks in its path.
    pub fn existing(&self, path: &str) -> Result<PathBuf, String> {
        let named = self.root.join(path);
        match named.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => Ok(real),
            // What is outside is not told apart from what does not exist there.
            Ok(_) => Err(self.outside(path)),
            Err(_) if !clean(&named).starts_with(&self.root) => Err(self.outside(path)),
            Err(error) => Err(failed(path)(error)),
        }
    }

    /// A directory that exists.
    pub fn directory(&self, path: &str) -> Result<PathBuf, String> {
        let found = self.existing(path)?;
        if found.is_dir() {
            Ok(found)
        } else {
            Err(format!("error: {path} is not a directory"))
        }
    }

    /// A regular file that exists: anything else could block, or never end.
    pub fn file(&self, path: &str) -> Result<PathBuf, String> {
        let found = self.existing(path)?;
        let kind = found.metadata().map_err(failed(path))?;
        if kind.is_file() {
            Ok(found)
        } else if kind.is_dir() {
            Err(format!(
                "error: {path} is a directory; list it with the tool `ls`"
            ))
        } else {
            Err(format!("error: {path} is not a regular file"))
        }
    }

    /// The entry of a directory itself, though it be a link; it need not exist.
    pub fn entry(&self, path: &str) -> Result<PathBuf, String> {
        let named = clean(&self.root.join(path));
        let (Some(parent), Some(name)) = (named.parent(), named.file_name()) else {
            return Err(self.outside(path));
        };
        match parent.canonicalize() {
            Ok(parent) if parent.starts_with(&self.root) => Ok(parent.join(name)),
            Ok(_) => Err(self.outside(path)),
            Err(_) if !named.starts_with(&self.root) => Err(self.outside(path)),
            Err(error) => Err(failed(path)(error)),
        }
    }

    /// Where a file or directory is or would be made: the part of the path that exists is without
    /// symlinks.
    pub fn target(&self, path: &str) -> Result<PathBuf, String> {
        let named = clean(&self.root.join(path));
        let mut missing = Vec::new();
        let mut there = named.as_path();
        loop {
            match there.symlink_metadata() {
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                        return Err(self.outside(path));
                    };
                    missing.push(name);
                    there = parent;
                }
                Err(_) if !named.starts_with(&self.root) => return Err(self.outside(path)),
                Err(error) => return Err(failed(path)(error)),
            }
        }
        let Ok(real) = there.canonicalize() else {
            return Err(format!("error: {path} leads over a link to nothing"));
        };
        if !real.starts_with(&self.root) {
            return Err(self.outside(path));
        }
        Ok(missing
            .iter()
            .rev()
            .fold(real, |path, name| path.join(name)))
    }

    /// A path as a model is shown it: relative to the workspace.
    pub fn shown(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.root).unwrap_or(path);
        if inside.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            inside.to_string_lossy().into_owned()
        }
    }

    fn outside(&self, path: &str) -> String {
        format!(
            "permission denied: {path} is outside of the workspace {}",
            self.root.display()
        )
    }
}

/// The path without `.` and `..`, by its text.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// `ws/dir/file`, `ws/in -> dir`, `ws/out -> ../else`, `ws/nothing -> gone`, `else/secret`.
    fn tree() -> (tempfile::TempDir, Workspace) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("ws/dir")).unwrap();
        fs::create_dir(root.join("else")).unwrap();
        fs::write(root.join("ws/dir/file"), "x").unwrap();
        fs::write(root.join("else/secret"), "x").unwrap();
        symlink("dir", root.join("ws/in")).unwrap();
        symlink("../else", root.join("ws/out")).unwrap();
        symlink("gone", root.join("ws/nothing")).unwrap();
        let workspace = Workspace::new(&root.join("ws"));
        (dir, workspace)
    }

    #[test]
    fn what_is_inside_is_found_by_any_name() {
        let (_dir, ws) = tree();
        let file = ws.root().join("dir/file");
        let absolute = file.to_str().unwrap();
        for path in ["dir/file", "./dir/../in/file", "in/file", absolute] {
            assert_eq!(ws.file(path).unwrap(), file, "{path}");
            assert_eq!(ws.target(path).unwrap(), file, "{path}");
        }
        let new = ws.root().join("dir/a/b");
        assert_eq!(ws.target("in/a/b").unwrap(), new);
        assert_eq!(ws.entry("in").unwrap(), ws.root().join("in"));
        assert_eq!(ws.shown(&file), "dir/file");
        assert_eq!(ws.shown(ws.root()), ".");
    }

    #[test]
    fn what_is_outside_is_refused_whether_it_exists_or_not() {
        let (_dir, ws) = tree();
        for path in [
            "..",
            "../else/secret",
            "../none",
            "/etc/passwd",
            "/none/at/all",
            "out/secret",
            "dir/../../else/secret",
            "../ws2",
            "/",
        ] {
            let refused = |found: Result<PathBuf, String>| {
                let fault = found.unwrap_err().to_string();
                assert!(fault.starts_with("permission denied: "), "{path}: {fault}");
            };
            refused(ws.existing(path));
            refused(ws.target(path));
            if path != "out/secret" {
                continue;
            }
            refused(ws.entry(path));
        }
        assert!(
            ws.target("nothing/a")
                .unwrap_err()
                .to_string()
                .contains("link to nothing")
        );
        assert!(
            ws.existing("gone")
                .unwrap_err()
                .to_string()
                .contains("no such file")
        );
    }
}
