//! Who follows which topics.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use msgserver_message::{DeviceId, Topic, TopicFilter, UserId};

use super::tables::{self, Row, Rows, Table, Tables};
use super::{Inboxes, WILDCARDS, corrupt, sum};
use crate::StoreError;

/// What a device follows, in the order of the names; `device` is its key.
pub(super) fn following(tables: &impl Rows, device: &[u8]) -> Result<Vec<TopicFilter>, StoreError> {
    let rows = tables.first(Table::Following, device, &tables::end_of(device), usize::MAX)?;
    let filter = |(key, _): Row| {
        let name = key.get(device.len()..).and_then(tables::split_name);
        let filter = name.and_then(|(name, _)| TopicFilter::new(name).ok());
        filter.ok_or_else(|| corrupt("the name of what a device follows"))
    };
    let mut filters = rows.into_iter().map(filter).collect::<Result<Vec<_>, _>>()?;
    // The keys have the length before the name.
    filters.sort_unstable();
    Ok(filters)
}

/// The users with a device that follows a topic, in the order of their names.
pub(super) fn followers(tables: &impl Rows, topic: &Topic) -> Result<Vec<UserId>, StoreError> {
    let mut users = BTreeSet::new();
    // Where nobody follows several topics at once, only the name itself is looked up.
    let filters = if sum(tables, WILDCARDS)? == 0 { 1 } else { usize::MAX };
    for filter in topic.filters().take(filters) {
        let from = tables::filter(&filter);
        tables.walk(Table::Followers, &from, &tables::end_of(&from), &mut |key, _| {
            let user = key.get(from.len()..).and_then(tables::split_user);
            users.insert(user.ok_or_else(|| corrupt("the name of a follower"))?.0);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(users.into_iter().collect())
}

impl<T: Tables> Inboxes<'_, T> {
    /// Has a device follow topics.
    pub(crate) fn follow(
        &mut self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        if self.device(user, device)?.is_none() {
            return Err(StoreError::NoDevice { user: user.clone(), device: device.clone() });
        }
        let device_key = tables::device(user, device);
        let key = tables::following(&device_key, topics);
        if self.tables.get(Table::Following, &key)?.is_some() {
            return Ok(());
        }
        let limit = self.setting.limits.topics;
        let end = tables::end_of(&device_key);
        if self.tables.first(Table::Following, &device_key, &end, limit)?.len() == limit {
            return Err(StoreError::TooManyTopics { user: user.clone(), device: device.clone(), limit });
        }
        self.tables.put(Table::Following, key, Vec::new());
        self.tables.put(Table::Followers, tables::follower(topics, &device_key), Vec::new());
        self.count_wildcard(topics, 1)
    }

    /// Has a device follow topics no more.
    pub(crate) fn unfollow(
        &mut self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        self.stop_following(&tables::device(user, device), topics)
    }

    /// The end of all that a device follows; `device` is its key.
    pub(super) fn forget_following(&mut self, device: &[u8]) -> Result<(), StoreError> {
        let filters = following(self.tables, device)?;
        filters.iter().try_for_each(|topics| self.stop_following(device, topics))
    }

    fn stop_following(&mut self, device: &[u8], topics: &TopicFilter) -> Result<(), StoreError> {
        let key = tables::following(device, topics);
        if self.tables.get(Table::Following, &key)?.is_none() {
            return Ok(());
        }
        self.tables.delete(Table::Following, key);
        self.tables.delete(Table::Followers, tables::follower(topics, device));
        self.count_wildcard(topics, -1)
    }

    fn count_wildcard(&mut self, topics: &TopicFilter, difference: i64) -> Result<(), StoreError> {
        if topics.is_wildcard() { self.add(WILDCARDS, difference).map(drop) } else { Ok(()) }
    }
}
