//! Reading the body of a request.

use bytes::{Buf, BufMut};
use futures_util::{Stream, StreamExt};
use msgserver_scheduler::{Intake, Taken};
use warp::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;

/// A whole body, which counts as being published until it is dropped.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) taken: Taken,
}

/// The whole body, if it is not longer than `limit` bytes and the server has room for it.
///
/// One that says that it is longer is refused before any of it is read: a client that asked with
/// `Expect: 100-continue` then never sends it.
pub(crate) async fn read<B: Buf>(
    headers: &HeaderMap,
    parts: impl Stream<Item = Result<B, warp::Error>>,
    limit: usize,
    intake: &Intake,
) -> Result<Body, Problem> {
    let too_long = || {
        let detail = format!("a body may be {limit} bytes long here");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_long());
    }
    let mut parts = std::pin::pin!(parts);
    // Counted as it comes, and not as announced: a client that announces much and sends nothing takes nothing.
    let (mut bytes, mut taken) = (Vec::new(), intake.take(0)?);
    while let Some(part) = parts.next().await {
        let part =
            part.map_err(|fault| Problem::bad(format!("the body ended before it was whole: {fault}")))?;
        if bytes.len() + part.remaining() > limit {
            return Err(too_long());
        }
        taken.grow(part.remaining())?;
        bytes.put(part);
    }
    Ok(Body { bytes, taken })
}
