//! Many messages in one request.

use msgserver_scheduler::{Publication, Scheduler};
use serde::Serialize;
use serde_json::value::RawValue;
use warp::http::{HeaderMap, StatusCode, header};

use crate::answer::{Answer, JSON, accepted, ok};
use crate::body::Body;
use crate::caller::Caller;
use crate::messages::{Standing, publication};
use crate::problem::Problem;

/// How many messages a batch may have.
const MAX_BATCH: usize = 10_000;

const NDJSON: &str = "application/x-ndjson";

/// How a batch is written; it is answered in the same form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Array,
    Lines,
}

impl Form {
    fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(NDJSON) && body.trim_ascii_start().starts_with(b"[") {
            Self::Array
        } else {
            Self::Lines
        }
    }

    fn items(self, body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
        let items: Vec<&[u8]> = match self {
            Self::Array => {
                let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(Problem::bad)?;
                items.into_iter().map(|item| item.get().as_bytes()).collect()
            }
            Self::Lines => {
                let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                lines.filter(|line| !line.is_empty()).collect()
            }
        };
        if items.is_empty() && self == Self::Lines {
            return Err(Problem::bad("the body is empty; send a message a line, or an array of messages"));
        }
        if items.len() > MAX_BATCH {
            let detail = format!("a batch may have {MAX_BATCH} messages, this one has {}", items.len());
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(items)
    }

    /// What each item is, or what is wrong with it; or why there are none.
    pub(crate) fn publications(self, body: &[u8]) -> Result<Vec<Result<Publication, Problem>>, Problem> {
        Ok(self.items(body)?.into_iter().map(publication).collect())
    }

    fn write(self, results: &[Outcome]) -> Vec<u8> {
        const INVARIANT: &str = "ids, states and problems have a form in JSON";
        match self {
            Self::Array => serde_json::to_vec(results).expect(INVARIANT),
            Self::Lines => {
                let mut lines = Vec::new();
                for result in results {
                    serde_json::to_writer(&mut lines, result).expect(INVARIANT);
                    lines.push(b'\n');
                }
                lines
            }
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Array => JSON,
            Self::Lines => NDJSON,
        }
    }
}

/// What became of one message of a batch.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Published(Standing),
    Refused(Problem),
}

pub(crate) async fn publish(
    scheduler: &Scheduler,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let Body { bytes: body, taken: _taken } = body;
    let form = Form::of(headers, &body);
    // Reading some megabytes takes long enough for others to notice if it is done among the tasks.
    let reading = tokio::task::spawn_blocking(move || form.publications(&body));
    let read = reading.await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not read"))??;

    let mut batch = Vec::with_capacity(read.len());
    let faults: Vec<Option<Problem>> = read
        .into_iter()
        .map(|item| {
            let publication = item?;
            caller.may_publish(&publication.target)?;
            batch.push(publication);
            Ok(())
        })
        .map(Result::err)
        .collect();
    let mut published = scheduler.publish_batch(batch).await.into_iter();
    let results: Vec<_> = faults
        .into_iter()
        .map(|fault| match fault {
            Some(problem) => Outcome::Refused(problem),
            None => match published.next().expect("an outcome for each publication") {
                Ok(published) => Outcome::Published(published.into()),
                Err(fault) => Outcome::Refused(fault.into()),
            },
        })
        .collect();
    Ok(accepted(ok(form.kind(), form.write(&results))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: Option<&'static str>, body: &str) -> Form {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        Form::of(&headers, body.as_bytes())
    }

    #[test]
    fn what_begins_like_an_array_is_one_unless_it_says_that_it_is_lines() {
        assert_eq!(form(None, " \n[{}]"), Form::Array);
        assert_eq!(form(Some("application/json"), "[{}]"), Form::Array);
        assert_eq!(form(Some("application/x-ndjson; charset=utf-8"), "[{}]"), Form::Lines);
        assert_eq!(form(Some("application/json"), "{}\n{}"), Form::Lines);
        assert_eq!(form(None, ""), Form::Lines);
    }

    #[test]
    fn items_are_taken_apart_without_being_read() {
        let items = |form: Form, body: &'static str| form.items(body.as_bytes()).ok();
        assert_eq!(items(Form::Array, "[{\"a\": [1]}, 7]"), Some(vec![&b"{\"a\": [1]}"[..], b"7"]));
        assert_eq!(items(Form::Array, "[]"), Some(vec![]));
        assert_eq!(items(Form::Array, "[{}"), None);
        assert_eq!(items(Form::Lines, "{}\r\n\n nonsense"), Some(vec![&b"{}"[..], b"nonsense"]));
        assert_eq!(items(Form::Lines, " \n"), None);
        let many = vec!["1"; MAX_BATCH + 1];
        assert!(Form::Array.items(format!("[{}]", many.join(",")).as_bytes()).is_err());
        assert!(Form::Lines.items(many.join("\n").as_bytes()).is_err());
        assert_eq!(Form::Lines.items(many[1..].join("\n").as_bytes()).unwrap().len(), MAX_BATCH);
    }
}
