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
