//! `GET /v1/models` and `GET /v1/models/{id}`.

use serde_json::json;
use warp::{http::StatusCode, reply::Response};

use super::{App, reply};
use crate::{engine::unknown_model, models::Request, turn::TurnError};

/// All models of the account.
pub async fn list(app: &App) -> Response {
    let listing = app.engine().models().list().await;
    let data: Vec<_> = listing.entries().collect();
    let body = json!({"object": "list", "data": data});
    reply::json(StatusCode::OK, body.to_string().into_bytes())
}

/// One model, under any name that a request may give it.
pub async fn one(app: &App, name: &str) -> Result<Response, TurnError> {
    let request = Request {
        model: Some(name),
        ..Request::default()
    };
    let models = app.engine().models();
    let id = models.resolve(request).await.map_err(unknown_model)?;
    let listing = models.list().await;
    let entry = listing.entries().find(|entry| entry.id == id);
    // A name that only the CLI can judge is a model without known properties.
    let body = entry.map_or_else(
        || json!({"id": id, "object": "model", "created": 0, "owned_by": "cursor"}),
        |entry| json!(entry),
    );
    Ok(reply::json(StatusCode::OK, body.to_string().into_bytes()))
}
