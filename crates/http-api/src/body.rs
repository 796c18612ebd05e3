//! Reading the body of a request.

use bytes::{Buf, BufMut};
use futures_util::{Stream, StreamExt};
use warp::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

/// The whole body, if it is not longer than `limit` bytes.
///
/// One that says that it is longer is refused before any of it is read: a client that asked with
/// `Expect: 100-continue` then never sends it.
pub(crate) async fn read<B: Buf>(
    headers: &HeaderMap,
    parts: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        let detail = format!("a body may be {limit} bytes long here");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_long());
    }
    let mut parts = std::pin::pin!(parts);
    let mut body = Vec::new();
    while let Some(part) = parts.next().await {
        let part =
            part.map_err(|fault| Problem::bad(format!("the body ended before it was whole: {fault}")))?;
        if body.len() + part.remaining() > limit {
            return Err(too_long());
        }
        body.put(part);
    }
    Ok(body)
}
