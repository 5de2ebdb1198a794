//! `read`: lines of a text file, or a picture.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;

use super::{
    Local, SHORT, arguments,
    clip::{LINES, Lines},
    failed, invalid,
    place::Workspace,
    text,
};
use crate::hands::protocol::{Picture, ToolAnswer, picture_kind};

/// The longest line that is shown whole, in bytes.
const LINE: usize = 4_000;

/// The largest picture that is passed on.
const PICTURE: u64 = 4 << 20;

pub(super) const TOOL: Local = Local {
    name: "read",
    description: "Reads a text file of the workspace: at most 2000 lines, each with its number. A \
        PNG, JPEG, GIF or WebP picture is shown.",
    schema: || {
        json!({
            "type": "object",
            "properties": {
                "filePath": {"type": "string", "description": "The file"},
                "offset": {"type": "integer", "description": "The first line to show, from 1"},
                "limit": {"type": "integer", "description": "How many lines to show"},
            },
            "required": ["filePath"],
        })
    },
    only_reads: true,
    limit: SHORT,
    run: |workspace, given| run(workspace, arguments(given)?),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadArguments {
    file_path: String,
    offset: Option<f64>,
    limit: Option<f64>,
}

fn run(workspace: &Workspace, args: ReadArguments) -> Result<ToolAnswer, String> {
    let file = workspace.file(&args.file_path)?;
    let failed = failed(&args.file_path);
    if let Some(extension) = picture(&file) {
        return show(&file, &args.file_path, extension);
    }
    let mut reader = BufReader::with_capacity(64 << 10, File::open(&file).map_err(&failed)?);
    if reader.fill_buf().map_err(&failed)?.contains(&0) {
        return Err(format!("error: {} is a binary file", args.file_path));
    }
    let first = args.offset.map_or(1, |offset| offset as u64).max(1);
    let most = args
        .limit
        .map_or(LINES, |limit| limit as usize)
        .clamp(1, LINES);
    let mut lines = Lines::default();
    let mut number = 0;
    let mut shown = 0;
    while let Some((line, cut)) = next_line(&mut reader).map_err(&failed)? {
        number += 1;
        if number < first {
            continue;
        }
        let mark = if cut { "[... the line continues]" } else { "" };
        let text = String::from_utf8_lossy(&line);
        let fits = shown < most && lines.push(&format!("{number:>6}\t{text}{mark}"));
        if !fits {
            let note = format!("[The file continues: read on with \"offset\": {number}]\n");
            return Ok(ToolAnswer::said(lines.text + &note));
        }
        shown += 1;
    }
    Ok(ToolAnswer::said(match (number, shown) {
        (0, _) => "(the file is empty)".to_owned(),
        (lines, 0) => return Err(invalid(format!("the file has only {lines} lines"))),
        _ => lines.text,
    }))
}

/// The next line, at most [`LINE`] bytes of it, and whether that is not all.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut line = Vec::new();
    let (mut any, mut cut) = (false, false);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some((line, cut)));
        }
        any = true;
        let end = memchr::memchr(b'\n', buffer);
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        let room = LINE - line.len();
        cut |= piece.len() > room;
        line.extend_from_slice(&piece[..piece.len().min(room)]);
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some((line, cut)));
        }
    }
}

/// What kind of picture a file says that it is.
fn picture(file: &Path) -> Option<&'static str> {
    picture_kind(&file.extension()?.to_str()?.to_ascii_lowercase())
}

fn show(file: &Path, named: &str, extension: &str) -> Result<ToolAnswer, String> {
    let bytes = text::bytes(file, named, PICTURE)?;
    Ok(ToolAnswer {
        content: format!("{named}: a picture of {} bytes", bytes.len()),
        is_error: false,
        image: Some(Picture {
            extension: extension.to_owned(),
            base64: STANDARD.encode(bytes),
        }),
    })
}
