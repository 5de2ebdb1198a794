//! Changes of files, one after the other, as the real agent makes them: for real, and then reported.

use std::{fs, io, thread, time::Duration};

use open_cursor::replay::{ReplayRun, ReplayTool};
use serde_json::json;

use crate::{FOREVER, Out, begin, finish, tools::write_file};

/// The scripts. Each letter is a step: `e` adds a line to fake-edit.txt, `u` takes the last
/// line out of it, `n` makes made.txt, `d` deletes gone.txt, `t` says which step it is, `r` reads by its
/// own tool, `s` asks for a command and waits to be stopped, `o` announces an edit and leaves it open, `m` makes a thousand files without a word, `w` waits for the file `WORKSPACE.go`, `x`
/// dies, `h` hangs.
pub const SCRIPTS: &str = "treterndt etnts net dent etwt netx neth teut tet otx met";

pub fn play(run: &mut ReplayRun<'_>, script: &str) -> io::Result<u8> {
    let workspace = run.workspace.clone();
    let mut out: Out<'_> = begin(run)?;
    for (at, step) in script.chars().enumerate() {
        match step {
            'e' => edit(&mut out, &workspace, |text| format!("{text}line {at}\n"))?,
            'u' => edit(&mut out, &workspace, |text| {
                let end = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
                text[..end].to_owned()
            })?,
            'n' => write_file(&mut out, &workspace.join("made.txt"), "made\n")?,
            'd' => {
                let path = workspace.join("gone.txt");
                let call = out.call(&ReplayTool::Delete {
                    path: path.to_string_lossy().into_owned(),
                });
                out.started(&call)?;
                fs::remove_file(&path)?;
                out.completed(&call, &json!({"success": {"path": path.to_string_lossy()}}))?;
            }
            't' => out.say(&format!("Step {at}. "))?,
            'r' => {
                let path = workspace.join("old.txt").to_string_lossy().into_owned();
                let call = out.call(&ReplayTool::Read {
                    path: path.clone(),
                    limit: None,
                });
                out.started(&call)?;
                let text = fs::read_to_string(&path)?;
                out.completed(&call, &json!({"success": {"path": path, "content": text}}))?;
            }
            's' => {
                let call = out.call(&ReplayTool::Shell {
                    command: "make".into(),
                    description: "Build it".into(),
                });
                out.started(&call)?;
                thread::sleep(FOREVER);
            }
            'm' => {
                for number in 0..1010 {
                    fs::write(workspace.join(format!("many-{number}.txt")), "x\n")?;
                }
            }
            'o' => {
                let call = out.call(&ReplayTool::Edit {
                    path: workspace.join("old.txt").to_string_lossy().into_owned(),
                    old: "old".into(),
                    new: "new".into(),
                });
                out.started(&call)?;
            }
            'w' => {
                let go = workspace.with_extension("go");
                while !go.exists() {
                    thread::sleep(Duration::from_millis(20));
                }
            }
            'x' => return Ok(1),
            'h' => thread::sleep(FOREVER),
            _ => return Err(io::Error::other(format!("no step `{step}`"))),
        }
    }
    finish(out)
}

fn edit(
    out: &mut Out<'_>,
    workspace: &std::path::Path,
    change: impl Fn(&str) -> String,
) -> io::Result<()> {
    let path = workspace.join("fake-edit.txt");
    let shown = path.to_string_lossy().into_owned();
    let before = fs::read_to_string(&path)?;
    let after = change(&before);
    let call = out.call(&ReplayTool::Edit {
        path: shown.clone(),
        old: before.clone(),
        new: after.clone(),
    });
    out.started(&call)?;
    fs::write(&path, &after)?;
    out.completed(
        &call,
        &json!({"success": {
            "path": shown, "linesAdded": 1, "linesRemoved": 0,
            "beforeFullFileContent": before, "afterFullFileContent": after,
            "message": format!("The file {shown} has been updated."),
        }}),
    )
}
