//! From a request to an answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::Stream;
use msgserver_listener::{Listener, Peer, Proxies};
use msgserver_message::MAX_MESSAGE_BYTES;
use msgserver_scheduler::{PublishError, Scheduler};
use warp::http::{HeaderMap, Method, Response, StatusCode, header};
use warp::hyper::upgrade::OnUpgrade;
use warp::path::FullPath;
use warp::{Filter, Rejection};

use crate::answer::{Answer, JSON, ok, text};
use crate::body::Body;
use crate::caller::{Asked, Caller};
use crate::figures::{Figure, MoreFigures};
use crate::line::Line;
use crate::problem::Problem;
use crate::routes::{Call, Needs, SEED_PATH, find};
#[cfg(feature = "sse")]
use crate::{answer::readable, streams};
#[cfg(feature = "websocket")]
use crate::{
    answer::{browser_client, browser_client_types},
    websocket,
};
use crate::{batch, body, connections, figures, messages, revocations, seed, topics, users};
#[cfg(any(feature = "websocket", feature = "sse"))]
use crate::{
    origins::Origins,
    sessions::{Sessions, Wanted},
};

/// How long a client may take, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest body, in bytes, unless told otherwise.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// In which proxies note who has asked them.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The HTTP API of a scheduler.
#[derive(Clone)]
pub struct HttpApi {
    scheduler: Scheduler,
    key: Option<Arc<str>>,
    seed_path: Arc<str>,
    patience: Duration,
    body_limit: usize,
    proxies: Arc<Proxies>,
    more_figures: Option<MoreFigures>,
    #[cfg(any(feature = "websocket", feature = "sse"))]
    sessions: Sessions,
}

/// A request without its body.
struct Head {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    line: Option<Arc<Line>>,
    #[cfg(feature = "websocket")]
    upgrade: Option<OnUpgrade>,
}

impl HttpApi {
    /// An API that anybody may use; see [`HttpApi::key`].
    #[must_use]
    pub fn new(scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            key: None,
            seed_path: SEED_PATH.into(),
            patience: PATIENCE,
            body_limit: BODY_LIMIT,
            proxies: Arc::default(),
            more_figures: None,
            #[cfg(any(feature = "websocket", feature = "sse"))]
            sessions: Sessions::default(),
        }
    }

    /// Asks for `Authorization: Bearer KEY` on everything but health and sessions, whose clients prove who they are.
    /// What the scheduler's gate takes counts as well, for what it allows.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.key = Some(key.as_ref().into());
        self
    }

    /// Figures of other parts of the server, told in `/v1/stats` and `/metrics` beside the scheduler's own.
    #[must_use]
    pub fn more_figures(mut self, figures: impl Fn() -> Vec<Figure> + Send + Sync + 'static) -> Self {
        self.more_figures = Some(Arc::new(figures));
        self
    }

    /// Where the first msgserver's call is; `/msg/sender` unless said.
    #[must_use]
    pub fn seed_path(mut self, path: impl AsRef<str>) -> Self {
        self.seed_path = path.as_ref().into();
        self
    }

    /// How long a client may take over the head of a request, and then over its body; also how long it may leave what
    /// it is answered, and how long a connection may be idle. A minute unless said.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The longest body of a request, in bytes: of a batch. A single message is at most as long, and never longer than
    /// [`MAX_MESSAGE_BYTES`]. 8 MiB unless said.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Whose `X-Forwarded-For` is believed: nobody's unless said.
    #[must_use]
    pub fn proxies(mut self, trusted: Arc<Proxies>) -> Self {
        self.proxies = trusted;
        self
    }

    /// Which web pages may open sessions besides those of this host: origins such as `https://example.org`, or `*`
    /// for all. Programs that are no browsers name no page, and may.
    #[cfg(any(feature = "websocket", feature = "sse"))]
    #[must_use]
    pub fn origins(mut self, allowed: impl IntoIterator<Item = String>) -> Self {
        self.sessions.origins = Arc::new(Origins::new(allowed));
        self
    }

    /// Opens no session as long as the server cannot tell who a client is: for a door that is open to the network.
    #[cfg(any(feature = "websocket", feature = "sse"))]
    #[must_use]
    pub const fn refuse_strangers(mut self) -> Self {
        self.sessions.refuse_strangers = true;
        self
    }

    /// Answers until `stop` is done.
    pub async fn serve(self, listener: impl Into<Listener>, stop: impl Future<Output = ()> + Send + 'static) {
        let patience = self.patience;
        let shared = Arc::new(self);
        let api = warp::any().map(move || Arc::clone(&shared));
        let no_query = |_: Rejection| std::future::ready(Ok::<_, Rejection>((String::new(),)));
        let routes = warp::method()
            .and(warp::path::full())
            .and(warp::query::raw().or_else(no_query))
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Arc<Line>>())
            .and(warp::ext::optional::<OnUpgrade>())
            .and(warp::body::stream())
            .and(api)
            .then(|method, path, query, headers, line, upgrade, body, api: Arc<Self>| async move {
                #[cfg(not(feature = "websocket"))]
                let _ = upgrade;
                let head = Head {
                    method,
                    path,
                    query,
                    headers,
                    line,
                    #[cfg(feature = "websocket")]
                    upgrade,
                };
                api.respond(head, body).await
            });
        // The filters above take every request.
        let routes = routes.recover(|_| std::future::ready(Ok(StatusCode::INTERNAL_SERVER_ERROR)));
        connections::serve(routes, listener.into(), patience, stop).await;
    }

    async fn respond<B: Buf>(
        &self,
        head: Head,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Response<Vec<u8>> {
        let head = &head;
        let answer = match self.caller(head).await {
            Ok(caller) => self.answer(head, &caller, body).await,
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

    async fn caller(&self, head: &Head) -> Result<Caller, Problem> {
        // Who has nothing to show is not told what there is.
        let call = find(head.method.as_str(), head.path.as_str(), &self.seed_path);
        let needs = call.map_or(Needs::Anything, |(call, _)| call.needs());
        let asked = Asked { key: self.key.as_deref(), gate: self.scheduler.gate() };
        asked.of(&head.headers, self.peer(head).map(|peer| peer.address), needs).await
    }

    /// Who has sent a request: who is at the other end, or for whom a trusted proxy there speaks.
    fn peer(&self, head: &Head) -> Option<Peer> {
        let mut peer = head.line.as_ref()?.peer().clone();
        let lines = head.headers.get_all(FORWARDED_FOR).iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
        let client = self.proxies.client(peer.address.ip(), lines.into_iter());
        if client != peer.address.ip() {
            // The proxy's port tells connections apart that come from one address.
            peer = Peer { address: (client, peer.address.port()).into(), user: None };
        }
        Some(peer)
    }

    async fn answer<B: Buf>(
        &self,
        head: &Head,
        caller: &Caller,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Answer {
        let (call, named) = find(head.method.as_str(), head.path.as_str(), &self.seed_path)?;
        let scheduler = &self.scheduler;
        let whole = |limit: usize| self.whole(head, body, limit.min(self.body_limit));
        match call {
            Call::SendAsOfOld => seed::send(scheduler, caller, &whole(MAX_MESSAGE_BYTES).await?.bytes).await,
            Call::Publish => {
                messages::publish(scheduler, caller, &whole(MAX_MESSAGE_BYTES).await?.bytes).await
            }
            Call::PublishBatch => {
                batch::publish(scheduler, caller, &head.headers, whole(usize::MAX).await?).await
            }
            Call::Receipt => messages::receipt(scheduler, &named).await,
            Call::Cancel => messages::cancel(scheduler, &named).await,
            Call::User => users::presence(scheduler, &named).await,
            Call::Inbox => users::inbox(scheduler, &named, &head.query).await,
            Call::Topic => topics::presence(scheduler, &named, &head.query).await,
            Call::Published => topics::published(scheduler, &named, &head.query).await,
            Call::CloseSessions => users::close_sessions(scheduler, &named),
            Call::Stats => Ok(figures::stats(scheduler, self.more_figures.as_ref()).await),
            Call::Metrics => Ok(figures::metrics(scheduler, self.more_figures.as_ref()).await),
            Call::Revoke => revocations::revoke(scheduler, &whole(MAX_MESSAGE_BYTES).await?.bytes).await,
            Call::Alive => Ok(text("ok\n")),
            Call::Ready => scheduler.ready().await.map(|()| text("ready\n")).map_err(Problem::from),
            Call::OpenApi => Ok(ok(JSON, include_str!("openapi.json"))),
            #[cfg(feature = "websocket")]
            Call::WebSocket => {
                let Wanted { said, peer, .. } = self.wanted(head)?;
                websocket::upgrade(scheduler, &head.headers, said, peer, head.upgrade.clone())
            }
            #[cfg(feature = "sse")]
            Call::Events | Call::Poll => {
                let Wanted { said, peer, line, origin } = self.wanted(head)?;
                let stream = if call == Call::Poll { streams::Stream::Poll } else { streams::Stream::Events };
                stream.open(scheduler, said, origin, peer, line).await
            }
            #[cfg(feature = "sse")]
            Call::Acknowledge => {
                let Wanted { said, peer, origin, .. } = self.wanted(head)?;
                let body = whole(MAX_MESSAGE_BYTES).await?;
                Ok(readable(
                    streams::acknowledge(scheduler, peer, said, &body.bytes).await?,
                    origin.as_deref(),
                ))
            }
            #[cfg(feature = "websocket")]
            Call::BrowserClient => Ok(browser_client()),
            #[cfg(feature = "websocket")]
            Call::BrowserClientTypes => Ok(browser_client_types()),
        }
    }

    #[cfg(any(feature = "websocket", feature = "sse"))]
    fn wanted(&self, head: &Head) -> Result<Wanted, Problem> {
        let peer = self.peer(head);
        self.sessions.want(&self.scheduler, &head.query, &head.headers, peer, head.line.as_ref())
    }

    async fn whole<B: Buf>(
        &self,
        head: &Head,
        body: impl Stream<Item = Result<B, warp::Error>>,
        limit: usize,
    ) -> Result<Body, Problem> {
        let read = body::read(&head.headers, body, limit, self.scheduler.intake());
        let body = tokio::select! {
            body = tokio::time::timeout(self.patience, read) => body,
            // Nobody knows how long the rest of it would take.
            () = self.scheduler.stopping() => return Err(PublishError::ShuttingDown.into()),
        };
        body.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))?
    }
}
