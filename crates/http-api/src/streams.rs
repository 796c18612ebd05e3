//! From a request to a session whose answer is a stream: Server-Sent Events, and long polls.

use std::sync::Arc;

use bytes::Bytes;
use msgserver_listener::Peer;
use msgserver_message::{DeviceId, Seq, UserId};
use msgserver_protocol::Hello;
use msgserver_scheduler::Scheduler;
use serde::{Deserialize, Serialize};
use warp::http::StatusCode;

use crate::answer::{Answer, json};
use crate::line::Line;
use crate::problem::Problem;
use crate::said::Said;

/// How long a browser waits before it connects again, in milliseconds, at least and at most: clients that have lost
/// one server are not to meet the next all at once.
const RETRY_MS: std::ops::RangeInclusive<u64> = 1000..=3000;

/// A kind of answer that ends later than HTTP's part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Events,
    Poll,
}

impl Stream {
    const fn protocol(self) -> &'static str {
        match self {
            Self::Events => "sse",
            Self::Poll => "poll",
        }
    }

    /// The head of the answer. Its body ends with the connection. nginx keeps nothing of it back
    /// (`X-Accel-Buffering`).
    fn head(self, origin: Option<&str>) -> Bytes {
        let kind = match self {
            Self::Events => "text/event-stream",
            Self::Poll => "application/x-ndjson",
        };
        let mut head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n\
             connection: close\r\n"
        );
        if let Some(origin) = origin {
            head += &format!("access-control-allow-origin: {origin}\r\nvary: origin\r\n");
        }
        head += "\r\n";
        if self == Self::Events {
            head += &format!("retry: {}\n\n", rand::random_range(RETRY_MS));
        }
        head.into()
    }

    /// Brings the client online, and takes its connection over.
    pub(crate) async fn open(
        self,
        scheduler: &Scheduler,
        said: Said,
        origin: Option<String>,
        peer: Peer,
        line: Arc<Line>,
    ) -> Answer {
        let door = scheduler.door(self.protocol(), "json").ok_or_else(|| {
            let detail = format!("there is no {} door", self.protocol());
            Problem::new(StatusCode::NOT_IMPLEMENTED, detail)
        })?;
        let admitted = scheduler.visit(peer, door)?.admit(said.hello, said.has).await?;
        let head = self.head(origin.as_deref());
        let socket = line.take().ok_or_else(|| std::io::ErrorKind::NotConnected.into());
        // In a task of its own: that of the connection ends now.
        tokio::spawn(async move {
            let entered = admitted.enter(socket, head).await;
            if let (Self::Poll, Some(session)) = (self, entered) {
                tokio::time::sleep(said.wait).await;
                session.complete_empty();
            }
        });
        std::future::pending().await
    }
}

#[derive(Deserialize)]
struct Acknowledgement {
    user: Option<UserId>,
    device: Option<DeviceId>,
    token: Option<String>,
    seq: Seq,
}

#[derive(Serialize)]
struct Acknowledged {
    acknowledged: Seq,
}

/// What a client of a stream says of what it has got.
pub(crate) async fn acknowledge(scheduler: &Scheduler, peer: Peer, said: Said, body: &[u8]) -> Answer {
    let Acknowledgement { user, device, token, seq } = serde_json::from_slice(body).map_err(Problem::bad)?;
    let before = said.hello;
    let hello = Hello {
        user: user.or(before.user),
        device: device.or(before.device),
        token: token.or(before.token),
        topics: Vec::new(),
    };
    scheduler.acknowledge(peer, hello, seq).await?;
    Ok(json(&Acknowledged { acknowledged: seq }))
}
