//! One connection that is online.

use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use msgserver_message::{
    DeviceId, Message, MessageId, Seq, SessionId, Timestamp, Topic, TopicFilter, UserId,
};
use msgserver_protocol::{Acknowledgement, Cipher, Delivery, Encoder, Partial};
use msgserver_tls::{Broken, Came, Channel};
use parking_lot::Mutex;

use crate::outbox::Outbox;
use crate::socket::Socket;
use crate::{Choice, CloseReason, Connection, Guarantee, InFlight, Notice, Standing, Terms};

/// What a session is made of.
pub struct SessionSetup {
    /// Its number.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// What it speaks: the encoders of all doors, and which of them is this one's.
    pub encoders: Arc<[Encoder]>,
    /// Index of this session's encoder.
    pub encoding: usize,
    /// The key of an encrypted connection.
    pub cipher: Option<Box<dyn Cipher>>,
    /// What a client may leave unread, in bytes, before it counts as a slow consumer.
    pub outbox_limit: usize,
    /// How many kept messages may be sent and not acknowledged.
    pub window: usize,
    /// Where it stands in its user's inbox, if it has one.
    pub standing: Option<Standing>,
    /// Whether it may publish.
    pub may_publish: bool,
    /// What it has agreed on with its door.
    pub terms: Terms,
    /// Bytes that the client had sent ahead while it was coming online.
    pub read_ahead: Vec<u8>,
}

#[cfg(test)]
impl SessionSetup {
    /// Of a user's session that has agreed on nothing.
    pub(crate) fn plain(id: u64, user: &str, encoders: &Arc<[Encoder]>) -> Self {
        Self {
            id: SessionId::new(id),
            user: UserId::new(user).expect("a name"),
            device: DeviceId::new("d").expect("a name"),
            encoders: Arc::clone(encoders),
            encoding: 0,
            cipher: None,
            outbox_limit: usize::MAX,
            window: 1,
            standing: None,
            may_publish: false,
            terms: Terms::default(),
            read_ahead: Vec::new(),
        }
    }
}

/// Of a client that has agreed on nothing.
const UNSAID: u32 = u32::MAX;

/// What became of an offer to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is with the kernel, or waits in the outbox.
    Taken,
    /// The outbox is full; there will be an [`on_room`](crate::Events::on_room).
    Full,
    /// The session is over.
    Closed,
}

const HAS_INBOX: u8 = 1;
const MAY_PUBLISH: u8 = 2;
const HAS_TLS: u8 = 4;

/// One connection that is online.
pub struct Session {
    id: SessionId,
    user: UserId,
    device: DeviceId,
    encoders: Arc<[Encoder]>,
    encoding: u16,
    /// What holds of it for as long as it is there, in a byte: a word more would be paid by each.
    marks: u8,
    outbox_limit: u32,
    window: u32,
    /// Seconds that it may be silent: 0 for ever, [`UNSAID`] for two heartbeats.
    silence: u32,
    longest: u32,
    /// Whether it gets notices to all.
    hears_all: AtomicBool,
    /// Second, of the reactor's clock, in which something was last read.
    pub(crate) heard: AtomicU32,
    cipher: Option<Box<dyn Cipher>>,
    socket: Socket,
    state: Mutex<State>,
    /// What is half said. Nothing between frames: an idle session owns no buffer.
    pub(crate) inbound: Mutex<Option<Box<Partial>>>,
}

#[derive(Default)]
struct State {
    /// What waits is sealed already: it has to go out in the order in which it was sealed.
    outbox: Outbox,
    /// TLS, if it is spoken. Plain sessions pay 8 bytes.
    channel: Option<Box<Channel>>,
    /// Where it stands in its user's inbox. Most sessions of a large server may have none: they pay 8 bytes.
    standing: Option<Box<Standing>>,
    /// What it follows. Most sessions follow nothing: they pay 8 bytes.
    #[allow(clippy::box_collection, reason = "8 bytes and not 24 in every idle session")]
    following: Option<Box<Vec<TopicFilter>>>,
    /// What it has chosen to get. Most sessions get all that there is: they pay 8 bytes.
    choice: Option<Box<Choice>>,
    wants_room: bool,
    /// Whether a message was sent.
    has_sent: bool,
    /// Boxed, for it may hold a text: a session that goes on pays 8 bytes.
    end: Option<Box<CloseReason>>,
}

impl State {
    /// Whether a kept message is safe with the client already: it may have said so while it was being sent again.
    fn has_acknowledged(&self, seq: Seq) -> bool {
        self.standing.as_ref().is_some_and(|standing| seq <= standing.acknowledged())
    }
}

impl Session {
    pub(crate) fn new(setup: SessionSetup, connection: Connection) -> io::Result<Self> {
        let (socket, channel, unsent) = Socket::new(connection)?;
        let mark = |holds: bool, mark: u8| if holds { mark } else { 0 };
        let marks = mark(setup.standing.is_some(), HAS_INBOX)
            | mark(setup.may_publish, MAY_PUBLISH)
            | mark(channel.is_some(), HAS_TLS);
        let mut outbox = Outbox::default();
        if !unsent.is_empty() {
            outbox.put(unsent.into());
        }
        Ok(Self {
            id: setup.id,
            user: setup.user,
            device: setup.device,
            encoders: setup.encoders,
            encoding: u16::try_from(setup.encoding).expect("there are few encodings"),
            marks,
            outbox_limit: u32::try_from(setup.outbox_limit).unwrap_or(u32::MAX),
            window: u32::try_from(setup.window).unwrap_or(u32::MAX).max(1),
            silence: setup.terms.silence.unwrap_or(UNSAID),
            longest: setup.terms.longest.unwrap_or(u32::MAX),
            hears_all: AtomicBool::new(setup.terms.choice.as_ref().is_none_or(|choice| choice.notices)),
            heard: AtomicU32::new(0),
            cipher: setup.cipher,
            socket,
            state: Mutex::new(State {
                outbox,
                channel,
                standing: setup.standing.map(Box::new),
                choice: setup.terms.choice.map(Box::new),
                ..State::default()
            }),
            inbound: Mutex::new((!setup.read_ahead.is_empty()).then(|| {
                let mut ahead = Box::<Partial>::default();
                ahead.extend(&setup.read_ahead);
                ahead
            })),
        })
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Whose it is.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// On which device.
    #[must_use]
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }

    /// How the server learns what is safe with the client.
    #[must_use]
    pub fn acknowledgement(&self) -> Acknowledgement {
        self.encoder().acknowledgement()
    }

    /// The name of what it speaks: its door's protocol.
    #[must_use]
    pub fn door(&self) -> &str {
        self.encoder().protocol().name()
    }

    /// Whether something is kept for it while it is away.
    #[must_use]
    pub fn has_inbox(&self) -> bool {
        self.marks & HAS_INBOX != 0
    }

    /// Whether it may publish.
    #[must_use]
    pub const fn may_publish(&self) -> bool {
        self.marks & MAY_PUBLISH != 0
    }

    /// Whether a topic is among what it follows.
    #[must_use]
    pub fn follows(&self, topic: &Topic) -> bool {
        let state = self.state.lock();
        state.following.as_ref().is_some_and(|following| following.iter().any(|filter| filter.fits(topic)))
    }

    /// What it follows.
    #[must_use]
    pub fn following(&self) -> Vec<TopicFilter> {
        self.state.lock().following.as_deref().cloned().unwrap_or_default()
    }

    /// Notes what it follows; whether that is new.
    pub(crate) fn note_followed(&self, topics: &TopicFilter) -> bool {
        let mut state = self.state.lock();
        let following = state.following.get_or_insert_default();
        let is_new = !following.contains(topics);
        if is_new {
            following.push(topics.clone());
        }
        is_new
    }

    pub(crate) fn note_unfollowed(&self, topics: &TopicFilter) {
        let mut state = self.state.lock();
        if let Some(following) = &mut state.following {
            following.retain(|filter| filter != topics);
            if following.is_empty() {
                state.following = None;
            }
        }
    }

    /// Changes what it gets, if its protocol lets it choose.
    pub fn choose(&self, change: impl FnOnce(&mut Choice)) {
        let mut state = self.state.lock();
        if let Some(choice) = &mut state.choice {
            change(choice);
            self.hears_all.store(choice.notices, Ordering::Relaxed);
        }
    }

    /// What it has chosen to get; nothing if it gets all that there is.
    #[must_use]
    pub fn choice(&self) -> Option<Choice> {
        self.state.lock().choice.as_deref().cloned()
    }

    /// How sure it is to get a message that is for its user or of a topic; nothing if it has not chosen such.
    #[must_use]
    pub fn guarantee(&self, message: &Message) -> Option<Guarantee> {
        let state = self.state.lock();
        match &state.choice {
            None => Some(Guarantee::AtLeastOnce),
            Some(choice) => choice.guarantee(message, state.following.as_deref().map_or(&[], Vec::as_slice)),
        }
    }

    /// Whether it gets what is for its user.
    #[must_use]
    pub fn wants_inbox(&self) -> bool {
        self.state.lock().choice.as_ref().is_none_or(|choice| choice.inbox.is_some())
    }

    pub(crate) fn hears_all(&self) -> bool {
        self.hears_all.load(Ordering::Relaxed)
    }

    /// Whether so many bytes are no longer than a packet of its client may be.
    #[must_use]
    pub fn takes(&self, bytes: &Bytes) -> bool {
        bytes.len() <= self.longest as usize
    }

    pub(crate) const fn takes_any_length(&self) -> bool {
        self.longest == u32::MAX
    }

    /// How many seconds it may be silent, where two heartbeats are so many; nothing if for ever.
    pub(crate) fn silence(&self, usual: u32) -> Option<u32> {
        match self.silence {
            UNSAID => (!self.encoder().inbound().is_silent()).then_some(usual),
            _ => self.agreed_silence(),
        }
    }

    /// How many seconds it may be silent, if that was agreed on.
    pub(crate) fn agreed_silence(&self) -> Option<u32> {
        (!matches!(self.silence, 0 | UNSAID)).then_some(self.silence)
    }

    /// Which of the encodings it speaks.
    #[must_use]
    pub const fn encoding(&self) -> usize {
        self.encoding as usize
    }

    pub(crate) fn encoder(&self) -> &Encoder {
        &self.encoders[self.encoding as usize]
    }

    pub(crate) const fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) const fn is_encrypted(&self) -> bool {
        self.cipher.is_some()
    }

    /// The bytes of a delivery for this session alone.
    fn bytes(&self, delivery: &Delivery<'_>) -> Option<Bytes> {
        let encoded = match &self.cipher {
            None => self.encoder().encode(delivery),
            Some(cipher) => self.encoder().payload(delivery).map(|payload| {
                let mut out = Vec::new();
                self.encoder().seal(&payload, &**cipher, &mut out);
                out.into()
            }),
        };
        encoded.inspect_err(|fault| tracing::warn!(session = %self.id, %fault, "not delivered")).ok()
    }

    /// Offers a message. A kept one that is not the next after [`Session::tail`] has to be offered by
    /// whoever keeps the order.
    pub fn send(&self, delivery: &Delivery<'_>) -> Sent {
        // A content without a form in this encoding counts as taken: no later try would go better.
        let bytes = self.bytes(delivery).filter(|bytes| self.takes(bytes));
        let by_tcp = match self.acknowledgement() {
            Acknowledgement::ByTcp => true,
            Acknowledgement::ByPacket => delivery.at_most_once || bytes.is_none(),
            _ => false,
        };
        let mut state = self.state.lock();
        if state.end.is_some() {
            return Sent::Closed;
        }
        if delivery.seq.is_some_and(|seq| state.has_acknowledged(seq)) {
            return Sent::Taken;
        }
        if let (Some(seq), Some(standing)) = (delivery.seq, &mut state.standing)
            && self.acknowledgement() == Acknowledgement::ByPacket
        {
            if standing.is_in_flight(seq) {
                standing.pass_over(seq);
                return Sent::Taken;
            }
            if !standing.has_packet_for(seq) {
                state.wants_room = true;
                return Sent::Full;
            }
        }
        if delivery.seq.is_some() && self.window_is_full(&state) {
            state.wants_room = true;
            return Sent::Full;
        }
        if let Some(bytes) = bytes {
            if !self.has_room(&state, &bytes) {
                state.wants_room = true;
                return Sent::Full;
            }
            if !self.write(&mut state, bytes) {
                return Sent::Closed;
            }
            state.has_sent = true;
        }
        if let Some(seq) = delivery.seq {
            if let Some(standing) = &mut state.standing {
                standing.sent(seq, delivery.message.id, Timestamp::now());
            }
            if by_tcp {
                state.outbox.expect_confirmation(seq);
            }
        }
        Sent::Taken
    }

    /// Puts bytes before all that is said from now on, without writing yet: [`Session::flush`] does. For what has
    /// to be the first thing that a client hears.
    pub fn begin(&self, bytes: Bytes) {
        let state = &mut *self.state.lock();
        match seal(state, bytes) {
            Ok(bytes) => state.outbox.put(bytes),
            Err(fault) => self.end(state, fault),
        }
    }

    fn window_is_full(&self, state: &State) -> bool {
        state.standing.as_ref().is_some_and(|standing| standing.in_flight() >= self.window as usize)
    }

    /// Sends bytes that are no message: a frame of the session's own conversation.
    pub fn say(&self, bytes: Bytes) {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return;
        }
        if self.has_room(&state, &bytes) {
            self.write(&mut state, bytes);
        } else {
            self.end(&mut state, CloseReason::SlowConsumer);
        }
    }

    /// Ends a session that is an answer, if the answer is complete: one that was to be sent something has been, and
    /// one whose client acknowledges by coming again has to come. Not before the socket has taken everything.
    pub fn complete(&self) {
        let encoder = self.encoder();
        if encoder.acknowledgement() != Acknowledgement::ByRequest {
            return;
        }
        let mut state = self.state.lock();
        let is_complete = encoder.is_one_answer() && state.has_sent || self.window_is_full(&state);
        if is_complete && state.outbox.is_empty() {
            self.end(&mut state, CloseReason::Complete);
        }
    }

    /// Ends a session that is an answer and has nothing to say. One that has begun to say something ends with that.
    pub fn complete_empty(&self) {
        let mut state = self.state.lock();
        if self.encoder().is_one_answer() && !state.has_sent {
            self.end(&mut state, CloseReason::Complete);
        }
    }

    /// Sends notices, encoded already.
    pub(crate) fn send_burst(&self, bytes: Bytes) {
        self.say(bytes);
        if self.encoder().is_one_answer() {
            self.state.lock().has_sent = true;
            self.complete();
        }
    }

    /// Sends a burst of notices to an encrypted session.
    pub(crate) fn seal_burst(&self, notices: &[Arc<Notice>]) {
        let Some(cipher) = &self.cipher else { return };
        let mut out = Vec::new();
        for notice in notices {
            if let Some(payload) = notice.payload(self.encoding()) {
                self.encoder().seal(payload, &**cipher, &mut out);
            }
        }
        self.say(out.into());
    }

    /// An empty outbox takes whatever comes: else what is larger than the limit could never be sent.
    fn has_room(&self, state: &State, bytes: &Bytes) -> bool {
        state.outbox.is_empty() || state.outbox.bytes() + bytes.len() <= self.outbox_limit as usize
    }

    fn write(&self, state: &mut State, bytes: Bytes) -> bool {
        let written = seal(state, bytes).and_then(|bytes| {
            state.outbox.write(&self.socket, bytes).map_err(|fault| CloseReason::Failed(fault.kind()))
        });
        written.map_err(|reason| self.end(state, reason)).is_ok()
    }

    /// Whether what comes has to be opened before it is understood.
    pub(crate) const fn has_tls(&self) -> bool {
        self.marks & HAS_TLS != 0
    }

    /// Opens what has come under TLS, and answers what is TLS's own.
    pub(crate) fn open(&self, bytes: &mut [u8], plain: &mut Vec<u8>) -> Result<Came, CloseReason> {
        let mut state = self.state.lock();
        let Some(channel) = &mut state.channel else { return Ok(Came::More) };
        let mut answer = Vec::new();
        let came = channel.take(bytes, plain, &mut answer);
        if !answer.is_empty()
            && state.end.is_none()
            && let Err(fault) = state.outbox.write(&self.socket, answer.into())
        {
            return Err(CloseReason::Failed(fault.kind()));
        }
        came.map_err(|fault| broken(&fault))
    }

    /// The last kept message that was taken, [`Seq::ZERO`] of a session without an inbox.
    #[must_use]
    pub fn tail(&self) -> Seq {
        self.state.lock().standing.as_ref().map_or(Seq::ZERO, |standing| standing.tail())
    }

    /// The last kept message that is safe with the client, with all before it.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        self.state.lock().standing.as_ref().map_or(Seq::ZERO, |standing| standing.acknowledged())
    }

    /// The last kept message that the device may have: this session has sent it, or an earlier one has.
    #[must_use]
    pub fn last_sent(&self) -> Seq {
        self.state.lock().standing.as_ref().map_or(Seq::ZERO, |standing| standing.last_sent())
    }

    /// When a message that is in flight was sent; nothing if it is not.
    #[must_use]
    pub fn in_flight_since(&self, id: MessageId) -> Option<Timestamp> {
        self.state.lock().standing.as_ref().and_then(|standing| standing.in_flight_since(id))
    }

    /// Has `tell` told that the message under a number is in flight, unless it is not any more, or was told of before.
    /// Nothing else becomes of it meanwhile: an acknowledgement that is already on its way waits.
    pub fn tell_in_flight(&self, seq: Seq, tell: impl FnOnce(&InFlight)) {
        let mut state = self.state.lock();
        if let Some(message) = state.standing.as_mut().and_then(|standing| standing.tell_of(seq)) {
            tell(&message);
        }
    }

    /// Up to which number the store alone says which message has it: messages that came before the session did
    /// may have been renumbered.
    #[must_use]
    pub fn settled(&self) -> Seq {
        self.state.lock().standing.as_ref().map_or(Seq::ZERO, |standing| standing.settled())
    }

    /// Whether the device may have seen a kept message before.
    #[must_use]
    pub fn may_have_seen(&self, seq: Seq) -> bool {
        self.state.lock().standing.as_ref().is_some_and(|standing| standing.may_have_seen(seq))
    }

    /// Counts a kept message that is not to be sent as sent.
    pub fn pass_over(&self, seq: Seq) {
        if let Some(standing) = &mut self.state.lock().standing {
            standing.pass_over(seq);
        }
    }

    /// Counts a kept message that is not for this device as sent, and as safe with it once all before it is. Whether
    /// the caller has to write that down, as of [`Session::acknowledge`].
    #[must_use]
    pub fn skip(&self, seq: Seq) -> bool {
        self.state.lock().standing.as_mut().is_some_and(|standing| standing.skip(seq))
    }

    /// Notes that everything up to `seq` is safe with the client: gives what was in flight of it, and whether
    /// the caller has to write it down. Whoever has to goes on until [`Session::next_note`] has nothing more:
    /// acknowledgements that come meanwhile, however many, are one.
    pub fn acknowledge(&self, seq: Seq) -> (Vec<InFlight>, bool) {
        let mut state = self.state.lock();
        state.standing.as_mut().map_or_else(Default::default, |standing| standing.acknowledge(seq))
    }

    /// Notes that the message which was sent under a packet id is safe with the client; gives up to where all are, if
    /// that is news, which is to be told to [`Session::acknowledge`].
    #[must_use]
    pub fn acknowledge_packet(&self, packet: NonZeroU16) -> Option<Seq> {
        let mut state = self.state.lock();
        let standing = state.standing.as_mut()?;
        let seq = standing.of_packet(packet)?;
        standing.acknowledge_one(seq)
    }

    /// Up to where all messages are safe with the client, if that is not noted yet.
    #[must_use]
    pub fn safe(&self) -> Option<Seq> {
        self.state.lock().standing.as_ref().and_then(|standing| standing.safe())
    }

    /// Counts a kept message that its client has not chosen to get as sent, until it chooses to.
    pub fn hold(&self, seq: Seq) {
        if let Some(standing) = &mut self.state.lock().standing {
            standing.hold(seq);
        }
    }

    /// Has what was held sent after all, as far as its client has chosen to get it by now, by whoever keeps the order and
    /// calls [`Session::rewind`]. Whether anything was.
    #[must_use]
    pub fn begin_anew(&self) -> bool {
        self.state.lock().standing.as_mut().is_some_and(|standing| standing.begin_anew())
    }

    /// Has it get what is for its user. What was held is sent after all, by whoever keeps the order and calls
    /// [`Session::rewind`].
    pub fn choose_inbox(&self, guarantee: Guarantee) {
        let state = &mut *self.state.lock();
        let Some(choice) = &mut state.choice else { return };
        choice.inbox = Some(guarantee);
        if let Some(standing) = &mut state.standing {
            standing.begin_anew();
        }
    }

    /// What is to be written down next when everything up to `noted` has been.
    #[must_use]
    pub fn next_note(&self, noted: Seq) -> Option<Seq> {
        self.state.lock().standing.as_mut().and_then(|standing| standing.next_note(noted))
    }

    /// Whether the caller has to look after what is in flight from now on.
    #[must_use]
    pub fn watch_in_flight(&self) -> bool {
        self.state.lock().standing.as_mut().is_some_and(|standing| standing.watch())
    }

    /// Since when the oldest message in flight has waited; nothing ends the caller's looking after it.
    #[must_use]
    pub fn waits_since(&self) -> Option<Timestamp> {
        let mut state = self.state.lock();
        if state.end.is_some() { None } else { state.standing.as_mut().and_then(|s| s.waits_since()) }
    }

    /// Has what is in flight sent again, by whoever keeps the order and calls [`Session::rewind`].
    pub fn ask_again(&self) {
        if let Some(standing) = &mut self.state.lock().standing {
            standing.ask_again();
        }
    }

    /// Begins anew behind the last acknowledgement, if that was asked for.
    pub fn rewind(&self) {
        let state = &mut *self.state.lock();
        if state.standing.as_mut().is_some_and(|standing| standing.rewind()) {
            // The window is empty. If the outbox is full, the next offer finds out.
            state.wants_room = false;
        }
    }

    /// The end of a session that has an inbox: the last number sent, and what is in flight.
    #[must_use]
    pub fn leave(&self) -> Option<(Seq, Vec<InFlight>)> {
        self.state.lock().standing.as_mut().map(|standing| standing.end())
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state.lock().end.is_some()
    }

    /// Whether something was refused for want of room; [`on_room`](crate::Events::on_room) will tell.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.state.lock().wants_room
    }

    /// Whether something was refused for want of room, and the room is there now.
    #[must_use]
    pub fn has_room_again(&self) -> bool {
        let mut state = self.state.lock();
        state.wants_room
            && !self.window_is_full(&state)
            && state.outbox.bytes() <= self.outbox_limit as usize / 2
            && std::mem::take(&mut state.wants_room)
    }

    /// Writes what waits.
    pub fn flush(&self) {
        let mut state = self.state.lock();
        if state.end.is_none()
            && let Err(e) = state.outbox.flush(&self.socket)
        {
            self.end(&mut state, CloseReason::Failed(e.kind()));
        }
        drop(state);
        self.complete();
    }

    /// Whether the caller has to have it asked from now on, by [`Reactor::confirm`](crate::Reactor::confirm), what the
    /// peer's TCP has acknowledged.
    #[must_use]
    pub fn watch_unconfirmed(&self) -> bool {
        self.state.lock().outbox.watch_unconfirmed()
    }

    /// The last kept message that the peer's TCP has acknowledged since the last call, and whether there are more that it
    /// has not: else whoever asks is to ask no more.
    pub(crate) fn confirmed(&self) -> (Option<Seq>, bool) {
        let state = &mut *self.state.lock();
        if !state.outbox.awaits_confirmation() {
            return (None, false);
        }
        let Ok(in_kernel) = self.socket.unacknowledged() else { return (None, state.end.is_none()) };
        let State { outbox, standing, .. } = state;
        let confirmed = match standing {
            Some(standing) if self.acknowledgement() == Acknowledgement::ByPacket => {
                std::iter::from_fn(|| outbox.next_confirmed(in_kernel))
                    .filter_map(|seq| standing.acknowledge_one(seq))
                    .last()
            }
            _ => outbox.confirmed(in_kernel),
        };
        (confirmed, state.end.is_none() && state.outbox.awaits_confirmation())
    }

    /// Whether everything that was sent has been acknowledged by the peer's TCP.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let state = self.state.lock();
        state.end.is_some()
            || state.outbox.is_empty() && self.socket.unacknowledged().is_ok_and(|waiting| waiting == 0)
    }

    /// Closes the connection; the reactor tells of it. The first reason stands.
    pub fn close(&self, reason: CloseReason) {
        self.end(&mut self.state.lock(), reason);
    }

    /// Sends a last frame, as far as the socket takes it at once, and closes.
    pub fn close_with(&self, last: Bytes, reason: CloseReason) {
        let mut state = self.state.lock();
        if state.end.is_none()
            && let Ok(last) = seal(&mut state, last)
        {
            let _ = state.outbox.write(&self.socket, last);
        }
        self.end(&mut state, reason);
    }

    fn end(&self, state: &mut State, reason: CloseReason) {
        if state.end.is_none() {
            state.end = Some(Box::new(reason));
            self.part(state);
            state.outbox.clear();
            // The reactor sees the end of the stream and removes the session; nobody else has to be woken.
            let _: io::Result<()> = self.socket.shutdown();
        }
    }

    /// Tells a client of TLS that nothing more comes: else it might take the end for somebody's who cuts messages off.
    fn part(&self, state: &mut State) {
        let Some(channel) = state.channel.as_mut().filter(|_| state.outbox.is_empty()) else { return };
        let mut farewell = Vec::new();
        if channel.close(&mut farewell).is_ok() {
            let _ = state.outbox.write(&self.socket, farewell.into());
        }
    }

    pub(crate) fn end_reason(&self) -> Option<CloseReason> {
        self.state.lock().end.as_deref().cloned()
    }

    pub(crate) fn hear(&self, second: u32) {
        self.heard.store(second, Ordering::Relaxed);
    }
}

/// What bytes are on the wire.
fn seal(state: &mut State, bytes: Bytes) -> Result<Bytes, CloseReason> {
    let Some(channel) = &mut state.channel else { return Ok(bytes) };
    let mut sealed = Vec::new();
    channel.seal(&bytes, &mut sealed).map_err(|fault| broken(&fault))?;
    Ok(sealed.into())
}

fn broken(fault: &Broken) -> CloseReason {
    tracing::info!(%fault, "a TLS connection cannot go on");
    CloseReason::Failed(io::ErrorKind::InvalidData)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, {}, {})", self.id, self.user, self.device)
    }
}

#[cfg(all(test, not(feature = "simulation"), target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_small() {
        // What a plain session pays for what others may need, TLS among it, is a word for each.
        assert!(size_of::<Session>() <= 264, "{} bytes", size_of::<Session>());
    }
}
