//! Responses in a Redis that several servers share, so that any of them can continue any response.
//!
//! ```text
//! open-cursor:response:OWNER:ID  -> StoredResponse as JSON     both expire some time after their last use
//! open-cursor:item:OWNER:ITEM    -> the id of its response
//! ```
//!
//! Redis may be slow, full or gone: each command has a time limit, and after one that failed none is
//! tried for a moment. Answers go on without the store then, and say that they are not stored.

use std::{
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use redis::{Client, Connection, ConnectionAddr, ConnectionInfo, RedisResult};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::{Bounds, Exchange, NewResponse, record::StoredResponse};
use crate::threads::lock;

/// How long a connection, and then each answer of a command, may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long no command is tried after one that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// How many connections are kept for the next commands.
const IDLE: usize = 8;

/// The longest id that is looked for, in bytes; ours are shorter.
const LONGEST_ID: usize = 256;

/// How many responses a conversation may have.
const LONGEST_CHAIN: usize = 4096;

/// Where a Redis is.
#[derive(Clone)]
pub struct RedisAddress(ConnectionInfo);

/// Why an address can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAddress {
    /// It has another form.
    #[error("use memory, or an address such as redis://127.0.0.1:6379/0")]
    Form,
    /// A password would be shown with the settings.
    #[error("leave the password out of the address, and put it into CURSOR_ACP_STORE_PASSWORD")]
    Password,
}

impl RedisAddress {
    /// Reads `redis://[USER@]HOST[:PORT][/DATABASE]`. The password, if Redis asks for one, comes from
    /// elsewhere.
    ///
    /// # Errors
    /// [`InvalidAddress`].
    pub fn new(text: &str, password: Option<&str>) -> Result<Self, InvalidAddress> {
        let info: ConnectionInfo = text.parse().map_err(|_| InvalidAddress::Form)?;
        if !text.starts_with("redis://") || !matches!(info.addr(), ConnectionAddr::Tcp(..)) {
            return Err(InvalidAddress::Form);
        }
        if info.redis_settings().password().is_some() {
            return Err(InvalidAddress::Password);
        }
        let Some(password) = password.filter(|password| !password.is_empty()) else {
            return Ok(Self(info));
        };
        let settings = info.redis_settings().clone().set_password(password);
        Ok(Self(info.set_redis_settings(settings)))
    }
}

/// Responses in a Redis.
pub struct RedisStore {
    client: Client,
    bounds: Bounds,
    idle: Mutex<Vec<Connection>>,
    /// Until when no command is tried.
    down: Mutex<Option<Instant>>,
    bytes: Arc<AtomicUsize>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisStore")
    }
}

impl RedisStore {
    /// One that connects when it is first needed.
    ///
    /// # Errors
    /// [`InvalidAddress::Form`].
    pub fn new(address: RedisAddress, bounds: Bounds) -> Result<Self, InvalidAddress> {
        Ok(Self {
            client: Client::open(address.0).map_err(|_| InvalidAddress::Form)?,
            bounds,
            idle: Mutex::default(),
            down: Mutex::default(),
            bytes: Arc::default(),
        })
    }

    /// The owner's response with this id, unless it is too old.
    pub fn find(&self, owner: Option<&str>, id: &str) -> Option<Arc<Exchange>> {
        if id.len() > LONGEST_ID {
            return None;
        }
        let mut last = self.read(owner, &[id])?.pop()??;
        let mut ids = std::mem::take(&mut last.before);
        let mut records = match ids.is_empty() {
            true => Vec::new(),
            false => self.read(owner, &ids)?.into_iter().collect::<Option<_>>()?,
        };
        ids.push(id.to_owned());
        records.push(last);
        let mut exchange: Option<Arc<Exchange>> = None;
        for (id, mut record) in ids.into_iter().zip(records) {
            let new = NewResponse {
                id,
                owner: owner.map(str::to_owned),
                before: exchange.take(),
                output: std::mem::take(&mut record.output),
                messages: record.messages()?,
            };
            exchange = Some(Arc::new(Exchange::new(new, &self.bytes)));
        }
        exchange
    }

    /// The owner's response that has the output item with this id.
    pub fn response_of(&self, owner: Option<&str>, item: &str) -> Option<Arc<Exchange>> {
        if item.len() > LONGEST_ID {
            return None;
        }
        let key = item_key(owner, item);
        let id: Option<String> =
            self.with(|redis| redis::cmd("GET").arg(&key).query::<Option<String>>(redis))?;
        self.find(owner, &id?)
    }

    /// Keeps a response, unless its conversation is too large. Says whether it does.
    pub fn put(&self, new: NewResponse) -> bool {
        let exchange = Exchange::new(new, &self.bytes);
        let chain = exchange.chain();
        if exchange.whole > self.bounds.bytes || chain.len() > LONGEST_CHAIN {
            return false;
        }
        let before = chain.iter().rev().skip(1).rev();
        let before = before.map(|exchange| exchange.response.id.clone());
        let NewResponse {
            id,
            owner,
            messages,
            output,
            ..
        } = &exchange.response;
        let record = StoredResponse::new(before.collect(), messages, output.clone());
        let Ok(text) = serde_json::to_string(&record) else {
            return false;
        };
        let (owner, age) = (owner.as_deref(), self.bounds.age.as_secs());
        let mut commands = redis::pipe();
        let mut set = |key: String, value: &str| {
            commands
                .cmd("SET")
                .arg(key)
                .arg(value)
                .arg("EX")
                .arg(age)
                .ignore();
        };
        set(response_key(owner, id), &text);
        for item in exchange.item_ids() {
            set(item_key(owner, item), id);
        }
        self.with(|redis| commands.query::<()>(redis)).is_some()
    }

    /// Whether the last command failed, a moment ago.
    pub fn is_down(&self) -> bool {
        let until = *lock(&self.down);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// The records of these responses, and with that their time begins anew. `None` if Redis does not
    /// answer.
    fn read(
        &self,
        owner: Option<&str>,
        ids: &[impl AsRef<str>],
    ) -> Option<Vec<Option<StoredResponse>>> {
        let mut commands = redis::pipe();
        for id in ids {
            commands
                .cmd("GETEX")
                .arg(response_key(owner, id.as_ref()))
                .arg("EX")
                .arg(self.bounds.age.as_secs());
        }
        let texts = self.with(|redis| commands.query::<Vec<Option<String>>>(redis))?;
        let records = texts.into_iter().map(|text| {
            let record = serde_json::from_str(&text?);
            record
                .inspect_err(|error| tracing::warn!(%error, "a stored response can't be read"))
                .ok()
        });
        Some(records.collect())
    }

    /// Runs commands that may be run twice; `None` if Redis does not answer.
    fn with<T>(&self, work: impl Fn(&mut Connection) -> RedisResult<T>) -> Option<T> {
        if self.is_down() {
            return None;
        }
        let done: RedisResult<(T, Connection)> = blocking(|| {
            let idle = self.idle().pop();
            if let Some(mut idle) = idle {
                match work(&mut idle) {
                    Ok(done) => return Ok((done, idle)),
                    Err(error) if error.is_timeout() => return Err(error),
                    // It may have been closed while it lay idle.
                    Err(_) => {}
                }
            }
            let mut fresh = self.client.get_connection_with_timeout(PATIENCE)?;
            fresh.set_read_timeout(Some(PATIENCE))?;
            fresh.set_write_timeout(Some(PATIENCE))?;
            Ok((work(&mut fresh)?, fresh))
        });
        match done {
            Ok((done, connection)) => {
                let mut idle = self.idle();
                if idle.len() < IDLE {
                    idle.push(connection);
                }
                Some(done)
            }
            Err(error) => {
                tracing::warn!(%error, "the store of responses does not answer");
                self.idle().clear();
                let mut down = lock(&self.down);
                *down = Some(Instant::now() + PAUSE);
                None
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        lock(&self.idle)
    }
}

/// Waits without holding up the other tasks of the runtime.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current();
    match runtime.map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn response_key(owner: Option<&str>, id: &str) -> String {
    format!("open-cursor:response:{}:{id}", owner.unwrap_or("-"))
}

fn item_key(owner: Option<&str>, id: &str) -> String {
    format!("open-cursor:item:{}:{id}", owner.unwrap_or("-"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::turn::{Message, Role};

    #[test]
    fn addresses() {
        for good in [
            "redis://h",
            "redis://h:1/2",
            "redis://user@h:1",
            "redis://[::1]:6379",
        ] {
            assert!(RedisAddress::new(good, Some("secret")).is_ok(), "{good}");
        }
        for bad in ["", "h", "rediss://h", "unix:///s", "http://h", "redis://"] {
            let refused = RedisAddress::new(bad, None);
            assert!(matches!(refused, Err(InvalidAddress::Form)), "{bad}");
        }
        let refused = RedisAddress::new("redis://:pw@h", None);
        assert!(matches!(refused, Err(InvalidAddress::Password)));
    }

    /// Something that accepts connections and says nothing, which is worse than nothing at all.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_redis_that_does_not_answer_is_given_up_and_left_alone_for_a_moment() {
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let text = format!("redis://{}", deaf.local_addr().unwrap());
        let bounds = Bounds {
            count: 1,
            bytes: 1000,
            age: Duration::from_secs(60),
        };
        let store = RedisStore::new(RedisAddress::new(&text, None).unwrap(), bounds).unwrap();
        let new = || NewResponse {
            id: "a".to_owned(),
            owner: None,
            before: None,
            messages: vec![Message::text(Role::User, "hi")],
            output: Vec::new(),
        };
        let begun = Instant::now();
        assert!(!store.put(new()) && store.is_down());
        assert!(begun.elapsed() < 5 * PATIENCE, "{:?}", begun.elapsed());
        let begun = Instant::now();
        assert!(store.find(None, "a").is_none() && store.response_of(None, "i").is_none());
        assert!(!store.put(new()));
        assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
        assert_eq!(store.bytes.load(Ordering::Relaxed), 0);
    }
}
