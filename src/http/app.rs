//! What all requests share: the engine, its dialects, and how clients are treated.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use super::{
    ApiKey, body::Budget, keys::KeyRing, listeners::Listeners, page::Recipe, status::LoginAnswer,
};
use crate::{dialect::Dialect, dump::Dumps, engine::Engine, history::Ledger};

/// The engine, its dialects, and how clients are treated.
pub struct App {
    engine: Engine,
    config: RwLock<Arc<HttpConfig>>,
    pub(super) dialects: Vec<Arc<dyn Dialect>>,
    pub(super) bodies: Budget,
    pub(super) listeners: Arc<Listeners>,
    pub(super) login: LoginAnswer,
}

/// How the server treats its clients.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address of the setting `host`.
    pub bound: IpAddr,
    /// How long a client may read nothing of its answer.
    pub stall: Duration,
    /// How many connections are open at one time; more wait to be accepted.
    pub max_connections: usize,
    /// How much memory the bodies of all requests may take at one time, in bytes.
    pub max_body_memory: usize,
    /// The key that clients must send, if any.
    pub api_key: Option<ApiKey>,
    /// The keys of clients, with less rights.
    pub keys: KeyRing,
    /// What turns may cost on a day, in US dollars.
    pub daily_budget: Option<f64>,
    /// How many tokens a turn may have.
    pub max_tokens_per_turn: Option<u64>,
    /// The models to go on with when Cursor says that a model's limit is reached.
    pub fallback_models: Vec<String>,
    /// The users of this machine that may connect, beside the administrator; `None` is all.
    pub allowed_users: Option<Vec<u32>>,
    /// Names of this server beyond those of this machine, as they stand in `Host`, without a port.
    pub allowed_hosts: Vec<String>,
    /// The origins whose web pages may use this server (see [`parse_origin`]).
    ///
    /// [`parse_origin`]: super::parse_origin
    pub allowed_origins: Vec<String>,
    /// Where turns are dumped, if anywhere.
    pub dumps: Option<Dumps>,
    /// How clients are set up, for the page.
    pub recipes: Vec<Recipe>,
    /// The settings, as a digest: whether another server would answer alike.
    pub settings: String,
}

impl HttpConfig {
    /// The defaults for a server on `bound`.
    #[must_use]
    pub fn new(bound: IpAddr) -> Self {
        Self {
            bound,
            stall: Duration::from_secs(30),
            max_connections: 512,
            max_body_memory: 256 << 20,
            api_key: None,
            keys: KeyRing::default(),
            daily_budget: None,
            max_tokens_per_turn: None,
            fallback_models: Vec::new(),
            allowed_users: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            dumps: None,
            recipes: Vec::new(),
            settings: String::new(),
        }
    }
}

impl App {
    /// Serves the engine in these dialects: at least one. The first answers where none is meant. The
    /// history, if there is one, keeps a row of each turn.
    #[must_use]
    pub fn new(
        engine: Engine,
        config: HttpConfig,
        dialects: Vec<Arc<dyn Dialect>>,
        history: Option<Ledger>,
    ) -> Self {
        let listeners = Listeners {
            history,
            agent: engine.agent().kind(),
            ..Listeners::default()
        };
        Self {
            engine,
            bodies: Budget::new(config.max_body_memory),
            config: RwLock::new(Arc::new(config)),
            dialects,
            listeners: Arc::new(listeners),
            login: LoginAnswer::default(),
        }
    }

    /// Where turns are kept, if anywhere.
    #[must_use]
    pub fn history(&self) -> Option<&Ledger> {
        self.listeners.history.as_ref()
    }

    /// Answers requests.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How clients are treated now.
    #[must_use]
    pub fn config(&self) -> Arc<HttpConfig> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&config)
    }

    /// Replaces the configuration while the server runs. The number of connections and the memory for
    /// bodies stay as they were at the start.
    pub fn configure(&self, config: HttpConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// Counts what was spent on this day before the server's start, by the names of keys.
    pub fn spent_earlier(&self, spent: Vec<(Option<String>, f64)>) {
        for (key, dollars) in spent {
            self.listeners.spending.spend(key.as_deref(), dollars);
        }
    }
}
