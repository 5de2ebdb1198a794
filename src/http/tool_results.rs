//! `POST /v1/tool_results`: results of calls without their conversation.

use std::sync::Arc;

use bytes::Buf;
use futures::Stream;
use serde_json::json;
use warp::{http::HeaderMap, reply::Response};

use super::{
    App,
    answer::{internal, off_runtime, receive},
    auth::Requester,
    choices::Choices,
    record::Record,
    reply, sse,
};
use crate::{
    dialect::{PostedResults, Reply},
    turn::TurnError,
};

/// Gives the results to the runs that wait for them. The answer that continues is read by the next
/// request of the conversation, or is the response where the client asks for a stream.
pub async fn answer<B: Buf>(
    app: &App,
    headers: &HeaderMap,
    identity: Requester,
    body: impl Stream<Item = Result<B, warp::Error>>,
    record: &Record,
) -> Result<Response, TurnError> {
    let (body, reserved, dump) = receive(app, headers, &identity, body, record).await?;
    let Requester { owner, client, .. } = identity;
    let len = body.len();
    let posted = off_runtime(len, move || PostedResults::decode(&body)).await?;
    let left = app
        .listeners
        .spending
        .begin(&app.config(), client.as_deref(), 1)?;
    if !posted.stream {
        record.has_no_turn();
        let post = || app.engine().post(owner.as_deref(), posted.results);
        record.span().in_scope(post)?;
        return Ok(reply::value(&json!({"status": "ok"})));
    }
    let read = || {
        let engine = app.engine();
        engine.post_and_read(owner.as_deref(), posted.results, dump.clone())
    };
    let answer = record.span().in_scope(read)?;
    let form = answer.form.as_ref();
    let form = form.and_then(|form| form.get::<Box<dyn Reply>>());
    let reply = form.ok_or_else(internal)?.another(&record.stamp());
    let progress = answer.stream.progress();
    record.facts().progress = Arc::clone(&progress);
    let choices = Choices::new(vec![answer.stream], record.clone(), Some(reserved));
    let mut response = sse::stream(choices, reply, dump).await?;
    left.tell(response.headers_mut());
    reply::say_run(&mut response, &progress);
    Ok(response)
}
