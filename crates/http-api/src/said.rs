//! What a client says of itself with its request.

use std::time::Duration;

use msgserver_message::{DeviceId, Seq, TopicFilter, UserId};
use msgserver_protocol::Hello;
use warp::http::{HeaderMap, header};

use crate::problem::Problem;

/// How long an answer may be waited for, in seconds: unless said, and at most.
const WAIT: u64 = 25;
const MAX_WAIT: u64 = 60;

/// What a client says with its request, where at another door it would say hello.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) hello: Hello,
    /// The last message that is safe with it.
    pub(crate) has: Option<Seq>,
    pub(crate) wait: Duration,
}

impl Said {
    /// Reads the query and the headers; the token of the header goes before that of the query.
    pub(crate) fn of(query: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut said = Self { hello: Hello::default(), has: None, wait: Duration::from_secs(WAIT) };
        let hello = &mut said.hello;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let wrong = |right: &dyn std::fmt::Display| Problem::bad(format!("{key} = {value:?}: {right}"));
            match &*key {
                "user" => hello.user = Some(UserId::new(&*value).map_err(|fault| wrong(&fault))?),
                "device" => hello.device = Some(DeviceId::new(&*value).map_err(|fault| wrong(&fault))?),
                "token" => hello.token = Some(value.into_owned()),
                "topics" => {
                    for name in value.split(',').filter(|name| !name.is_empty()) {
                        hello.topics.push(TopicFilter::new(name).map_err(|fault| wrong(&fault))?);
                    }
                }
                "after" => said.has = Some(number(&value).ok_or_else(|| wrong(&"give a `seq`, or 0"))?),
                "wait" => {
                    let seconds = value.parse().ok().filter(|seconds| (1..=MAX_WAIT).contains(seconds));
                    said.wait = Duration::from_secs(seconds.ok_or_else(|| wrong(&"give 1 to 60 seconds"))?);
                }
                _ => {}
            }
        }
        if let Some(token) = bearer(headers) {
            hello.token = Some(token.to_owned());
        }
        // The browser's own memory of where it was goes before what the page's address says.
        if let Some(last) = headers.get("last-event-id").and_then(|last| number(last.to_str().ok()?)) {
            said.has = Some(last);
        }
        Ok(said)
    }
}

fn number(text: &str) -> Option<Seq> {
    text.parse().ok().map(Seq::new)
}

/// The token of `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_say_all_that_a_hello_can() {
        let mut headers = HeaderMap::new();
        let query = "user=a%20b&device=tab&token=one&topics=x,y&after=7&wait=3&colour=red";
        let said = Said::of(query, &headers).unwrap();
        assert_eq!(said.hello.user.unwrap().as_str(), "a b");
        assert_eq!(said.hello.device.unwrap().as_str(), "tab");
        assert_eq!(said.hello.token.as_deref(), Some("one"));
        assert_eq!(said.hello.topics.len(), 2);
        assert_eq!((said.has, said.wait), (Some(Seq::new(7)), Duration::from_secs(3)));
        headers.insert("authorization", "Bearer two".parse().unwrap());
        headers.insert("last-event-id", "9".parse().unwrap());
        let said = Said::of(query, &headers).unwrap();
        assert_eq!((said.hello.token.as_deref(), said.has), (Some("two"), Some(Seq::new(9))));
    }

    #[test]
    fn what_is_not_right_is_named() {
        for query in ["user=", "after=x", "wait=0", "wait=61", "topics=%00"] {
            let problem = Said::of(query, &HeaderMap::new()).unwrap_err().response();
            assert_eq!(problem.status().as_u16(), 400, "{query}");
        }
        // A browser sends what it was once given, whoever gave it.
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", "of another server".parse().unwrap());
        assert_eq!(Said::of("", &headers).unwrap().has, None);
    }
}
