//! What is answered where.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use msgserver_scheduler::{Publication, Scheduler};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use warp::Filter;
use warp::http::{HeaderMap, Method, Response, StatusCode, header};
use warp::hyper::body::Bytes;
use warp::path::FullPath;

use crate::messages::{publication, seed_publication};
use crate::problem::Problem;

/// The largest body, in bytes: a content of 1 MiB and what goes with it.
const MAX_BODY_BYTES: u64 = 1024 * 1024 + 4096;

/// The HTTP API of a scheduler.
#[derive(Clone)]
pub struct HttpApi {
    scheduler: Scheduler,
    key: Option<Arc<str>>,
    seed_path: Arc<str>,
}

type Answer = Result<Response<Vec<u8>>, Problem>;

impl HttpApi {
    /// An API that anybody may use; see [`HttpApi::key`].
    #[must_use]
    pub fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, key: None, seed_path: "/msg/sender".into() }
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

    /// Answers until `stop` is done.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        let api = warp::any().map(move || self.clone());
        let routes = warp::method()
            .and(warp::path::full())
            .and(warp::header::headers_cloned())
            .and(warp::body::bytes())
            .and(api)
            .then(|method, path: FullPath, headers, body, api: Self| async move {
                api.respond(&method, path.as_str(), &headers, body).await
            });
        let too_large = |rejection: warp::Rejection| async move {
            let status = if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
                StatusCode::PAYLOAD_TOO_LARGE
            } else {
                StatusCode::BAD_REQUEST
            };
            let detail = format!("a body may be {MAX_BODY_BYTES} bytes long, and says how long it is");
            Ok::<_, Infallible>(Problem::new(status, detail).response())
        };
        let posted = warp::post().and(warp::body::content_length_limit(MAX_BODY_BYTES)).and(routes.clone());
        let all = warp::get()
            .and(routes.clone())
            .or(posted)
            .unify()
            .or(not_post().and(routes))
            .unify()
            .recover(too_large);
        warp::serve(all).incoming(listener).graceful(stop).run().await;
    }

    async fn respond(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Vec<u8>> {
        let seed = path == &*self.seed_path;
        let answer = match self.authorise(path, headers) {
            Ok(()) if seed && method == Method::POST => self.seed_send(&body).await,
            Ok(()) => self.answer(method, path, &body).await,
            Err(problem) => Err(problem),
        };
        match answer {
            Ok(response) => response,
            // Old clients look at the body alone.
            Err(problem) if seed => {
                let mut response = Response::new(b"0".to_vec());
                *response.status_mut() =
                    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
                response
            }
            Err(problem) => problem.response(),
        }
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

    async fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        match (method.as_str(), path) {
            ("POST", "/v1/messages") => self.publish(publication(body)?).await,
            ("GET", "/v1/stats") => Ok(self.stats().await),
            ("GET", "/healthz") => Ok(text("ok\n")),
            ("GET", "/readyz") if self.scheduler.is_open() => Ok(text("ready\n")),
            ("GET", "/readyz") => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server stops")),
            ("GET", "/metrics") => Ok(self.metrics().await),
            (_, "/v1/messages" | "/v1/stats" | "/healthz" | "/readyz" | "/metrics") => {
                Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {method}")))
            }
            _ => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))),
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

    /// Name, meaning and value of each figure.
    async fn figures(&self) -> [(&'static str, &'static str, u64); 8] {
        let figures = self.scheduler.figures().await;
        [
            ("connections", "Sessions now", figures.connections as u64),
            ("users", "Users with a session now", figures.users as u64),
            ("queued", "Messages that wait in lanes now", figures.queued as u64),
            ("stored", "Messages in inboxes now", figures.stored),
            ("accepted", "Publications accepted since the start", figures.accepted),
            ("refused", "Publications refused since the start", figures.refused),
            ("given_up", "Messages given up since the start", figures.given_up),
            ("connections_refused", "Connections refused since the start", figures.connections_refused),
        ]
    }

    async fn stats(&self) -> Response<Vec<u8>> {
        let figures = self.figures().await.map(|(name, _, value)| (name.to_owned(), value.into()));
        json(&serde_json::Value::Object(figures.into_iter().collect()))
    }

    async fn metrics(&self) -> Response<Vec<u8>> {
        let mut registry = Registry::with_prefix("msgserver");
        for (name, help, value) in self.figures().await {
            registry.register(name, help, ConstGauge::new(value as f64));
        }
        let mut out = String::new();
        encode(&mut out, &registry).expect("a String takes every text");
        ok("application/openmetrics-text; version=1.0.0; charset=utf-8", out)
    }
}

/// Lets through what is not a POST: a POST that is here was refused for its length.
fn not_post() -> impl Filter<Extract = (), Error = warp::Rejection> + Clone {
    warp::method()
        .and_then(|method: Method| async move {
            if method == Method::POST { Err(warp::reject()) } else { Ok(()) }
        })
        .untuple_one()
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
