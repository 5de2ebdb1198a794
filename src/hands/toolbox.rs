//! The tools that one server executes.

use std::{
    collections::HashSet,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use tokio_util::task::TaskTracker;

use super::{
    child::{Children, environment},
    local::{self, Local},
    mcp::{McpHealth, McpLimits, McpServerConfig, McpServers},
    protocol::{Picture, ToolJob, picture_kind},
};
use crate::{
    sandbox::{
        fence::{Fence, FenceConfig, FenceMode, ResourceLimits, StartError},
        slot::Places,
    },
    turn::{Attachment, ToolCall, ToolResult, ToolSpec},
};

/// How many slots there are from the start; more are made as they are needed.
const SLOTS: usize = 2;

/// What a toolbox needs.
#[derive(Debug, Clone)]
pub struct ToolboxSetup {
    /// The local tools, by name.
    pub tools: Vec<&'static str>,
    /// Whether `bash` may use the network.
    pub network: bool,
    /// How much the fence matters.
    pub fence: FenceMode,
    /// Our own executable, which is launcher and executor too.
    pub program: PathBuf,
    /// The server's environment.
    pub env: Vec<(OsString, OsString)>,
    /// The directory that most calls will work in, to try the fence on.
    pub workspace: Option<PathBuf>,
    /// The MCP servers, and how long they may take.
    pub mcp: Vec<McpServerConfig>,
    /// As above.
    pub mcp_limits: McpLimits,
}

/// A toolbox could not be made: the tools have no place, or a required fence cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("tools can't be executed here: {0}")]
pub struct ToolboxError(#[from] StartError);

/// A tool that may be offered.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnTool {
    /// What a model sees of it.
    pub spec: ToolSpec,
    /// Where it is from: `local`, or `mcp:` and the server's name.
    pub source: String,
    /// Whether it changes nothing, so that several calls may run side by side.
    pub only_reads: bool,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// For the model.
    pub result: ToolResult,
    /// The pictures that belong to it.
    pub files: Vec<Attachment>,
}

impl Executed {
    /// A call that was not made, and why.
    #[must_use]
    pub fn failed(call: &ToolCall, why: String) -> Self {
        Self::of(call, (why, Vec::new(), true))
    }

    /// A text, pictures, and whether it is an error.
    fn of(call: &ToolCall, (content, files, is_error): (String, Vec<Attachment>, bool)) -> Self {
        Self {
            result: ToolResult {
                call_id: call.id.clone(),
                name: Some(call.name.clone()),
                content,
                is_error,
            },
            files,
        }
    }
}

/// The tools of one server. Clones share everything.
#[derive(Debug, Clone)]
pub struct Toolbox {
    shared: Arc<ToolboxInner>,
}

#[derive(Debug)]
struct ToolboxInner {
    local: Vec<&'static Local>,
    children: Children,
    mcp: McpServers,
}

impl Toolbox {
    /// Finds a place for the tools, and the fence that can be had there.
    ///
    /// # Errors
    /// [`ToolboxError`].
    pub async fn open(setup: ToolboxSetup) -> Result<Self, ToolboxError> {
        let get = |wanted: &str| {
            let found = setup.env.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        // Nothing of Cursor's is a tool's to write.
        let places = Places::from_env(get, &std::env::temp_dir()).without_cursor();
        let config = FenceConfig {
            mode: setup.fence,
            launcher: setup.program.clone(),
            limits: ResourceLimits::default(),
        };
        let (fence, slots) =
            Fence::start(&config, &places, SLOTS, setup.workspace.as_deref()).await?;
        let commands = environment(setup.env.clone(), true);
        let program = setup.program.clone();
        let mcp = McpServers::new(setup.mcp, program, commands, setup.mcp_limits);
        let local = setup.tools.iter().filter_map(|name| local::find(name));
        Ok(Self {
            shared: Arc::new(ToolboxInner {
                local: local.collect(),
                children: Children {
                    fence,
                    slots,
                    program: setup.program,
                    env: environment(setup.env, setup.network),
                    network: setup.network,
                    reaper: TaskTracker::new(),
                },
                mcp,
            }),
        })
    }

    /// The local tools.
    #[must_use]
    pub fn local_tools(&self) -> Vec<OwnTool> {
        self.shared
            .local
            .iter()
            .map(|tool| own_tool(tool))
            .collect()
    }

    /// All that may be offered; without a workspace there is nothing for a local tool to work on. MCP
    /// servers that do not run are started.
    pub async fn tools(&self, workspace: bool) -> Vec<OwnTool> {
        let mut tools = match workspace {
            true => self.local_tools(),
            false => Vec::new(),
        };
        let names: HashSet<String> = tools.iter().map(|tool| tool.spec.name.clone()).collect();
        let others = self.shared.mcp.tools().await;
        tools.extend(
            others
                .into_iter()
                .filter(|tool| !names.contains(&tool.spec.name)),
        );
        tools
    }

    /// How the MCP servers are.
    #[must_use]
    pub fn mcp_health(&self) -> Vec<McpHealth> {
        self.shared.mcp.health()
    }

    /// Makes a call. Dropping the future ends it. It never fails: what went wrong is the result.
    pub async fn execute(&self, call: &ToolCall, workspace: Option<&Path>) -> Executed {
        let local = self.shared.local.iter().find(|tool| tool.name == call.name);
        let done = match (local, workspace) {
            (Some(tool), Some(workspace)) => self.local(tool, call, workspace).await,
            (Some(_), None) => Err("error: there is no workspace to work in".to_owned()),
            (None, _) => self.mcp(call).await,
        };
        match done {
            Ok(done) => Executed::of(call, done),
            Err(why) => Executed::failed(call, why),
        }
    }

    async fn mcp(&self, call: &ToolCall) -> Result<(String, Vec<Attachment>, bool), String> {
        self.shared.mcp.call(&call.name, arguments(call)?).await
    }

    async fn local(
        &self,
        tool: &Local,
        call: &ToolCall,
        workspace: &Path,
    ) -> Result<(String, Vec<Attachment>, bool), String> {
        let job = ToolJob {
            tool: tool.name.to_owned(),
            arguments: arguments(call)?,
            workspace: workspace.to_owned(),
        };
        let answer = self.shared.children.run(&job, tool.limit).await?;
        let files = answer.image.and_then(picture).into_iter().collect();
        Ok((answer.content, files, answer.is_error))
    }

    /// Ends the MCP servers, and waits until every process of every call that was given up is gone.
    pub async fn close(&self) {
        self.shared.mcp.close().await;
        self.shared.children.reaper.close();
        self.shared.children.reaper.wait().await;
        self.shared.children.slots.drained().await;
    }
}

fn own_tool(local: &Local) -> OwnTool {
    OwnTool {
        spec: ToolSpec {
            name: local.name.to_owned(),
            description: local.description.to_owned(),
            schema: (local.schema)().into(),
        },
        source: "local".to_owned(),
        only_reads: local.only_reads,
    }
}

fn picture(image: Picture) -> Option<Attachment> {
    Some(Attachment {
        extension: picture_kind(&image.extension)?,
        bytes: STANDARD.decode(image.base64).ok()?.into(),
        file: None,
    })
}

fn arguments(call: &ToolCall) -> Result<Map<String, Value>, String> {
    match serde_json::from_str::<Value>(&call.arguments) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        _ => Err("invalid arguments: they must be a JSON object".to_owned()),
    }
}
