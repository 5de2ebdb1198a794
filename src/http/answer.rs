//! Answers one request of any dialect.

use std::sync::Arc;

use bytes::Buf;
use futures::Stream;
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode},
    reply::Response,
};

use super::{
    App, affinity,
    auth::Requester,
    body::{self, Budget, Reserved},
    choices::Choices,
    keys::ClientKey,
    limits,
    record::Record,
    reply, sse,
};
use crate::{
    dialect::{Compute, Dialect, PathTarget, Stamp},
    dump::{Dump, DumpPart},
    engine::unknown_model,
    models::ModelRequest,
    turn::{AnswerForm, Collected, ErrorKind, Turn, TurnEnd, TurnError, TurnEvent},
};

/// Bodies above this are decoded off the runtime's threads.
const LARGE: usize = 256 * 1024;

/// Reads the request, runs the turn and answers.
pub async fn answer<B: Buf>(
    app: &App,
    dialect: Arc<dyn Dialect>,
    target: PathTarget,
    (headers, identity): (&HeaderMap, Requester),
    body: impl Stream<Item = Result<B, warp::Error>>,
    record: &Record,
) -> Result<Response, TurnError> {
    let (body, reserved, dump) = receive(app, headers, &identity, body, record).await?;
    let result = run(
        app,
        &dialect,
        target,
        (headers, identity),
        (body, reserved),
        record,
        dump.as_ref(),
    )
    .await;
    if let (Err(error), Some(dump)) = (&result, dump) {
        dump.line(DumpPart::Response, &dialect.error(error));
    }
    result
}

/// Reads the body of a request that a run is for. It is recorded, and the first part of a dump.
pub(super) async fn receive<B: Buf>(
    app: &App,
    headers: &HeaderMap,
    identity: &Requester,
    body: impl Stream<Item = Result<B, warp::Error>>,
    record: &Record,
) -> Result<(Vec<u8>, Reserved, Option<Dump>), TurnError> {
    record.facts().row.key = identity.client.as_ref().map(|key| key.name.clone());
    body::check_headers(headers)?;
    let (body, reserved) = body::read(headers, body, &app.bodies).await?;
    record.facts().row.bytes_in = body.len() as u64;
    let config = app.config();
    let dump = config.dumps.as_ref();
    let dump = dump.map(|dumps| dumps.turn(&record.dump_name()));
    if let Some(dump) = &dump {
        dump.write(DumpPart::Request, &body);
    }
    Ok((body, reserved, dump))
}

async fn run(
    app: &App,
    dialect: &Arc<dyn Dialect>,
    target: PathTarget,
    (headers, identity): (&HeaderMap, Requester),
    (body, reserved): (Vec<u8>, Reserved),
    record: &Record,
    dump: Option<&Dump>,
) -> Result<Response, TurnError> {
    let stamp = Stamp {
        owner: identity.owner.clone(),
        ..record.stamp()
    };
    let decoder = Arc::clone(dialect);
    let request = off_runtime(body.len(), move || decoder.decode(&body, target, stamp)).await?;
    let header = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let workspace = header("x-cursor-workspace");
    let conversation = header("x-session-id");
    let tool_loop = header("x-cursor-tool-loop");
    let confirmed = header("x-open-cursor-allow").unwrap_or_default();
    let confirmed = confirmed.split(',').map(str::trim);
    let confirmed: Vec<String> = confirmed
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let Requester { owner, key, client } = identity;
    let client = client.as_deref();
    let mut request = request;
    let turns = request.others.len() + 1;
    for turn in std::iter::once(&mut request.turn).chain(&mut request.others) {
        limit(app, client, turn).await?;
    }
    let left = app.listeners.spending.begin(&app.config(), client, turns)?;
    let start = |mut turn: Turn, dump: Option<Dump>| {
        if workspace.is_some() {
            turn.workspace.clone_from(&workspace);
        }
        turn.conversation.clone_from(&conversation);
        turn.owner.clone_from(&owner);
        turn.key.clone_from(&key);
        turn.tool_loop.clone_from(&tool_loop);
        turn.confirmed.clone_from(&confirmed);
        record.asks(&turn);
        // The turn's own task continues in the same span.
        record.span().in_scope(|| app.engine().start(turn, dump))
    };
    let affinity = affinity::of(&request.turn, owner.as_deref());
    if request.turn.allows_tools() && request.others.is_empty() {
        let form = request.reply.another(&record.stamp());
        request.turn.form = Some(AnswerForm::new(form));
    }
    let first = start(request.turn, dump.cloned());
    let progress = first.progress();
    record.facts().progress = Arc::clone(&progress);
    let mut turns = vec![first];
    turns.extend(request.others.into_iter().map(|turn| start(turn, None)));
    let choices = Choices::new(turns, record.clone(), Some(reserved));
    let mut response = if request.stream {
        sse::stream(choices, request.reply, dump.cloned()).await?
    } else {
        let (answers, end) = collect(choices).await?;
        let (first, others) = answers.split_first().ok_or_else(internal)?;
        let whole = request.reply.whole(first, others, &end);
        record.sent(whole.len());
        if let Some(dump) = dump {
            dump.line(DumpPart::Response, &whole);
        }
        let mut response = reply::json(StatusCode::OK, whole);
        reply::say_lost(&mut response, end.lost_changes.len());
        response
    };
    reply::say_ignored(&mut response, &request.ignored);
    if let Ok(value) = HeaderValue::from_str(&affinity) {
        response.headers_mut().insert(affinity::HEADER, value);
    }
    left.tell(response.headers_mut());
    reply::say_run(&mut response, &progress);
    Ok(response)
}

/// Applies the limits of the server and of the client's key to a turn.
async fn limit(app: &App, client: Option<&ClientKey>, turn: &mut Turn) -> Result<(), TurnError> {
    let config = app.config();
    turn.fallback_models.clone_from(&config.fallback_models);
    if let Some(key) = client.filter(|key| key.models.is_some()) {
        let requested = ModelRequest {
            model: Some(&turn.model),
            cursor_model: turn.cursor_model.as_deref(),
            reasoning_effort: turn.reasoning_effort.as_deref(),
        };
        let model = app.engine().models().resolve(requested).await;
        let model = model.map_err(unknown_model)?;
        limits::check_model(key, &model)?;
        // What was checked is what is asked for.
        turn.cursor_model = Some(model);
        turn.fallback_models.retain(|model| key.allows(model));
    }
    match config.max_tokens_per_turn {
        Some(most) => limits::bound_tokens(turn, most),
        None => Ok(()),
    }
}

/// Answers a request that needs no model.
pub async fn compute<B: Buf>(
    compute: Compute,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    budget: &Budget,
) -> Result<Response, TurnError> {
    body::check_headers(headers)?;
    let (body, _reserved) = body::read(headers, body, budget).await?;
    let answer = off_runtime(body.len(), move || compute(&body)).await?;
    Ok(reply::json(StatusCode::OK, answer))
}

/// Does the work of a request of `len` bytes.
pub(super) async fn off_runtime<T: Send + 'static>(
    len: usize,
    work: impl FnOnce() -> Result<T, TurnError> + Send + 'static,
) -> Result<T, TurnError> {
    if len < LARGE {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(internal()))
}

pub(super) fn internal() -> TurnError {
    TurnError::new(
        ErrorKind::Internal,
        "open-cursor failed while it handled this request; its log says more",
    )
}

/// The whole answers of all choices, and how they ended. The first failure cancels the others.
async fn collect(mut choices: Choices) -> Result<(Vec<Collected>, TurnEnd), TurnError> {
    let mut answers = vec![Collected::default(); choices.len()];
    while let Some((choice, batch)) = choices.next().await {
        let Some(answer) = answers.get_mut(choice) else {
            continue;
        };
        for event in batch {
            match event {
                TurnEvent::Delta(delta) => answer.push(delta),
                TurnEvent::End(end) => {
                    let last = choices.end(&end);
                    answer.finish_reason = end.outcome?;
                    if let Some(end) = last {
                        return Ok((answers, end));
                    }
                }
            }
        }
    }
    Err(internal())
}
