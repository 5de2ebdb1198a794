use super::*;
use crate::models::parse;

fn endpoint<'a>(
    env: &'a dyn Fn(&str) -> Option<String>,
    listing: &'a Listing,
    places: &'a OpencodePlaces,
) -> ClientServer<'a> {
    ClientServer {
        url: "http://127.0.0.1:5",
        key: "k",
        model: Some("m"),
        listing: Some(listing),
        env,
        opencode: places,
    }
}

fn named(name: &str) -> &'static Client {
    CLIENTS.iter().find(|client| client.name == name).unwrap()
}

#[test]
fn a_program_is_known_by_its_name() {
    for (program, name) in [
        ("opencode", "opencode"),
        ("/usr/bin/claude", "claude"),
        ("codex.exe", "codex"),
        ("./aider", "aider"),
        ("mini-swe-agent", "mini"),
        ("python3", "generic"),
        ("", "generic"),
    ] {
        assert_eq!(Client::of(Path::new(program)).name, name);
    }
}

#[test]
fn what_each_client_is_given() {
    let listing = Listing::live(&[]);
    let places = OpencodePlaces::default();
    let given = |name: &str| {
        let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        let setup = named(name)
            .setup(&endpoint(&env, &listing, &places))
            .unwrap();
        let set = setup
            .set
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let unset = setup.unset.iter().map(|name| format!("-{name}"));
        let args = (!setup.args.is_empty()).then(|| setup.args.join(" "));
        let config = setup.config.map(|config| {
            let how = match config.passed {
                Passed::Argument(name) | Passed::Variable(name) => name.to_owned(),
                Passed::Directory(name, users) => format!("{name} {:?}", users.unwrap_or_default()),
            };
            format!("{how} {}: {}", config.name, config.content)
        });
        let lines = set.chain(unset).chain(args).chain(config);
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        given("claude"),
        "ANTHROPIC_BASE_URL=http://127.0.0.1:5\nANTHROPIC_AUTH_TOKEN=k\nANTHROPIC_MODEL=m\n\
         ANTHROPIC_SMALL_FAST_MODEL=m\nANTHROPIC_DEFAULT_HAIKU_MODEL=m\n\
         CLAUDE_CODE_MAX_CONTEXT_TOKENS=200000\n-ANTHROPIC_API_KEY"
    );
    assert_eq!(
        given("codex"),
        "OPEN_CURSOR_API_KEY=k\n-c model_provider=\"open-cursor\" \
         -c model_providers.open-cursor.name=\"open-cursor\" \
         -c model_providers.open-cursor.base_url=\"http://127.0.0.1:5/v1\" \
         -c model_providers.open-cursor.env_key=\"OPEN_CURSOR_API_KEY\" \
         -c model_providers.open-cursor.model_catalog_url=\"http://127.0.0.1:5/v1/models\" \
         -c model_providers.open-cursor.wire_api=\"responses\" -c model=\"m\""
    );
    assert_eq!(
        given("aider"),
        "AIDER_OPENAI_API_BASE=http://127.0.0.1:5/v1\nAIDER_OPENAI_API_KEY=k\n\
         OPENAI_API_BASE=http://127.0.0.1:5/v1\nOPENAI_API_KEY=k\nAIDER_MODEL=openai/m\n\
         AIDER_SHOW_MODEL_WARNINGS=false"
    );
    assert_eq!(
        given("generic"),
        "OPENAI_BASE_URL=http://127.0.0.1:5/v1\nOPENAI_API_BASE=http://127.0.0.1:5/v1\n\
         OPENAI_API_KEY=k\nANTHROPIC_BASE_URL=http://127.0.0.1:5\nANTHROPIC_API_KEY=k"
    );
    assert_eq!(
        given("qwen"),
        "OPENAI_BASE_URL=http://127.0.0.1:5/v1\nOPENAI_API_KEY=k\nOPENAI_MODEL=m\n\
         -HTTP_PROXY\n-http_proxy\n-HTTPS_PROXY\n-https_proxy\n--auth-type openai -m m"
    );
    assert_eq!(
        given("goose"),
        "GOOSE_PROVIDER=openai\nGOOSE_MODEL=m\nOPENAI_HOST=http://127.0.0.1:5\nOPENAI_API_KEY=k\n\
         -OPENAI_BASE_PATH\n-OPENAI_BASE_URL"
    );
    assert_eq!(
        given("pi"),
        "OPEN_CURSOR_API_KEY=k\n--provider open-cursor --model m\n\
         PI_CODING_AGENT_DIR \"/h/.pi/agent\" models.json: {\"providers\":{\"open-cursor\":{\
         \"baseUrl\":\"http://127.0.0.1:5/v1\",\"api\":\"openai-completions\",\
         \"apiKey\":\"OPEN_CURSOR_API_KEY\",\"models\":[{\"id\":\"m\"}]}}}"
    );
    assert_eq!(
        given("cline"),
        "CLINE_SESSION_BACKEND_MODE=local\nCLINE_PROVIDER_SETTINGS_PATH providers.json: {\
         \"version\":1,\"lastUsedProvider\":\"openai-compatible\",\"modes\":{},\"providers\":{\
         \"openai-compatible\":{\"settings\":{\"provider\":\"openai-compatible\",\
         \"apiKey\":\"k\",\"model\":\"m\",\"baseUrl\":\"http://127.0.0.1:5/v1\"},\
         \"updatedAt\":\"1970-01-01T00:00:00.000Z\",\"tokenSource\":\"manual\"}}}"
    );
    assert!(given("cn").starts_with("--config config.yaml: {"));
}

#[test]
fn what_the_user_has_said_to_aider_stays() {
    let (listing, places) = (Listing::live(&[]), OpencodePlaces::default());
    let env = |name: &str| (name == "AIDER_SHOW_MODEL_WARNINGS").then(|| "true".to_owned());
    let setup = named("aider").setup(&endpoint(&env, &listing, &places));
    let names: Vec<&str> = setup.unwrap().set.iter().map(|(name, _)| *name).collect();
    assert!(names.contains(&"AIDER_MODEL") && !names.contains(&"AIDER_SHOW_MODEL_WARNINGS"));
}

#[test]
fn opencode_keeps_its_other_providers() {
    let listing = Listing::live(&parse("Available models\n\nauto - Auto\n").unwrap());
    let places = OpencodePlaces::default();
    let setup = named("opencode")
        .setup(&endpoint(&|_| None, &listing, &places))
        .unwrap();
    let names: Vec<&str> = setup.set.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        (names, setup.unset),
        (vec!["OPENCODE_CONFIG_CONTENT"], &[][..])
    );
}

#[test]
fn a_proxy_is_bypassed_only_where_there_is_one() {
    let listing = Listing::live(&[]);
    let places = OpencodePlaces::default();
    let env = |name: &str| match name {
        "http_proxy" => Some("http://proxy".to_owned()),
        "no_proxy" => Some("corp.example".to_owned()),
        _ => None,
    };
    let setup = named("generic")
        .setup(&endpoint(&env, &listing, &places))
        .unwrap();
    let value = |wanted: &str| {
        let found = setup.set.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(value("no_proxy"), Some("127.0.0.1,localhost,corp.example"));
    assert_eq!(value("NO_PROXY"), Some("127.0.0.1,localhost"));
    let setup = named("generic")
        .setup(&endpoint(&|_| None, &listing, &places))
        .unwrap();
    assert!(
        setup
            .set
            .iter()
            .all(|(name, _)| !name.to_lowercase().contains("proxy"))
    );
}
