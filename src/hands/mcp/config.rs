//! Which MCP servers there are: the files that name them, and what these say.

use std::{
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::{Map, Value};

use crate::sandbox::untrusted;

/// A file that names MCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpSource {
    /// What people call it.
    pub name: &'static str,
    /// It need not exist.
    pub file: PathBuf,
    /// How it names them.
    pub form: McpForm,
}

/// The sources that can be named.
pub const MCP_SOURCES: &[&str] = &["own", "opencode", "project", "cursor-project", "cursor"];

/// The sources that are read (`--mcp-from`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpFrom(pub Vec<&'static str>);

impl FromStr for McpFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let sources = names.filter(|name| *name != "none").map(|name| {
            let known = MCP_SOURCES.iter().copied().find(|known| *known == name);
            let all = MCP_SOURCES.join(", ");
            known.ok_or_else(|| format!("`{name}` is not one of {all}, none"))
        });
        Ok(Self(sources.collect::<Result<_, String>>()?))
    }
}

/// The forms of such files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum McpForm {
    /// `{"mcpServers": {NAME: {command, args, env, cwd} | {url, headers}}}`, as most clients have it.
    McpServers,
    /// `{"mcp": {NAME: {type, command: [...], environment} | {type, url, headers}}}`, as OpenCode has.
    OpenCode,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServerConfig {
    /// Its name in the file.
    pub name: String,
    /// The source.
    pub source: &'static str,
    /// How it is reached, or why it can't be.
    pub transport: Result<McpTransport, String>,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpTransport {
    /// A command that talks on its pipes.
    Command {
        /// The program.
        program: String,
        /// Its arguments.
        args: Vec<String>,
        /// What it gets beside the usual environment.
        env: Vec<(String, String)>,
        /// Its directory.
        cwd: Option<PathBuf>,
    },
    /// Streamable HTTP.
    Http {
        /// Its address.
        url: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
}

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct McpConfigError {
    file: PathBuf,
    reason: String,
}

/// Reads all servers that are not turned off. Of two with one name the first counts. `variable` looks
/// up what `${NAME}` stands for: a secret need not be in the file.
///
/// # Errors
/// A file that is not of its form.
pub fn read(
    sources: &[McpSource],
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<McpServerConfig>, McpConfigError> {
    let mut servers: Vec<McpServerConfig> = Vec::new();
    for source in sources {
        let failed = |reason: String| McpConfigError {
            file: source.file.clone(),
            reason,
        };
        let text = match untrusted::read_to_string(&source.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error.to_string())),
        };
        let options = jsonc_parser::ParseOptions::default();
        let root = jsonc_parser::cst::CstRootNode::parse(&text, &options)
            .map_err(|error| failed(error.to_string()))?;
        let value = root.to_serde_value().unwrap_or_default();
        let member = match source.form {
            McpForm::McpServers => "mcpServers",
            McpForm::OpenCode => "mcp",
        };
        let named = match value.get(member) {
            None => continue,
            Some(Value::Object(named)) => named,
            Some(_) => return Err(failed(format!("`{member}` must be an object"))),
        };
        for (name, entry) in named {
            let Some(entry) = entry.as_object() else {
                return Err(failed(format!("`{member}.{name}` must be an object")));
            };
            let is_off = entry.get("disabled") == Some(&Value::Bool(true))
                || entry.get("enabled") == Some(&Value::Bool(false));
            if is_off {
                continue;
            }
            if servers.iter().any(|known| known.name == *name) {
                tracing::info!(
                    name,
                    source = source.name,
                    "another source has an MCP server of this name, which is used"
                );
                continue;
            }
            servers.push(McpServerConfig {
                name: name.clone(),
                source: source.name,
                transport: transport(entry, &source.file, variable),
            });
        }
    }
    Ok(servers)
}

fn transport(
    entry: &Map<String, Value>,
    file: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<McpTransport, String> {
    let text = |key: &str| match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => expand(text, variable).map(Some),
        Some(_) => Err(format!("`{key}` must be a text")),
    };
    let pairs = |keys: [&str; 2]| {
        let found = keys.iter().find_map(|key| entry.get(*key)?.as_object());
        let pairs = found.into_iter().flatten().map(|(name, value)| {
            let value = value.as_str().ok_or(format!("`{name}` must be a text"))?;
            Ok((name.clone(), expand(value, variable)?))
        });
        pairs.collect::<Result<Vec<_>, String>>()
    };
    if let Some(url) = text("url")? {
        return Ok(McpTransport::Http {
            url,
            headers: pairs(["headers", "http_headers"])?,
        });
    }
    let command = match entry.get("command") {
        Some(Value::Array(list)) => list,
        Some(command @ Value::String(_)) => std::slice::from_ref(command),
        _ => return Err("it has neither `command` nor `url`".to_owned()),
    };
    let args = entry.get("args").and_then(Value::as_array);
    let words = command
        .iter()
        .chain(args.into_iter().flatten())
        .map(|word| {
            let word = word.as_str().ok_or("`command` and `args` must be texts")?;
            expand(word, variable)
        });
    let mut words = words.collect::<Result<Vec<_>, String>>()?.into_iter();
    Ok(McpTransport::Command {
        program: words.next().ok_or("`command` is empty")?,
        args: words.collect(),
        env: pairs(["env", "environment"])?,
        // It is meant from where the file is.
        cwd: text("cwd")?.map(|cwd| file.parent().unwrap_or(Path::new("/")).join(cwd)),
    })
}

/// Puts variables in their places: `${NAME}`, `${NAME:-else}`, `${env:NAME}` and `{env:NAME}`.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let places = [rest.find("${"), rest.find("{env:")];
        let at = places.into_iter().flatten().min();
        let Some((at, end)) = at.and_then(|at| Some((at, rest[at..].find('}')?))) else {
            return Ok(out + rest);
        };
        let inside = rest[at..at + end].trim_start_matches(['$', '{']);
        let inside = inside.strip_prefix("env:").unwrap_or(inside);
        let (name, otherwise) = match inside.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise.to_owned())),
            None => (inside, None),
        };
        let value = variable(name).or(otherwise);
        let value = value.ok_or_else(|| format!("the variable {name} is not set"))?;
        out.push_str(&rest[..at]);
        out.push_str(&value);
        rest = &rest[at + end + 1..];
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cret".to_owned())
    }

    fn servers(files: &[(McpForm, &str)]) -> Result<Vec<McpServerConfig>, McpConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let sources = files.iter().enumerate().map(|(at, (form, text))| {
            let file = dir.path().join(at.to_string());
            std::fs::write(&file, text).unwrap();
            McpSource {
                name: "test",
                file,
                form: *form,
            }
        });
        read(&sources.collect::<Vec<_>>(), &variable)
    }

    #[test]
    fn both_forms_and_comments() {
        let found = servers(&[
            (
                McpForm::McpServers,
                r#"{"mcpServers": {
                    // of ours
                    "git": {"command": "uvx", "args": ["mcp-server-git"], "env": {"T": "a${TOKEN}b"}},
                    "off": {"command": "x", "disabled": true},
                    "web": {"type": "http", "url": "http://h/${NONE:-mcp}", "headers": {"X": "{env:TOKEN}"}},
                }}"#,
            ),
            (
                McpForm::OpenCode,
                r#"{"model": "m", "mcp": {
                    "git": {"type": "local", "command": ["other"]},
                    "fs": {"type": "local", "command": ["npx", "-y", "fs"], "environment": {"A": "1"}},
                    "gone": {"type": "local", "command": ["x"], "enabled": false},
                    "bare": {"type": "local"},
                    "unset": {"type": "remote", "url": "http://h", "headers": {"A": "${env:UNSET}"}}
                }}"#,
            ),
        ])
        .unwrap();
        let names: Vec<&str> = found.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["git", "web", "fs", "bare", "unset"]);
        let text = |text: &str| text.to_owned();
        assert_eq!(
            found[0].transport,
            Ok(McpTransport::Command {
                program: text("uvx"),
                args: vec![text("mcp-server-git")],
                env: vec![(text("T"), text("as3cretb"))],
                cwd: None,
            })
        );
        assert_eq!(
            found[1].transport,
            Ok(McpTransport::Http {
                url: text("http://h/mcp"),
                headers: vec![(text("X"), text("s3cret"))],
            })
        );
        let fs = found[2].transport.clone().unwrap();
        assert!(matches!(fs, McpTransport::Command { args, .. } if args == ["-y", "fs"]));
        assert!(found[3].transport.clone().unwrap_err().contains("neither"));
        assert!(
            found[4]
                .transport
                .clone()
                .unwrap_err()
                .contains("UNSET is not set")
        );
    }

    #[test]
    fn a_wrong_file_is_named() {
        for (text, why) in [
            ("{", ""),
            (r#"{"mcpServers": []}"#, "`mcpServers` must be an object"),
            (
                r#"{"mcpServers": {"a": 1}}"#,
                "`mcpServers.a` must be an object",
            ),
        ] {
            let error = servers(&[(McpForm::McpServers, text)])
                .unwrap_err()
                .to_string();
            assert!(error.contains(why) && error.contains("/0: "), "{error}");
        }
        assert!(servers(&[(McpForm::McpServers, "{}")]).unwrap().is_empty());
        let missing = McpSource {
            name: "test",
            file: "/none/mcp.json".into(),
            form: McpForm::McpServers,
        };
        assert!(read(&[missing], &variable).unwrap().is_empty());
    }
}
