//! The account's models, asked for as seldom as can be.
//!
//! ```text
//! known id ── held list, whatever its age ───────────────> answer at once
//! list, or an id that it lacks ── held list too old? ──> fetch (one at a time, shared) ─> answer
//!                                                  fails └> what was held, else the disk's, else `auto`
//! ```
//!
//! The disk holds the CLI's own words, and is read back by the same parser.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::entry::Entry;
use super::family::{Family, group};
use super::list::{Listed, parse};
use super::resolve::{AUTO, Request, UnknownModel, resolve};
use crate::file;

/// How long a list is served without asking again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How soon an id that the list lacks, or a failure, may make us ask again.
const RETRY: Duration = Duration::from_secs(10);

/// A list of models at some moment.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The families, in the CLI's order.
    pub families: Vec<Family>,
    /// Where the list comes from.
    pub origin: Origin,
    /// Why it is not the account's own of today, when it is not.
    pub problem: Option<String>,
}

/// Where a list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From the agent.
    Live,
    /// From the agent, but not of now: it could not be asked again.
    Earlier,
    /// Nothing is known but what every account has.
    Builtin,
}

impl Listing {
    /// A list that came from the agent just now.
    #[must_use]
    pub fn live(models: &[Listed]) -> Self {
        Self {
            families: group(models),
            origin: Origin::Live,
            problem: None,
        }
    }

    fn builtin() -> Self {
        let auto = Listed {
            id: AUTO.to_owned(),
            label: "Auto".to_owned(),
            default: true,
            current: false,
        };
        Self {
            origin: Origin::Builtin,
            ..Self::live(&[auto])
        }
    }

    /// The models as `/v1/models` shows them, in the CLI's order of families.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let of = |family| move |member| Entry::new(family, member);
        self.families
            .iter()
            .flat_map(move |family| family.members.iter().map(of(family)))
    }

    /// See [`resolve`]. Only a live list says that a model does not exist.
    ///
    /// # Errors
    /// When the name means none of the account's models.
    pub fn resolve(&self, request: Request<'_>) -> Result<String, UnknownModel> {
        resolve(request, &self.families, self.origin == Origin::Live)
    }
}

type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Holds the account's models. Share it in an [`Arc`].
pub struct Catalog {
    fetch: Fetch,
    cache_file: Option<PathBuf>,
    held: Mutex<Option<Held>>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    listing: Arc<Listing>,
    /// When the agent was last asked, with or without success.
    asked: Instant,
}

impl Catalog {
    /// A catalog that asks `fetch` for the output of `cursor-agent models`, and keeps the last good
    /// one in `cache_file`.
    pub fn new<F, R, E>(fetch: F, cache_file: Option<PathBuf>) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Display,
    {
        let fetch = move || fetch().map(|r| r.map_err(|e| e.to_string())).boxed();
        Self {
            fetch: Box::new(fetch),
            cache_file,
            held: Mutex::new(None),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// The account's models, at most five minutes old unless the agent cannot be asked.
    pub async fn list(&self) -> Arc<Listing> {
        self.at_most(FRESH).await
    }

    /// The id to give the agent.
    ///
    /// A name that the held list answers costs nothing; for one that it lacks, the agent is asked
    /// again, though not more than once in ten seconds.
    ///
    /// # Errors
    /// When the name means none of the account's models.
    pub async fn resolve(&self, request: Request<'_>) -> Result<String, UnknownModel> {
        let held = self.held().map(|held| held.listing);
        // What every account has needs no list.
        let known = held.unwrap_or_else(|| Arc::new(Listing::builtin()));
        match resolve(request, &known.families, true) {
            Ok(id) => Ok(id),
            Err(_) => self.at_most(RETRY).await.resolve(request),
        }
    }

    async fn at_most(&self, age: Duration) -> Arc<Listing> {
        let young = || {
            self.held()
                .filter(|held| held.fresh_for(age))
                .map(|held| held.listing)
        };
        if let Some(listing) = young() {
            return listing;
        }
        // Whoever waits here finds the list that another has fetched meanwhile.
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(listing) = young() {
            return listing;
        }
        let listing = Arc::new(self.ask().await);
        let held = Held {
            listing: Arc::clone(&listing),
            asked: Instant::now(),
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        listing
    }

    fn held(&self) -> Option<Held> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn ask(&self) -> Listing {
        let answer = (self.fetch)().await;
        let parsed = answer.and_then(|text| match parse(&text) {
            Ok(models) => Ok((text, models)),
            Err(error) => Err(error.to_string()),
        });
        match parsed {
            Ok((text, models)) => {
                self.keep(text).await;
                Listing::live(&models)
            }
            Err(problem) => {
                tracing::warn!(%problem, "the agent gave no model list");
                self.stand_in(problem).await
            }
        }
    }

    /// The best there is without the agent.
    async fn stand_in(&self, problem: String) -> Listing {
        let listing = match self.held() {
            Some(held) => Listing::clone(&held.listing),
            None => self.kept().await.unwrap_or_else(Listing::builtin),
        };
        // What was live a while ago no longer proves that an id does not exist.
        let origin = match listing.origin {
            Origin::Builtin => Origin::Builtin,
            Origin::Live | Origin::Earlier => Origin::Earlier,
        };
        Listing {
            origin,
            problem: Some(problem),
            ..listing
        }
    }

    async fn kept(&self) -> Option<Listing> {
        let text = tokio::fs::read_to_string(self.cache_file.as_ref()?)
            .await
            .ok()?;
        Some(Listing::live(&parse(&text).ok()?))
    }

    async fn keep(&self, text: String) {
        let Some(path) = self.cache_file.clone() else {
            return;
        };
        let write = move || file::replace(&path, text.as_bytes(), None);
        let written = tokio::task::spawn_blocking(write).await;
        if let Ok(Err(error)) = written {
            tracing::debug!(%error, "the model list could not be kept");
        }
    }
}

impl Held {
    fn fresh_for(&self, age: Duration) -> bool {
        // A stand-in is never fresh for long: the agent may be back.
        let age = if self.listing.origin == Origin::Live {
            age
        } else {
            age.min(RETRY)
        };
        self.asked.elapsed() < age
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
