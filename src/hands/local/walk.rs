//! The files below a directory, as ripgrep walks them: what `.gitignore` names is left out, and
//! links are not followed.

use std::path::Path;

use ignore::{DirEntry, WalkBuilder, overrides::OverrideBuilder};

use super::invalid;

/// The regular files, only those that fit the glob if there is one, which may be of any depth.
pub(super) fn files(
    directory: &Path,
    glob: Option<&str>,
) -> Result<impl Iterator<Item = DirEntry> + use<>, String> {
    let mut walk = WalkBuilder::new(directory);
    walk.hidden(false)
        .require_git(false)
        // What the user's own configuration ignores does not concern the project.
        .git_global(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_path(Path::cmp);
    if let Some(glob) = glob {
        let mut wanted = OverrideBuilder::new(directory);
        wanted.add(glob).map_err(invalid)?;
        walk.overrides(wanted.build().map_err(invalid)?);
    }
    let entries = walk.build().filter_map(Result::ok);
    Ok(entries.filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file())))
}
