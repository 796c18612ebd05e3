//! Notices to everybody, from session to session.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Notice, Session};

/// How many bytes of notices go into one write a socket, unless one alone is longer: as much as a socket takes at
/// once while its client keeps up, and as a core's cache holds while a thousand sockets copy it.
pub(crate) const BURST: usize = 64 * 1024;

/// After how many sessions newer notices join: seldom enough that making a burst costs its sessions nothing, and
/// often enough that a new notice need not wait for thousands of others to get the last ones.
const STEP: usize = 16;

/// How many of the next notices go into one write.
pub(crate) fn burst<'n>(notices: impl IntoIterator<Item = &'n Arc<Notice>>) -> usize {
    let mut bytes = 0;
    let fits = |notice: &&Arc<Notice>| {
        let is_first = bytes == 0;
        bytes += notice.len();
        is_first || bytes <= BURST
    };
    notices.into_iter().take_while(fits).count()
}

/// Notices as bytes, made once for all sessions of an encoding.
#[derive(Default)]
pub(crate) struct Burst(Vec<Option<Bytes>>);

impl Burst {
    /// Sends notices, which are the same at every call, to a session that they are for.
    pub(crate) fn send(&mut self, notices: &[Arc<Notice>], session: &Session) {
        let Some(first) = notices.first() else { return };
        if first.is_without_inbox() && session.has_inbox()
            || first.audience().is_none() && !session.hears_all()
        {
            return;
        }
        if session.is_encrypted() {
            return session.seal_burst(notices);
        }
        let encoding = session.encoding();
        if !session.takes_any_length() {
            let framed = notices.iter().filter_map(|notice| notice.framed(encoding));
            framed.filter(|bytes| session.takes(bytes)).for_each(|bytes| session.send_burst(bytes.clone()));
            return;
        }
        if self.0.len() <= encoding {
            self.0.resize(encoding + 1, None);
        }
        let bytes = self.0[encoding].get_or_insert_with(|| match notices {
            [one] => one.framed(encoding).cloned().unwrap_or_default(),
            many => {
                let parts: Vec<&[u8]> =
                    many.iter().filter_map(|notice| notice.framed(encoding)).map(|b| &b[..]).collect();
                parts.concat().into()
            }
        });
        session.send_burst(bytes.clone());
    }
}

/// Notices that go to the same sessions, of which not every session has had all.
///
/// Its passes go over all sessions, and each session gets whatever has come since its last turn, also what came
/// while the pass was under way. If a pass gave everybody the same, a notice would wait for two of them: the one
/// during which it came, and its own. With so many notices on their way at a time, a write carries about twice as
/// many of them, and it is the writes that cost.
pub(crate) struct Round {
    /// What some session has not had.
    notices: Vec<Arc<Notice>>,
    /// Number of the first of them.
    first: u64,
    /// How far the sessions are, by their places; the last has no end. The first are the furthest behind.
    stretches: Vec<Stretch>,
    /// Sessions that came when the round had begun, and the number of the first notice that is for them.
    late: HashMap<usize, u64>,
}

/// Sessions side by side that have had the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    /// The place behind the last of them.
    end: usize,
    /// Number of the first notice that they have not had.
    next: u64,
}

impl Round {
    pub(crate) fn new(notices: Vec<Arc<Notice>>) -> Self {
        let stretches = vec![Stretch { end: usize::MAX, next: 0 }];
        Self { notices, first: 0, stretches, late: HashMap::new() }
    }

    /// How many notices somebody has not had.
    pub(crate) fn waiting(&self) -> usize {
        self.notices.len()
    }

    /// A session has come to a place: what the round has so far is from before its time.
    pub(crate) fn arrive(&mut self, place: usize) {
        self.late.insert(place, self.end());
    }

    /// Goes over all sessions once. `more` gives notices that have come and go where the given one goes.
    pub(crate) fn pass(
        &mut self,
        sessions: &[Option<Arc<Session>>],
        mut more: impl FnMut(&Notice) -> Vec<Arc<Notice>>,
    ) {
        let mut place = 0;
        let mut sent = (0..0, Burst::default());
        for stretch in std::mem::take(&mut self.stretches) {
            let end = stretch.end.min(sessions.len());
            while place < end {
                let newer = self.notices.last().map_or_else(Vec::new, |last| more(last));
                self.notices.extend(newer);
                let to = stretch.next + burst(self.between(stretch.next, self.end())) as u64;
                let step = if to == stretch.next { end } else { end.min(place + STEP) };
                if sent.0 != (stretch.next..to) {
                    sent = (stretch.next..to, Burst::default());
                }
                for (place, session) in sessions.iter().enumerate().take(step).skip(place) {
                    let Some(session) = session else { continue };
                    match self.late.get(&place).copied() {
                        None => sent.1.send(self.between(stretch.next, to), session),
                        Some(from) if from < to => {
                            self.late.remove(&place);
                            Burst::default().send(self.between(from, to), session);
                        }
                        Some(_) => {}
                    }
                }
                place = step;
                self.reach(Stretch { end: step, next: to });
            }
        }
        match self.stretches.last_mut() {
            Some(last) => last.end = usize::MAX,
            None => self.stretches.push(Stretch { end: usize::MAX, next: self.end() }),
        }
        let had = self.stretches[0].next - self.first;
        self.notices.drain(..had as usize);
        self.first += had;
    }

    /// The number that the next notice gets.
    fn end(&self) -> u64 {
        self.first + self.notices.len() as u64
    }

    fn between(&self, from: u64, to: u64) -> &[Arc<Notice>] {
        &self.notices[(from - self.first) as usize..(to - self.first) as usize]
    }

    fn reach(&mut self, stretch: Stretch) {
        match self.stretches.last_mut() {
            Some(last) if last.next == stretch.next => last.end = stretch.end,
            _ => self.stretches.push(stretch),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use msgserver_message::{Content, Message};
    use msgserver_protocol::{Bar, Encoder, Json};
    use proptest::prelude::*;

    use super::*;
    use crate::SessionSetup;

    /// What happens between two passes, and during one.
    #[derive(Debug, Clone)]
    struct Between {
        /// At these places a session ends.
        leave: Vec<usize>,
        /// So many sessions come.
        come: usize,
        /// Lengths of the notices that come, and at which question for more.
        notices: Vec<(usize, usize)>,
    }

    fn between() -> impl Strategy<Value = Between> {
        let leave = prop::collection::vec(0usize..60, 0..4);
        let length = prop_oneof![3 => 1usize..200, 1 => 1000usize..BURST * 2];
        let notices = prop::collection::vec((0usize..6, length), 0..6);
        (leave, 0usize..4, notices).prop_map(|(leave, come, mut notices)| {
            notices.sort_by_key(|(question, _)| *question);
            Between { leave, come, notices }
        })
    }

    /// A server's sessions by their places, and the other ends of their connections.
    struct Hall {
        listener: TcpListener,
        encoders: Arc<[Encoder]>,
        sessions: Vec<Option<Arc<Session>>>,
        clients: Vec<Client>,
    }

    struct Client {
        socket: TcpStream,
        session: Arc<Session>,
        /// The first notice that is for it.
        from: u64,
    }

    impl Hall {
        fn new() -> Self {
            let encoders = [Encoder::new(Bar, Json).unwrap()].into();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Self { listener, encoders, sessions: Vec::new(), clients: Vec::new() }
        }

        /// A client comes; gives the place of its session.
        fn come(&mut self, from: u64) -> usize {
            let socket = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            let setup = SessionSetup::plain(self.clients.len() as u64, "u", &self.encoders);
            let server = self.listener.accept().unwrap().0;
            let session = Arc::new(Session::new(setup, server.into()).unwrap());
            self.clients.push(Client { socket, session: Arc::clone(&session), from });
            let place = self.sessions.iter().position(Option::is_none).unwrap_or(self.sessions.len());
            self.sessions.resize(self.sessions.len().max(place + 1), None);
            self.sessions[place] = Some(session);
            place
        }

        fn leave(&mut self, place: usize) {
            if let Some(session) = self.sessions.get_mut(place).and_then(Option::take) {
                self.clients.retain(|client| client.session.id() != session.id());
            }
        }

        fn notice(&self, number: u64, bytes: usize) -> Arc<Notice> {
            let text = format!("{number:08}{}", "x".repeat(bytes));
            let message = Message::new(Content::text(&text));
            Arc::new(Notice::new(message, Arc::clone(&self.encoders)).unwrap())
        }
    }

    impl Client {
        /// Numbers of the notices that it gets, as many as are for it.
        fn numbers(&mut self, end: u64) -> Vec<u64> {
            let mut text = Vec::new();
            let ends = |text: &[u8]| text.iter().filter(|&&byte| byte == b'|').count() as u64;
            while ends(&text) < end - self.from {
                self.session.flush();
                let mut chunk = vec![0; 1 << 18];
                let n = self.socket.read(&mut chunk).unwrap();
                text.extend_from_slice(&chunk[..n]);
            }
            let text = String::from_utf8(text).unwrap();
            let number = |text: &str| text.trim_start_matches('"')[..8].parse().unwrap();
            text.split_terminator('|').map(number).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn each_session_gets_what_came_after_it_once_and_in_order(
            crowd in 0usize..60,
            passes in prop::collection::vec(between(), 1..8),
        ) {
            let mut hall = Hall::new();
            for _ in 0..crowd {
                hall.come(0);
            }
            let mut end = 3;
            let mut round = Round::new((0..end).map(|number| hall.notice(number, 9)).collect());
            for between in passes {
                between.leave.iter().for_each(|&place| hall.leave(place));
                for _ in 0..between.come {
                    let place = hall.come(end);
                    round.arrive(place);
                }
                let mut coming = between.notices.into_iter().peekable();
                let mut questions = 0..;
                round.pass(&hall.sessions, |_| {
                    let question = questions.next().unwrap();
                    let mut more = Vec::new();
                    while let Some((_, bytes)) = coming.next_if(|(at, _)| *at <= question) {
                        more.push(hall.notice(end, bytes));
                        end += 1;
                    }
                    more
                });
                if round.waiting() == 0 {
                    break;
                }
            }
            while round.waiting() > 0 {
                round.pass(&hall.sessions, |_| Vec::new());
            }
            for mut client in hall.clients {
                client.socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
                let from = client.from;
                prop_assert_eq!(client.numbers(end), (from..end).collect::<Vec<_>>());
            }
        }
    }
}
