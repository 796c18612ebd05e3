//! The handle by which an application asks for something.

use std::sync::Arc;
use std::time::Duration;

use msgserver_message::TopicFilter;
use msgserver_protocol::ClientFrame;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::requests::Order;
use crate::{Address, Builder, Error, InvalidAddress, Publication, Published};

/// What a publication costs beside its text, in bytes.
const OVERHEAD: usize = 256;

/// A client that stays connected. Clones are the same client; when they and its [`Messages`](crate::Messages) are
/// dropped, the connection ends.
#[derive(Clone)]
pub struct Client {
    pub(crate) orders: mpsc::Sender<Order>,
    /// How many bytes of publications may be under way.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) most: usize,
    pub(crate) deadline: Duration,
    pub(crate) trouble: watch::Receiver<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at an address such as `tcp://127.0.0.1:3367`; see [`Address`].
    ///
    /// # Errors
    /// [`InvalidAddress`] says what would be one.
    pub fn builder(address: &str) -> Result<Builder, InvalidAddress> {
        Ok(Builder::new(address.parse::<Address>()?))
    }

    /// Publishes a message over the session, and returns once it is as safe as the server's store promises. It is
    /// said again, under its id, after a lost connection and when the server is overloaded, until the deadline. Many
    /// at once share a sync of the server's disk; one after the other keeps their order.
    ///
    /// # Errors
    /// [`Error::Refused`] if the server does not take it, [`Error::Deadline`] if it was not answered in time,
    /// [`Error::Closed`].
    pub async fn publish(&self, publication: &Publication) -> Result<Published, Error> {
        let message = publication.to_json().map_err(|fault| Error::Answer(fault.to_string()))?;
        let bytes = (message.len() + OVERHEAD).min(self.most);
        let bytes = u32::try_from(bytes).expect("there is room for less than 4 GiB");
        let answered = async {
            let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Error::Closed)?;
            self.order(|reply| Order::Publish { message, room, reply }).await
        };
        self.within(Some(publication), answered).await
    }

    /// Has this device follow a topic, or all that fit with a `+` for one level, from now on and also over lost
    /// connections. The last `history` messages of the topic's log come first. Returns once it is so.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn subscribe(&self, topic: TopicFilter, history: u32) -> Result<(), Error> {
        self.topic(ClientFrame::Subscribe { topic, history }).await
    }

    /// Has this device follow a topic no more. Returns once it is so.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn unsubscribe(&self, topic: TopicFilter) -> Result<(), Error> {
        self.topic(ClientFrame::Unsubscribe { topic }).await
    }

    async fn topic(&self, frame: ClientFrame) -> Result<(), Error> {
        self.within(None, self.order(|reply| Order::Topic { frame, reply })).await
    }

    /// Ends the connection. What was acknowledged is said before, if the server can be reached; what was not comes
    /// again to the next client of this device.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.orders.send(Order::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Order,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    async fn within<T>(
        &self,
        publication: Option<&Publication>,
        answered: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout(self.deadline, answered).await.unwrap_or_else(|_| {
            let last = match &*self.trouble.borrow() {
                nothing if nothing.is_empty() => "the server is silent".to_owned(),
                trouble => trouble.clone(),
            };
            Err(Error::Deadline { id: publication.map(Publication::id), within: self.deadline, last })
        })
    }
}
