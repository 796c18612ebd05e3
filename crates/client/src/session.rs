//! One session, from its welcome to its end.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use msgserver_message::Seq;
use msgserver_protocol::{ClientFrame, ServerFrame};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use crate::Message;
use crate::connection::Connection;
use crate::end::{End, lost};
use crate::line::{Line, Say};
use crate::requests::Answer;
use crate::standing::Verdict;
use crate::waits::Waits;

/// How many frames wait to be said, at most, before no more requests are taken.
const MOST_TO_SAY: usize = 256;

/// How long a connection may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// One session.
pub(crate) struct Session<'a> {
    of: &'a mut Connection,
    line: Line,
    /// What is to be said, and whether some of it may not have left yet.
    out: VecDeque<ClientFrame>,
    has_to_flush: bool,
    /// What was read and finds no room in the tray.
    held: Option<Message>,
    /// Messages were read that found no room, for the sake of answers behind them. The server has to send them again.
    is_behind: bool,
    was_heard: bool,
    again_at: Option<Instant>,
    again: Waits,
}

/// Says what is to be said. To drop it on the way loses nothing.
async fn carry(say: &mut Say, out: &mut VecDeque<ClientFrame>) -> Result<(), End> {
    while !out.is_empty() {
        std::future::poll_fn(|context| say.as_mut().poll_ready(context)).await?;
        if let Some(frame) = out.pop_front() {
            say.as_mut().start_send(frame)?;
        }
    }
    say.flush().await
}

impl<'a> Session<'a> {
    pub(crate) fn new(of: &'a mut Connection, line: Line) -> Self {
        Self {
            of,
            line,
            out: VecDeque::new(),
            has_to_flush: false,
            held: None,
            is_behind: false,
            was_heard: true,
            again_at: None,
            again: Waits::new(),
        }
    }

    /// Goes on until the connection ends, or nobody wants it any more.
    pub(crate) async fn run(mut self, heartbeat: Duration) -> End {
        let mut acknowledged = self.of.standing.watch();
        // The last acknowledgement may have been lost with the last connection.
        self.acknowledge();
        for frame in self.of.requests.begin_connection() {
            self.say(frame);
        }
        let beat = (heartbeat / 2).max(Duration::from_millis(50));
        let mut beats = interval_at(Instant::now() + beat, beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(frames) = self.of.requests.next_asked() {
                frames.into_iter().for_each(|frame| self.say(frame));
            }
            let awaits_answers = self.of.requests.awaits_answers();
            if self.is_behind && self.held.is_none() && !awaits_answers {
                return End::Behind;
            }
            if self.of.is_closing() {
                return self.farewell().await;
            }
            // Who does not take messages is not read for, and the server keeps them; but answers come behind them.
            let reads = self.held.is_none() || awaits_answers;
            let again_at = self.again_at;
            let of = &mut *self.of;
            let done = tokio::select! {
                sent = carry(&mut self.line.say, &mut self.out), if self.has_to_flush => {
                    self.has_to_flush = false;
                    sent
                }
                heard = self.line.heard.next(), if reads => match heard {
                    Some(Ok(frame)) => self.hear(frame),
                    Some(Err(end)) => Err(end),
                    None => Err(lost("the server closed the connection")),
                },
                order = of.orders.recv(), if of.takes_orders && self.out.len() < MOST_TO_SAY => {
                    if let Some(reference) = of.take(order)
                        && let Some(frame) = of.requests.frame(reference)
                    {
                        self.say(frame);
                    }
                    Ok(())
                }
                room = of.tray.room_for(self.held.as_ref()), if self.held.is_some() => {
                    if let Some(message) = self.held.take() {
                        self.hand_over(message, room);
                    }
                    Ok(())
                }
                _ = acknowledged.changed() => {
                    self.acknowledge();
                    Ok(())
                }
                _ = beats.tick() => self.beat(reads),
                () = sleep_until(again_at.unwrap_or_else(Instant::now)), if again_at.is_some() => {
                    self.again_at = None;
                    self.of.requests.again().into_iter().for_each(|frame| self.say(frame));
                    Ok(())
                }
                () = of.tray.unwanted(), if of.tray.is_wanted() => Ok(()),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    fn say(&mut self, frame: ClientFrame) {
        self.out.push_back(frame);
        self.has_to_flush = true;
    }

    /// Says how far the application has come. One word for all that wait to be said.
    fn acknowledge(&mut self) {
        let seq = self.of.standing.now().seq;
        if seq == Seq::ZERO {
            return;
        }
        match self.out.back_mut() {
            Some(ClientFrame::Ack { seq: waiting }) => *waiting = seq,
            _ => self.say(ClientFrame::Ack { seq }),
        }
    }

    /// Finds out that the server is gone: what is sent into a dead network comes back as nothing for minutes.
    fn beat(&mut self, reads: bool) -> Result<(), End> {
        if reads && !self.was_heard {
            return Err(lost("the server does not answer"));
        }
        self.was_heard = !reads;
        let ping = self.of.requests.ping();
        self.say(ping);
        Ok(())
    }

    fn hear(&mut self, frame: ServerFrame) -> Result<(), End> {
        self.was_heard = true;
        match frame {
            ServerFrame::Message { id, seq, content, topic, sent_at, redelivered } => {
                let standing = Arc::clone(&self.of.standing);
                let count = standing.now().count;
                self.receive(Message { id, seq, content, topic, sent_at, redelivered, count, standing });
                Ok(())
            }
            ServerFrame::Pong => {
                self.of.requests.pong();
                Ok(())
            }
            ServerFrame::Bye { code, detail, retry_after_ms } => {
                Err(self.of.bye(code, detail, retry_after_ms))
            }
            answer => {
                let is_published = matches!(answer, ServerFrame::Published { .. });
                match self.of.requests.answer(answer) {
                    Answer::Taken if is_published => self.again.reset(),
                    Answer::Taken => {}
                    Answer::Later(detail) => {
                        self.of.trouble(detail);
                        if self.again_at.is_none() {
                            self.again_at = Some(Instant::now() + self.again.spread(None));
                        }
                    }
                    Answer::Lost(detail) => return Err(lost(detail)),
                    Answer::None(detail) => self.of.tell(detail),
                }
                Ok(())
            }
        }
    }

    fn receive(&mut self, message: Message) {
        match self.of.standing.judge(message.seq, self.of.handed_over) {
            Verdict::AcknowledgeAgain => self.acknowledge(),
            Verdict::PassOver => {}
            Verdict::HandOver if self.is_behind => {}
            Verdict::HandOver if self.held.is_some() => self.is_behind = true,
            Verdict::HandOver => match self.of.tray.try_room(&message.content) {
                Some(room) => self.hand_over(message, room),
                None => self.held = Some(message),
            },
        }
    }

    fn hand_over(&mut self, message: Message, room: tokio::sync::OwnedSemaphorePermit) {
        if let Some(seq) = message.seq {
            self.of.handed_over = seq;
        }
        self.of.tray.put(message, room);
    }

    /// Says what is acknowledged, and reads what comes until the server has closed: to close over what was not read
    /// would take back what was said.
    async fn farewell(mut self) -> End {
        self.acknowledge();
        let farewell = pin!(async {
            carry(&mut self.line.say, &mut self.out).await?;
            self.line.say.close().await?;
            while let Some(Ok(_)) = self.line.heard.next().await {}
            Ok::<_, End>(())
        });
        let _ = timeout(FAREWELL, farewell).await;
        End::Closed
    }
}
