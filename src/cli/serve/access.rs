//! Who may use the server, and how it treats its clients.

use std::path::Path;

use crate::{
    cli::{recipes, render, users},
    dump::Dumps,
    engine::Credentials,
    http::{self, ApiKey, KeyRing},
    settings::{Dollars, Resolved, ServeSettings},
};

/// The key that the server's clients must send, if any.
pub(super) async fn api_key(settings: &ServeSettings) -> anyhow::Result<Option<ApiKey>> {
    let key = match &settings.api_key_file {
        Some(file) => {
            let hint = "name a file that holds the key and nothing else";
            let parse = |text: &str| ApiKey::new(text).ok_or("the file is empty".to_owned());
            Some(from_file("--api-key-file", file, hint, parse).await?)
        }
        // No setting: `open-cursor config` shows settings.
        None => std::env::var("CURSOR_ACP_API_KEY")
            .ok()
            .as_deref()
            .and_then(ApiKey::new),
    };
    let has_callers = settings.credentials == Credentials::Client;
    if has_callers && (key.is_some() || settings.keys_file.is_some()) {
        return Err(render::usage(
            "--credentials client: each request brings its caller's own Cursor API key, in the place of \
             this server's",
            "leave --api-key-file, --keys-file and CURSOR_ACP_API_KEY out",
        ));
    }
    let demands_key = key.is_some() || settings.keys_file.is_some() || has_callers;
    if !demands_key && settings.socket.is_none() && !settings.host.is_loopback() {
        return Err(render::usage(
            format_args!(
                "--host {}: other machines reach this address, so clients must send a key",
                settings.host
            ),
            "set one with --api-key-file, --keys-file or CURSOR_ACP_API_KEY",
        ));
    }
    Ok(key)
}

pub(super) fn dumps(settings: &ServeSettings) -> anyhow::Result<Option<Dumps>> {
    let dumps = settings.dump_dir.as_ref().map(|dir| {
        Dumps::open(dir, settings.dump_keep.get()).map_err(|error| {
            render::usage(
                format_args!("--dump-dir {}: {error}", dir.display()),
                "name a directory that you may write to; it is made if it does not exist",
            )
        })
    });
    dumps.transpose()
}

/// The keys of clients.
async fn keys(settings: &ServeSettings) -> anyhow::Result<KeyRing> {
    let Some(file) = &settings.keys_file else {
        return Ok(KeyRing::default());
    };
    let hint = "`open-cursor help endpoints` shows such a file";
    let parse = |text: &str| match KeyRing::parse(text) {
        Ok(keys) if keys.is_empty() => Err("the file has no [[key]]".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    };
    from_file("--keys-file", file, hint, parse).await
}

/// The content of a file that a setting names.
async fn from_file<T>(
    flag: &str,
    file: &Path,
    hint: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    let text = tokio::fs::read_to_string(file).await;
    let parsed = text
        .map_err(|error| error.to_string())
        .and_then(|text| parse(&text));
    parsed.map_err(|why| render::usage(format_args!("{flag} {}: {why}", file.display()), hint))
}

pub(super) async fn http_config(
    resolved: &Resolved,
    api_key: Option<ApiKey>,
    dumps: Option<Dumps>,
) -> anyhow::Result<http::HttpConfig> {
    let settings = &resolved.settings;
    let keys = keys(settings).await?;
    let origins = settings.allow_origin.0.iter();
    let origins = origins.map(|origin| http::parse_origin(origin));
    Ok(http::HttpConfig {
        stall: settings.stall_timeout,
        max_connections: settings.max_connections.get(),
        max_body_memory: settings.max_body_memory.get() << 20,
        allowed_users: users::allowed(
            settings,
            api_key.is_some() || !keys.is_empty() || settings.credentials == Credentials::Client,
        )?,
        api_key,
        keys,
        daily_budget: settings.daily_budget.map(Dollars::amount),
        max_tokens_per_turn: settings.max_tokens_per_turn.map(|most| most.get() as u64),
        fallback_models: settings.fallback_models.0.clone(),
        allowed_hosts: settings.allow_host.0.clone(),
        allowed_origins: origins.collect::<Result<_, _>>().map_err(|error| {
            render::usage(
                format_args!("--allow-origin: {error}"),
                "write it as in https://app.example",
            )
        })?,
        dumps,
        recipes: recipes::all(),
        settings: resolved.digest(),
        ..http::HttpConfig::new(settings.host)
    })
}
