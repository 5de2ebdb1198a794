//! Logging: to stderr or a file, as text or JSON. Prompts and secrets are logged at no level above
//! trace.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    str::FromStr,
    sync::OnceLock,
};

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

/// How many files of the log are kept; each has the lines of a day.
const DAYS: usize = 7;

/// Which lines are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    fn parse(&self) -> EnvFilter {
        // Checked when it was made.
        let filter = EnvFilter::new(&self.0);
        // The MCP client writes out what servers and models say.
        let wanted = self.0.contains("rmcp") || self.0.trim().eq_ignore_ascii_case("trace");
        match "rmcp=off".parse() {
            Ok(quiet) if !wanted => filter.add_directive(quiet),
            _ => filter,
        }
    }
}

impl FromStr for Filter {
    type Err = String;

    /// A level, or directives such as `open_cursor=debug,hyper=warn`.
    fn from_str(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        // To EnvFilter, any other word is a module of which everything is shown.
        let is_level = LEVELS
            .iter()
            .any(|level| level.eq_ignore_ascii_case(text.trim()));
        let is_filter = text.contains(['=', ',', '[']);
        if !is_level && !is_filter {
            return Err(format!(
                "use one of {}, or a filter such as open_cursor=debug",
                LEVELS.join(", ")
            ));
        }
        let checked = EnvFilter::builder().parse(text);
        checked.map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object on each line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not one of text, json")),
        }
    }
}

/// The log file can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The path has no file name.
    #[error("{}: name a file", .0.display())]
    NoName(PathBuf),
    /// The file can't be opened, or its directory can't be made.
    #[error("{}: {source}", path.display())]
    Open {
        /// The path of the setting.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging. A second call, as in tests, changes nothing.
///
/// With a file, the lines of a day go to `<file>.<date>`, and `<file>` is a link to the newest.
///
/// # Errors
/// The file can't be opened.
pub fn init(filter: &Filter, format: LogFormat, file: Option<&Path>) -> Result<(), LogError> {
    let layer = fmt::layer()
        .with_target(false)
        // It would print them to stderr too, and panic if that is what fails.
        .log_internal_errors(false);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let layer = match file.map(appender).transpose()? {
        Some(file) => dressed(layer.with_ansi(false).with_writer(file), format),
        None => {
            let ansi = io::stderr().is_terminal() && !no_color;
            dressed(layer.with_ansi(ansi).with_writer(io::stderr), format)
        }
    };
    let (filter, handle) = reload::Layer::new(filter.parse());
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
    if started.is_ok() {
        let _ = FILTER.set(handle);
    }
    Ok(())
}

/// Shows other lines from now on.
pub fn show(filter: &Filter) {
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter.parse());
    }
}

fn dressed<S, W>(
    layer: fmt::Layer<S, fmt::format::DefaultFields, fmt::format::Format, W>,
    format: LogFormat,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => Box::new(layer.compact()),
        LogFormat::Json => Box::new(layer.json()),
    }
}

fn appender(path: &Path) -> Result<RollingFileAppender, LogError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| LogError::NoName(path.to_owned()))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    let failed = |source| LogError::Open {
        path: path.to_owned(),
        source,
    };
    // The appender would create it too, but prints a warning that it found no old log files.
    std::fs::create_dir_all(dir).map_err(|error| failed(error.into()))?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .latest_symlink(name)
        .max_log_files(DAYS)
        .build(dir)
        .map_err(|error| failed(error.into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_level_or_a_filter() {
        for text in [
            "info",
            "OFF",
            "open_cursor=debug",
            "warn,hyper=off",
            "[turn]=trace",
        ] {
            assert!(text.parse::<Filter>().is_ok(), "{text}");
        }
        for text in ["loud", "", "open_cursor", "open_cursor=loud"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_the_mcp_client_says_is_shown_only_where_it_is_asked_for() {
        for (text, quiet) in [
            ("info", true),
            ("debug", true),
            ("trace", false),
            ("rmcp=info", false),
        ] {
            let filter = text.parse::<Filter>().unwrap().parse().to_string();
            assert_eq!(filter.contains("rmcp=off"), quiet, "{filter}");
        }
    }

    #[test]
    fn a_file_is_a_link_to_that_of_today() {
        use std::io::Write as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("oc.log");
        appender(&path).unwrap().write_all(b"line\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\n");
        assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
        let error = appender(Path::new("/dev/null/oc.log")).unwrap_err();
        assert!(error.to_string().contains("/dev/null/oc.log"), "{error}");
        assert!(appender(Path::new("/")).is_err());
    }
}
