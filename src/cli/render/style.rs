//! The colours of the output, by what they say.

use anstyle::{AnsiColor, Style};

/// As it should be, or new.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// May not be as it should be, or changed.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// Failed, or gone.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What to do.
pub const HINT: Style = AnsiColor::Cyan.on_default();
/// What a line is about.
pub const NAME: Style = Style::new().bold();
/// Beside the point.
pub const FAINT: Style = Style::new().dimmed();
/// Anything else.
pub const PLAIN: Style = Style::new();
