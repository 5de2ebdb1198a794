//! CORS: lets web pages of the origins of `--allow-origin` use the server, and no others.

use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::reply;

/// How long a browser may remember the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

/// The page's origin, if it is allowed.
pub fn origin<'a>(headers: &'a HeaderMap, allowed: &[String]) -> Option<&'a HeaderValue> {
    let value = headers.get(header::ORIGIN)?;
    let origin = value.to_str().ok()?;
    allowed
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(origin))
        .then_some(value)
}

/// The answer to a preflight; `None` if the request is another one.
pub fn preflight(method: &Method, headers: &HeaderMap) -> Option<Response> {
    if method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = ("access-control-allow-methods", "GET, POST");
    let max_age = ("access-control-max-age", MAX_AGE);
    reply::set(&mut response, [methods, max_age]);
    // SDKs send headers of their own; none of them gives a page any power here.
    if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    // Chrome asks this of servers on the user's own machine.
    if headers.contains_key("access-control-request-private-network") {
        let allowed = ("access-control-allow-private-network", "true");
        reply::set(&mut response, [allowed]);
    }
    Some(response)
}

/// Lets the page read the answer.
pub fn allow(origin: &HeaderValue, response: &mut Response) {
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    answer.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("retry-after, x-should-retry"),
    );
}
