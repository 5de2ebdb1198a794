//! The account's models, requested from the agent as rarely as possible.
//!
//! ```text
//! known id ── held list, whatever its age ───────────────> answer at once
//! list, or an id not in it ── held list too old? ──> fetch (one at a time, shared) ─> answer
//!                                                  fails └> the held list, else the disk's, else `auto`
//! ```
//!
//! The file on disk is the CLI's output, read by the same parser.

use std::{
    fmt::Display,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{
    entry::Entry,
    family::{Family, group},
    list::{ListedModel, parse},
    resolve::{AUTO, ModelRequest, UnknownModel, resolve},
};
use crate::{file, threads::lock};

/// How long a list is served without asking again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// The shortest time between two fetches, for an id that is not in the list or after a failure.
const RETRY: Duration = Duration::from_secs(10);

/// A list of models at some moment.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The families, in the CLI's order.
    pub families: Vec<Family>,
    /// Where the list comes from.
    pub origin: ListingOrigin,
    /// Why it is not a live list, if it is not.
    pub problem: Option<String>,
}

/// Where a list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingOrigin {
    /// From the agent.
    Live,
    /// From the agent, but out of date: the last fetch failed.
    Earlier,
    /// Only what every account has.
    Builtin,
}

impl Listing {
    /// A list that the agent just printed.
    #[must_use]
    pub fn live(models: &[ListedModel]) -> Self {
        Self {
            families: group(models),
            origin: ListingOrigin::Live,
            problem: None,
        }
    }

    fn builtin() -> Self {
        let auto = ListedModel {
            id: AUTO.to_owned(),
            label: "Auto".to_owned(),
        };
        Self {
            origin: ListingOrigin::Builtin,
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

    /// See [`resolve`]. Only a live list proves that a model does not exist.
    ///
    /// # Errors
    /// When the account has no such model.
    pub fn resolve(&self, request: ModelRequest<'_>) -> Result<String, UnknownModel> {
        resolve(request, &self.families, self.origin == ListingOrigin::Live)
    }
}

type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Holds the account's models. Shared in an [`Arc`].
pub struct ModelCatalog {
    fetch: Fetch,
    cache_file: Option<PathBuf>,
    held: Mutex<Option<HeldListing>>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct HeldListing {
    listing: Arc<Listing>,
    /// Time of the last fetch, successful or not.
    asked: Instant,
}

impl ModelCatalog {
    /// A catalog that calls `fetch` for the output of `cursor-agent models`, and keeps the last good
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

    /// The account's models, at most five minutes old unless the agent fails.
    pub async fn list(&self) -> Arc<Listing> {
        self.at_most(FRESH).await
    }

    /// The id to give the agent.
    ///
    /// A name in the held list costs nothing; for another one the list is fetched again, at most once
    /// in ten seconds.
    ///
    /// # Errors
    /// When the account has no such model.
    pub async fn resolve(&self, request: ModelRequest<'_>) -> Result<String, UnknownModel> {
        let held = self.held().map(|held| held.listing);
        // The models of every account need no list.
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
        // Another task may have fetched the list meanwhile.
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(listing) = young() {
            return listing;
        }
        let listing = Arc::new(self.ask().await);
        let held = HeldListing {
            listing: Arc::clone(&listing),
            asked: Instant::now(),
        };
        *lock(&self.held) = Some(held);
        listing
    }

    fn held(&self) -> Option<HeldListing> {
        lock(&self.held).clone()
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
                tracing::warn!(%problem, "cannot get the list of models from the agent");
                self.stand_in(problem).await
            }
        }
    }

    /// The best list without the agent.
    async fn stand_in(&self, problem: String) -> Listing {
        let listing = match self.held() {
            Some(held) => Listing::clone(&held.listing),
            None => self.kept().await.unwrap_or_else(Listing::builtin),
        };
        // An old list does not prove that a model does not exist.
        let origin = match listing.origin {
            ListingOrigin::Builtin => ListingOrigin::Builtin,
            ListingOrigin::Live | ListingOrigin::Earlier => ListingOrigin::Earlier,
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
            tracing::debug!(%error, "cannot write the cache of the list of models");
        }
    }
}

impl HeldListing {
    fn fresh_for(&self, age: Duration) -> bool {
        // A list that is not live is fetched again soon: the agent may work again.
        let age = if self.listing.origin == ListingOrigin::Live {
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
