//! One thread of the reactor, and its sessions.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Poll, Token};
use msgserver_message::SessionId;
use msgserver_protocol::{Heard, Partial};
use msgserver_tls::Came;
use parking_lot::Mutex;

use crate::reactor::shard_of;
use crate::round::{Burst, Round, burst};
use crate::unconfirmed::Unconfirmed;
use crate::{CloseReason, Events, Notice, ReactorOptions, Session};

/// How many reads a session gets before others get theirs, unless one fills the buffer: a client that sends
/// without end must not keep the thread.
const READS_A_TURN: usize = 4;

/// How many reads of what a session had sent are dropped at its end: a client that sends without end is reset.
const DRAINED_READS: usize = 64;

pub(crate) const WAKE: Token = Token(usize::MAX);

/// What other threads have put down for this one.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) woken: bool,
    pub(crate) stop: bool,
    /// Whether it has.
    pub(crate) stopped: bool,
    pub(crate) arrivals: Vec<Arc<Session>>,
    pub(crate) notices: VecDeque<Arc<Notice>>,
    /// How many notices have been taken, and have not been written to every session.
    pub(crate) under_way: usize,
    pub(crate) confirming: Vec<Arc<Session>>,
}

impl Inbox {
    /// The notices that go out in the next write: they are for the same sessions.
    fn burst(&mut self) -> Vec<Arc<Notice>> {
        let Some(first) = self.notices.front() else { return Vec::new() };
        let n = burst(self.notices.iter().take_while(|notice| first.goes_where(notice)));
        self.notices.drain(..n).collect()
    }

    /// The next notices, if they go where one goes that is under way. A session that has arrived and has no place
    /// yet must not miss one that came after it.
    fn more(&mut self, under_way: &Notice) -> Vec<Arc<Notice>> {
        let joins = |next: &Arc<Notice>| self.arrivals.is_empty() && next.goes_where(under_way);
        if self.notices.front().is_some_and(joins) { self.burst() } else { Vec::new() }
    }
}

pub(crate) struct Shard {
    /// Which of how many it is.
    number: (usize, usize),
    poll: Poll,
    inbox: Arc<Mutex<Inbox>>,
    events: Arc<dyn Events>,
    sessions: Vec<Option<Arc<Session>>>,
    free: Vec<usize>,
    /// Sessions whose sockets may have more to read: the poll tells of new bytes only once.
    unread: Vec<usize>,
    /// Notices to everybody that are under way.
    round: Option<Round>,
    /// Whether notices wait that were not written in the last turn.
    notices_left: bool,
    /// One list of sessions a second of the heartbeat: each is looked at once a heartbeat, and a timer
    /// costs a session 16 bytes. An entry whose session has gone is dropped when its second comes.
    wheel: Vec<Vec<(usize, SessionId)>>,
    second: u32,
    started: Instant,
    heartbeat: u32,
    max_frame_bytes: usize,
    unconfirmed: Unconfirmed,
    scratch: Box<[u8]>,
    /// What was under TLS in it.
    opened: Vec<u8>,
    /// What the session that is being read has said; lent to each for as long as it says whole frames.
    heard: Partial,
}

impl Shard {
    pub(crate) fn new(
        number: (usize, usize),
        poll: Poll,
        inbox: Arc<Mutex<Inbox>>,
        events: Arc<dyn Events>,
        options: &ReactorOptions,
        now: Instant,
    ) -> Self {
        let heartbeat = u32::try_from(options.heartbeat.as_secs()).unwrap_or(u32::MAX).clamp(1, 3600);
        Self {
            number,
            poll,
            inbox,
            events,
            sessions: Vec::new(),
            free: Vec::new(),
            unread: Vec::new(),
            round: None,
            notices_left: false,
            wheel: vec![Vec::new(); heartbeat as usize],
            second: 0,
            started: now,
            heartbeat,
            max_frame_bytes: options.max_frame_bytes,
            unconfirmed: Unconfirmed::default(),
            scratch: vec![0; 64 * 1024].into(),
            opened: Vec::new(),
            heard: Partial::default(),
        }
    }

    pub(crate) fn run(mut self) {
        let mut ready = mio::Events::with_capacity(1024);
        loop {
            let timeout = self.patience(Instant::now());
            if let Err(fault) = self.poll.poll(&mut ready, Some(timeout))
                && fault.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%fault, "a reactor thread ends: its sockets cannot be watched");
                return;
            }
            let events = ready.iter().filter(|event| event.token() != WAKE).map(|event| {
                let readable = event.is_readable() || event.is_read_closed();
                (event.token().0, readable, event.is_writable())
            });
            if !self.turn(events, Instant::now()) {
                return;
            }
        }
    }

    /// How long nothing may happen before there is something to do.
    pub(crate) fn patience(&self, now: Instant) -> Duration {
        if !self.unread.is_empty() || self.notices_left {
            return Duration::ZERO;
        }
        let since = now.duration_since(self.started);
        let tick = Duration::from_secs(u64::from(self.second) + 1).saturating_sub(since);
        self.unconfirmed.next().map_or(tick, |next| tick.min(next.saturating_duration_since(now)))
    }

    /// Serves sessions whose sockets can be read or written, and whatever else is to do; whether there will be
    /// another turn.
    pub(crate) fn turn(
        &mut self,
        ready: impl IntoIterator<Item = (usize, bool, bool)>,
        now: Instant,
    ) -> bool {
        let mut unread = std::mem::take(&mut self.unread);
        for (index, readable, writable) in ready {
            self.serve(index, readable, writable);
        }
        // A session that an event told of as well is in the list twice.
        unread.sort_unstable();
        unread.dedup();
        for index in unread {
            self.serve(index, true, false);
        }
        let (arrivals, notices, confirming, stop) = {
            let inbox = &mut *self.inbox.lock();
            inbox.woken = false;
            let burst = if self.round.is_some() { Vec::new() } else { inbox.burst() };
            inbox.under_way += burst.len();
            (std::mem::take(&mut inbox.arrivals), burst, std::mem::take(&mut inbox.confirming), inbox.stop)
        };
        for session in arrivals {
            self.arrive(session);
        }
        self.fan_out(notices);
        for session in confirming {
            self.unconfirmed.watch(session, now);
        }
        let events = &self.events;
        self.unconfirmed.ask(now, |session, seq| events.on_delivered(session, seq));
        self.tick(now);
        if stop {
            for index in 0..self.sessions.len() {
                self.finish(index, CloseReason::ShuttingDown);
            }
            self.inbox.lock().stopped = true;
        }
        !stop
    }

    fn arrive(&mut self, session: Arc<Session>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() - 1
        });
        session.hear(self.second);
        self.look_again(index, &session, 0);
        if let Some(round) = &mut self.round {
            round.arrive(index);
        }
        let read_ahead = session.inbound.lock().is_some();
        self.sessions[index] = Some(Arc::clone(&session));
        if let Err(e) = session.socket().register(self.poll.registry(), index) {
            self.finish(index, CloseReason::Failed(e.kind()));
        } else if read_ahead {
            self.serve(index, true, false);
        }
    }

    /// Puts down when a session that has been silent for so many seconds is looked at again: in a heartbeat, or sooner
    /// if it may not be silent so long.
    fn look_again(&mut self, index: usize, session: &Session, silent: u32) {
        let wait = match session.agreed_silence() {
            Some(limit) => limit.saturating_sub(silent).saturating_add(1).min(self.heartbeat),
            None => self.heartbeat,
        };
        self.wheel[((self.second + wait) % self.heartbeat) as usize].push((index, session.id()));
    }

    fn serve(&mut self, index: usize, readable: bool, writable: bool) {
        let Some(session) = self.sessions.get(index).and_then(Option::as_ref).map(Arc::clone) else { return };
        if writable {
            session.flush();
            if session.has_room_again() {
                self.events.on_room(&session);
            }
        }
        if readable {
            match self.read(&session) {
                Ok(true) => self.unread.push(index),
                Ok(false) => {}
                Err(reason) => return self.finish(index, reason),
            }
        }
        if let Some(reason) = session.end_reason() {
            self.finish(index, reason);
        }
    }

    /// Reads what the socket has, for one turn; gives whether it may have more.
    fn read(&mut self, session: &Arc<Session>) -> Result<bool, CloseReason> {
        // Lent to the session: what it says is told from there.
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.read_into(session, &mut scratch);
        self.scratch = scratch;
        outcome
    }

    fn read_into(&mut self, session: &Arc<Session>, scratch: &mut [u8]) -> Result<bool, CloseReason> {
        for _ in 0..READS_A_TURN {
            let outcome = (&mut session.socket()).read(scratch);
            let came = &mut scratch[..outcome.as_ref().map_or(0, |n| *n)];
            if session.has_tls() { self.open(session, came) } else { self.hear(session, came) }?;
            match outcome {
                Ok(0) => return Err(CloseReason::ClosedByPeer),
                Ok(n) => {
                    session.hear(self.second);
                    // As much as others have to wait for.
                    if n == scratch.len() {
                        return Ok(true);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(CloseReason::Failed(e.kind())),
            }
        }
        Ok(true)
    }

    /// As [`Shard::hear`], of bytes that are under TLS.
    fn open(&mut self, session: &Arc<Session>, bytes: &mut [u8]) -> Result<(), CloseReason> {
        let mut opened = std::mem::take(&mut self.opened);
        opened.clear();
        let came = session.open(bytes, &mut opened);
        let heard = self.hear(session, &opened);
        self.opened = opened;
        heard?;
        if came? == Came::End { Err(CloseReason::ClosedByPeer) } else { Ok(()) }
    }

    /// Tells what a session has said, now that there are these bytes more of it.
    fn hear(&mut self, session: &Arc<Session>, bytes: &[u8]) -> Result<(), CloseReason> {
        let inbound = session.encoder().inbound();
        if inbound.is_silent() {
            return Ok(());
        }
        let half_said = session.inbound.lock().take();
        let mut own = half_said.map(|half_said| *half_said);
        let partial = own.as_mut().unwrap_or(&mut self.heard);
        partial.extend(bytes);
        loop {
            match inbound.next(partial, self.max_frame_bytes) {
                Ok(Some(Heard::Frame(frame))) => self.events.on_frame(session, frame),
                Ok(Some(Heard::Packet(packet))) => {
                    self.events.on_packet(session, packet);
                    // It may have been the last one.
                    if let Some(reason) = session.end_reason() {
                        *partial = Partial::default();
                        return Err(reason);
                    }
                }
                Ok(Some(Heard::Asked(answer))) => session.say(answer),
                Ok(Some(Heard::Goodbye(answer))) => {
                    *partial = Partial::default();
                    session.close_with(answer, CloseReason::ClosedByPeer);
                    return Err(CloseReason::ClosedByPeer);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(fault) => {
                    *partial = Partial::default();
                    return Err(CloseReason::BadFrame { fault: fault.fault(), detail: fault.to_string() });
                }
            }
        }
        if !partial.is_empty() {
            let partial = std::mem::take(partial);
            *session.inbound.lock() = Some(Box::new(partial));
        }
        Ok(())
    }

    /// One write a socket, however many notices wait.
    fn fan_out(&mut self, notices: Vec<Arc<Notice>>) {
        match notices.first().map(|first| first.audience()) {
            None => {}
            Some(None) => self.round = Some(Round::new(notices)),
            Some(Some(audience)) => {
                let (own, shards) = self.number;
                let is_own = |session: &&Arc<Session>| shard_of(session.id(), shards) == own;
                let mut burst = Burst::default();
                for session in audience.sessions().iter().filter(is_own) {
                    burst.send(&notices, session);
                }
            }
        }
        if let Some(round) = &mut self.round {
            round.pass(&self.sessions, |under_way| self.inbox.lock().more(under_way));
        }
        self.round.take_if(|round| round.waiting() == 0);
        let mut inbox = self.inbox.lock();
        inbox.under_way = self.round.as_ref().map_or(0, Round::waiting);
        self.notices_left = inbox.under_way > 0 || !inbox.notices.is_empty();
    }

    fn tick(&mut self, now: Instant) {
        while now.duration_since(self.started) >= Duration::from_secs(u64::from(self.second) + 1) {
            self.second += 1;
            let slot = self.second % self.heartbeat;
            let due = std::mem::take(&mut self.wheel[slot as usize]);
            for (index, id) in due {
                let session = self.sessions.get(index).and_then(Option::as_ref);
                let Some(session) = session.filter(|session| session.id() == id) else { continue };
                let silent = self.second.saturating_sub(session.heard.load(Ordering::Relaxed));
                if session.silence(2 * self.heartbeat).is_some_and(|limit| silent > limit) {
                    self.finish(index, CloseReason::HeartbeatMissed);
                    continue;
                }
                if let Some(keepalive) = session.encoder().protocol().keepalive() {
                    session.say(Bytes::from_static(keepalive));
                }
                let session = Arc::clone(session);
                self.look_again(index, &session, silent);
            }
            self.shrink();
        }
    }

    /// Gives back what was needed while there were many more sessions. A place that is taken holds all that are before
    /// it.
    fn shrink(&mut self) {
        if self.free.len() < self.sessions.len() / 4 * 3 || self.sessions.last().is_none_or(Option::is_some) {
            return;
        }
        let needed = self.sessions.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.sessions.truncate(needed);
        self.sessions.shrink_to_fit();
        self.free.retain(|place| *place < needed);
        self.free.shrink_to_fit();
        let is_there = |(index, id): &(usize, SessionId)| {
            self.sessions.get(*index).and_then(Option::as_ref).is_some_and(|session| session.id() == *id)
        };
        for due in &mut self.wheel {
            due.retain(is_there);
            due.shrink_to_fit();
        }
    }

    /// Drops what a session had sent before its end: to close with unread bytes would reset the connection, and
    /// the client could lose what it was told last.
    fn drain(&mut self, session: &Session) {
        for _ in 0..DRAINED_READS {
            if !matches!((&mut session.socket()).read(&mut self.scratch), Ok(1..)) {
                return;
            }
        }
    }

    /// The first reason stands: one that the session was closed with goes before `reason`.
    fn finish(&mut self, index: usize, reason: CloseReason) {
        let Some(session) = self.sessions[index].take() else { return };
        let reason = session.end_reason().unwrap_or(reason);
        // What the peer's TCP had acknowledged before the end has arrived.
        if let (Some(seq), _) = session.confirmed() {
            self.events.on_delivered(&session, seq);
        }
        match self.events.last_words(&session, &reason) {
            Some(words) => session.close_with(words, reason.clone()),
            None => session.close(reason.clone()),
        }
        self.drain(&session);
        let _ = session.socket().deregister(self.poll.registry());
        self.free.push(index);
        self.events.on_closed(&session, &reason);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use msgserver_message::{Content, Message, Seq};
    use msgserver_protocol::{Bar, ClientFrame, Encoder, Json};

    use super::*;
    use crate::SessionSetup;
    use crate::round::BURST;

    /// Somebody who does nothing about what happens.
    struct Idle;

    impl Events for Idle {
        fn on_frame(&self, _: &Arc<Session>, _: ClientFrame) {}
        fn on_delivered(&self, _: &Arc<Session>, _: Seq) {}
        fn on_room(&self, _: &Arc<Session>) {}
        fn on_closed(&self, _: &Arc<Session>, _: &CloseReason) {}
    }

    #[test]
    fn what_many_sessions_needed_is_given_back_when_they_have_gone() {
        const MANY: usize = 200;
        let encoders: Arc<[Encoder]> = [Encoder::new(Bar, Json).unwrap()].into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (inbox, options, begin) = (Arc::default(), ReactorOptions::default(), Instant::now());
        let poll = Poll::new().unwrap();
        let mut shard = Shard::new((0, 1), poll, Arc::clone(&inbox), Arc::new(Idle), &options, begin);
        let come = |number| {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let setup = SessionSetup::plain(number as u64, "u", &encoders);
            let session = Arc::new(Session::new(setup, listener.accept().unwrap().0.into()).unwrap());
            inbox.lock().arrivals.push(Arc::clone(&session));
            (client, session)
        };
        let held = |shard: &Shard| {
            let timers = shard.wheel.iter().map(Vec::capacity).sum::<usize>();
            shard.sessions.capacity() + shard.free.capacity() + timers
        };
        let both: Vec<_> = (0..MANY).map(come).collect();
        shard.turn([], begin);
        assert!(held(&shard) >= 2 * MANY);

        both[1..].iter().for_each(|(_, session)| session.close(CloseReason::Dismissed));
        shard.turn((0..MANY).map(|place| (place, true, false)), begin);
        shard.turn([], begin + Duration::from_secs(1));
        assert!(held(&shard) < 20, "{} places and timers are held for one session", held(&shard));
        assert_eq!((shard.sessions.len(), shard.free.len()), (1, 0));

        let _next = come(MANY);
        shard.turn([], begin + Duration::from_secs(1));
        assert_eq!(shard.sessions.iter().flatten().count(), 2);
    }

    #[test]
    fn a_burst_is_for_the_same_sessions_and_fits_a_socket_unless_one_notice_alone_does_not() {
        let encoders: Arc<[Encoder]> = [Encoder::new(Bar, Json).unwrap()].into();
        let notice = |bytes: usize, without_inbox: bool| {
            let notice = Notice::new(Message::new(Content::text(&"x".repeat(bytes))), Arc::clone(&encoders));
            let notice = notice.unwrap();
            Arc::new(if without_inbox { notice.without_inbox() } else { notice })
        };
        let mut inbox = Inbox::default();
        inbox.notices.extend((0..40).map(|_| notice(4096, false)));
        inbox.notices.extend([notice(BURST * 2, false), notice(1, false), notice(1, true), notice(1, true)]);
        let mut bursts = Vec::new();
        while !inbox.notices.is_empty() {
            bursts.push(inbox.burst().len());
        }
        assert_eq!(bursts, [15, 15, 10, 1, 1, 2]);
    }
}
