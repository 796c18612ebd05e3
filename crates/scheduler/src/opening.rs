//! From an accepted connection of a raw TCP door to a guest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use msgserver_protocol::{ByeCode, Cipher, ClientFrame, FirstText, Heard, Hello, Inbound, Partial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::agreement::agree;
use crate::core::Core;
use crate::entering::{Agreed, Expected};
use crate::guest::Guest;
use crate::occupancy::{Occupancy, Place};
use crate::refusal::Refusal;
use crate::subscribing::Beginning;
use crate::{Acceptor, Door, Scheduler};

/// A hello is small; what is longer is no hello.
const MAX_HELLO_BYTES: usize = 64 * 1024;

/// What a client has said before its connection came here.
#[derive(Default)]
pub(crate) struct Beforehand {
    /// What stands in for what `hello` leaves out.
    pub(crate) hello: Hello,
    /// Bytes that have been read from the connection.
    pub(crate) bytes: Vec<u8>,
}

impl Scheduler {
    /// Takes connections of the door with this number, in the order of [`Parts::doors`](crate::Parts),
    /// until the scheduler stops.
    ///
    /// # Panics
    /// If there is no door of that number.
    pub async fn serve(&self, listener: TcpListener, door: usize) {
        let doors = self.core.parts.doors.len();
        assert!(door < doors, "there is no door {door}; there are {doors}");
        let mut stopping = self.core.stopping.subscribe();
        let mut acceptor = Acceptor::new(listener);
        loop {
            let next = async {
                self.core.turnstile.room().await;
                acceptor.accept().await
            };
            let (socket, peer) = tokio::select! {
                accepted = next => accepted,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            self.core.admit_connection(socket, peer, door);
        }
    }
}

impl Core {
    fn admit_connection(self: &Arc<Self>, mut socket: TcpStream, peer: SocketAddr, encoding: usize) {
        let core = Arc::clone(self);
        let door = &self.parts.doors[encoding];
        let place = match self.occupancies[encoding].take() {
            Ok(place) => place,
            Err(full) => return self.turn_away(socket, encoding, full),
        };
        if self.parts.filter.as_ref().is_some_and(|filter| !filter.allows(peer)) {
            let refusal = Refusal::new(ByeCode::Unauthorized, "authorization validation failed");
            tokio::spawn(async move {
                core.refuse(&mut socket, peer, encoding, refusal).await;
                // It has a descriptor until here.
                drop(place);
            });
            return;
        }
        if door.encryption.is_none() && door.encoder.inbound().is_silent() && !self.asks_for_proof() {
            // Nothing is asked of such a client, so nothing has to be waited for.
            let (guest, beginning) = (Guest::anonymous(peer), Beginning::default());
            let agreed = Agreed::default();
            let expected = Expected { guest, encoding, place, cursor: None, beginning, turn: None, agreed };
            if let Err(fault) =
                socket.into_std().and_then(|socket| core.enter_now(expected, socket, Bytes::new()))
            {
                tracing::info!(%peer, %fault, "connection lost");
            }
        } else if let Inbound::Mqtt(_) = door.encoder.inbound() {
            tokio::spawn(core.open_mqtt(socket, peer, place));
        } else {
            tokio::spawn(
                async move { core.open(socket, peer, encoding, place, Beforehand::default()).await },
            );
        }
    }

    /// Closes a connection that is one too many.
    fn turn_away(self: &Arc<Self>, mut socket: TcpStream, encoding: usize, full: &Occupancy) {
        let refusal = self
            .full(full, || socket.local_addr().map_or_else(|fault| fault.to_string(), |at| at.to_string()));
        // The server's limit stands for the descriptors that there are: none may be held beyond it until a client has read.
        let Some(place) = full.take_from_whole() else {
            let farewell = self.farewell(encoding, refusal);
            let _ = socket.into_std().and_then(|mut socket| io::Write::write_all(&mut socket, &farewell));
            return;
        };
        let core = Arc::clone(self);
        tokio::spawn(async move {
            core.say_farewell(&mut socket, encoding, refusal).await;
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

    /// Asks who it is, and brings it online.
    pub(crate) async fn open(
        self: Arc<Self>,
        mut socket: TcpStream,
        peer: SocketAddr,
        encoding: usize,
        place: Place,
        beforehand: Beforehand,
    ) {
        let _ = socket.set_nodelay(true);
        let greeting = self.greet(&mut socket, peer, encoding, beforehand);
        let guest = match tokio::time::timeout(self.settings.opening_deadline, greeting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::new(
                ByeCode::Timeout,
                "hello, or what proves who it is, did not come whole in time",
            )),
        };
        let expected = match guest {
            Ok(guest) => self.expect(guest, encoding, place).await,
            Err(refusal) => Err(refusal),
        };
        match expected {
            Ok(expected) => drop(self.enter(expected, socket.into_std(), Bytes::new()).await),
            Err(refusal) => self.refuse(&mut socket, peer, encoding, refusal).await,
        }
    }

    async fn refuse(&self, socket: &mut TcpStream, peer: SocketAddr, encoding: usize, refusal: Refusal) {
        self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        let reason = refusal.to_string().replace(char::is_control, " ");
        tracing::info!(%peer, %reason, "connection refused");
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

    async fn say_farewell(&self, socket: &mut TcpStream, encoding: usize, refusal: Refusal) {
        say_last(socket, &self.farewell(encoding, refusal)).await;
    }

    async fn greet(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        encoding: usize,
        beforehand: Beforehand,
    ) -> Result<Guest, Refusal> {
        let door = &self.parts.doors[encoding];
        match door.encoder.inbound() {
            Inbound::Silent => self.first_text(socket, peer, door).await,
            inbound => self.hello(socket, peer, door.encoder.protocol().name(), inbound, beforehand).await,
        }
    }

    async fn hello(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        door: &str,
        inbound: Inbound,
        beforehand: Beforehand,
    ) -> Result<Guest, Refusal> {
        let mut partial = Partial::default();
        partial.extend(&beforehand.bytes);
        let mut buffer = [0; 1024];
        let frame = loop {
            match inbound.next(&mut partial, MAX_HELLO_BYTES)? {
                Some(Heard::Frame(frame)) => break frame,
                Some(Heard::Asked(answer)) => socket.write_all(&answer).await?,
                Some(Heard::Goodbye(answer)) => {
                    socket.write_all(&answer).await?;
                    return Err(Refusal::left());
                }
                Some(_) => {}
                None => match socket.read(&mut buffer).await? {
                    0 => return Err(Refusal::new(ByeCode::BadFrame, "the connection ended before hello")),
                    n => partial.extend(&buffer[..n]),
                },
            }
        };
        let ClientFrame::Hello(hello) = frame else {
            return Err(Refusal::new(ByeCode::BadFrame, "the first frame has to be hello"));
        };
        let guest = self.introduce(merged(hello, beforehand.hello), peer, door).await?;
        Ok(Guest { read_ahead: partial.into_rest(), ..guest })
    }

    async fn first_text(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        door: &Door,
    ) -> Result<Guest, Refusal> {
        let mut guest = Guest::anonymous(peer);
        let mut buffer = [0; 1024];
        let mut ahead = Vec::new();
        if let Some(key) = &door.encryption {
            let (cipher, rest) = agree(socket, key).await?;
            guest.cipher = Some(cipher);
            ahead = rest;
        }
        if !self.asks_for_proof() {
            return Ok(guest);
        }
        let too_long = |fault| Refusal::new(ByeCode::BadFrame, fault);
        let limit = self.settings.text_limit;
        let mut first = if guest.cipher.is_some() { FirstText::sealed(limit) } else { FirstText::new(limit) };
        let is_part = |text: &[u8]| guest.cipher.as_ref().is_some_and(|cipher| cipher.is_part(text));
        let mut text = first.feed(&ahead).map_err(too_long)?;
        while text.is_none() {
            let read = socket.read(&mut buffer);
            // Without a `|` only a pause tells that the text is whole. There is none before its first byte,
            // nor inside a sealed text: there the pause is the network's.
            let read = match first.paused().filter(|text| !is_part(text)) {
                None => read.await,
                Some(whole) => match tokio::time::timeout(self.settings.text_grace, read).await {
                    Ok(read) => read,
                    Err(_) => {
                        text = Some(whole);
                        break;
                    }
                },
            };
            match read? {
                0 => match first.paused() {
                    Some(whole) => text = Some(whole),
                    None => {
                        return Err(Refusal::new(
                            ByeCode::BadFrame,
                            "the connection ended before authentication",
                        ));
                    }
                },
                n => text = first.feed(&buffer[..n]).map_err(too_long)?,
            }
        }
        let mut text = text.unwrap_or_default();
        if let Some(cipher) = &guest.cipher {
            text = cipher.open(&text).ok_or_else(|| {
                Refusal::new(ByeCode::Unauthorized, "the text is not enciphered under the agreed key")
            })?;
        }
        let text = String::from_utf8(text)
            .map_err(|_| Refusal::new(ByeCode::Unauthorized, "the authentication text is not UTF-8"))?;
        let proven = self.hear(&text, peer, door.encoder.protocol().name()).await?;
        Ok(Guest { cipher: guest.cipher, ..proven })
    }
}

/// Says the last that a client hears, so that it hears it.
pub(crate) async fn say_last(socket: &mut TcpStream, bytes: &[u8]) {
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

/// What a client says in its `hello` goes before what it has said with its request.
fn merged(hello: Hello, before: Hello) -> Hello {
    Hello {
        user: hello.user.or(before.user),
        device: hello.device.or(before.device),
        token: hello.token.or(before.token),
        topics: if hello.topics.is_empty() { before.topics } else { hello.topics },
    }
}
