//! What a path means, and whose it is.

use std::sync::Arc;

use warp::http::{HeaderMap, Method};

use super::page::PagePart;
use crate::dialect::{
    Ask, Compute, Dialect, PathTarget, Sign, parameters_of, percent_decode, unversioned,
};

/// What is served at a path.
pub(super) enum Route {
    Answer(Arc<dyn Dialect>, PathTarget),
    Compute(Compute),
    Models,
    Model(String),
    Tools,
    ToolResults,
    Parameters,
    Health,
    Alive,
    Ready,
    Metrics,
    Page(PagePart),
}

impl Route {
    /// The dialects' own paths come first. The others exist also without `/v1`, which some clients
    /// leave out of their base URL.
    pub fn find(path: &str, query: &str, dialects: &[Arc<dyn Dialect>]) -> Option<Self> {
        if let Some(part) = PagePart::find(path) {
            return Some(Self::Page(part));
        }
        for dialect in dialects {
            if let Some(ask) = dialect.route(path, query) {
                return Some(match ask {
                    Ask::Answer(target) => Self::Answer(Arc::clone(dialect), target),
                    Ask::Compute(compute) => Self::Compute(compute),
                    Ask::Models => Self::Models,
                    Ask::Model(name) => Self::Model(name),
                });
            }
        }
        match unversioned(path) {
            "/models" => Some(Self::Models),
            "/tools" => Some(Self::Tools),
            "/tool_results" => Some(Self::ToolResults),
            "/parameters" => Some(Self::Parameters),
            "/health" => Some(Self::Health),
            "/healthz" => Some(Self::Alive),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            path => {
                let name = path.strip_prefix("/models/")?;
                (!name.is_empty()).then(|| Self::Model(percent_decode(name)))
            }
        }
    }

    pub fn method(&self) -> Method {
        match self {
            Self::Answer(..) | Self::Compute(_) | Self::ToolResults => Method::POST,
            _ => Method::GET,
        }
    }

    /// Whether it is for callers that Cursor alone knows. What tells of others is not, so what is not
    /// named here is refused.
    pub fn is_for_callers(&self) -> bool {
        self.is_public()
            || matches!(
                self,
                Self::Answer(..)
                    | Self::Compute(_)
                    | Self::Models
                    | Self::Model(_)
                    | Self::Tools
                    | Self::ToolResults
                    | Self::Parameters
                    | Self::Metrics
            )
            || matches!(self, Self::Page(part) if part.is_file())
    }

    /// Whether strangers may know it: that the server is there, and whether it can be used.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Health | Self::Alive | Self::Ready)
    }
}

/// The dialect that the client of a request speaks: the one whose path it asks for, else the one
/// whose sign it sends, else the first.
pub(super) fn spoken<'a>(
    path: &str,
    query: &str,
    headers: &HeaderMap,
    dialects: &'a [Arc<dyn Dialect>],
) -> &'a dyn Dialect {
    let is_its_path = |dialect: &&Arc<dyn Dialect>| dialect.route(path, query).is_some();
    let sends_its_sign = |dialect: &&Arc<dyn Dialect>| {
        dialect.signs().iter().any(|sign| match *sign {
            Sign::Path(beginning) => unversioned(path).starts_with(beginning),
            Sign::Header(name) => headers.contains_key(name),
            Sign::Query(name) => parameters_of(query).any(|(key, _)| key == name),
        })
    };
    let found = dialects.iter().find(is_its_path);
    let found = found.or_else(|| dialects.iter().find(sends_its_sign));
    found.unwrap_or(&dialects[0]).as_ref()
}
