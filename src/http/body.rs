//! Request bodies: JSON only, bounded, with or without a length.

use std::{pin::pin, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::timeout;
use warp::http::{HeaderMap, header};

use crate::turn::{ErrorKind, TurnError};

/// The largest body that is read.
pub const LIMIT: usize = 32 * 1024 * 1024;

/// How long a client may pause while it sends a body.
const PAUSE: Duration = Duration::from_secs(30);

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

/// Reads the whole body.
///
/// # Errors
/// `TooLarge` beyond [`LIMIT`]; `InvalidRequest` if the client breaks off or pauses.
pub async fn read<B: Buf>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Bytes, TurnError> {
    let too_large = || {
        TurnError::new(
            ErrorKind::TooLarge,
            format!("the request body is larger than {} MiB", LIMIT >> 20),
        )
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    if declared > LIMIT {
        return Err(too_large());
    }
    let mut bytes = BytesMut::with_capacity(declared);
    let mut body = pin!(body);
    let broken = |why: String| {
        TurnError::new(
            ErrorKind::InvalidRequest,
            format!("the request body broke off: {why}"),
        )
    };
    loop {
        let chunk = timeout(PAUSE, body.next())
            .await
            .map_err(|_| broken(format!("nothing came for {} s", PAUSE.as_secs())))?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|error| broken(error.to_string()))?;
        if bytes.len() + chunk.remaining() > LIMIT {
            return Err(too_large());
        }
        bytes.put(chunk);
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::stream;
    use tokio::time::Instant;

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

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_is_given_up() {
        let body = stream::iter([Ok(Bytes::from_static(b"{"))]).chain(stream::pending());
        let begun = Instant::now();
        let error = read(&HeaderMap::new(), body).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidRequest);
        assert_eq!(begun.elapsed(), PAUSE);
    }
}
