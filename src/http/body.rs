//! Request bodies: JSON only, bounded in size, time and, over all requests, in memory.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Buf;
use futures::{Stream, StreamExt as _};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use warp::http::{HeaderMap, header};

use crate::turn::{ErrorKind, TurnError};

/// The largest body that is read, in bytes.
pub const LIMIT: usize = 32 << 20;

/// A body has this long to begin, and then must come at [`RATE`] or faster on the whole.
const GRACE: Duration = Duration::from_secs(30);

/// Bytes for each second: 1 Mbit/s is twice as fast.
const RATE: usize = 64 << 10;

/// How long a whole body may take, at whatever rate.
const TOTAL: Duration = Duration::from_secs(300);

/// Memory is reserved in pieces of this many bytes, as the body comes.
const PIECE: usize = 64 << 10;

/// How long a body waits for memory that others have reserved.
const WAIT: Duration = Duration::from_secs(10);

/// How much memory the bodies of all requests may take at one time, in pieces.
#[derive(Debug, Clone)]
pub struct Budget {
    pieces: Arc<Semaphore>,
    limit: usize,
}

/// Memory that a body takes. Given back when dropped.
#[derive(Debug)]
pub struct Reserved(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let pieces = (bytes / PIECE).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            pieces: Arc::new(Semaphore::new(pieces)),
            limit: LIMIT.min(pieces * PIECE),
        }
    }

    /// Reserves a further piece, waiting if there is none.
    ///
    /// # Errors
    /// `RateLimit` after [`WAIT`].
    async fn extend(&self, reserved: &mut Reserved) -> Result<(), TurnError> {
        let piece = timeout(WAIT, Arc::clone(&self.pieces).acquire_owned()).await;
        let Ok(Ok(piece)) = piece else {
            return Err(TurnError {
                retry_after: Some(WAIT),
                ..TurnError::new(
                    ErrorKind::RateLimit,
                    "open-cursor is busy: other large requests take all the memory it may use for \
                     them; raise --max-body-memory",
                )
            });
        };
        match &mut reserved.0 {
            Some(held) => held.merge(piece),
            None => reserved.0 = Some(piece),
        }
        Ok(())
    }
}

/// Checks that the body is declared to be plain JSON. This also keeps web pages out: a page can't send
/// this type to another origin without asking first.
///
/// # Errors
/// `UnsupportedMediaType`.
pub fn check_headers(headers: &HeaderMap) -> Result<(), TurnError> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.map(|value| value.to_str().unwrap_or("?").trim());
    if let Some(encoding) = encoding.filter(|it| !it.eq_ignore_ascii_case("identity")) {
        return Err(TurnError::new(
            ErrorKind::UnsupportedMediaType,
            format!("send the body as it is, not with `Content-Encoding: {encoding}`"),
        ));
    }
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    if essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
    {
        return Ok(());
    }
    let found = if essence.is_empty() {
        "no content type".to_owned()
    } else {
        format!("`{essence}`")
    };
    Err(TurnError::new(
        ErrorKind::UnsupportedMediaType,
        format!("send the body with `Content-Type: application/json`, not {found}"),
    ))
}

/// Reads the whole body. What is reserved for it is to be kept for as long as the request is.
///
/// # Errors
/// `TooLarge` beyond [`LIMIT`]; `InvalidRequest` if the client breaks off or is too slow;
/// `RateLimit` if there is no memory for it.
pub async fn read<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
    budget: &Budget,
) -> Result<(Vec<u8>, Reserved), TurnError> {
    let limit = budget.limit;
    let too_large = || {
        TurnError::new(
            ErrorKind::TooLarge,
            format!("the request body is larger than {} MiB", limit >> 20),
        )
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    if declared > limit {
        return Err(too_large());
    }
    let broken = |why: String| {
        TurnError::new(
            ErrorKind::InvalidRequest,
            format!("the request body is incomplete: {why}"),
        )
    };
    let mut begun = Instant::now();
    let mut bytes = Vec::new();
    let mut reserved = Reserved(None);
    let mut held = 0;
    let mut body = pin!(body);
    loop {
        let allowed = GRACE + Duration::from_secs((bytes.len() / RATE) as u64);
        let chunk = timeout_at(begun + allowed.min(TOTAL), body.next()).await;
        let chunk = chunk.map_err(|_| {
            let (got, secs) = (bytes.len(), begun.elapsed().as_secs());
            broken(format!("only {got} bytes came within {secs} s"))
        })?;
        let Some(chunk) = chunk else { break };
        let mut chunk = chunk.map_err(|error| broken(error.to_string()))?;
        let len = bytes.len() + chunk.remaining();
        if len > limit {
            return Err(too_large());
        }
        while held < len {
            let waiting = Instant::now();
            budget.extend(&mut reserved).await?;
            begun += waiting.elapsed();
            held += PIECE;
        }
        // A length that is only announced takes no memory.
        if len > bytes.capacity() {
            let capacity = (2 * bytes.capacity()).min(declared).max(len);
            bytes.reserve_exact(capacity - bytes.len());
        }
        while chunk.has_remaining() {
            let part = chunk.chunk();
            bytes.extend_from_slice(part);
            let read = part.len();
            chunk.advance(read);
        }
    }
    Ok((bytes, reserved))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use futures::stream;
    use tokio::time::sleep;

    use super::*;

    #[test]
    fn a_body_is_plain_json() {
        let check = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            check_headers(&headers)
        };
        for (name, value) in [
            ("content-type", "application/json; charset=utf-8"),
            ("content-type", "Application/vnd.api+JSON"),
            ("content-encoding", "identity"),
        ] {
            assert!(check(name, value).is_ok(), "{name}: {value}");
        }
        for (name, value) in [
            ("content-type", "text/plain"),
            ("content-type", "text/json"),
            ("content-encoding", "gzip"),
            ("content-encoding", "zstd"),
        ] {
            let error = check(name, value).unwrap_err();
            assert_eq!(error.kind, ErrorKind::UnsupportedMediaType);
            assert!(error.message.contains(value), "{}", error.message);
        }
    }

    async fn time_to_fail(body: impl Stream<Item = Result<Bytes, warp::Error>>) -> Duration {
        let begun = Instant::now();
        let error = read(&HeaderMap::new(), body, &Budget::new(LIMIT)).await;
        assert_eq!(error.unwrap_err().kind, ErrorKind::InvalidRequest);
        begun.elapsed()
    }

    fn drip(bytes: usize, pause: u64) -> impl Stream<Item = Result<Bytes, warp::Error>> {
        stream::repeat(()).then(move |()| async move {
            sleep(Duration::from_secs(pause)).await;
            Ok(Bytes::from(vec![b' '; bytes]))
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_or_crawls_is_given_up() {
        let stops = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
        assert_eq!(time_to_fail(stops).await, GRACE);
        assert_eq!(time_to_fail(drip(1, 1)).await, GRACE);
        let slow = time_to_fail(drip(RATE / 2, 1)).await;
        assert!(
            (GRACE..2 * GRACE + Duration::from_secs(2)).contains(&slow),
            "{slow:?}"
        );
        assert_eq!(time_to_fail(drip(RATE, 1)).await, TOTAL);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_share_a_budget_and_the_last_is_turned_away() {
        let budget = Budget::new(4 * PIECE);
        let body = |pieces: usize| {
            let piece = Ok::<_, warp::Error>(Bytes::from(vec![b' '; PIECE]));
            stream::iter(
                std::iter::repeat_with(move || piece.as_ref().unwrap().clone())
                    .map(Ok)
                    .take(pieces),
            )
        };
        let headers = HeaderMap::new();
        let (_, first) = read(&headers, body(3), &budget).await.unwrap();
        let begun = Instant::now();
        let error = read(&headers, body(2), &budget).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimit);
        assert!(error.retry_after.is_some());
        assert_eq!(begun.elapsed(), WAIT);
        // One that waits continues as soon as there is room.
        let second = read(&headers, body(2), &budget);
        let free = async {
            sleep(WAIT / 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, free);
        let (bytes, second) = second.unwrap();
        assert_eq!(bytes.len(), 2 * PIECE);
        drop(second);
        assert_eq!(budget.pieces.available_permits(), 4);
        let error = read(&headers, body(5), &budget).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::TooLarge, "it can never fit");
    }

    #[tokio::test]
    async fn an_announced_length_takes_no_memory() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, LIMIT.into());
        let body = stream::iter([Ok(Bytes::from_static(b"{}"))]);
        let (bytes, _) = read(&headers, body, &Budget::new(LIMIT)).await.unwrap();
        assert_eq!((bytes.len(), bytes.capacity()), (2, 2));
    }
}
