//! The connections of the HTTP door.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use msgserver_listener::{Acceptor, Listener, Opened};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::http::Request;
use warp::hyper::body::Incoming;
use warp::hyper::server::conn::http1;
use warp::hyper::service::{Service, service_fn};
use warp::{Filter, Reply};

use crate::line::Line;
use crate::lingering::Lingering;

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Serves connections until `stop` is done, and those that are open then until they are answered.
///
/// warp's own server has no deadline for the head of a request and no say in what happens when the system
/// has no more descriptors, so its filters are served here.
pub(crate) async fn serve<F, R>(
    routes: F,
    listener: Listener,
    patience: Duration,
    stop: impl Future<Output = ()>,
) where
    F: Filter<Extract = (R,), Error = Infallible> + Clone + Send + Sync + 'static,
    F::Future: Send,
    R: Reply + Send + 'static,
{
    // HTTP/1 alone: to find out which version a client speaks would be a wait without a deadline.
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEAD_BYTES);
    let (open, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut acceptor = Acceptor::new(listener);
    let mut stop = std::pin::pin!(stop);
    loop {
        let arrival = tokio::select! {
            arrival = acceptor.accept() => arrival,
            () = &mut stop => break,
        };
        let (http, routes, stopping) = (http.clone(), routes.clone(), stopping.clone());
        open.spawn(async move {
            let from = arrival.from();
            let opening = tokio::time::timeout(patience, arrival.open());
            let opened = tokio::select! {
                opened = opening => opened,
                () = stopping.cancelled() => return,
            };
            let Opened { stream, peer } = match opened {
                Ok(Ok(opened)) => opened,
                Ok(Err(fault)) => return tracing::info!(peer = %from, %fault, "HTTP connection refused"),
                Err(_) => return tracing::info!(peer = %from, "HTTP connection was not opened in time"),
            };
            stream.set_nodelay();
            let line = Arc::new(Line::new(stream, peer, patience));
            let answers = TowerToHyperService::new(warp::service(routes));
            let own = Arc::clone(&line);
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Arc::clone(&own));
                answers.call(request)
            });
            let socket = Lingering::new(Arc::clone(&line), stopping.clone());
            let connection = http.serve_connection(TokioIo::new(socket), service).with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let mut stopped = std::pin::pin!(stopping.cancelled());
            let (mut is_closing, mut outcome) = (false, Poll::Pending);
            let served = poll_fn(|cx| {
                if !is_closing && outcome.is_pending() && stopped.as_mut().poll(cx).is_ready() {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
                if outcome.is_pending() {
                    outcome = connection.as_mut().poll(cx).map_err(|fault| fault.to_string());
                }
                // What was answered meanwhile goes out together, and waits for nothing else.
                ready!(line.poll_send(cx)).map_err(|fault| fault.to_string())?;
                std::mem::replace(&mut outcome, Poll::Pending)
            });
            let outcome = tokio::select! {
                outcome = served => outcome,
                // It is a session now, and HTTP has nothing more to say.
                () = line.taken() => return,
            };
            if let Err(fault) = outcome {
                tracing::info!(peer = %line.peer(), %fault, "HTTP connection closed");
            }
        });
    }
    drop(acceptor);
    stopping.cancel();
    open.close();
    open.wait().await;
}
