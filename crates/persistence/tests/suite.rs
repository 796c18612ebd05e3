//! What every store promises, written once and run on each.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test like the tests do")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{
    CollapseKey, Content, DeviceId, Message, MessageId, Priority, Properties, Receipt, Seq, Stage, Step,
    Timestamp, Topic, TopicFilter, UserId,
};
use msgserver_persistence::{
    Acknowledge, Append, Appended, Cancelled, Due, Entry, IfFull, Inbox, InboxLimit, Limits, MemoryStore,
    Recipients, StepMade, Store, StoreError, Swept, TopicLog,
};

#[path = "suite/promises.rs"]
mod promises;

#[cfg(feature = "redis")]
#[path = "suite/redis.rs"]
mod redis;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// All that can be said beside a content.
fn properties() -> Option<Box<Properties>> {
    Some(Box::new(Properties {
        at_most_once: true,
        is_text: Some(false),
        content_type: Some("text/csv".to_owned()),
        response_topic: Some("t/answers".to_owned()),
        correlation: Some(vec![0, 255]),
        user: vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), String::new())],
    }))
}

fn message(text: &str) -> Message {
    Message::new(Content::text(text))
}

/// A message for these users, under an id of the server's.
fn to(users: &[&str], message: Message) -> Append {
    Append::new(Arc::new(message), users.iter().map(|name| user(name)).collect::<Vec<_>>())
}

/// The same, under an id of the publisher's.
fn named(users: &[&str], message: Message) -> Append {
    Append { check_id: true, ..to(users, message) }
}

fn in_an_hour() -> Timestamp {
    Timestamp::now().saturating_add(HOUR)
}

async fn try_append(store: &dyn Store, append: Append) -> Result<Appended, StoreError> {
    let mut done = store.append(vec![append]).await;
    assert_eq!(done.len(), 1);
    done.remove(0)
}

/// The numbers of a message, in the order of its users.
async fn put(store: &dyn Store, append: Append) -> Vec<u64> {
    match try_append(store, append).await.unwrap() {
        Appended::New(seqs) => seqs.into_iter().map(|(_, seq)| seq.get()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn append(store: &dyn Store, text: &str, users: &[&str]) -> Vec<u64> {
    put(store, to(users, message(text))).await
}

/// Where a device stands, and whether it was known.
async fn open(store: &dyn Store, name: &str, of: &str) -> (u64, bool) {
    let cursor = store.open(&user(name), &device(of)).await.unwrap();
    (cursor.acknowledged.get(), cursor.known)
}

async fn leave(store: &dyn Store, name: &str, of: &str, sent: u64) {
    store.leave(&user(name), &device(of), Seq::new(sent)).await.unwrap();
}

async fn acknowledge(store: &dyn Store, name: &str, of: &str, upto: u64) {
    store.acknowledge(&user(name), &device(of), Seq::new(upto)).await.unwrap();
}

/// How many messages wait, and the last number.
async fn inbox(store: &dyn Store, name: &str) -> (u64, u64) {
    let Inbox { waiting, last, .. } = store.inbox(&user(name)).await.unwrap();
    (waiting, last.get())
}

async fn read(store: &dyn Store, name: &str, after: u64, limit: usize) -> Vec<String> {
    let entries = store.read(&user(name), Seq::new(after), limit).await.unwrap();
    entries
        .into_iter()
        .map(|entry| format!("{}:{}", entry.seq, entry.message.content.as_text().unwrap()))
        .collect()
}

async fn all(store: &dyn Store, name: &str) -> Vec<String> {
    read(store, name, 0, 1000).await
}

/// Sweeps until nothing is left to do.
async fn sweep(store: &dyn Store, now: Timestamp) -> Swept {
    let mut all = Swept::default();
    loop {
        let Swept { expired, devices, receipts, more, .. } = store.sweep(now).await.unwrap();
        all.expired += expired;
        all.devices += devices;
        all.receipts += receipts;
        if !more {
            return all;
        }
    }
}

/// What became of a message: each step with whose it is and why.
async fn steps(store: &dyn Store, id: MessageId) -> Vec<String> {
    let receipt = store.receipt(id).await.unwrap();
    receipt.map_or_else(Vec::new, |Receipt { steps, .. }| steps.iter().map(text).collect())
}

/// A step, with whose it is and why.
fn text(step: &Step) -> String {
    let parts = [step.user.as_ref().map(UserId::as_str), step.reason.as_deref()];
    [Some(step.state.as_str())].into_iter().chain(parts).flatten().collect::<Vec<_>>().join(" ")
}

/// Each promise as a test of one store, which `$open` makes in a directory, with limits.
macro_rules! keeps_its_promises {
    ($store:ident, $open:expr) => {
        keeps_its_promises! { $store, $open,
            logs {
                messages_are_in_order
                everything_about_a_message_is_kept
                a_number_is_never_given_twice
                a_page_is_bounded_in_bytes
                a_batch_is_answered_in_order
                a_message_to_all_known_is_in_the_inbox_of_each_user_with_a_device
                numbers_have_no_gaps_under_many_publishers
                a_closed_store_says_so
            }
            cursors {
                the_first_device_begins_at_the_oldest_and_a_later_one_at_the_end
                a_message_goes_when_every_device_has_passed_it
                many_devices_pass_messages_together
                a_cursor_knows_what_was_sent_and_what_is_newest
                devices_are_listed_with_where_they_stand
                a_device_that_is_not_known_changes_nothing
                a_device_that_is_forgotten_is_as_one_that_never_came
            }
            ids {
                an_id_is_taken_once
                a_notice_takes_an_id_and_no_place
                an_id_is_forgotten_after_a_day_and_not_before
                a_message_of_a_topic_is_the_same_for_other_followers
            }
            limits {
                the_oldest_go_first_when_there_are_too_many
                the_oldest_go_first_when_they_are_too_large
                a_message_larger_than_the_limit_is_kept_alone
                a_full_inbox_can_refuse
                a_refusal_leaves_nothing_behind
            }
            priorities {
                the_urgent_go_first_while_nobody_is_connected
                while_a_device_is_connected_it_goes_to_the_end
                what_was_sent_before_keeps_its_number
                messages_of_one_priority_keep_their_order
            }
            collapsing {
                the_newest_takes_the_place_of_what_was_not_sent
                what_was_sent_stays
                another_key_and_another_user_stay
                a_key_is_followed_when_its_message_moves
            }
            cancelling {
                what_waits_is_taken_back
                what_was_sent_to_everybody_is_not
                what_is_connected_counts_as_sent
                what_has_moved_is_found
                what_is_scheduled_is_taken_back
            }
            schedules {
                a_message_waits_for_its_time_and_comes_once
                a_time_that_is_over_is_now
                the_next_time_is_told
                a_scheduled_notice_is_released_to_nobody
                a_full_inbox_refuses_at_release
                its_id_is_known_until_it_is_released
                what_is_due_at_one_moment_comes_in_the_order_of_acceptance
                its_age_counts_from_when_it_is_in_the_inbox
                what_is_large_is_released_a_part_at_a_time
            }
            receipts {
                each_step_is_told_in_order
                what_is_not_known_has_no_receipt
                a_receipt_is_forgotten_in_time
                each_step_that_the_store_makes_is_told_as_its_receipt_has_it
            }
            without_receipts {
                nothing_is_noted
            }
            sweeping {
                what_has_expired_is_not_read_and_goes
                what_has_moved_expires_too
                what_is_old_goes
                a_device_that_is_not_seen_is_forgotten
                many_are_swept_in_parts
            }
            topics {
                a_message_comes_into_the_inbox_of_each_follower
                nobody_has_to_follow_a_topic
                a_device_follows_until_it_stops
                a_plus_stands_for_one_level
                what_a_device_follows_is_told
                a_device_follows_no_more_topics_than_it_may
                only_a_known_device_follows
                a_forgotten_device_follows_nothing
                a_topic_keeps_its_last_messages
                the_log_of_a_topic_ends_in_time
                a_message_of_a_topic_is_taken_back
                an_id_is_published_once
                what_is_scheduled_goes_to_who_follows_then
                a_follower_without_room_can_refuse
                what_is_urgent_and_what_collapses_does_so_in_each_inbox
            }
        }
    };
    ($store:ident, $open:expr, $($noun:ident { $($promise:ident)* })*) => {
        mod $store {
            $(mod $noun {
                #[allow(unused_imports, reason = "some stores are made of more words than others")]
                use super::super::*;
                $(
                    #[tokio::test(flavor = "multi_thread")]
                    async fn $promise() {
                        let directory = tempfile::tempdir().unwrap();
                        // What the store needs, such as a server, lives as long as the test.
                        let (store, _needs) = ($open)(directory.path(), promises::$noun::limits()).await;
                        promises::$noun::$promise(Arc::new(store)).await;
                    }
                )*
            })*
        }
    };
}
#[cfg(feature = "redis")]
use keeps_its_promises;

keeps_its_promises!(memory, async |_: &Path, limits: Limits| (MemoryStore::with_limits(limits), ()));

#[cfg(feature = "disk")]
#[path = "suite/disk.rs"]
mod on_disk;
