//! The promises of the server over every door, in the clear and within TLS, by the same words; and all doors at once.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that meets an error has to end")]

mod came;
mod door;
mod form;
mod framed;
mod mqtt;
mod objects;
mod promises;
mod raw;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod together;
mod websocket;
mod within_tls;

use form::Form::{Json, MessagePack};
use framed::Framed;
use mqtt::Mqtt;
use raw::Raw;
use streams::{Events, Poll};
use support::mqtt::Version::{V5, V311};
use websocket::WebSocket;
use within_tls::WithinTls;

/// Each promise as a test of each door, in the clear and within TLS.
macro_rules! promises {
    ($promises:tt $($door:ident: $is:expr;)+) => { $(promises!(@ $promises $door: $is);)+ };
    (@ [$($promise:ident,)+] $door:ident: $is:expr) => {
        mod $door {
            use super::*;

            $(
                #[test]
                fn $promise() {
                    promises::$promise(&$is);
                }
            )+

            mod within_tls {
                use super::*;

                $(
                    #[test]
                    fn $promise() {
                        promises::$promise(&WithinTls($is));
                    }
                )+
            }
        }
    };
}

promises! {
    [
        what_came_while_it_was_away_waits_and_comes_in_order,
        each_message_comes_once_however_often_it_comes_back,
        what_was_not_acknowledged_comes_again_and_is_marked,
        no_more_is_sent_than_may_be_unacknowledged,
        a_notice_is_for_who_is_online_and_a_stored_one_waits,
        a_topic_is_followed_also_while_it_is_away,
        a_stop_is_told_and_nothing_is_lost_by_it,
        the_same_device_again_takes_the_place_of_the_first,
        what_cannot_be_understood_is_answered_and_disturbs_nobody,
        who_does_not_prove_who_it_is_stays_outside,
        what_was_accepted_comes_after_kills_of_the_server,
    ]
    over_frame: Framed(Json);
    over_frame_in_msgpack: Framed(MessagePack);
    over_websocket: WebSocket(Json);
    over_websocket_in_msgpack: WebSocket(MessagePack);
    over_server_sent_events: Events;
    over_long_polls: Poll::default();
    over_mqtt_311: Mqtt(V311);
    over_mqtt_5: Mqtt(V5);
}

promises! {
    [
        what_came_while_it_was_away_waits_and_comes_in_order,
        a_stop_is_told_and_nothing_is_lost_by_it,
        the_same_device_again_takes_the_place_of_the_first,
        what_cannot_be_understood_is_answered_and_disturbs_nobody,
        who_does_not_prove_who_it_is_stays_outside,
    ]
    over_raw: Raw;
}
