//! Text files as a whole, and exact replacements in them.

use std::{fs, io::Read as _, path::Path};

use serde::Deserialize;

use super::{failed, invalid, place::Workspace};

/// The largest file that is edited.
const LARGEST: u64 = 10 << 20;

/// One replacement.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExactEdit {
    pub old_string: String,
    pub new_string: String,
    #[serde(default)]
    pub replace_all: bool,
}

/// Makes the replacements in a file, one after the other: all of them, or none. Returns how many
/// places were changed.
pub(super) fn edit(
    workspace: &Workspace,
    named: &str,
    replacements: &[ExactEdit],
) -> Result<usize, String> {
    let file = workspace.file(named)?;
    let text = bytes(&file, named, LARGEST)?;
    let not_text = |_| format!("error: {named} is not UTF-8 text");
    let mut text = String::from_utf8(text).map_err(not_text)?;
    // A model writes lines with `\n`, whatever the file has.
    let crlf = text.contains("\r\n");
    let as_in_file = |part: &str| match crlf && !part.contains("\r\n") {
        true => part.replace('\n', "\r\n"),
        false => part.to_owned(),
    };
    let mut places = 0;
    for (at, one) in replacements.iter().enumerate() {
        let (old, new) = (as_in_file(&one.old_string), as_in_file(&one.new_string));
        let which = match replacements.len() {
            1 => "oldString".to_owned(),
            _ => format!("edits[{at}].oldString"),
        };
        if old.is_empty() || old == new {
            let why = match old.is_empty() {
                true => "is empty",
                false => "is the same as newString",
            };
            return Err(invalid(format!("{which} {why}")));
        }
        let found = text.matches(&old).count();
        if found == 0 {
            return Err(format!(
                "error: {which} does not occur in {named}; it must match exactly"
            ));
        }
        if found > 1 && !one.replace_all {
            return Err(format!(
                "error: {which} occurs {found} times in {named}; give more of its surroundings, or \
                 replaceAll"
            ));
        }
        text = text.replace(&old, &new);
        places += found;
    }
    write(&file, named, &text)?;
    Ok(places)
}

/// All of a file that is at most so large.
pub(super) fn bytes(file: &Path, named: &str, most: u64) -> Result<Vec<u8>, String> {
    let opened = fs::File::open(file).map_err(failed(named))?;
    let mut bytes = Vec::new();
    let read = opened.take(most + 1).read_to_end(&mut bytes);
    read.map_err(failed(named))?;
    if bytes.len() as u64 > most {
        return Err(format!("error: {named} is larger than {} MiB", most >> 20));
    }
    Ok(bytes)
}

/// Replaces a file's content as a whole; its permissions stay.
pub(super) fn write(file: &Path, named: &str, text: &str) -> Result<(), String> {
    let mode = fs::metadata(file).ok().map(|meta| meta.permissions());
    crate::file::replace(file, text.as_bytes(), mode).map_err(failed(named))
}
