//! Text files as a whole, and exact replacements in them.

use std::{fs, io::Read as _, path::Path};

use serde::Deserialize;

use super::{Fault, place::Workspace};

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
) -> Result<usize, Fault> {
    let file = workspace.file(named)?;
    let mut text = read(&file, named)?;
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
            let why = if old.is_empty() {
                "is empty"
            } else {
                "is the same as newString"
            };
            return Err(Fault::Arguments(format!("{which} {why}")));
        }
        let found = text.matches(&old).count();
        if found == 0 {
            let why = format!("error: {which} does not occur in {named}; it must match exactly");
            return Err(Fault::Refused(why));
        }
        if found > 1 && !one.replace_all {
            return Err(Fault::Refused(format!(
                "error: {which} occurs {found} times in {named}; give more of its surroundings, or \
                 replaceAll"
            )));
        }
        text = text.replace(&old, &new);
        places += found;
    }
    write(&file, named, &text)?;
    Ok(places)
}

fn read(file: &Path, named: &str) -> Result<String, Fault> {
    let failed = |error: std::io::Error| Fault::io(named, &error);
    let opened = fs::File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = opened.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        let why = format!("error: {named} is larger than {} MiB", LARGEST >> 20);
        return Err(Fault::Refused(why));
    }
    String::from_utf8(bytes)
        .map_err(|_| Fault::Refused(format!("error: {named} is not UTF-8 text")))
}

/// Replaces a file's content as a whole; its permissions stay.
pub(super) fn write(file: &Path, named: &str, text: &str) -> Result<(), Fault> {
    let mode = fs::metadata(file).ok().map(|meta| meta.permissions());
    crate::file::replace(file, text.as_bytes(), mode).map_err(|error| Fault::io(named, &error))
}
