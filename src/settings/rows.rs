//! Every setting, a row each: the only place to touch when one is added.
//!
//! A row makes the field, the flag with its help, the variable, the key of the configuration file,
//! the line of `open-cursor config`, and the check of each text. The table of src/cli/topics/settings.md is tested against
//! these rows.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use super::{
    table::settings,
    value::{Dirs, Dollars, WordList},
};
use crate::{
    boundary::{Mode, TextCalls},
    engine::{Credentials, EstimateUsage, ExecTools, ToolLoop, Turns},
    hands::mcp::McpFrom,
    sandbox::fence::{FenceMode, ResourceLimits},
    telemetry,
};

settings! {
    /// How `serve` runs, and what the other commands take from that.
    pub struct ServeSettings;

    /// Address to listen on; also `localhost`
    host "host" "IP" in "Address": IpAddr = "127.0.0.1";

    /// Port to listen on; 0 picks a free one
    port "port" "N" in "Address" [PORT]: u16 = "32124";

    /// UNIX socket to listen on instead; only your user can open it
    socket "socket" "PATH" in "Address": Option<PathBuf>;

    /// auto, print (Cursor's CLI), bridge (Cursor's SDK bridge), replay (the built-in one), or a
    /// program that speaks the CLI's command line; auto takes the bridge if `setup bridge` was run,
    /// else the CLI
    agent "agent" "KIND|PATH" in "Agent and directory" [CURSOR_AGENT_EXECUTABLE]: Option<String>;

    /// Cursor's SDK bridge: its program, or a directory that the Python package cursor-sdk is
    /// installed in; else it is looked for
    bridge "bridge" "PATH" in "Agent and directory": Option<PathBuf>;

    /// Directory the agent works in where a request names none; else the one that the client's
    /// system prompt names, else an empty one (`run`: the current one)
    workspace "workspace" "DIR" in "Agent and directory" [CURSOR_ACP_WORKSPACE]: Option<PathBuf>;

    /// Directories, separated by colons, below which requests may name theirs; else your home and the
    /// current one
    workspace_base "workspace-base" "DIRS" in "Agent and directory": Dirs;

    /// Whether the client's system prompt may name the directory
    workspace_from_prompt "workspace-from-prompt" "BOOL" in "Agent and directory": bool = "true";

    /// Seconds the agent may take to its first event
    agent_timeout "agent-timeout" "SECS" in "Limits": Duration = "120";

    /// Seconds the agent may be silent between two events
    idle_timeout "idle-timeout" "SECS" in "Limits": Duration = "600";

    /// Seconds a whole answer may take; 0 is no limit
    turn_timeout "turn-timeout" "SECS" in "Limits": Option<Duration> = "0";

    /// Seconds a client may read nothing of its answer
    stall_timeout "stall-timeout" "SECS" in "Limits": Duration = "30";

    /// Requests answered at once; more wait
    max_running "max-running" "N" in "Limits" [CURSOR_ACP_MAX_RUNNING]: NonZeroUsize = "3";

    /// Requests that may wait; more get a 429
    max_queued "max-queued" "N" in "Limits" [CURSOR_ACP_MAX_QUEUED]: usize = "32";

    /// Seconds a request may wait
    queue_timeout "queue-timeout" "SECS" in "Limits": Duration = "300";

    /// US dollars that turns may cost on a day of UTC, by list price; then they get a 402
    daily_budget "daily-budget" "USD" in "Limits": Option<Dollars>;

    /// Tokens that a turn may have, request and answer; longer requests get a 402, longer answers end
    max_tokens_per_turn "max-tokens-per-turn" "N" in "Limits": Option<NonZeroUsize>;

    /// Models to go on with, in this order, when Cursor says that a model's limit is reached; separated
    /// by commas
    fallback_models "fallback-models" "MODELS" in "Limits": WordList;

    /// Connections open at once; more wait to be accepted
    max_connections "max-connections" "N" in "Limits": NonZeroUsize = "512";

    /// Memory for the bodies of requests, in MiB; where it is used up, requests wait, then get a 429
    max_body_memory "max-body-memory" "MIB" in "Limits": NonZeroUsize = "256";

    /// File with the API key that clients must send; CURSOR_ACP_API_KEY may hold the key itself
    api_key_file "api-key-file" "FILE" in "Access": Option<PathBuf>;

    /// Whose Cursor account answers: server is the one that this server is logged in with; client is
    /// the caller's, whose own Cursor API key each request must bring
    credentials "credentials" "WHOSE" in "Access" [CURSOR_ACP_CREDENTIALS]: Credentials = "server";

    /// With --credentials client: requests of one caller answered at once; more of the caller's wait
    max_per_caller "max-per-caller" "N" in "Limits": NonZeroUsize = "3";

    /// File with the keys of several clients (keys.toml), each with its models, rate and budget
    keys_file "keys-file" "FILE" in "Access": Option<PathBuf>;

    /// Users of this machine that may connect beside yourself and root, by name or number, separated
    /// by commas; `all` is everybody, as it is where clients must send a key
    allow_users "allow-users" "USERS" in "Access": WordList;

    /// Further names under which clients reach this server, separated by commas
    allow_host "allow-host" "NAMES" in "Access": WordList;

    /// Origins whose web pages may use this server, as in https://app.example, separated by commas
    allow_origin "allow-origin" "ORIGINS" in "Access": WordList;

    /// Directory that gets the request, prompt, agent's output and answer of each turn, in full
    dump_dir "dump-dir" "DIR" in "Log": Option<PathBuf>;

    /// How many turns the dump directory keeps
    dump_keep "dump-keep" "N" in "Log": NonZeroUsize = "50";

    /// Keep a row of each turn (no prompt, no answer) for `usage`, `requests` and the page
    history "history" "BOOL" in "Log" [CURSOR_ACP_HISTORY]: bool = "true";

    /// Responses kept in memory for requests that continue or refer to them; 0 keeps none
    responses_store "responses-store" "N": usize = "1000";

    /// Where responses are kept: memory, or a Redis that several servers share, as in
    /// redis://127.0.0.1:6379/0; its password comes from CURSOR_ACP_STORE_PASSWORD
    store "store" "memory|URL" [CURSOR_ACP_STORE]: String = "memory";

    /// Keep the agent from changing files itself: require, auto or off
    fence "fence" "MODE" in "Agent and directory" [CURSOR_ACP_FENCE]: FenceMode = "auto";

    /// What the files of a run may come to, in MiB; a run that has more is ended
    agent_disk "agent-disk" "MIB" in "Agent and directory": NonZeroU32 = "4096";

    /// Memory that a run may use, in MiB, else it is ended; needs a delegated cgroup (version 2)
    agent_memory "agent-memory" "MIB" in "Agent and directory": Option<NonZeroU32>;

    /// Who executes tools: opencode is the client, whichever it is; proxy-exec is this server, for
    /// clients without tools; off leaves them to the agent
    tool_loop "tool-loop-mode" "MODE" [CURSOR_ACP_TOOL_LOOP_MODE]: ToolLoop = "opencode";

    /// proxy-exec: the tools that this server executes: names separated by commas, all or none
    exec_tools "exec-tools" "TOOLS" [CURSOR_ACP_EXEC_TOOLS]: ExecTools = "read,grep,glob,ls,stat";

    /// proxy-exec: tools that are executed only for requests with the header x-open-cursor-allow: NAME
    exec_confirm "exec-confirm" "TOOLS" [CURSOR_ACP_EXEC_CONFIRM]: WordList;

    /// proxy-exec: whether the tool bash may use the network
    exec_network "exec-network" "BOOL" [CURSOR_ACP_EXEC_NETWORK]: bool = "false";

    /// proxy-exec: rounds of tool calls in one answer
    exec_max_steps "exec-max-steps" "N" [CURSOR_ACP_EXEC_MAX_STEPS]: NonZeroU32 = "50";

    /// proxy-exec: where MCP servers are taken from, separated by commas: own (mcp.json beside
    /// config.toml), opencode, project (.mcp.json), cursor-project (.cursor/mcp.json), cursor (your
    /// own .cursor/mcp.json), or none
    mcp_from "mcp-from" "SOURCES" [CURSOR_ACP_MCP_FROM]: McpFrom = "none";

    /// v1 translates tool calls; legacy passes exact names and arguments only
    provider_boundary "provider-boundary" "v1|legacy" [CURSOR_ACP_PROVIDER_BOUNDARY]: Mode = "v1";

    /// Whether a call that can't be made valid goes to the client all the same
    autofallback "provider-boundary-autofallback" "BOOL" [CURSOR_ACP_PROVIDER_BOUNDARY_AUTOFALLBACK]: bool = "true";

    /// How often in a row a call may have the same outcome before it counts as a loop
    max_repeat "tool-loop-max-repeat" "N" [CURSOR_ACP_TOOL_LOOP_MAX_REPEAT]: NonZeroU32 = "3";

    /// Which calls are recovered from answer text: strict, lenient or off
    text_calls "text-calls" "MODE" [CURSOR_ACP_TEXT_CALLS]: TextCalls = "lenient";

    /// Estimate what a run cost: auto where we stopped it, on also where Cursor does not say, or off
    estimate_usage "estimate-usage" "MODE" [CURSOR_ACP_ESTIMATE_USAGE]: EstimateUsage = "auto";

    /// Whether a run waits for the results of the client's tools: auto where the agent can, parked
    /// always (parked:mcp, parked:view: by this way only), respawn never
    turns "turns" "MODE" [CURSOR_ACP_TURNS]: Turns = "auto";

    /// Seconds a run waits for the results of the client's tools
    park_timeout "park-timeout" "SECS" [CURSOR_ACP_PARK_TIMEOUT]: Duration = "1800";

    /// Let reads and searches run on Cursor's side: fewer runs, but the client doesn't see them
    native_reads "native-reads" "BOOL" [CURSOR_ACP_NATIVE_READS]: bool = "false";

    /// Whether `run` may use a server that runs already
    reuse "reuse" "BOOL" in "Address" [CURSOR_ACP_REUSE_EXISTING_PROXY]: bool = "true";

    /// error, warn, info, debug, trace or a filter
    log_level "log-level" "LEVEL" in "Log" [RUST_LOG]: telemetry::Filter = "info";

    /// How log lines look: text or json
    log_format "log-format" "FORMAT" in "Log": telemetry::LogFormat = "text";

    /// File for the log, instead of stderr; a new one each day, and the last 7 are kept
    log_file "log-file" "FILE" in "Log": Option<PathBuf>;
}

impl ServeSettings {
    /// Where clients on this machine find the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let host = match self.host {
            any if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host,
        };
        SocketAddr::new(host, self.port)
    }

    /// What a run may use up.
    #[must_use]
    pub fn resource_limits(&self) -> ResourceLimits {
        let bytes = |mebibytes: NonZeroU32| u64::from(mebibytes.get()) << 20;
        ResourceLimits {
            disk: bytes(self.agent_disk),
            memory: self.agent_memory.map(bytes),
        }
    }
}
