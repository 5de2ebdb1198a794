//! A server of its own process, with the replay agent.

use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::wait_until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_open-cursor");

/// A command of our program with nothing of the test's environment that could change it.
pub fn open_cursor(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Where it keeps its slots.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    // Where it keeps its turns.
    command.env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
    for name in ["PORT", "RUST_LOG", "CURSOR_AGENT_EXECUTABLE"] {
        command.env_remove(name);
    }
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("CURSOR_ACP_")) {
        command.env_remove(name);
    }
    command
}

/// A running `serve --agent replay`, ended when dropped.
pub struct Served {
    pub child: Child,
    pub info: Value,
    _dir: tempfile::TempDir,
}

impl Served {
    pub async fn start(args: &[&str]) -> Self {
        Self::with_env(args, &[]).await
    }

    pub async fn with_env(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::of("replay", args, env).await
    }

    /// With another agent than replay.
    pub async fn of(agent: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.json");
        let child = open_cursor(&["serve", "--port", "0", "--agent", agent, "--server-info"])
            .arg(&file)
            .args(args)
            .envs(env.iter().copied())
            .spawn()
            .unwrap();
        wait_until("the server's start", || file.exists()).await;
        let info = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        Self {
            child,
            info,
            _dir: dir,
        }
    }

    pub fn port(&self) -> u16 {
        self.info["port"].as_u64().unwrap().try_into().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed, once it has ended.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub async fn exit_code(&mut self) -> i32 {
        let mut code = None;
        let child = &mut self.child;
        wait_until("the server's exit", || {
            code = child.try_wait().unwrap();
            code.is_some()
        })
        .await;
        code.unwrap().code().unwrap()
    }

    /// Starts a streamed request and waits for its first bytes.
    pub async fn begin(&self, model: &str) -> tokio::net::TcpStream {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let body = format!(
            r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"hi"}}]}}"#
        );
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port()))
            .await
            .unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        stream
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
