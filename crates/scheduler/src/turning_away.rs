//! Turning connections away, with a reason.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use msgserver_listener::{Arrival, Peer, Stream};
use msgserver_protocol::{ByeCode, Inbound};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::core::Core;
use crate::occupancy::Occupancy;
use crate::refusal::Refusal;

impl Core {
    pub(crate) fn note_refused(&self, peer: impl Display, reason: &impl Display) {
        self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        let reason = reason.to_string().replace(char::is_control, " ");
        tracing::info!(%peer, %reason, "connection refused");
    }

    /// Closes a connection that is one too many.
    pub(crate) fn turn_away(self: &Arc<Self>, arrival: Arrival, encoding: usize, full: &Occupancy) {
        let refusal = self.full(full, || arrival.door());
        // Agreeing on keys only to say so would cost more than to let the client in.
        let Some(mut stream) = arrival.into_clear() else { return };
        // The server's limit stands for the descriptors that there are: none may be held beyond it until a client has read.
        let Some(place) = full.take_from_whole() else {
            let farewell = self.farewell(encoding, refusal);
            stream.say_at_once(&farewell);
            return;
        };
        let core = Arc::clone(self);
        tokio::spawn(async move {
            core.say_farewell(&mut stream, encoding, refusal).await;
            drop(place);
        });
    }

    /// Why a connection is one too many; `door` names where it came.
    pub(crate) fn full(&self, full: &Occupancy, door: impl FnOnce() -> String) -> Refusal {
        self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        let limit = full.limit();
        let place = if full.is_server() { "server" } else { "door" };
        // One line, not one a connection: a crowd at a full door must not fill the log.
        if full.is_news() {
            tracing::warn!(door = door(), limit, "the {place} is full; connections are refused");
        }
        let text = format!("all {limit} connections of this {place} are taken; try again later");
        Refusal::new(ByeCode::Unavailable, text)
    }

    pub(crate) async fn refuse(&self, socket: &mut Stream, peer: &Peer, encoding: usize, refusal: Refusal) {
        self.note_refused(peer, &refusal);
        self.say_farewell(socket, encoding, refusal).await;
    }

    /// The reason, as clients of a door get it.
    fn farewell(&self, encoding: usize, refusal: Refusal) -> Bytes {
        // Nothing may be said over MQTT before the client has said in which version.
        if let Inbound::Mqtt(_) = self.encoders[encoding].inbound() {
            return Bytes::new();
        }
        let retry_after_ms = self.return_after(refusal.code());
        refusal.farewell(&self.encoders[encoding], retry_after_ms)
    }

    async fn say_farewell(&self, socket: &mut Stream, encoding: usize, refusal: Refusal) {
        say_last(socket, &self.farewell(encoding, refusal)).await;
    }
}

/// Says the last that a client hears, so that it hears it.
pub(crate) async fn say_last(socket: &mut Stream, bytes: &[u8]) {
    let farewell = async {
        socket.write_all(bytes).await?;
        socket.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the reason would be lost with it.
        let mut rest = [0; 512];
        for _ in 0..64 {
            if socket.read(&mut rest).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), farewell).await;
}
