//! From an accepted connection of a raw TCP door to a guest.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use msgserver_listener::{Acceptor, Arrival, Listener, Opened, Peer, Stream};
use msgserver_message::DeviceId;
use msgserver_protocol::{ByeCode, Cipher, ClientFrame, FirstText, Heard, Hello, Inbound, Partial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::agreement::agree;
use crate::core::Core;
use crate::entering::{Agreed, Expected, connection};
use crate::guest::Guest;
use crate::occupancy::Place;
use crate::refusal::Refusal;
use crate::subscribing::Beginning;
use crate::{Door, Scheduler};

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
    pub async fn serve(&self, listener: impl Into<Listener>, door: usize) {
        let doors = self.core.parts.doors.len();
        assert!(door < doors, "there is no door {door}; there are {doors}");
        let mut stopping = self.core.stopping.subscribe();
        let mut acceptor = Acceptor::new(listener);
        loop {
            let next = async {
                self.core.turnstile.room().await;
                acceptor.accept().await
            };
            let arrival = tokio::select! {
                arrival = next => arrival,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            self.core.admit_connection(arrival, door);
        }
    }
}

impl Core {
    fn admit_connection(self: &Arc<Self>, arrival: Arrival, encoding: usize) {
        let core = Arc::clone(self);
        let place = match self.occupancies[encoding].take() {
            Ok(place) => place,
            Err(full) => return self.turn_away(arrival, encoding, full),
        };
        let door = &self.parts.doors[encoding];
        let asks_nothing =
            door.encryption.is_none() && door.encoder.inbound().is_silent() && !self.asks_for_proof();
        // Of who comes through a proxy it is known later who that is.
        let is_allowed = arrival.speaks_for_itself().then(|| self.allows(arrival.from()));
        if !asks_nothing || is_allowed != Some(true) || arrival.has_to_be_opened() {
            tokio::spawn(async move { core.receive(arrival, encoding, place, is_allowed).await });
            return;
        }
        // Nothing is asked of such a client, so nothing has to be waited for.
        let peer = arrival.from();
        let mut guest = Guest::anonymous(peer);
        let Some(socket) = arrival.into_clear() else { return };
        let entered = connection(socket, &mut guest).and_then(|socket| {
            let (beginning, agreed) = (Beginning::default(), Agreed::default());
            let expected = Expected { guest, encoding, place, cursor: None, beginning, turn: None, agreed };
            core.enter_now(expected, socket, Bytes::new())
        });
        if let Err(fault) = entered {
            tracing::info!(%peer, %fault, "connection lost");
        }
    }

    /// Whether the filter, if there is one, lets a network in.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        self.parts.filter.as_ref().is_none_or(|filter| filter.allows(address))
    }

    /// Opens a connection, and lets in who comes by it if its network may, as far as that is known.
    async fn receive(
        self: Arc<Self>,
        arrival: Arrival,
        encoding: usize,
        place: Place,
        is_allowed: Option<bool>,
    ) {
        let from = arrival.from();
        let refusal = || Refusal::new(ByeCode::Unauthorized, "authorization validation failed");
        if is_allowed == Some(false) {
            match arrival.into_clear() {
                Some(mut stream) => self.refuse(&mut stream, &from.into(), encoding, refusal()).await,
                // Agreeing on keys only to say so would cost more than to let the client in.
                None => self.note_refused(from, &refusal()),
            }
            // It has a descriptor until here.
            drop(place);
            return;
        }
        let deadline = self.settings.opening_deadline;
        let Opened { mut stream, peer } = match tokio::time::timeout(deadline, arrival.open()).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(fault)) => return self.note_refused(from, &fault),
            Err(_) => return self.note_refused(from, &"it was not opened in time"),
        };
        if is_allowed.is_none() && !self.allows(peer.address) {
            self.refuse(&mut stream, &peer, encoding, refusal()).await;
            drop(place);
            return;
        }
        if let Inbound::Mqtt(_) = self.encoders[encoding].inbound() {
            return self.open_mqtt(stream, peer, place).await;
        }
        self.open(stream, peer, encoding, place, Beforehand::default()).await;
    }

    /// Asks who it is, and brings it online.
    pub(crate) async fn open(
        self: Arc<Self>,
        mut socket: Stream,
        peer: Peer,
        encoding: usize,
        place: Place,
        beforehand: Beforehand,
    ) {
        socket.set_nodelay();
        let greeting = self.greet(&mut socket, &peer, encoding, beforehand);
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
            Ok(expected) => drop(self.enter_by(expected, Ok(socket), Bytes::new()).await),
            Err(refusal) => self.refuse(&mut socket, &peer, encoding, refusal).await,
        }
    }

    async fn greet(
        &self,
        socket: &mut Stream,
        peer: &Peer,
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
        socket: &mut Stream,
        peer: &Peer,
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

    async fn first_text(&self, socket: &mut Stream, peer: &Peer, door: &Door) -> Result<Guest, Refusal> {
        let mut guest = Guest::anonymous(peer.address);
        let mut buffer = [0; 1024];
        let mut ahead = Vec::new();
        if let Some(key) = &door.encryption {
            let (cipher, rest) = agree(socket, key).await?;
            guest.cipher = Some(cipher);
            ahead = rest;
        }
        if let Some(user) = &peer.user {
            // Its certificate says who it is, so it needs not say so itself.
            return Ok(Guest { cipher: guest.cipher, ..Guest::new(user.clone(), DeviceId::unnamed()) });
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

/// What a client says in its `hello` goes before what it has said with its request.
fn merged(hello: Hello, before: Hello) -> Hello {
    Hello {
        user: hello.user.or(before.user),
        device: hello.device.or(before.device),
        token: hello.token.or(before.token),
        topics: if hello.topics.is_empty() { before.topics } else { hello.topics },
    }
}
