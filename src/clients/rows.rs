//! Every client, a row each: the only place to touch when one is added.
//!
//! In the texts of a row, `{url}` stands for the server, `{openai}` for the base URL of its OpenAI API,
//! `{key}` for the API key and `{model}` for the model.

use serde_json::json;

use super::{Client, Passed, TemporaryFile, computed};

/// All clients; the last one stands for every other program.
pub const CLIENTS: &[Client] = &[
    // Merges a configuration from its environment over its files. No variable that its other providers
    // read is changed.
    Client {
        name: "opencode",
        programs: &["opencode", "opencode-ai"],
        help: "OPENCODE_CONFIG_CONTENT: provider, models and variants, merged over your own files",
        install: Some("npm install -g opencode-ai"),
        wants_models: true,
        computed: computed::opencode,
        ..CLIENT
    },
    Client {
        name: "claude",
        programs: &["claude"],
        help: "ANTHROPIC_BASE_URL, ANTHROPIC_AUTH_TOKEN, the models, CLAUDE_CODE_MAX_CONTEXT_TOKENS; removes ANTHROPIC_API_KEY",
        install: Some("npm install -g @anthropic-ai/claude-code"),
        set: &[
            ("ANTHROPIC_BASE_URL", "{url}"),
            ("ANTHROPIC_AUTH_TOKEN", "{key}"),
            ("ANTHROPIC_MODEL", "{model}"),
            // For titles and summaries; it would ask for Haiku by name.
            ("ANTHROPIC_SMALL_FAST_MODEL", "{model}"),
            ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "{model}"),
        ],
        computed: computed::claude_code,
        // Claude Code warns if both a token and a key are set.
        unset: &["ANTHROPIC_API_KEY"],
        ..CLIENT
    },
    // Reads its server from its configuration only; `-c` overrides that for one process. The values are
    // TOML; none of these texts needs an escape. Without a catalogue's URL it treats our models as
    // unknown.
    Client {
        name: "codex",
        programs: &["codex"],
        help: "arguments `-c` for provider, models and model; OPEN_CURSOR_API_KEY",
        install: Some("npm install -g @openai/codex"),
        set: &[(KEY, "{key}")],
        args: &[
            "-c",
            r#"model_provider="open-cursor""#,
            "-c",
            r#"model_providers.open-cursor.name="open-cursor""#,
            "-c",
            r#"model_providers.open-cursor.base_url="{openai}""#,
            "-c",
            r#"model_providers.open-cursor.env_key="OPEN_CURSOR_API_KEY""#,
            "-c",
            r#"model_providers.open-cursor.model_catalog_url="{openai}/models""#,
            "-c",
            r#"model_providers.open-cursor.wire_api="responses""#,
            "-c",
            r#"model="{model}""#,
        ],
        ..CLIENT
    },
    // Uses litellm: the model's name begins with `openai/`.
    Client {
        name: "aider",
        programs: &["aider"],
        help: "AIDER_OPENAI_API_BASE, AIDER_OPENAI_API_KEY, OPENAI_API_BASE, OPENAI_API_KEY, AIDER_MODEL",
        install: Some("python -m pip install aider-install && aider-install"),
        set: &[
            ("AIDER_OPENAI_API_BASE", "{openai}"),
            ("AIDER_OPENAI_API_KEY", "{key}"),
            ("OPENAI_API_BASE", "{openai}"),
            ("OPENAI_API_KEY", "{key}"),
            ("AIDER_MODEL", "openai/{model}"),
        ],
        computed: computed::aider,
        ..CLIENT
    },
    // Reads OpenAI's variables if it is configured for that API.
    Client {
        name: "qwen",
        programs: &["qwen"],
        help: "OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL and the arguments `--auth-type openai -m MODEL`",
        install: Some("npm install -g @qwen-code/qwen-code"),
        set: &[
            ("OPENAI_BASE_URL", "{openai}"),
            ("OPENAI_API_KEY", "{key}"),
            ("OPENAI_MODEL", "{model}"),
        ],
        // It sends everything to a proxy, also what NO_PROXY excepts.
        unset: &["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"],
        args: &["--auth-type", "openai", "-m", "{model}"],
        ..CLIENT
    },
    Client {
        name: "gemini",
        programs: &["gemini"],
        help: "GOOGLE_GEMINI_BASE_URL, GEMINI_API_KEY, GEMINI_MODEL",
        install: Some("npm install -g @google/gemini-cli"),
        set: &[
            ("GOOGLE_GEMINI_BASE_URL", "{url}"),
            ("GEMINI_API_KEY", "{key}"),
            ("GEMINI_MODEL", "{model}"),
        ],
        // Each of them chooses another service.
        unset: &[
            "GOOGLE_API_KEY",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "GOOGLE_GENAI_USE_GCA",
        ],
        ..CLIENT
    },
    // Continue's CLI reads its models from a configuration file only. JSON is YAML, too.
    Client {
        name: "cn",
        programs: &["cn"],
        help: "the argument `--config` and a temporary configuration file",
        install: Some("npm install -g @continuedev/cli"),
        config: Some(|server| TemporaryFile {
            name: "config.yaml",
            passed: Passed::Argument("--config"),
            content: json!({
                "name": "open-cursor", "version": "0.0.1", "schema": "v1",
                "models": [{
                    "name": server.model(), "provider": "openai", "model": server.model(),
                    "apiBase": server.openai(), "apiKey": server.key,
                    "roles": ["chat", "edit", "apply"], "capabilities": ["tool_use", "image_input"],
                }],
            })
            .to_string(),
        }),
        ..CLIENT
    },
    // Reads custom providers from `models.json` in its directory.
    Client {
        name: "pi",
        programs: &["pi"],
        help: "PI_CODING_AGENT_DIR (a temporary directory with models.json and links to your files), OPEN_CURSOR_API_KEY, and the arguments `--provider open-cursor --model MODEL`",
        install: Some("npm install -g @mariozechner/pi-coding-agent"),
        set: &[(KEY, "{key}")],
        args: &["--provider", "open-cursor", "--model", "{model}"],
        config: Some(|server| TemporaryFile {
            name: "models.json",
            passed: server.directory("PI_CODING_AGENT_DIR", ".pi/agent"),
            content: json!({"providers": {"open-cursor": {
                "baseUrl": server.openai(), "api": "openai-completions", "apiKey": KEY,
                "models": [{"id": server.model()}],
            }}})
            .to_string(),
        }),
        ..CLIENT
    },
    // Cline's CLI reads its providers from a file of settings only, whose path is in its environment.
    Client {
        name: "cline",
        programs: &["cline"],
        help: "CLINE_PROVIDER_SETTINGS_PATH (a temporary file), CLINE_SESSION_BACKEND_MODE",
        install: Some("npm install -g cline"),
        // Its daemon would stay, with the address of a server that is gone.
        set: &[("CLINE_SESSION_BACKEND_MODE", "local")],
        config: Some(|server| TemporaryFile {
            name: "providers.json",
            passed: Passed::Variable("CLINE_PROVIDER_SETTINGS_PATH"),
            content: json!({
                "version": 1, "lastUsedProvider": "openai-compatible", "modes": {},
                "providers": {"openai-compatible": {
                    "settings": {
                        "provider": "openai-compatible", "apiKey": server.key,
                        "model": server.model(), "baseUrl": server.openai(),
                    },
                    "updatedAt": "1970-01-01T00:00:00.000Z", "tokenSource": "manual",
                }},
            })
            .to_string(),
        }),
        ..CLIENT
    },
    // Reads providers from `crush.json` in its directory; your `crushrc` is merged with it.
    Client {
        name: "crush",
        programs: &["crush"],
        help: "CRUSH_GLOBAL_CONFIG (a temporary directory with crush.json and links to your files), OPEN_CURSOR_API_KEY",
        install: Some("npm install -g @charmland/crush"),
        set: &[(KEY, "{key}")],
        config: Some(|server| TemporaryFile {
            name: "crush.json",
            passed: server.directory("CRUSH_GLOBAL_CONFIG", ".config/crush"),
            content: json!({
                "providers": {"open-cursor": {
                    "name": "open-cursor", "type": "openai-compat", "base_url": server.openai(),
                    "api_key": format!("${KEY}"),
                    "models": [{
                        "id": server.model(), "name": server.model(),
                        "context_window": 200_000, "default_max_tokens": 32_000,
                    }],
                }},
                "models": {
                    "large": {"provider": "open-cursor", "model": server.model()},
                    "small": {"provider": "open-cursor", "model": server.model()},
                },
            })
            .to_string(),
        }),
        ..CLIENT
    },
    // Takes the server's host in one variable, and adds the path of the API itself.
    Client {
        name: "goose",
        programs: &["goose"],
        help: "GOOSE_PROVIDER, GOOSE_MODEL, OPENAI_HOST, OPENAI_API_KEY",
        set: &[
            ("GOOSE_PROVIDER", "openai"),
            ("GOOSE_MODEL", "{model}"),
            ("OPENAI_HOST", "{url}"),
            ("OPENAI_API_KEY", "{key}"),
        ],
        unset: &["OPENAI_BASE_PATH", "OPENAI_BASE_URL"],
        ..CLIENT
    },
    // Calls another server of OpenAI's API `local`.
    Client {
        name: "gptme",
        programs: &["gptme"],
        help: "OPENAI_BASE_URL, OPENAI_API_KEY, MODEL",
        install: Some("pipx install gptme"),
        set: &[
            ("OPENAI_BASE_URL", "{openai}"),
            ("OPENAI_API_KEY", "{key}"),
            ("MODEL", "local/{model}"),
        ],
        ..CLIENT
    },
    // mini-swe-agent uses litellm: the model's name begins with `openai/`.
    Client {
        name: "mini",
        programs: &["mini", "mini-swe-agent"],
        help: "OPENAI_API_BASE, OPENAI_API_KEY, MSWEA_MODEL_NAME, MSWEA_COST_TRACKING, MSWEA_CONFIGURED",
        install: Some("pipx install mini-swe-agent"),
        set: &[
            ("OPENAI_API_BASE", "{openai}"),
            ("OPENAI_API_KEY", "{key}"),
            ("MSWEA_MODEL_NAME", "openai/{model}"),
            // litellm knows no price of our models, which is an error otherwise.
            ("MSWEA_COST_TRACKING", "ignore_errors"),
            // Skips the questions of the first start.
            ("MSWEA_CONFIGURED", "true"),
        ],
        ..CLIENT
    },
    GENERIC,
];

/// Any program that uses an OpenAI or Anthropic SDK, or the variables of these.
pub(super) const GENERIC: Client = Client {
    name: "generic",
    help: "OPENAI_BASE_URL, OPENAI_API_BASE, OPENAI_API_KEY, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY",
    set: &[
        ("OPENAI_BASE_URL", "{openai}"),
        // The name before OpenAI's SDK 1.0; other programs still read it.
        ("OPENAI_API_BASE", "{openai}"),
        ("OPENAI_API_KEY", "{key}"),
        // Anthropic's SDKs add the `/v1` themselves.
        ("ANTHROPIC_BASE_URL", "{url}"),
        ("ANTHROPIC_API_KEY", "{key}"),
    ],
    ..CLIENT
};

/// What a row leaves out.
const CLIENT: Client = Client {
    name: "",
    programs: &[],
    help: "",
    install: None,
    wants_models: false,
    set: &[],
    computed: |_| Ok(Vec::new()),
    unset: &[],
    args: &[],
    config: None,
};

/// The variable of the key for clients whose configuration names one.
const KEY: &str = "OPEN_CURSOR_API_KEY";
