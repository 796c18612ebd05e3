//! Clients: some keep their last number and acknowledge, others have a protocol in which they cannot.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use msgserver_message::{DeviceId, Seq, Timestamp, UserId};
use msgserver_persistence::Store;
use msgserver_protocol::{ByeCode, ClientFrame, ErrorCode, FrameFormat, Hello, ServerFrame};
use msgserver_scheduler::Scheduler;
use tokio::time::Instant;

use crate::auditor::Auditor;
use crate::chance::Chance;
use crate::network::{Line, Network};
use crate::order::{self, Number};
use crate::promise::Promise;
use crate::timed::Timed;
use crate::topics::Wish;

/// How often a client says that it is there.
const PING_EVERY: Duration = Duration::from_secs(4);

/// A device, and where it connects.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// The number of its door: 0 for those that acknowledge.
    pub(crate) door: usize,
    pub(crate) network: Network,
    pub(crate) scheduler: Scheduler,
    pub(crate) store: Arc<Timed>,
    pub(crate) auditor: Auditor,
    pub(crate) chance: Chance,
    /// How much it may be sent without an acknowledgement, if that can be checked.
    pub(crate) window: Option<usize>,
    /// Whether it stays connected and acknowledges at once.
    pub(crate) is_calm: bool,
    /// Whether it begins to follow topics, and ends it.
    pub(crate) has_wishes: bool,
}

/// One connection of a client.
struct Talk {
    line: Line,
    bytes: Vec<u8>,
    welcome: bool,
    last_ping: Instant,
    over: bool,
    /// What each `ping` that is not answered yet was said behind.
    pings: VecDeque<Option<Wish>>,
    /// What was wished last could not be, or not all of it.
    refused: bool,
    /// The last messages of the topics that it begins to follow.
    history: Vec<Number>,
}

impl Client {
    /// Connects, stays for a while and goes, again and again.
    pub(crate) async fn live(self) {
        loop {
            let pause = if self.is_calm { Duration::from_millis(100) } else { Duration::from_secs(4) };
            tokio::time::sleep(self.chance.pause(pause)).await;
            let stay = if self.is_calm {
                Duration::from_secs(3600)
            } else {
                self.chance.pause(Duration::from_secs(16))
            };
            self.connect(stay).await;
        }
    }

    async fn connect(&self, stay: Duration) {
        let acknowledges = self.door == 0;
        let connection = self.auditor.hello(&self.user, &self.device, acknowledges);
        let room = if self.is_calm { 64 * 1024 } else { 1 << self.chance.between(5, 15) };
        let (wire, line) = self.network.connect(room);
        let hello =
            Hello { user: Some(self.user.clone()), device: Some(self.device.clone()), ..Hello::default() };
        let (scheduler, door) = (self.scheduler.clone(), self.door);
        let (ended, entered) = (line.clone(), Arc::new(AtomicBool::new(false)));
        let has_entered = Arc::clone(&entered);
        // The server goes on with it, also if the client has gone.
        tokio::spawn(async move {
            let peer: SocketAddr = ([127, 0, 0, 1], 1).into();
            let admitted = match scheduler.visit(peer, door) {
                Ok(visitor) => visitor.admit(hello, None).await,
                Err(refusal) => Err(refusal),
            };
            match admitted {
                Ok(admitted) => entered.store(admitted.enter_on(wire).await.is_some(), Ordering::Relaxed),
                Err(_) => ended.end(true),
            }
        });
        let mut talk = Talk {
            line,
            bytes: Vec::new(),
            welcome: false,
            last_ping: Instant::now(),
            over: false,
            pings: VecDeque::new(),
            refused: false,
            history: Vec::new(),
        };
        let until = Instant::now() + stay;
        while Instant::now() < until && !talk.over && !talk.line.is_over() {
            self.turn(&mut talk, connection).await;
            if !talk.welcome && !acknowledges && has_entered.load(Ordering::Relaxed) {
                // Nobody tells such a client that it is welcome.
                talk.welcome = true;
                self.welcome().await;
            }
        }
        self.auditor.gone(&self.user, &self.device, connection);
        match self.chance.below(4) {
            // It vanishes, and the server does not hear of it.
            0 => {}
            n => talk.line.end(n == 1),
        }
    }

    /// What happens next on a connection.
    async fn turn(&self, talk: &mut Talk, connection: u64) {
        if talk.line.is_idle() {
            let came = talk.line.came.notified();
            let _ = tokio::time::timeout(Duration::from_millis(500), came).await;
        }
        tokio::time::sleep(self.chance.pause(Duration::from_millis(if self.is_calm { 20 } else { 1000 })))
            .await;
        // A client that has connected anew does not hear what is said to its earlier connection.
        talk.over |= !self.auditor.listens(&self.user, &self.device, connection);
        if talk.over {
            return;
        }
        let most = if self.chance.one_in(3) { self.chance.between(1, 300) as usize } else { usize::MAX };
        talk.bytes.extend(talk.line.arrive(most));
        if self.door == 0 {
            self.hear_frames(talk).await;
            if talk.last_ping.elapsed() > PING_EVERY {
                talk.last_ping = Instant::now();
                self.ping(talk, None);
            }
            if talk.welcome && self.has_wishes && self.chance.one_in(6) {
                self.wish(talk);
            }
            if talk.welcome && (self.is_calm || self.chance.one_in(3)) {
                self.acknowledge(talk);
            }
        } else {
            self.hear_contents(talk);
        }
    }

    async fn welcome(&self) {
        // The store says where its cursor stands; a client is not told.
        let devices = self.store.devices(&self.user).await.unwrap_or_default();
        let cursor = devices.iter().find(|known| known.device == self.device).map(|known| known.acknowledged);
        self.auditor.welcome(&self.user, &self.device, cursor.unwrap_or(Seq::ZERO));
    }

    /// Asks for something about topics.
    fn wish(&self, talk: &mut Talk) {
        let wish = self.auditor.wish(&self.user, &self.device, &self.chance);
        let (topic, history) = (wish.topics.clone(), wish.history);
        let frame = match wish.follow {
            true => ClientFrame::Subscribe { topic, history },
            false => ClientFrame::Unsubscribe { topic },
        };
        self.say(talk, &frame);
        self.ping(talk, Some(wish));
    }

    /// A `pong` says that what was asked before its `ping` is done.
    fn ping(&self, talk: &mut Talk, wish: Option<Wish>) {
        self.say(talk, &ClientFrame::Ping);
        talk.pings.push_back(wish);
    }

    fn pong(&self, talk: &mut Talk) {
        if let Some(Some(wish)) = talk.pings.pop_front() {
            let is_done = !std::mem::take(&mut talk.refused);
            let history = std::mem::take(&mut talk.history);
            self.auditor.fulfil(&self.user, &self.device, &wish, is_done, &history);
        }
    }

    fn say(&self, talk: &Talk, frame: &ClientFrame) {
        let mut payload = Vec::new();
        FrameFormat::Json.write(frame, &mut payload).expect("a frame has a form");
        let length = u32::try_from(payload.len()).expect("a short frame");
        talk.line.send(&[&length.to_be_bytes()[..], &payload].concat());
    }

    fn acknowledge(&self, talk: &Talk) {
        let last = self.auditor.last(&self.user, &self.device);
        if last > Seq::ZERO {
            self.auditor.acknowledge(&self.user, &self.device, last);
            self.say(talk, &ClientFrame::Ack { seq: last });
        }
    }

    async fn hear_frames(&self, talk: &mut Talk) {
        loop {
            let Some((length, rest)) = talk.bytes.split_first_chunk::<4>() else { return };
            let length = u32::from_be_bytes(*length) as usize;
            let Some(payload) = rest.get(..length) else { return };
            let frame: ServerFrame =
                FrameFormat::Json.read(payload).expect("what the server writes is a frame");
            talk.bytes.drain(..4 + length);
            match frame {
                ServerFrame::Welcome { .. } => {
                    talk.welcome = true;
                    self.welcome().await;
                }
                // The last messages of a topic have no numbers: they are not its device's own.
                ServerFrame::Message { seq: None, content, .. } => talk.history.push(order::number(&content)),
                ServerFrame::Message { seq, content, redelivered, .. } => {
                    let what = (seq, order::number(&content));
                    let never = Timestamp::from_millis(0);
                    self.auditor.receive(&self.user, &self.device, what, redelivered, never);
                    if let Some(window) = self.window {
                        self.auditor.check_window(&self.user, &self.device, window);
                    }
                }
                ServerFrame::Error { code: ErrorCode::UnexpectedFrame, detail, .. } => {
                    self.auditor
                        .fail(Promise::AckIsTaken, format!("{}/{}: {detail}", self.user, self.device));
                }
                ServerFrame::Error { reference: None, .. } => talk.refused = true,
                ServerFrame::Pong => self.pong(talk),
                ServerFrame::Bye { code, retry_after_ms, .. } => {
                    if code == ByeCode::ShuttingDown {
                        self.auditor.bye(&self.user, &self.device, retry_after_ms);
                    }
                    talk.over = true;
                }
                _ => {}
            }
        }
    }

    fn hear_contents(&self, talk: &mut Talk) {
        while let Some(end) = talk.bytes.iter().position(|byte| *byte == b'|') {
            let frame: Vec<u8> = talk.bytes.drain(..=end).filter(|byte| *byte != 0).collect();
            let json = String::from_utf8(frame[..frame.len() - 1].to_vec()).expect("contents are text");
            let content = msgserver_message::Content::from_json(&json).expect("contents are JSON");
            let what = (None, order::number(&content));
            self.auditor.receive(&self.user, &self.device, what, false, Timestamp::from_millis(0));
        }
    }
}
