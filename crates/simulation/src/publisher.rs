//! Publishers: they ask, and ask again where they were not answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{MessageId, UserId};
use parking_lot::Mutex;

use crate::auditor::Auditor;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::fate::Answer;
use crate::order::{Habits, Number, Order};

/// Where orders go.
pub(crate) trait Counter: Send + Sync + 'static {
    /// Asks for orders together; the answers are in their order, each with a word for the trace.
    fn publish(&self, orders: &[Order]) -> impl Future<Output = Vec<(Answer, String)>> + Send;

    /// Asks to take a message back: whether it was, or nothing if that is not known.
    fn cancel(&self, id: MessageId) -> impl Future<Output = Option<bool>> + Send;
}

/// What publishers do. Clones share what they have still to ask again.
#[derive(Debug, Clone)]
pub(crate) struct Publishers {
    pub(crate) users: Arc<[UserId]>,
    pub(crate) habits: Habits,
    pub(crate) auditor: Auditor,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    /// Orders under ids of their publishers; they may be asked for again at any time.
    pub(crate) known: Arc<Mutex<Vec<Order>>>,
    /// Those of them that were not answered.
    pub(crate) open: Arc<Mutex<Vec<Order>>>,
    /// What is asked for right now: nobody asks for the same beside it.
    pub(crate) asking: Arc<Mutex<BTreeSet<Number>>>,
}

impl Publishers {
    /// Publishes and takes back, until it is dropped.
    pub(crate) async fn publish(self, counter: Arc<impl Counter>, longest: Duration) {
        loop {
            tokio::time::sleep(self.chance.pause(longest)).await;
            if self.chance.one_in(12) {
                self.cancel(&*counter).await;
                continue;
            }
            if self.chance.one_in(8) {
                self.ask_again(&*counter).await;
                continue;
            }
            let count = if self.chance.one_in(3) { self.chance.between(2, 6) } else { 1 };
            let mut orders = Vec::new();
            for _ in 0..count {
                let number = self.auditor.next_number();
                let order = Order::new(number, &self.users, &self.habits, self.clock.wall(), &self.chance);
                self.auditor.submit(&order);
                orders.push(order);
            }
            self.ask(&*counter, orders).await;
        }
    }

    /// Asks once more for each order whose outcome is not known.
    pub(crate) async fn settle(&self, counter: &impl Counter) {
        let open = std::mem::take(&mut *self.open.lock());
        for order in open {
            self.auditor.submit(&order);
            self.ask(counter, vec![order]).await;
        }
    }

    async fn ask(&self, counter: &impl Counter, orders: Vec<Order>) {
        let with_id = || orders.iter().filter(|order| order.id.is_some()).cloned();
        // If it is dropped while it waits, its outcome is not known.
        self.open.lock().extend(with_id());
        self.asking.lock().extend(orders.iter().map(|order| order.number));
        let answers = counter.publish(&orders).await;
        for (order, (answer, words)) in orders.iter().zip(&answers) {
            self.auditor.answer(order.number, *answer, words);
            self.asking.lock().remove(&order.number);
            if *answer != Answer::Unknown {
                self.open.lock().retain(|open| open.number != order.number);
            }
        }
        self.known.lock().extend(with_id());
    }

    async fn ask_again(&self, counter: &impl Counter) {
        let order = {
            let (mut open, known, asking) = (self.open.lock(), self.known.lock(), self.asking.lock());
            let next = open.iter().position(|order| !asking.contains(&order.number));
            let order = match next {
                Some(next) => open.remove(next),
                None if known.is_empty() => return,
                None => self.chance.pick(&known).clone(),
            };
            if asking.contains(&order.number) {
                return;
            }
            order
        };
        self.auditor.submit(&order);
        self.ask(counter, vec![order]).await;
    }

    async fn cancel(&self, counter: &impl Counter) {
        let order = {
            let known = self.known.lock();
            if known.is_empty() {
                return;
            }
            // A late one more often: an early one has gone.
            let late = known.len().saturating_sub(4);
            self.chance.pick(&known[if self.chance.one_in(4) { 0 } else { late }..]).clone()
        };
        let Some(id) = order.id else { return };
        self.auditor.cancel(order.number);
        if let Some(taken_back) = counter.cancel(id).await {
            self.auditor.cancel_answer(order.number, taken_back);
        }
    }
}
