//! `grep`: lines that match a regular expression.

use std::path::{Path, PathBuf};

use grep_regex::RegexMatcherBuilder;
use grep_searcher::{BinaryDetection, SearcherBuilder, sinks::Lossy};
use serde::Deserialize;
use serde_json::json;

use super::{
    Local, SHORT,
    clip::{Lines, shorten},
    invalid,
    place::Workspace,
    said, walk,
};

/// The longest line that is shown whole, in bytes.
const LINE: usize = 500;

/// The longest line that is searched.
const HEAP: usize = 16 << 20;

pub(super) const TOOL: Local = Local {
    name: "grep",
    description: "Searches the files of the workspace for a regular expression (Rust's syntax) and \
        returns file, line number and line of each match. Files that .gitignore names and binary files \
        are left out.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "pattern": {"type": "string", "description": "The regular expression"},
                "path": {"type": "string", "description":
                    "Directory or file to search, if not the workspace"},
                "include": {"type": "string", "description":
                    "Only files that this glob fits, such as *.rs"},
                "ignoreCase": {"type": "boolean"},
            },
            "required": ["pattern"],
        })
    },
    only_reads: true,
    limit: SHORT,
    run: |workspace, given| said(workspace, given, run),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrepArguments {
    pattern: String,
    path: Option<String>,
    include: Option<String>,
    #[serde(default)]
    ignore_case: bool,
}

fn run(workspace: &Workspace, args: GrepArguments) -> Result<String, String> {
    let matcher = RegexMatcherBuilder::new()
        .case_insensitive(args.ignore_case)
        .line_terminator(Some(b'\n'))
        .build(&args.pattern)
        .map_err(|error| invalid(format!("pattern: {error}")))?;
    let start = workspace.existing(args.path.as_deref().unwrap_or("."))?;
    let files: Box<dyn Iterator<Item = PathBuf>> = if start.is_dir() {
        let found = walk::files(&start, args.include.as_deref())?;
        Box::new(found.map(ignore::DirEntry::into_path))
    } else {
        let named = args.path.as_deref().unwrap_or(".");
        Box::new(std::iter::once(workspace.file(named)?))
    };
    let mut searcher = SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(HEAP))
        .build();
    let mut found = Lines::default();
    let mut full = false;
    for file in files {
        let shown = workspace.shown(&file);
        let sink = Lossy(|number, line| {
            let line = shorten(line.trim_end_matches(['\r', '\n']), LINE);
            full = !found.push(&format!("{shown}:{number}: {line}"));
            Ok(!full)
        });
        // A file that can't be read has no matches.
        let _ = searcher.search_path(&matcher, Path::new(&file), sink);
        if full {
            found
                .text
                .push_str("[There are more matches: search in fewer files]\n");
            break;
        }
    }
    Ok(found.or("No matches."))
}
