//! A spinner on a terminal's stderr, for work that takes longer than half a second. On a pipe, and
//! with TERM=dumb, it prints nothing.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::threads::lock;
use tokio::task::JoinHandle;

const DELAY: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(100);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Spins until it is dropped.
#[must_use]
pub struct Spinner {
    line: Arc<Mutex<SpinnerLine>>,
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct SpinnerLine {
    text: String,
    drawn: bool,
}

/// Shows what the program waits for.
pub fn progress(text: impl Into<String>) -> Spinner {
    let line = Arc::new(Mutex::new(SpinnerLine {
        text: text.into(),
        drawn: false,
    }));
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let spins = io::stderr().is_terminal() && !is_dumb;
    let task = spins.then(|| {
        let line = Arc::clone(&line);
        tokio::spawn(async move {
            tokio::time::sleep(DELAY).await;
            for frame in FRAMES.into_iter().cycle() {
                lock(&line).draw(frame);
                tokio::time::sleep(FRAME).await;
            }
        })
    });
    Spinner { line, task }
}

impl Spinner {
    /// Replaces the text.
    pub fn set(&self, text: impl Into<String>) {
        self.locked(|line| line.text = text.into());
    }

    /// Prints something else: the spinner's line is removed first, and redrawn later.
    pub fn pause(&self, print: impl FnOnce()) {
        self.locked(|line| {
            line.clear();
            print();
        });
    }

    fn locked(&self, change: impl FnOnce(&mut SpinnerLine)) {
        change(&mut lock(&self.line));
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.locked(|line| {
            line.clear();
            // The task may be about to draw once more.
            line.text.clear();
        });
    }
}

impl SpinnerLine {
    fn draw(&mut self, frame: char) {
        if self.text.is_empty() {
            return;
        }
        // A line that wraps could not be removed.
        let text: String = self.text.chars().take(70).collect();
        let mut out = io::stderr().lock();
        let _ = write!(out, "\r\u{1b}[K{frame} {text}").and_then(|()| out.flush());
        self.drawn = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
        }
    }
}
