//! The configuration file: `~/.config/open-cursor/config.toml`, a key per setting.
//!
//! ```toml
//! port = 4000
//! agent-timeout = 300
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{SettingsError, rows::ROWS};

/// The values in a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFile {
    path: PathBuf,
    /// By key: the text of the value, and its line.
    values: BTreeMap<String, (String, usize)>,
}

impl ConfigFile {
    /// Reads the content of the file at `path`, which is for messages.
    ///
    /// # Errors
    /// Names the line of invalid TOML, of an unknown key, and of an invalid value.
    pub fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let at = |offset: usize| {
            let before = text.get(..offset).unwrap_or(text);
            before.bytes().filter(|byte| *byte == b'\n').count() + 1
        };
        let wrong = |line: usize, reason: String| SettingsError {
            name: format!("{}:{line}", path.display()),
            reason,
        };
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| at(span.start));
            wrong(line, error.message().to_owned())
        })?;
        let mut values = BTreeMap::new();
        for (key, value) in table.into_inner() {
            let line = at(key.span().start);
            let key = key.into_inner().into_owned();
            let Some(row) = ROWS.iter().find(|row| row.name == key) else {
                return Err(wrong(line, unknown(&key)));
            };
            let value = match value.into_inner() {
                DeValue::String(text) => text.into_owned(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Boolean(yes) => yes.to_string(),
                _ => {
                    return Err(wrong(
                        line,
                        format!("`{key}` takes a text, a number or true"),
                    ));
                }
            };
            (row.check)(&value).map_err(|error| {
                wrong(line, format!("`{key}`: `{value}` can't be used: {error}"))
            })?;
            values.insert(key, (value, line));
        }
        Ok(Self {
            path: path.to_owned(),
            values,
        })
    }

    /// The text and the place of a value.
    pub(super) fn get(&self, name: &str) -> Option<(&str, String)> {
        let (text, line) = self.values.get(name)?;
        Some((text, format!("{}:{line}", self.path.display())))
    }
}

/// The message for an unknown key: it names the most similar setting, else all.
fn unknown(key: &str) -> String {
    let near = ROWS
        .iter()
        .map(|row| (strsim::jaro_winkler(key, row.name), row.name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, near)) => format!("there is no setting `{key}`; did you mean `{near}`?"),
        None => {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            format!(
                "there is no setting `{key}`; there are {}",
                names.join(", ")
            )
        }
    }
}
