//! From a request to an answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use msgserver_message::MAX_MESSAGE_BYTES;
use msgserver_scheduler::Scheduler;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use warp::http::{HeaderMap, Method, Response, StatusCode, header};
use warp::path::FullPath;
use warp::{Filter, Rejection};

use crate::answer::{Answer, JSON, ok, text};
use crate::batch::MAX_BATCH_BYTES;
use crate::problem::Problem;
use crate::routes::{Call, SEED_PATH, find};
use crate::{batch, body, connections, figures, messages, seed, users};

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

/// A request without its body.
struct Head {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
}

impl HttpApi {
    /// An API that anybody may use; see [`HttpApi::key`].
    #[must_use]
    pub fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, key: None, seed_path: SEED_PATH.into(), patience: PATIENCE }
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
        let no_query = |_: Rejection| std::future::ready(Ok::<_, Rejection>((String::new(),)));
        let routes = warp::method()
            .and(warp::path::full())
            .and(warp::query::raw().or_else(no_query))
            .and(warp::header::headers_cloned())
            .and(warp::body::stream())
            .and(api)
            .then(|method, path, query, headers, body, api: Self| async move {
                api.respond(&Head { method, path, query, headers }, body).await
            });
        // The filters above take every request.
        let routes = routes.recover(|_| std::future::ready(Ok(StatusCode::INTERNAL_SERVER_ERROR)));
        connections::serve(routes, listener, patience, stop).await;
    }

    async fn respond<B: Buf>(
        &self,
        head: &Head,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Response<Vec<u8>> {
        let answer = match self.authorise(head) {
            Ok(()) => self.answer(head, body).await,
            Err(problem) => Err(problem),
        };
        answer.unwrap_or_else(|problem| {
            let mut response = problem.response();
            if head.path.as_str() == &*self.seed_path {
                // Old clients look at the body alone.
                response.headers_mut().remove(header::CONTENT_TYPE);
                *response.body_mut() = b"0".to_vec();
            }
            response
        })
    }

    fn authorise(&self, head: &Head) -> Result<(), Problem> {
        let Some(key) = &self.key else { return Ok(()) };
        if matches!(head.path.as_str(), "/healthz" | "/readyz") {
            return Ok(());
        }
        let given = head.headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| given.ct_eq(key.as_bytes()).into()) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "send `Authorization: Bearer KEY` with the server's API key",
        ))
    }

    async fn answer<B: Buf>(&self, head: &Head, body: impl Stream<Item = Result<B, warp::Error>>) -> Answer {
        let (call, named) = find(head.method.as_str(), head.path.as_str(), &self.seed_path)?;
        let scheduler = &self.scheduler;
        let whole = |limit| self.whole(head, body, limit);
        match call {
            Call::SendAsOfOld => seed::send(scheduler, &whole(MAX_MESSAGE_BYTES).await?).await,
            Call::Publish => messages::publish(scheduler, &whole(MAX_MESSAGE_BYTES).await?).await,
            Call::PublishBatch => {
                batch::publish(scheduler, &head.headers, whole(MAX_BATCH_BYTES).await?).await
            }
            Call::Receipt => messages::receipt(scheduler, &named).await,
            Call::Cancel => messages::cancel(scheduler, &named).await,
            Call::User => users::presence(scheduler, &named).await,
            Call::Inbox => users::inbox(scheduler, &named, &head.query).await,
            Call::CloseSessions => users::close_sessions(scheduler, &named),
            Call::Stats => Ok(figures::stats(scheduler).await),
            Call::Metrics => Ok(figures::metrics(scheduler).await),
            Call::Alive => Ok(text("ok\n")),
            Call::Ready => scheduler.ready().await.map(|()| text("ready\n")).map_err(Problem::from),
            Call::OpenApi => Ok(ok(JSON, include_str!("openapi.json"))),
        }
    }

    async fn whole<B: Buf>(
        &self,
        head: &Head,
        body: impl Stream<Item = Result<B, warp::Error>>,
        limit: usize,
    ) -> Result<Vec<u8>, Problem> {
        let body = tokio::time::timeout(self.patience, body::read(&head.headers, body, limit)).await;
        body.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?
    }
}
