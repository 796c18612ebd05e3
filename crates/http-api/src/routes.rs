//! What is answered where.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use msgserver_scheduler::{Publication, Scheduler};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{HeaderMap, Method, Response, StatusCode, header};
use warp::path::FullPath;

use crate::body;
use crate::connections;
use crate::messages::{publication, seed_publication};
use crate::problem::Problem;

/// How long a client may take, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// The HTTP API of a scheduler.
#[derive(Clone)]
pub struct HttpApi {
    scheduler: Scheduler,
    key: Option<Arc<str>>,
    seed_path: Arc<str>,
    patience: Duration,
}

type Answer = Result<Response<Vec<u8>>, Problem>;

impl HttpApi {
    /// An API that anybody may use; see [`HttpApi::key`].
    #[must_use]
    pub fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, key: None, seed_path: "/msg/sender".into(), patience: PATIENCE }
    }

    /// Asks for `Authorization: Bearer KEY` on everything but `/healthz` and `/readyz`.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.key = Some(key.as_ref().into());
        self
    }

    /// Where the first msgserver's call is; `/msg/sender` unless said.
    #[must_use]
    pub fn seed_path(mut self, path: impl AsRef<str>) -> Self {
        self.seed_path = path.as_ref().into();
        self
    }

    /// How long a client may take over the head of a request, and then over its body; also how long a
    /// connection may be idle. A minute unless said.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Answers until `stop` is done.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        let patience = self.patience;
        let api = warp::any().map(move || self.clone());
        let routes = warp::method()
            .and(warp::path::full())
            .and(warp::header::headers_cloned())
            .and(warp::body::stream())
            .and(api)
            .then(|method, path: FullPath, headers: HeaderMap, body, api: Self| async move {
                api.respond(&method, path.as_str(), &headers, body).await
            });
        // The filters above take every request.
        let routes = routes.recover(|_| std::future::ready(Ok(StatusCode::INTERNAL_SERVER_ERROR)));
        connections::serve(routes, listener, patience, stop).await;
    }

    async fn respond<B: Buf>(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Response<Vec<u8>> {
        let seed = path == &*self.seed_path;
        let answer = match self.authorise(path, headers) {
            Ok(()) => self.answer(method, path, headers, body).await,
            Err(problem) => Err(problem),
        };
        answer.unwrap_or_else(|problem| {
            let mut response = problem.response();
            if seed {
                // Old clients look at the body alone.
                response.headers_mut().remove(header::CONTENT_TYPE);
                *response.body_mut() = b"0".to_vec();
            }
            response
        })
    }

    fn authorise(&self, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        if matches!(path, "/healthz" | "/readyz") {
            return Ok(());
        }
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| given.ct_eq(key.as_bytes()).into()) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "send `Authorization: Bearer KEY` with the server's API key",
        ))
    }

    async fn answer<B: Buf>(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Answer {
        let allowed = match path {
            "/v1/messages" => Method::POST,
            "/v1/stats" | "/healthz" | "/readyz" | "/metrics" => Method::GET,
            path if path == &*self.seed_path => Method::POST,
            _ => return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))),
        };
        if *method != allowed {
            return Err(Problem::not_allowed(method, path, allowed));
        }
        if allowed == Method::POST {
            let body = tokio::time::timeout(self.patience, body::read(headers, body)).await;
            let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
            let body = body.map_err(slow)??;
            return if path == "/v1/messages" {
                self.publish(publication(&body)?).await
            } else {
                self.seed_send(&body).await
            };
        }
        match path {
            "/v1/stats" => Ok(self.stats().await),
            "/metrics" => Ok(self.metrics().await),
            "/readyz" => self.scheduler.ready().await.map(|()| text("ready\n")).map_err(Problem::from),
            _ => Ok(text("ok\n")),
        }
    }

    async fn seed_send(&self, body: &[u8]) -> Answer {
        self.scheduler.publish(seed_publication(body)?).await?;
        Ok(text("1"))
    }

    async fn publish(&self, publication: Publication) -> Answer {
        let published = self.scheduler.publish(publication).await?;
        let mut response = json(&serde_json::json!({"id": published.id, "state": published.state.as_str()}));
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok(response)
    }

    /// Name, meaning and value of each figure; none if it is not known now.
    async fn figures(&self) -> [(&'static str, &'static str, Option<u64>); 8] {
        let figures = self.scheduler.figures().await;
        let stored = figures.stored;
        [
            ("connections", "Sessions now", Some(figures.connections as u64)),
            ("users", "Users with a session now", Some(figures.users as u64)),
            ("queued", "Messages that wait in lanes now", Some(figures.queued as u64)),
            ("stored", "Messages in inboxes now", stored),
            ("accepted", "Publications accepted since the start", Some(figures.accepted)),
            ("refused", "Publications refused since the start", Some(figures.refused)),
            ("given_up", "Messages given up since the start", Some(figures.given_up)),
            ("connections_refused", "Connections refused since the start", Some(figures.connections_refused)),
        ]
    }

    async fn stats(&self) -> Response<Vec<u8>> {
        let figures = self.figures().await.map(|(name, _, value)| (name.to_owned(), value.into()));
        json(&serde_json::Value::Object(figures.into_iter().collect()))
    }

    async fn metrics(&self) -> Response<Vec<u8>> {
        let mut registry = Registry::with_prefix("msgserver");
        for (name, help, value) in self.figures().await {
            if let Some(value) = value {
                registry.register(name, help, ConstGauge::new(value as f64));
            }
        }
        let mut out = String::new();
        encode(&mut out, &registry).expect("a String takes every text");
        ok("application/openmetrics-text; version=1.0.0; charset=utf-8", out)
    }
}

fn ok(kind: &'static str, body: String) -> Response<Vec<u8>> {
    let mut response = Response::new(body.into_bytes());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn text(body: &str) -> Response<Vec<u8>> {
    ok("text/plain; charset=utf-8", body.to_owned())
}

fn json(value: &serde_json::Value) -> Response<Vec<u8>> {
    ok("application/json", value.to_string())
}
