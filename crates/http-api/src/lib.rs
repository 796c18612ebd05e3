//! The HTTP door of msgserver: publishing, what became of a message, users, figures, health. Paths, bodies and
//! answers are in `docs/protocol.md`, and for programs in the OpenAPI document at `/openapi.json`.
//!
//! The first msgserver's `POST /msg/sender` is here as its clients know it: the body is `1` or `0`.
//!
//! Sessions come in here as well: by WebSocket at `/v1/ws`, by Server-Sent Events at `/v1/sse`, by long polls at
//! `/v1/poll`. Once such a request is understood its socket leaves HTTP and becomes a session like those of the raw
//! TCP doors, so it costs what they cost.
//!
//! The door decides nothing about a message: it reads a body into a `Publication`, hands it to the scheduler,
//! and puts what that says into a status. So everything that can be published here can be published in process,
//! with the same outcome.
//!
//! ```no_run
//! use msgserver_http_api::HttpApi;
//! use msgserver_scheduler::Scheduler;
//! use tokio::net::TcpListener;
//!
//! async fn serve(scheduler: Scheduler) -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:3365").await?;
//!     let interrupted = async { drop(tokio::signal::ctrl_c().await) };
//!     HttpApi::new(scheduler).key("a secret of the publishers").serve(listener, interrupted).await;
//!     Ok(())
//! }
//! ```

mod answer;
mod api;
mod batch;
mod body;
mod caller;
mod connections;
mod figures;
#[cfg(fuzzing)]
pub mod fuzz;
mod line;
mod lingering;
mod messages;
#[cfg(any(feature = "websocket", feature = "sse"))]
mod origins;
mod problem;
mod revocations;
mod routes;
#[cfg(any(feature = "websocket", feature = "sse"))]
mod said;
mod seed;
#[cfg(any(feature = "websocket", feature = "sse"))]
mod sessions;
#[cfg(feature = "sse")]
mod streams;
mod users;
#[cfg(feature = "websocket")]
mod websocket;

pub use api::HttpApi;
pub use figures::Figure;
