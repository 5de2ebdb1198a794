//! What is kept of each caller that brings a key of its own: its share of the server, and its models.
//!
//! Kept while a turn of the caller's runs or waits, and for the most recent ones longer.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard},
};

use super::admission::{Admission, AdmissionLimits};
use crate::{agent::Agent, models::ModelCatalog, threads::lock, turn::CallerKey};

/// How many callers are remembered that ask for nothing.
const MOST: usize = 256;

/// Whose account of Cursor's answers (`--credentials`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Credentials {
    /// The one that the server is logged in with.
    #[default]
    Server,
    /// The caller's: each request brings its key.
    Client,
}

impl FromStr for Credentials {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "server" => Ok(Self::Server),
            "client" => Ok(Self::Client),
            _ => Err(format!("`{text}` is not one of server, client")),
        }
    }
}

/// All callers with keys of their own.
pub(super) struct Callers {
    agent: Agent,
    /// What each may run and have wait.
    limits: AdmissionLimits,
    /// The most recent last.
    known: Mutex<Vec<Arc<Caller>>>,
}

/// One of them.
pub(super) struct Caller {
    key: CallerKey,
    pub admission: Admission,
    pub models: ModelCatalog,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

impl Callers {
    pub fn new(agent: Agent, limits: AdmissionLimits) -> Self {
        Self {
            agent,
            limits,
            known: Mutex::default(),
        }
    }

    /// Who has this key.
    pub fn of(&self, key: &CallerKey) -> Arc<Caller> {
        let mut known = self.known();
        if let Some(at) = known.iter().position(|caller| caller.key == *key) {
            let caller = known.remove(at);
            known.push(Arc::clone(&caller));
            return caller;
        }
        if known.len() >= MOST
            && let Some(at) = known.iter().position(|it| Arc::strong_count(it) == 1)
        {
            known.remove(at);
        }
        let (agent, own) = (self.agent.clone(), key.clone());
        let list = move || {
            let (agent, key) = (agent.clone(), own.clone());
            async move { agent.models(Some(&key)).await }
        };
        let caller = Arc::new(Caller {
            key: key.clone(),
            admission: Admission::new(self.limits),
            models: ModelCatalog::new(list, None),
        });
        known.push(Arc::clone(&caller));
        caller
    }

    /// How many turns wait for others of the same caller.
    pub fn queued(&self) -> usize {
        let known = self.known();
        known.iter().map(|caller| caller.admission.queued()).sum()
    }

    /// From now on no turn of theirs begins.
    pub fn close(&self) {
        for caller in self.known().iter() {
            caller.admission.close();
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Arc<Caller>>> {
        lock(&self.known)
    }
}
