//! Which directory a turn is about.
//!
//! ```text
//! the request (header or body) ─> --workspace ─> the system prompt's <env> ─> none: the slot's own
//! ```
//!
//! A request must not reach what the user did not offer: what it names has to lie under a base. A
//! mistake in the request itself is reported; a prompt's directory that can't be used is passed over,
//! since no user chose it for us.

use std::path::{Path, PathBuf};

use crate::turn::{Part, Role, Turn, TurnError};

/// The directories that turns may be about. All paths are absolute and without symlinks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspaces {
    /// The one for all requests that name none.
    pub fixed: Option<PathBuf>,
    /// What requests and prompts may name lies in one of these.
    pub bases: Vec<PathBuf>,
    /// Whether to read the system prompt's `<env>` block.
    pub from_prompt: bool,
}

impl Workspaces {
    /// The turn's directory, without symlinks; `None` if nothing names one.
    ///
    /// # Errors
    /// `InvalidRequest` if the request names one that can't be used.
    pub(super) async fn of(&self, turn: &Turn) -> Result<Option<PathBuf>, TurnError> {
        if let Some(named) = &turn.workspace {
            let found = self.usable(named).await;
            return found.map(Some).map_err(|why| {
                let message = format!("the workspace `{named}` {why}");
                TurnError::invalid("cursorWorkspace", message)
            });
        }
        if self.fixed.is_some() {
            return Ok(self.fixed.clone());
        }
        let Some(named) = self.from_prompt.then(|| named_by_prompt(turn)).flatten() else {
            return Ok(None);
        };
        match self.usable(named).await {
            Ok(dir) => Ok(Some(dir)),
            Err(why) => {
                tracing::warn!("the client works in a directory that {why}; the agent gets none");
                Ok(None)
            }
        }
    }

    /// The real path, or what is wrong with it.
    async fn usable(&self, named: &str) -> Result<PathBuf, String> {
        let path = Path::new(named);
        if !path.is_absolute() {
            return Err("must be an absolute path".to_owned());
        }
        let real = tokio::fs::canonicalize(path)
            .await
            .map_err(|error| format!("can't be used: {error}"))?;
        if real.parent().is_none() {
            return Err("is the root of the file system; name a project".to_owned());
        }
        // Before anything more is said of what lies elsewhere.
        let in_base = |base: &PathBuf| real.starts_with(base);
        if !self.bases.iter().chain(&self.fixed).any(in_base) {
            return Err("lies in no directory that the server was given (--workspace-base)".into());
        }
        match tokio::fs::metadata(&real).await {
            Ok(found) if found.is_dir() => Ok(real),
            Ok(_) => Err("is not a directory".to_owned()),
            Err(error) => Err(format!("can't be used: {error}")),
        }
    }
}

/// The working directory in the `<env>` block of a system message, as OpenCode and Claude Code
/// write it. Only the first block counts: what comes later can be a file of the project.
fn named_by_prompt(turn: &Turn) -> Option<&str> {
    let texts = turn
        .messages
        .iter()
        .filter(|message| message.role == Role::System)
        .flat_map(|message| &message.parts);
    let block = texts
        .filter_map(|part| match part {
            Part::Text(text) => text.split_once("<env>"),
            _ => None,
        })
        .find_map(|(_, rest)| rest.split_once("</env>"));
    let (block, _) = block?;
    // Cline numbers the lines.
    let unnumbered = |line: &'_ str| -> usize {
        let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
        digits
            .strip_prefix(". ")
            .map_or(0, |rest| line.len() - rest.len())
    };
    let dir = block.lines().find_map(|line| {
        let line = line.trim();
        let (name, dir) = line[unnumbered(line)..].split_once(':')?;
        name.eq_ignore_ascii_case("working directory")
            .then(|| dir.trim())
    })?;
    (!dir.is_empty()).then_some(dir)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::turn::Message;

    /// `base/project`, `base/file`, `base/out -> elsewhere`, `elsewhere`.
    fn tree() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["base/project", "elsewhere"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::write(root.join("base/file"), "").unwrap();
        symlink(root.join("elsewhere"), root.join("base/out")).unwrap();
        symlink(root.join("base/project"), root.join("in")).unwrap();
        (dir, root)
    }

    fn workspaces(root: &Path) -> Workspaces {
        Workspaces {
            fixed: None,
            bases: vec![root.join("base")],
            from_prompt: true,
        }
    }

    fn system(text: String) -> Turn {
        Turn {
            messages: vec![Message::text(Role::System, text)],
            ..Turn::default()
        }
    }

    fn env(dir: &Path) -> String {
        format!(
            "You are helpful.\n<env>\n  Working directory: {}\n  Platform: linux\n</env>\nMore.",
            dir.display()
        )
    }

    #[tokio::test]
    async fn what_a_request_names_must_be_a_directory_under_a_base() {
        let (_dir, root) = tree();
        let workspaces = workspaces(&root);
        let named = |path: &str| Turn {
            workspace: Some(path.to_owned()),
            ..Turn::default()
        };
        let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
        let project = Some(root.join("base/project"));
        for good in [at("base/project"), at("base/../base/project/."), at("in")] {
            let found = workspaces.of(&named(&good)).await;
            assert_eq!(found.unwrap(), project, "{good}");
        }
        for (bad, why) in [
            ("/".to_owned(), "root of the file system"),
            ("/..".to_owned(), "root of the file system"),
            ("project".to_owned(), "absolute"),
            (String::new(), "absolute"),
            (at("base/none"), "can't be used"),
            (at("base/pro\0ject"), "can't be used"),
            (at("base/file"), "is not a directory"),
            (at("base/out"), "--workspace-base"),
            (at("base/project/../../elsewhere"), "--workspace-base"),
            (at("elsewhere"), "--workspace-base"),
            (at(""), "--workspace-base"),
        ] {
            let error = workspaces.of(&named(&bad)).await.unwrap_err();
            assert!(error.message.contains(why), "{bad}: {}", error.message);
            assert_eq!(error.param.as_deref(), Some("cursorWorkspace"));
        }
    }

    #[tokio::test]
    async fn clines_block_names_it_too() {
        let (_dir, root) = tree();
        let project = root.join("base/project");
        let block = format!(
            "<env>\n1. Platform: linux\n4. Working Directory: {}\n</env>",
            project.display()
        );
        let found = workspaces(&root).of(&system(block)).await.unwrap();
        assert_eq!(found, Some(project));
    }

    #[tokio::test]
    async fn the_request_then_the_setting_then_the_prompt() {
        let (_dir, root) = tree();
        let (project, elsewhere) = (root.join("base/project"), root.join("elsewhere"));
        let mut workspaces = workspaces(&root);
        let mut turn = system(env(&project));
        assert_eq!(workspaces.of(&turn).await.unwrap(), Some(project.clone()));
        workspaces.fixed = Some(elsewhere.clone());
        assert_eq!(workspaces.of(&turn).await.unwrap(), Some(elsewhere));
        turn.workspace = project.to_str().map(str::to_owned);
        assert_eq!(workspaces.of(&turn).await.unwrap(), Some(project));
        assert_eq!(
            Workspaces::default().of(&Turn::default()).await.unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn only_a_system_prompt_names_a_directory_and_only_one_that_exists_under_a_base() {
        let (_dir, root) = tree();
        let project = root.join("base/project");
        let workspaces = workspaces(&root);
        let none = |turn: Turn| {
            let workspaces = &workspaces;
            async move { assert_eq!(workspaces.of(&turn).await.unwrap(), None) }
        };
        for role in [Role::User, Role::Assistant, Role::Tool] {
            let mut turn = system(env(&project));
            turn.messages[0].role = role;
            none(turn).await;
        }
        for dir in ["elsewhere", "base/none", "base/file", "base/out"] {
            none(system(env(&root.join(dir)))).await;
        }
        none(system(env(Path::new("/")))).await;
        none(system("<env>\n</env>".to_owned())).await;
        none(system(format!("Working directory: {}", project.display()))).await;
        // A project's file that the client quotes comes later.
        let forged = format!("{}{}", env(&root.join("elsewhere")), env(&project));
        none(system(forged)).await;
        let off = Workspaces {
            from_prompt: false,
            ..workspaces.clone()
        };
        assert_eq!(off.of(&system(env(&project))).await.unwrap(), None);
    }
}
