//! `GET /v1/models` and `GET /v1/models/{id}`.

use warp::reply::Response;

use super::{App, auth::Requester, reply};
use crate::{
    dialect::Dialect,
    engine::unknown_model,
    models::{Entry, ModelRequest},
    turn::TurnError,
};

/// All models of the account.
pub async fn list(app: &App, dialect: &dyn Dialect, asks: &Requester) -> Response {
    let listing = app.engine().models_of(asks.key.as_ref()).await;
    reply::value(&dialect.models(&listing))
}

/// One model, under any name that a request may give it.
pub async fn one(
    app: &App,
    dialect: &dyn Dialect,
    name: &str,
    asks: &Requester,
) -> Result<Response, TurnError> {
    let request = ModelRequest {
        model: Some(name),
        ..ModelRequest::default()
    };
    let (engine, key) = (app.engine(), asks.key.as_ref());
    let id = engine.resolve(key, request).await.map_err(unknown_model)?;
    let listing = engine.models_of(key).await;
    let body = match listing.entries().find(|entry| entry.id == id) {
        Some(entry) => dialect.model(&entry),
        // A name that only the CLI can judge.
        None => dialect.model(&Entry::unlisted(&id)),
    };
    Ok(reply::value(&body))
}
