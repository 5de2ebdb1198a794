//! Google's Gemini API: `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and
//! `:countTokens`, `GET /v1beta/models`.
//!
//! Formats as in `google-genai` 3.6.1 (`types.py`, `_api_client.py`, `errors.py`) and Gemini CLI
//! 0.61.0. `decode` reads the request, `parts` the contents, `encode` writes chunks and whole
//! answers, `error` the error object, `models` the list of models.

mod decode;
mod encode;
mod error;
mod models;
mod parts;

pub use parts::part;

use serde_json::{Value, json};

use super::{
    Ask, Dialect, Parameter, PathTarget, Request, Sign, Stamp, Streaming,
    parameters::{FORMAT, NO_FLAG},
    parameters_of, percent_decode,
};
use crate::{
    models::{Entry, Listing},
    turn::{TurnError, estimate_tokens},
};

const PARAMETERS: &[Parameter] = &[
    Parameter::honoured("model", "in the path; `auto` if missing"),
    Parameter::honoured("contents", "text, images, function calls and responses"),
    Parameter::honoured("systemInstruction", ""),
    Parameter::honoured(
        "tools",
        "`functionDeclarations`; `googleSearch` and `urlContext` are left out, other hosted tools refused",
    ),
    Parameter::honoured(
        "xCursor",
        "`{\"tools\": \"all\"}`, or a list: tools of the server's",
    ),
    Parameter::honoured("toolConfig", "`mode` and `allowedFunctionNames`"),
    Parameter::honoured("generationConfig.stopSequences", "the run ends there"),
    Parameter::honoured(
        "generationConfig.maxOutputTokens",
        "by an estimate; text only",
    ),
    Parameter::honoured(
        "generationConfig.candidateCount",
        "up to 4, each a run of its own",
    ),
    Parameter::honoured("generationConfig.responseMimeType", FORMAT),
    Parameter::honoured("generationConfig.responseSchema", FORMAT),
    Parameter::honoured("generationConfig.responseJsonSchema", FORMAT),
    Parameter::honoured(
        "generationConfig.thinkingConfig.includeThoughts",
        "the reasoning is shown if it is there",
    ),
    Parameter::honoured(
        "generationConfig.thinkingConfig.thinkingLevel",
        "where the model has such a variant",
    ),
    Parameter::honoured("cursorModel", "Cursor's own id; wins over `model`"),
    Parameter::honoured("cursorWorkspace", "the directory that the agent works in"),
    Parameter::accepted("safetySettings", "Cursor has its own"),
    Parameter::accepted("labels", ""),
    Parameter::accepted("store", "nothing is stored"),
    Parameter::accepted("serviceTier", ""),
    Parameter::accepted("generationConfig.responseModalities", "text only"),
    Parameter::accepted(
        "generationConfig.thinkingConfig.thinkingBudget",
        "the model's own",
    ),
    Parameter::ignored("generationConfig.temperature", NO_FLAG),
    Parameter::ignored("generationConfig.topP generationConfig.topK", NO_FLAG),
    Parameter::ignored("generationConfig.seed", NO_FLAG),
    Parameter::ignored("generationConfig.presencePenalty", NO_FLAG),
    Parameter::ignored("generationConfig.frequencyPenalty", NO_FLAG),
    Parameter::ignored("generationConfig.mediaResolution", NO_FLAG),
    Parameter::refused("generationConfig.speechConfig", "answers are text"),
    Parameter::refused(
        "generationConfig.responseLogprobs",
        "Cursor's CLI reports none",
    ),
    Parameter::refused("generationConfig.logprobs", "Cursor's CLI reports none"),
    Parameter::refused(
        "cachedContent",
        "nothing is cached here; send the whole conversation in `contents`",
    ),
];

/// The versions under which Google serves the API.
const VERSIONS: &[&str] = &["/v1beta", "/v1alpha", "/v1", ""];

/// The dialect.
pub struct Gemini;

impl Dialect for Gemini {
    fn path(&self) -> &'static str {
        "/v1beta/models/{model}:generateContent"
    }

    fn name(&self) -> &'static str {
        "gemini"
    }

    fn route(&self, path: &str, query: &str) -> Option<Ask> {
        let rest = VERSIONS
            .iter()
            .find_map(|version| path.strip_prefix(version)?.strip_prefix("/models"))?;
        if let Some((name, method)) = rest.rsplit_once(':') {
            let model = percent_decode(name.strip_prefix('/')?);
            let streaming = match method {
                "countTokens" => return Some(Ask::Compute(count_tokens)),
                "generateContent" => Streaming::Whole,
                "streamGenerateContent" => {
                    let is_sse = |(name, value): (&str, String)| name == "alt" && value == "sse";
                    match parameters_of(query).any(is_sse) {
                        true => Streaming::Events,
                        false => Streaming::Array,
                    }
                }
                _ => return None,
            };
            return Some(Ask::Answer(PathTarget {
                model: Some(model),
                streaming: Some(streaming),
            }));
        }
        // `/v1/models` is everybody's.
        if !path.starts_with("/v1beta/") && !path.starts_with("/v1alpha/") {
            return None;
        }
        match rest.trim_matches('/') {
            "" => Some(Ask::Models),
            name => Some(Ask::Model(percent_decode(name))),
        }
    }

    fn table(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn decode(&self, body: &[u8], target: PathTarget, stamp: Stamp) -> Result<Request, TurnError> {
        decode::request(body, target, &stamp)
    }

    fn error(&self, error: &TurnError) -> Vec<u8> {
        error::error_object(error).to_string().into_bytes()
    }

    fn signs(&self) -> &'static [Sign] {
        &[
            Sign::Path("/v1beta/"),
            Sign::Path("/v1alpha/"),
            Sign::Header("x-goog-api-key"),
            Sign::Header("x-goog-api-client"),
            Sign::Query("key"),
        ]
    }

    fn models(&self, listing: &Listing) -> Value {
        models::list(listing)
    }

    fn model(&self, model: &Entry) -> Value {
        models::one(model)
    }
}

/// `totalTokens` is an estimate, which the extra member says.
fn count_tokens(body: &[u8]) -> Result<Vec<u8>, TurnError> {
    let turn = decode::counted(body)?;
    let count = json!({
        "totalTokens": estimate_tokens(&turn),
        "x_cursor": {"usage_estimated": true},
    });
    Ok(count.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str, query: &str) -> Option<(String, Streaming)> {
        match Gemini.route(path, query)? {
            Ask::Answer(target) => target.model.zip(target.streaming),
            _ => None,
        }
    }

    #[test]
    fn the_path_names_model_and_form() {
        for (path, query, wanted) in [
            (
                "/v1beta/models/auto:generateContent",
                "",
                Some(("auto", Streaming::Whole)),
            ),
            (
                "/models/auto:generateContent",
                "alt=sse",
                Some(("auto", Streaming::Whole)),
            ),
            (
                "/v1/models/a%2Fb:streamGenerateContent",
                "key=k&alt=sse",
                Some(("a/b", Streaming::Events)),
            ),
            (
                "/v1beta/models/a:b:streamGenerateContent",
                "alt=json",
                Some(("a:b", Streaming::Array)),
            ),
            ("/v1beta/models/auto:embedContent", "", None),
            ("/v1beta/models:generateContent", "", None),
            ("/v1/chat/completions", "", None),
        ] {
            let wanted = wanted.map(|(model, form)| (model.to_owned(), form));
            assert_eq!(target(path, query), wanted, "{path}?{query}");
        }
        assert!(matches!(
            Gemini.route("/v1beta/models", ""),
            Some(Ask::Models)
        ));
        assert!(matches!(
            Gemini.route("/v1beta/models/", ""),
            Some(Ask::Models)
        ));
        assert!(
            matches!(Gemini.route("/v1beta/models/a%2Fb", ""), Some(Ask::Model(name)) if name == "a/b")
        );
        for shared in [
            "/v1/models",
            "/models",
            "/v1/models/auto",
            "/v1betas/models",
        ] {
            assert!(Gemini.route(shared, "").is_none(), "{shared}");
        }
    }
}
