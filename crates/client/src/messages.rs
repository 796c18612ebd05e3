//! The stream of messages, and the bounded way from a connection to it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use msgserver_message::{Content, MessageId, Seq, Timestamp, Topic};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::Error;
use crate::standing::{Acknowledged, Standing};

/// What a message costs beside its content, in bytes.
const OVERHEAD: usize = 256;

/// A message that was handed over.
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Its number in the user's inbox. None if it is not kept: a notice, or what a topic's log had.
    pub seq: Option<Seq>,
    /// What it says.
    pub content: Content,
    /// The topic that it was published to.
    pub topic: Option<Topic>,
    /// When it was accepted.
    pub sent_at: Timestamp,
    /// Whether an earlier process of this device may have seen it. This one has not.
    pub redelivered: bool,
    pub(crate) count: u64,
    pub(crate) standing: Arc<Standing>,
}

impl Message {
    /// Says that this message, and all before it, is safe here and need not come again. Returns once the
    /// [`Position`](crate::Position) has it, and waits for no server. One acknowledgement of the last of many
    /// messages does for all of them.
    ///
    /// # Errors
    /// [`Error::Position`] if it could not be kept. Then the message comes again.
    pub async fn ack(&self) -> Result<(), Error> {
        let Some(seq) = self.seq else { return Ok(()) };
        Ok(self.standing.acknowledge(Acknowledged { count: self.count, seq }).await?)
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("seq", &self.seq).finish_non_exhaustive()
    }
}

type Handed = Result<(Message, OwnedSemaphorePermit), Error>;

/// The messages of a user, in order and each once. It ends with an error that no new connection would mend, or when
/// the client is closed.
///
/// What waits here is bounded ([`Builder::buffer`](crate::Builder::buffer)); beyond that nothing is read from the
/// connection, and the messages wait in the server's store.
#[derive(Debug)]
pub struct Messages(mpsc::UnboundedReceiver<Handed>);

impl Messages {
    /// The next message; nothing after the end.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        self.0.recv().await.map(taken)
    }
}

impl Stream for Messages {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|handed| handed.map(taken))
    }
}

/// The message alone: its room is free for another.
fn taken(handed: Handed) -> Result<Message, Error> {
    handed.map(|(message, _)| message)
}

/// Where a connection puts messages down.
#[derive(Debug, Clone)]
pub(crate) struct Tray {
    put: mpsc::UnboundedSender<Handed>,
    room: Arc<Semaphore>,
    size: usize,
}

impl Tray {
    /// A tray for `size` bytes, and the stream of what is put there.
    pub(crate) fn new(size: usize) -> (Self, Messages) {
        let size = size.clamp(OVERHEAD, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let (put, messages) = mpsc::unbounded_channel();
        (Self { put, room: Arc::new(Semaphore::new(size)), size }, Messages(messages))
    }

    /// Room for a message of so long a content. One that is larger than the tray has it for itself.
    fn cost(&self, content: &Content) -> u32 {
        let bytes = (content.as_json().len() + OVERHEAD).min(self.size);
        u32::try_from(bytes).expect("a tray has less than 4 GiB")
    }

    pub(crate) fn try_room(&self, content: &Content) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_many_owned(self.cost(content)).ok()
    }

    /// Room for a message; for none, no bytes.
    pub(crate) async fn room_for(&self, message: Option<&Message>) -> OwnedSemaphorePermit {
        let cost = message.map_or(0, |message| self.cost(&message.content));
        Arc::clone(&self.room).acquire_many_owned(cost).await.expect("nobody closes it")
    }

    pub(crate) fn put(&self, message: Message, room: OwnedSemaphorePermit) {
        // If nobody takes messages any more, they are not acknowledged and come again.
        let _ = self.put.send(Ok((message, room)));
    }

    /// The last thing that is told.
    pub(crate) fn end(&self, error: Error) {
        let _ = self.put.send(Err(error));
    }

    pub(crate) fn is_wanted(&self) -> bool {
        !self.put.is_closed()
    }

    pub(crate) async fn unwanted(&self) {
        self.put.closed().await;
    }
}
