//! Where a device stands: what was handed over, and what is acknowledged.

use std::io;

use msgserver_message::Seq;
use tokio::sync::{Mutex, watch};

use crate::Position;

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    HandOver,
    /// It is safe here, and the server does not know it.
    AcknowledgeAgain,
    /// The application has it, and has not said yet that it is safe.
    PassOver,
}

/// The last message that is acknowledged, in one count of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// How often the server has begun to count anew: a number of an earlier count means nothing now.
    pub(crate) count: u64,
    pub(crate) seq: Seq,
}

/// What is acknowledged: moved by who handles messages, watched by who tells the server.
pub(crate) struct Standing {
    position: Mutex<Box<dyn Position>>,
    acknowledged: watch::Sender<Acknowledged>,
}

impl Standing {
    pub(crate) async fn load(mut position: Box<dyn Position>) -> io::Result<Self> {
        let seq = position.load().await?;
        let acknowledged = watch::Sender::new(Acknowledged { count: 0, seq });
        Ok(Self { position: Mutex::new(position), acknowledged })
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Acknowledged> {
        self.acknowledged.subscribe()
    }

    pub(crate) fn now(&self) -> Acknowledged {
        *self.acknowledged.borrow()
    }

    /// Everything up to `to` is safe. It is kept before the server is told: the other way round, what the server has
    /// forgotten could be lost.
    pub(crate) async fn acknowledge(&self, to: Acknowledged) -> io::Result<()> {
        let mut position = self.position.lock().await;
        let now = self.now();
        if to.count == now.count && to.seq > now.seq {
            position.save(to.seq).await?;
            self.acknowledged.send_replace(to);
        }
        Ok(())
    }

    /// The server does not know the device, and counts anew.
    pub(crate) async fn begin_anew(&self) -> io::Result<()> {
        let mut position = self.position.lock().await;
        position.save(Seq::ZERO).await?;
        let count = self.now().count + 1;
        self.acknowledged.send_replace(Acknowledged { count, seq: Seq::ZERO });
        Ok(())
    }

    /// What to do with a message, when everything up to `handed_over` was handed over.
    pub(crate) fn judge(&self, seq: Option<Seq>, handed_over: Seq) -> Verdict {
        match seq {
            Some(seq) if seq <= self.now().seq => Verdict::AcknowledgeAgain,
            Some(seq) if seq <= handed_over => Verdict::PassOver,
            _ => Verdict::HandOver,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]
mod tests {
    use super::*;
    use crate::Unkept;

    fn seq(number: u64) -> Option<Seq> {
        Some(Seq::new(number))
    }

    #[tokio::test]
    async fn each_message_is_handed_over_once_and_acknowledged_as_often_as_it_comes() {
        let standing = Standing::load(Box::new(Unkept)).await.unwrap();
        assert_eq!(standing.judge(seq(1), Seq::ZERO), Verdict::HandOver);
        assert_eq!(standing.judge(seq(1), Seq::new(3)), Verdict::PassOver);
        standing.acknowledge(Acknowledged { count: 0, seq: Seq::new(2) }).await.unwrap();
        // Not back, when an earlier one is acknowledged late.
        standing.acknowledge(Acknowledged { count: 0, seq: Seq::new(1) }).await.unwrap();
        assert_eq!(standing.judge(seq(2), Seq::new(3)), Verdict::AcknowledgeAgain);
        assert_eq!(standing.judge(seq(3), Seq::new(3)), Verdict::PassOver);
        assert_eq!(standing.judge(None, Seq::new(3)), Verdict::HandOver);
    }

    #[tokio::test]
    async fn an_acknowledgement_from_before_the_server_forgot_the_device_means_nothing() {
        let standing = Standing::load(Box::new(Unkept)).await.unwrap();
        let old = Acknowledged { count: 0, seq: Seq::new(9) };
        standing.begin_anew().await.unwrap();
        standing.acknowledge(old).await.unwrap();
        assert_eq!(standing.now(), Acknowledged { count: 1, seq: Seq::ZERO });
        assert_eq!(standing.judge(seq(1), Seq::ZERO), Verdict::HandOver);
    }
}
