//! What turns may cost: budgets of a day, rates, tokens, and the models of a key.
//!
//! A budget counts what turns cost by list price, once they are over: those that run at the same time
//! can exceed it together, and turns of a model without a known price count as nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use warp::http::{HeaderMap, HeaderValue};

use super::{HttpConfig, keys::ClientKey};
use crate::{
    threads::lock,
    turn::{ErrorKind, Turn, TurnError, estimate_tokens},
};

const DAY: u64 = 24 * 3600;

/// The time that rates are counted over.
const MINUTE: Duration = Duration::from_secs(60);

/// What was spent on this day, and which turns began in the last minute.
#[derive(Debug, Default)]
pub(super) struct Spending(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    /// Days since 1970.
    day: u64,
    all: f64,
    by_key: HashMap<String, f64>,
    begun: HashMap<String, VecDeque<Instant>>,
}

/// What a client has left after a turn has begun.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Left {
    /// In US dollars, of the smallest budget.
    dollars: Option<f64>,
    /// How many turns a minute, and how many of them are left.
    requests: Option<(u32, u32)>,
}

impl Spending {
    /// Counts what a turn cost.
    pub fn spend(&self, key: Option<&str>, dollars: f64) {
        let mut account = self.today();
        account.all += dollars;
        if let Some(key) = key {
            *account.by_key.entry(key.to_owned()).or_default() += dollars;
        }
    }

    /// Begins `turns` turns, if the key and the budgets allow it.
    ///
    /// # Errors
    /// `UsageLimit`: a budget is used up. `RateLimit`: the key has to wait.
    pub fn begin(
        &self,
        config: &HttpConfig,
        key: Option<&ClientKey>,
        turns: usize,
    ) -> Result<Left, TurnError> {
        let mut account = self.today();
        let all = config
            .daily_budget
            .map(|most| (most, account.all, "this server"));
        let own = key.and_then(|key| {
            let spent = account.by_key.get(&key.name).copied().unwrap_or(0.0);
            Some((key.daily_budget?, spent, key.name.as_str()))
        });
        let mut left = Left::default();
        for (most, spent, whose) in all.into_iter().chain(own) {
            if spent >= most {
                return Err(used_up(most, spent, whose));
            }
            let dollars = most - spent;
            left.dollars = Some(left.dollars.map_or(dollars, |other| other.min(dollars)));
        }
        if let Some(key) = key
            && let Some(most) = key.requests_per_minute
        {
            let begun = account.begun.entry(key.name.clone()).or_default();
            let now = Instant::now();
            begun.retain(|at| now.duration_since(*at) < MINUTE);
            let most = most.get();
            let used = u32::try_from(begun.len() + turns).unwrap_or(u32::MAX);
            if used > most {
                let oldest = begun.front().map_or(now, |at| *at);
                return Err(too_many(key, most, MINUTE - now.duration_since(oldest)));
            }
            begun.extend(std::iter::repeat_n(now, turns));
            left.requests = Some((most, most - used));
        }
        Ok(left)
    }

    /// The account, begun anew with each day.
    fn today(&self) -> MutexGuard<'_, Account> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let day = now.unwrap_or_default().as_secs() / DAY;
        let mut account = lock(&self.0);
        if account.day != day {
            account.day = day;
            account.all = 0.0;
            account.by_key.clear();
        }
        account
    }
}

impl Left {
    /// Tells the client, by the names that OpenAI has for rates.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let mut tell = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        if let Some(dollars) = self.dollars {
            tell("x-open-cursor-budget-left", format!("{dollars:.4}"));
        }
        if let Some((most, left)) = self.requests {
            tell("x-ratelimit-limit-requests", most.to_string());
            tell("x-ratelimit-remaining-requests", left.to_string());
        }
    }
}

/// Bounds a turn's tokens: its request must leave room, and its answer ends there.
///
/// # Errors
/// `UsageLimit`: the request alone has more.
pub(super) fn bound_tokens(turn: &mut Turn, most: u64) -> Result<(), TurnError> {
    let asked = estimate_tokens(turn);
    let Some(left) = most.checked_sub(asked).filter(|left| *left > 0) else {
        return Err(TurnError::new(
            ErrorKind::UsageLimit,
            format!(
                "this request has about {asked} tokens, and a turn may have {most} \
                 (--max-tokens-per-turn): 0 are left for an answer; shorten or compact the conversation"
            ),
        ));
    };
    let own = turn.output.max_tokens;
    turn.output.max_tokens = Some(own.map_or(left, |own| own.min(left)));
    Ok(())
}

/// Checks the model that Cursor would be asked for.
///
/// # Errors
/// `Forbidden`.
pub(super) fn check_model(key: &ClientKey, model: &str) -> Result<(), TurnError> {
    if key.allows(model) {
        return Ok(());
    }
    let models = key.models.as_deref().unwrap_or_default().join(", ");
    Err(TurnError {
        param: Some("model".to_owned()),
        ..TurnError::new(
            ErrorKind::Forbidden,
            format!(
                "the key `{}` may not use the model {model}; it may use {models}",
                key.name
            ),
        )
    })
}

fn used_up(most: f64, spent: f64, whose: &str) -> TurnError {
    TurnError::new(
        ErrorKind::UsageLimit,
        format!(
            "the daily budget of {whose} is used up: ${spent:.2} of ${most:.2} are spent, $0.00 are \
             left until 00:00 UTC"
        ),
    )
}

fn too_many(key: &ClientKey, most: u32, wait: Duration) -> TurnError {
    TurnError {
        retry_after: Some(wait),
        ..TurnError::new(
            ErrorKind::RateLimit,
            format!(
                "the key `{}` may begin {most} requests a minute: 0 are left for {} s",
                key.name,
                wait.as_secs() + 1
            ),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{
        http::KeyRing,
        turn::{Message, Role},
    };

    fn config(daily_budget: Option<f64>) -> HttpConfig {
        HttpConfig {
            daily_budget,
            ..HttpConfig::new(Ipv4Addr::LOCALHOST.into())
        }
    }

    fn key(rest: &str) -> std::sync::Arc<ClientKey> {
        let digest = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";
        let text = format!("[[key]]\nname = \"ci\"\nsha256 = \"{digest}\"\n{rest}");
        KeyRing::parse(&text).unwrap().find(b"s3cret").unwrap()
    }

    #[test]
    fn budgets_of_the_server_and_of_a_key() {
        let spending = Spending::default();
        let (server, key) = (config(Some(3.0)), key("daily_budget = 1.0"));
        let left = spending.begin(&server, Some(&key), 1).unwrap();
        assert_eq!(left.dollars, Some(1.0), "the smaller one");
        spending.spend(Some("ci"), 0.75);
        spending.spend(None, 1.0);
        let left = spending.begin(&server, Some(&key), 1).unwrap();
        assert_eq!(left.dollars, Some(0.25));
        spending.spend(Some("ci"), 0.5);
        let error = spending.begin(&server, Some(&key), 1).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UsageLimit);
        assert!(
            error.message.contains("$1.25 of $1.00"),
            "{}",
            error.message
        );
        // Others go on until the server's budget is used up, too.
        assert_eq!(
            spending.begin(&server, None, 1).unwrap().dollars,
            Some(0.75)
        );
        spending.spend(None, 1.0);
        let error = spending.begin(&server, None, 1).unwrap_err();
        assert!(error.message.contains("this server"), "{}", error.message);
        assert_eq!(
            spending.begin(&config(None), None, 1).unwrap(),
            Left::default()
        );
        // The next day.
        spending.0.lock().unwrap().day -= 1;
        assert!(spending.begin(&server, Some(&key), 1).is_ok());
    }

    #[test]
    fn a_rate_is_of_the_last_minute() {
        let spending = Spending::default();
        let (config, key) = (config(None), key("requests_per_minute = 3"));
        let left = spending.begin(&config, Some(&key), 2).unwrap();
        assert_eq!(left.requests, Some((3, 1)));
        let error = spending.begin(&config, Some(&key), 2).unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimit);
        assert!(error.retry_after.unwrap() <= MINUTE);
        assert_eq!(
            spending.begin(&config, Some(&key), 1).unwrap().requests,
            Some((3, 0))
        );
        assert!(spending.begin(&config, Some(&key), 1).is_err());
        let mut account = spending.0.lock().unwrap();
        let begun = account.begun.get_mut("ci").unwrap();
        for at in begun.iter_mut() {
            *at = at.checked_sub(MINUTE).unwrap_or(*at);
        }
        drop(account);
        assert_eq!(
            spending.begin(&config, Some(&key), 1).unwrap().requests,
            Some((3, 2))
        );
    }

    #[test]
    fn tokens_of_a_turn() {
        let turn = |text: &str| Turn {
            messages: vec![Message::text(Role::User, text)],
            ..Turn::default()
        };
        let mut short = turn("12345678");
        bound_tokens(&mut short, 10).unwrap();
        assert_eq!(short.output.max_tokens, Some(8));
        bound_tokens(&mut short, 100).unwrap();
        assert_eq!(
            short.output.max_tokens,
            Some(8),
            "the client's own bound stays"
        );
        let error = bound_tokens(&mut turn(&"x".repeat(40)), 10).unwrap_err();
        assert_eq!(error.kind, ErrorKind::UsageLimit);
        assert!(
            error.message.contains("about 10 tokens"),
            "{}",
            error.message
        );
    }
}
