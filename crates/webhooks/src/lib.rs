//! Tells HTTP endpoints what becomes of messages.
//!
//! [`Webhooks::tell`] takes a step that a message has come to, and each [`Endpoint`] that has chosen such steps gets
//! it in a POST, signed as the [Standard Webhooks] specification has it.
//!
//! **Who tells never waits.** An event is pushed to a backlog in memory, bounded in bytes; beyond it the oldest events
//! go, are counted, and the next request says how many were missed. One task an endpoint sends: one request at a
//! time, so that events arrive in their order, with as many events in it as wait meanwhile. What an endpoint does not
//! take with a 2xx is sent again under the same id, after a wait that doubles and is left to chance by half; a
//! `Retry-After` is kept to, a redirect is not followed, and a 410 ends it until the next start.
//!
//! **Nothing survives the process.** A crash loses what waits; receipts, which the store keeps, are the truth. Each
//! request says since when the server has run, so that a receiver knows when to look there.
//!
//! It knows steps and HTTP, and nothing of how messages are delivered.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use std::time::Duration;
//!
//! use msgserver_message::{MessageId, Stage, Step, Timestamp, UserId};
//! use msgserver_webhooks::{Endpoint, Webhooks};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpListener;
//!
//! let receiver = TcpListener::bind("127.0.0.1:0").await?;
//! let endpoint = Endpoint::new(&format!("http://{}/hooks", receiver.local_addr()?))?
//!     .secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?)
//!     .stages([Stage::Acknowledged]);
//! let webhooks = Webhooks::start(vec![endpoint])?;
//!
//! let (id, ada) = (MessageId::generate(), UserId::new("ada")?);
//! webhooks.tell(id, &Step::of(&ada, Stage::Acknowledged, Timestamp::now()), None);
//!
//! let (mut socket, _) = receiver.accept().await?;
//! let mut request = String::new();
//! while !request.ends_with("]}}") {
//!     let mut bytes = [0; 1024];
//!     let length = socket.read(&mut bytes).await?;
//!     request.push_str(std::str::from_utf8(&bytes[..length])?);
//! }
//! assert!(request.contains(&format!(r#""id":"{id}","state":"acknowledged""#)));
//! assert!(request.to_lowercase().contains("webhook-signature: v1,"));
//! socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
//! webhooks.stop(Duration::from_secs(10)).await;
//! assert_eq!(webhooks.figures().delivered, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com/

mod backlog;
mod backoff;
mod courier;
mod endpoint;
mod error;
mod event;
mod outbox;
mod post;
mod secret;
mod selection;
mod webhooks;

pub use backoff::Retry;
pub use endpoint::Endpoint;
pub use error::WebhookError;
pub use outbox::WebhookFigures;
pub use secret::Secret;
pub use selection::TargetPattern;
pub use webhooks::Webhooks;
