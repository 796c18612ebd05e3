//! What is answered where.

use std::borrow::Cow;

use msgserver_access::Scope;
use percent_encoding::percent_decode_str;
use warp::http::StatusCode;

use crate::problem::Problem;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    SendAsOfOld,
    Publish,
    PublishBatch,
    Receipt,
    Cancel,
    User,
    Inbox,
    CloseSessions,
    Topic,
    Published,
    Revoke,
    Stats,
    Metrics,
    Alive,
    Ready,
    OpenApi,
    #[cfg(feature = "websocket")]
    WebSocket,
    #[cfg(feature = "sse")]
    Events,
    #[cfg(feature = "sse")]
    Poll,
    #[cfg(feature = "sse")]
    Acknowledge,
    #[cfg(feature = "websocket")]
    BrowserClient,
    #[cfg(feature = "websocket")]
    BrowserClientTypes,
}

/// What somebody has to show for a call, if the server asks for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing here: it is nobody's secret, or the call itself asks.
    Nothing,
    /// Whatever counts.
    Anything,
    /// A token that allows to publish to whom it is for, or a key for publishing.
    Publishing,
    /// A key for one of these.
    Key(&'static [Scope]),
}

impl Call {
    /// What it takes. Health is nobody's secret, and clients of sessions prove who they are.
    pub(crate) const fn needs(self) -> Needs {
        match self {
            Self::Alive | Self::Ready => Needs::Nothing,
            #[cfg(feature = "websocket")]
            Self::WebSocket | Self::BrowserClient | Self::BrowserClientTypes => Needs::Nothing,
            #[cfg(feature = "sse")]
            Self::Events | Self::Poll | Self::Acknowledge => Needs::Nothing,
            Self::OpenApi => Needs::Anything,
            Self::SendAsOfOld | Self::Publish | Self::PublishBatch => Needs::Publishing,
            Self::Cancel => Needs::Key(&[Scope::Publish]),
            Self::Receipt => Needs::Key(&[Scope::Publish, Scope::Read]),
            Self::User | Self::Inbox | Self::Topic | Self::Published | Self::Stats | Self::Metrics => {
                Needs::Key(&[Scope::Read])
            }
            Self::CloseSessions | Self::Revoke => Needs::Key(&[Scope::Operate]),
        }
    }

    /// Whether it opens a session, whose answer has no end.
    const fn is_session(self) -> bool {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => true,
            #[cfg(feature = "sse")]
            Self::Events | Self::Poll => true,
            _ => false,
        }
    }

    /// The methods that make this call, if the table has it under `method`.
    fn methods(self, method: &'static str) -> &'static [&'static str] {
        match method {
            // The connection leaves the body out.
            "GET" if !self.is_session() => &["GET", "HEAD"],
            "GET" => &["GET"],
            "DELETE" => &["DELETE"],
            _ => &["POST"],
        }
    }
}

/// Every call. Of two paths that fit, the first one counts.
pub(crate) const ROUTES: &[(&str, &str, Call)] = &[
    ("POST", "/v1/messages", Call::Publish),
    ("POST", "/v1/messages/batch", Call::PublishBatch),
    ("GET", "/v1/messages/{id}", Call::Receipt),
    ("DELETE", "/v1/messages/{id}", Call::Cancel),
    ("GET", "/v1/users/{user}", Call::User),
    ("GET", "/v1/users/{user}/inbox", Call::Inbox),
    ("DELETE", "/v1/users/{user}/sessions", Call::CloseSessions),
    ("GET", "/v1/topics/{topic}", Call::Topic),
    ("GET", "/v1/topics/{topic}/messages", Call::Published),
    ("POST", "/v1/revocations", Call::Revoke),
    ("GET", "/v1/stats", Call::Stats),
    ("GET", "/metrics", Call::Metrics),
    ("GET", "/healthz", Call::Alive),
    ("GET", "/readyz", Call::Ready),
    ("GET", "/openapi.json", Call::OpenApi),
    #[cfg(feature = "websocket")]
    ("GET", "/v1/ws", Call::WebSocket),
    #[cfg(feature = "sse")]
    ("GET", "/v1/sse", Call::Events),
    #[cfg(feature = "sse")]
    ("GET", "/v1/poll", Call::Poll),
    #[cfg(feature = "sse")]
    ("POST", "/v1/ack", Call::Acknowledge),
    #[cfg(feature = "websocket")]
    ("GET", "/client.js", Call::BrowserClient),
    #[cfg(feature = "websocket")]
    ("GET", "/client.d.ts", Call::BrowserClientTypes),
    ("POST", SEED_PATH, Call::SendAsOfOld),
];

/// Where the first msgserver's call is, unless a server says otherwise.
pub(crate) const SEED_PATH: &str = "/msg/sender";

/// The call that a request makes, and what stands in its path where the table has a name in braces.
pub(crate) fn find<'p>(
    method: &str,
    path: &'p str,
    seed_path: &str,
) -> Result<(Call, Cow<'p, str>), Problem> {
    let place = |template: &'static str| if template == SEED_PATH { seed_path } else { template };
    let found = ROUTES.iter().find_map(|(_, template, _)| Some((*template, fit(place(template), path)?)));
    let Some((template, named)) = found else {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}")));
    };
    let calls = || ROUTES.iter().filter(|(_, other, _)| *other == template);
    let Some((_, _, call)) = calls().find(|(takes, _, call)| call.methods(takes).contains(&method)) else {
        let allowed: Vec<_> = calls().flat_map(|(takes, _, call)| call.methods(takes)).copied().collect();
        return Err(Problem::not_allowed(method, path, allowed.join(", ")));
    };
    let named = percent_decode_str(named).decode_utf8();
    let named = named.map_err(|_| Problem::bad(format!("{path} is not UTF-8 behind its percent signs")))?;
    Ok((*call, named))
}

/// What stands in a path for the name in braces; nothing if the path does not fit.
fn fit<'p>(template: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, rest)) = template.split_once('{') else {
        return (template == path).then_some("");
    };
    let (_, after) = rest.split_once('}')?;
    let named = path.strip_prefix(before)?.strip_suffix(after)?;
    (!named.is_empty() && !named.contains('/')).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &str, path: &str) -> Option<(Call, String)> {
        find(method, path, "/old").ok().map(|(call, named)| (call, named.into_owned()))
    }

    #[test]
    fn a_path_and_a_method_are_a_call() {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned();
        assert_eq!(found("POST", "/v1/messages"), Some((Call::Publish, String::new())));
        assert_eq!(found("POST", "/v1/messages/batch"), Some((Call::PublishBatch, String::new())));
        assert_eq!(found("DELETE", &format!("/v1/messages/{id}")), Some((Call::Cancel, id)));
        assert_eq!(found("GET", "/v1/users/a%2Fb%20%E5%B0%8F"), Some((Call::User, "a/b 小".to_owned())));
        assert_eq!(found("GET", "/v1/users/inbox/inbox"), Some((Call::Inbox, "inbox".to_owned())));
        let topic = "news/eu".to_owned();
        assert_eq!(found("GET", "/v1/topics/news%2Feu/messages"), Some((Call::Published, topic)));
        assert_eq!(found("HEAD", "/healthz"), Some((Call::Alive, String::new())));
        assert_eq!(found("HEAD", "/v1/messages"), None);
        assert_eq!(found("POST", "/old"), Some((Call::SendAsOfOld, String::new())));
        for path in
            ["/msg/sender", "/v1/messages/", "/v1/users//inbox", "/v1/users/a/b/inbox", "/v1/users/a/"]
        {
            assert_eq!(found("GET", path), None, "{path}");
        }
        // One that could be an id is not taken for one.
        assert_eq!(found("GET", "/v1/messages/batch"), None);
        assert_eq!(found("GET", "/v1/users/%ff"), None);
    }

    #[test]
    fn the_openapi_document_names_these_calls_and_no_others() {
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let mut documented: Vec<_> = paths
            .flat_map(|(path, calls)| {
                let methods = calls.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let mut routes: Vec<_> =
            ROUTES.iter().map(|(method, path, _)| (method.to_string(), path.to_string())).collect();
        documented.sort();
        routes.sort();
        assert_eq!(documented, routes);
    }
}
