//! From an accepted connection to a session.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msgserver_handshake::SessionCipher;
use msgserver_message::{DeviceId, UserId};
use msgserver_persistence::Cursor;
use msgserver_pool::{SessionSetup, Standing};
use msgserver_protocol::{
    ByeCode, Cipher, ClientFrame, FirstText, FrameDecoder, FrameFormat, Hello, ServerFrame,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::agreement::agree;
use crate::core::Core;
use crate::occupancy::{Occupancy, Place};
use crate::{Acceptor, Door, Scheduler};

/// A hello is small; what is longer is no hello.
const MAX_HELLO_BYTES: usize = 64 * 1024;

/// Why a connection does not come online; the text is for the client.
pub(crate) struct Refusal {
    code: ByeCode,
    text: String,
}

impl Refusal {
    pub(crate) fn new(code: ByeCode, text: impl ToString) -> Self {
        Self { code, text: text.to_string() }
    }
}

impl From<io::Error> for Refusal {
    fn from(fault: io::Error) -> Self {
        Self::new(ByeCode::BadFrame, fault)
    }
}

/// Who has come.
struct Guest {
    user: UserId,
    device: DeviceId,
    cipher: Option<SessionCipher>,
    read_ahead: Vec<u8>,
    may_publish: bool,
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
            let (socket, peer) = tokio::select! {
                accepted = acceptor.accept() => accepted,
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
        if self.parts.filter.as_ref().is_some_and(|filter| !filter.allows(peer)) {
            let refusal = Refusal::new(ByeCode::Unauthorized, "authorization validation failed");
            tokio::spawn(async move { core.refuse(&mut socket, peer, encoding, refusal).await });
            return;
        }
        let place = match self.occupancies[encoding].take() {
            Ok(place) => place,
            Err(full) => return self.turn_away(socket, encoding, full),
        };
        if door.encryption.is_none()
            && door.encoder.inbound().is_none()
            && self.parts.authentication.is_none()
        {
            // Nothing is asked of such a client, so nothing has to be waited for.
            let guest = anonymous(peer);
            if let Err(fault) =
                socket.into_std().and_then(|socket| core.enter(socket, encoding, place, guest, None))
            {
                tracing::info!(%peer, %fault, "connection lost");
            }
        } else {
            tokio::spawn(async move { core.open(socket, peer, encoding, place).await });
        }
    }

    /// Closes a connection that is one too many.
    fn turn_away(self: &Arc<Self>, mut socket: TcpStream, encoding: usize, full: &Occupancy) {
        self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        let limit = full.limit();
        let place = if full.is_server() { "server" } else { "door" };
        // One line, not one a connection: a crowd at a full door must not fill the log.
        if full.is_news() {
            let door = socket.local_addr().map_or_else(|fault| fault.to_string(), |at| at.to_string());
            tracing::warn!(%door, limit, "the {place} is full; connections are refused");
        }
        let text = format!("all {limit} connections of this {place} are taken; try again later");
        let refusal = Refusal::new(ByeCode::Unavailable, text);
        if full.is_server() {
            // The limit stands for the descriptors that there are: none may be held until the client has read.
            let farewell = self.farewell(encoding, refusal);
            let _ = socket.into_std().and_then(|mut socket| io::Write::write_all(&mut socket, &farewell));
            return;
        }
        let core = Arc::clone(self);
        tokio::spawn(async move { core.say_farewell(&mut socket, encoding, refusal).await });
    }

    /// The reason, as clients of a door get it.
    fn farewell(&self, encoding: usize, refusal: Refusal) -> bytes::Bytes {
        if self.encoders[encoding].inbound().is_some() {
            let bye = ServerFrame::Bye { code: refusal.code, detail: refusal.text, retry_after_ms: None };
            self.frame(encoding, &bye)
        } else {
            refusal.text.into_bytes().into()
        }
    }

    async fn open(self: Arc<Self>, mut socket: TcpStream, peer: SocketAddr, encoding: usize, place: Place) {
        let _ = socket.set_nodelay(true);
        let greeting =
            tokio::time::timeout(self.settings.opening_deadline, self.greet(&mut socket, peer, encoding));
        let outcome = match greeting.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::new(ByeCode::Timeout, "nothing came in time")),
        };
        let guest = match outcome {
            Ok(guest) => guest,
            Err(refusal) => return self.refuse(&mut socket, peer, encoding, refusal).await,
        };
        let Some(store) = self.store_for(&guest.user) else {
            if let Err(fault) =
                socket.into_std().and_then(|socket| self.enter(socket, encoding, place, guest, None))
            {
                tracing::info!(%peer, %fault, "connection lost");
            }
            return;
        };
        let (user, device) = (guest.user.clone(), guest.device.clone());
        let cursor = match store.open(&user, &device).await {
            Ok(cursor) => cursor,
            Err(fault) => {
                let refusal = Refusal::new(ByeCode::Unavailable, fault);
                return self.refuse(&mut socket, peer, encoding, refusal).await;
            }
        };
        let entered =
            socket.into_std().and_then(|socket| self.enter(socket, encoding, place, guest, Some(cursor)));
        if let Err(fault) = entered {
            tracing::info!(%peer, %fault, "connection lost");
            if let Err(fault) = store.leave(&user, &device, cursor.sent).await {
                tracing::warn!(%user, %fault, "the end of a session is not kept");
            }
        }
    }

    fn enter(
        self: &Arc<Self>,
        socket: std::net::TcpStream,
        encoding: usize,
        place: Place,
        guest: Guest,
        cursor: Option<Cursor>,
    ) -> io::Result<()> {
        let id = self.next_session();
        let speaks = self.encoders[encoding].inbound().is_some();
        let (user, device) = (guest.user.clone(), guest.device.clone());
        let session = self.reactor().session(
            socket,
            SessionSetup {
                id,
                user: guest.user,
                device: guest.device,
                encoders: Arc::clone(&self.encoders),
                encoding,
                cipher: guest.cipher.map(|cipher| Box::new(cipher) as Box<dyn Cipher>),
                outbox_limit: self.settings.outbox_limit,
                window: self.settings.window,
                standing: cursor.map(|at| Standing::new(at.acknowledged, at.sent, at.last)),
                may_publish: guest.may_publish,
                read_ahead: guest.read_ahead,
            },
        )?;
        place.keep();
        if speaks {
            let heartbeat_ms = u64::try_from(self.settings.reactor.heartbeat.as_millis()).unwrap_or(u64::MAX);
            let resumed = cursor.is_some_and(|cursor| cursor.known);
            let welcome = ServerFrame::Welcome { session: id, user, device, heartbeat_ms, resumed };
            session.say(self.frame(encoding, &welcome));
        }
        self.bring_online(session);
        Ok(())
    }

    async fn refuse(&self, socket: &mut TcpStream, peer: SocketAddr, encoding: usize, refusal: Refusal) {
        self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        let reason = refusal.text.replace(char::is_control, " ");
        tracing::info!(%peer, %reason, "connection refused");
        self.say_farewell(socket, encoding, refusal).await;
    }

    async fn say_farewell(&self, socket: &mut TcpStream, encoding: usize, refusal: Refusal) {
        let bytes = self.farewell(encoding, refusal);
        let farewell = async {
            socket.write_all(&bytes).await?;
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

    async fn greet(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        encoding: usize,
    ) -> Result<Guest, Refusal> {
        let door = &self.parts.doors[encoding];
        match door.encoder.inbound() {
            Some(format) => self.hello(socket, peer, format).await,
            None => self.first_text(socket, peer, door).await,
        }
    }

    async fn hello(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        format: FrameFormat,
    ) -> Result<Guest, Refusal> {
        let mut decoder = FrameDecoder::<ClientFrame>::new(format, MAX_HELLO_BYTES);
        let mut bytes = BytesMut::new();
        let frame = loop {
            match decoder.decode(&mut bytes) {
                Ok(Some(frame)) => break frame,
                Ok(None) => {}
                Err(fault) => return Err(Refusal::new(ByeCode::BadFrame, fault)),
            }
            if socket.read_buf(&mut bytes).await? == 0 {
                return Err(Refusal::new(ByeCode::BadFrame, "the connection ended before hello"));
            }
        };
        let ClientFrame::Hello(Hello { user, device, token, topics }) = frame else {
            return Err(Refusal::new(ByeCode::BadFrame, "the first frame has to be hello"));
        };
        if !topics.is_empty() {
            return Err(Refusal::new(ByeCode::BadFrame, "topics are not supported"));
        }
        let publishers = &self.settings.publishers;
        let knows_key = token.as_deref().is_some_and(|token| publishers.know(token));
        let user = match &self.parts.authentication {
            // Whoever may send to everybody needs no other proof.
            _ if knows_key => user.unwrap_or_else(|| UserId::anonymous(peer)),
            None => user.unwrap_or_else(|| UserId::anonymous(peer)),
            Some(authentication) => {
                let token = token.unwrap_or_default();
                let text = user.map_or_else(|| token.clone(), |user| format!("{user};{token}"));
                let proven = authentication.authenticate(&text).await;
                proven.map_err(|text| Refusal::new(ByeCode::Unauthorized, text))?
            }
        };
        let device = device.unwrap_or_else(DeviceId::unnamed);
        let may_publish = knows_key || publishers.take_everybody();
        Ok(Guest { user, device, cipher: None, read_ahead: bytes.to_vec(), may_publish })
    }

    async fn first_text(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
        door: &Door,
    ) -> Result<Guest, Refusal> {
        let mut guest = anonymous(peer);
        let mut buffer = [0; 1024];
        let mut ahead = Vec::new();
        if let Some(key) = &door.encryption {
            let (cipher, rest) = agree(socket, key).await?;
            guest.cipher = Some(cipher);
            ahead = rest;
        }
        let Some(authentication) = &self.parts.authentication else { return Ok(guest) };
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
        let proven = authentication.authenticate(&text).await;
        guest.user = proven.map_err(|text| Refusal::new(ByeCode::Unauthorized, text))?;
        Ok(guest)
    }
}

fn anonymous(peer: SocketAddr) -> Guest {
    let (user, device) = (UserId::anonymous(peer), DeviceId::unnamed());
    Guest { user, device, cipher: None, read_ahead: Vec::new(), may_publish: false }
}
