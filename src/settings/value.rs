//! How the text of a setting becomes a value.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use crate::{
    boundary::{Mode, TextCalls},
    engine::{Credentials, EstimateUsage, ExecTools, ToolLoop, Turns},
    hands::mcp::McpFrom,
    sandbox::fence::FenceMode,
    telemetry,
};

/// A value that is read from text; no text is `None`, where the type has that.
pub(super) trait FromText: Sized {
    /// Reads the text. The error explains what is wrong.
    fn parse(text: Option<&str>) -> Result<Self, String>;
}

fn some<T>(text: Option<&str>) -> Result<T, String>
where
    T: FromStr,
    T::Err: Display,
{
    let text = text.ok_or("it has no value")?;
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// Types that are read by their `FromStr`, with a message where its error is not meant for people.
macro_rules! by_from_str {
    ($($type:ty $(: $words:literal)?;)+) => {$(
        impl FromText for $type {
            fn parse(text: Option<&str>) -> Result<Self, String> {
                some(text)$(.map_err(|_| $words.to_owned()))?
            }
        }
        impl FromText for Option<$type> {
            fn parse(text: Option<&str>) -> Result<Self, String> {
                text.map(|text| <$type>::parse(Some(text))).transpose()
            }
        }
    )+};
}

by_from_str! {
    u16: "use a whole number from 0 to 65535";
    usize: "use a whole number";
    NonZeroU32: "use a whole number, 1 or more";
    NonZeroUsize: "use a whole number, 1 or more";
    String;
    PathBuf;
    Dollars;
    FenceMode;
    Credentials;
    EstimateUsage;
    Turns;
    Mode;
    TextCalls;
    ToolLoop;
    ExecTools;
    McpFrom;
    telemetry::Filter;
    telemetry::LogFormat;
}

/// An address of this machine, or `localhost`.
impl FromText for IpAddr {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        if text.is_some_and(|text| text.eq_ignore_ascii_case("localhost")) {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        let words = "use an address of this machine such as 127.0.0.1 or 0.0.0.0, or localhost";
        some(text).map_err(|_| words.to_owned())
    }
}

/// Words, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordList(pub Vec<String>);

impl FromText for WordList {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        let words = text.unwrap_or_default().split(',').map(str::trim);
        let words = words.filter(|word| !word.is_empty());
        Ok(Self(words.map(str::to_owned).collect()))
    }
}

/// Directories, separated as in PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs(pub Vec<PathBuf>);

impl FromText for Dirs {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        let dirs = std::env::split_paths(text.unwrap_or_default());
        Ok(Self(
            dirs.filter(|dir| !dir.as_os_str().is_empty()).collect(),
        ))
    }
}

/// The words are those that `CURSOR_ACP_` variables have always accepted.
impl FromText for bool {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        match text.unwrap_or_default().to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(true),
            "false" | "0" | "off" | "no" => Ok(false),
            _ => Err("use true or false".to_owned()),
        }
    }
}

/// Whole seconds.
impl FromText for Duration {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        seconds(text).map(Self::from_secs)
    }
}

/// An amount of US dollars above nothing, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dollars(u64);

impl Dollars {
    /// In dollars.
    #[must_use]
    pub fn amount(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl FromStr for Dollars {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let amount: Option<f64> = text.trim().trim_start_matches('$').parse().ok();
        let amount = amount.filter(|amount| (1e-6..1e9).contains(amount));
        let amount = amount.ok_or("use an amount of dollars above 0, as in 5 or 2.50")?;
        Ok(Self((amount * 1e6).round() as u64))
    }
}

/// Whole seconds; 0 is no limit.
impl FromText for Option<Duration> {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        let seconds = text.map_or(Ok(0), |text| seconds(Some(text)))?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }
}

fn seconds(text: Option<&str>) -> Result<u64, String> {
    some(text).map_err(|_| "use a whole number of seconds".to_owned())
}
