//! What a call is answered with.

use serde::Serialize;
use warp::http::{HeaderValue, Response, StatusCode, header};

use crate::problem::Problem;

pub(crate) type Answer = Result<Response<Vec<u8>>, Problem>;

pub(crate) const JSON: &str = "application/json";

/// A body of a kind, with the status 200.
pub(crate) fn ok(kind: &'static str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(crate) fn text(body: &str) -> Response<Vec<u8>> {
    ok("text/plain; charset=utf-8", body)
}

pub(crate) fn json(value: &impl Serialize) -> Response<Vec<u8>> {
    // Straight into text: by way of a value, contents would lose digits of their numbers.
    ok(JSON, serde_json::to_vec(value).expect("what is answered has a form in JSON"))
}

/// The same with the status 202.
pub(crate) fn accepted(mut response: Response<Vec<u8>>) -> Response<Vec<u8>> {
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The same, for a page of another host to read.
#[cfg(feature = "sse")]
pub(crate) fn readable(mut response: Response<Vec<u8>>, origin: Option<&str>) -> Response<Vec<u8>> {
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// The client for browsers. Every page may load it: what it may do is asked when it connects.
#[cfg(feature = "websocket")]
pub(crate) fn browser_client() -> Response<Vec<u8>> {
    let mut response = for_any_page("text/javascript; charset=utf-8", include_str!("../browser/client.js"));
    // Where Deno, and editors that know of it, look for types.
    response.headers_mut().insert("x-typescript-types", HeaderValue::from_static("/client.d.ts"));
    response
}

/// The types of the client for browsers.
#[cfg(feature = "websocket")]
pub(crate) fn browser_client_types() -> Response<Vec<u8>> {
    for_any_page("application/typescript; charset=utf-8", include_str!("../browser/client.d.ts"))
}

#[cfg(feature = "websocket")]
fn for_any_page(kind: &'static str, text: &'static str) -> Response<Vec<u8>> {
    let mut response = ok(kind, text);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
