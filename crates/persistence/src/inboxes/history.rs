//! The logs of topics: what was published last, for who asks.

use std::ops::ControlFlow;
use std::sync::Arc;

use msgserver_message::{Message, MessageId, Seq, Topic, TopicFilter};

use super::following::followers;
use super::reading::{PAGE_BYTES, Reading};
use super::rows::{self, Head, TopicRow};
use super::tables::{self, Rows, Table, Tables};
use super::{Inboxes, corrupt, row};
use crate::{Entry, StoreError, TopicLog};

fn topic_row(tables: &impl Rows, topic: &Topic) -> Result<Option<TopicRow>, StoreError> {
    row(tables, Table::Topics, &tables::topic(topic), format_args!("the log of topic {topic:?}"))
}

/// The numbers of a topic's messages after one, each with the row.
fn entries(
    tables: &impl Rows,
    topic: &Topic,
    after: u64,
    visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let end = tables::end_of(&tables::topic(topic));
    tables.walk(Table::History, &tables::published(topic, after + 1), &end, &mut |key, entry| {
        let seq = tables::seq(key).ok_or_else(|| corrupt("the number of a message of a topic"))?;
        Ok(visit(seq.get(), entry))
    })
}

impl<T: Tables> Inboxes<'_, T> {
    /// Puts a message into the log of its topic, under a number; nothing if no log is kept.
    pub(super) fn keep_published(
        &mut self,
        topic: &Topic,
        message: &Message,
    ) -> Result<Option<u64>, StoreError> {
        let limit = self.setting.limits.history;
        if limit == 0 {
            return Ok(None);
        }
        let now = self.setting.now;
        let mut row = topic_row(self.tables, topic)?.unwrap_or_default();
        row.last += 1;
        row.at = now.as_millis();
        let entry = Head::new(message, now).write(message)?;
        self.tables.put(Table::History, tables::published(topic, row.last), entry);
        while row.trimmed + limit < row.last {
            row.trimmed += 1;
            self.tables.delete(Table::History, tables::published(topic, row.trimmed));
        }
        self.put_topic(topic, &row);
        Ok(Some(row.last))
    }

    /// Takes a message out of the log of its topic; whether it was there.
    pub(super) fn take_out_published(
        &mut self,
        topic: &Topic,
        number: u64,
        id: MessageId,
    ) -> Result<bool, StoreError> {
        let key = tables::published(topic, number);
        // The log may have begun anew since.
        let found = self.tables.get(Table::History, &key)?;
        let is_it = found.is_some_and(|entry| Head::read(&entry).is_ok_and(|head| head.id == id));
        if is_it {
            self.tables.delete(Table::History, key);
        }
        Ok(is_it)
    }

    /// Takes out what was kept long enough; the topic itself when nothing was published for as long as devices and
    /// readers may remember its numbers.
    pub(super) fn forget_published(&mut self, topic: &Topic) -> Result<(), StoreError> {
        let (now, limits) = (self.setting.now, self.setting.limits);
        let Some(row) = topic_row(self.tables, topic)? else { return Ok(()) };
        let (mut over, mut kept) = (Vec::new(), 0);
        entries(self.tables, topic, row.trimmed, &mut |number, entry| {
            match Head::read(entry) {
                Ok(head) if !head.is_over(now, limits.history_age) => kept += 1,
                _ => over.push(number),
            }
            ControlFlow::Continue(())
        })?;
        for number in over {
            self.tables.delete(Table::History, tables::published(topic, number));
        }
        let remembered = limits.age.max(limits.history_age);
        let last = msgserver_message::Timestamp::from_millis(row.at);
        if kept == 0 && last.saturating_add(remembered) <= now {
            self.tables.delete(Table::Topics, tables::topic(topic));
        }
        Ok(())
    }

    fn put_topic(&mut self, topic: &Topic, row: &TopicRow) {
        self.tables.put(Table::Topics, tables::topic(topic), rows::write(row));
    }
}

impl<T: Rows> Reading<'_, T> {
    /// What is known of a topic.
    pub(crate) fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError> {
        let row = topic_row(self.tables, topic)?.unwrap_or_default();
        let mut kept = 0;
        entries(self.tables, topic, row.trimmed, &mut |_, entry| {
            kept += u64::from(self.is_kept(entry));
            ControlFlow::Continue(())
        })?;
        let followers = followers(self.tables, topic)?.len() as u64;
        Ok(TopicLog { followers, kept, last: Seq::new(row.last) })
    }

    /// The first messages of a topic's log after a number.
    pub(crate) fn published(
        &self,
        topic: &Topic,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(row) = topic_row(self.tables, topic)? else { return Ok(Vec::new()) };
        let (mut found, mut bytes) = (Vec::new(), 0);
        if limit == 0 {
            return Ok(found);
        }
        entries(self.tables, topic, after.get().max(row.trimmed), &mut |number, entry| {
            if self.is_kept(entry) {
                match rows::message(entry) {
                    Ok(message) => found.push(Entry { seq: Seq::new(number), message: Arc::new(message) }),
                    Err(fault) => {
                        tracing::error!(%topic, number, %fault, "a message of a topic cannot be read");
                    }
                }
                bytes += entry.len();
            }
            let full = found.len() >= limit || bytes >= PAGE_BYTES && !found.is_empty();
            if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// The last messages of each topic that fits.
    pub(crate) fn history(&self, filter: &TopicFilter, of_each: usize) -> Result<Vec<Entry>, StoreError> {
        let topics = match filter.topic() {
            Some(topic) => vec![topic],
            None => self.topics_that_fit(filter)?,
        };
        let (mut all, mut bytes) = (Vec::new(), 0);
        for topic in topics {
            let mut numbers = Vec::new();
            let after = topic_row(self.tables, &topic)?.map_or(0, |row| row.trimmed);
            entries(self.tables, &topic, after, &mut |number, entry| {
                if self.is_kept(entry) {
                    numbers.push(number);
                }
                ControlFlow::Continue(())
            })?;
            let Some(first) = numbers.iter().rev().take(of_each).next_back() else { continue };
            for entry in self.published(&topic, Seq::new(first - 1), of_each)? {
                bytes += entry.message.bytes();
                all.push(entry);
            }
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(all)
    }

    fn topics_that_fit(&self, filter: &TopicFilter) -> Result<Vec<Topic>, StoreError> {
        let mut topics = Vec::new();
        self.tables.walk(Table::Topics, &[], &tables::end_of(&[]), &mut |key, _| {
            let topic = tables::split_name(key).and_then(|(name, _)| Topic::new(name).ok());
            let topic = topic.ok_or_else(|| corrupt("the name of a topic"))?;
            if filter.fits(&topic) {
                topics.push(topic);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        topics.sort_unstable();
        Ok(topics)
    }

    fn is_kept(&self, entry: &[u8]) -> bool {
        let (now, age) = (self.setting.now, self.setting.limits.history_age);
        Head::read(entry).is_ok_and(|head| !head.is_over(now, age))
    }
}
