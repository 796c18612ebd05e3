//! SUBSCRIBE and SUBACK (sections 3.8, 3.9, 4.7 and 4.8).

use crate::support::mqtt::Version::{V5, V311};
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, packet, string, subscribe};
use crate::{clients, send, server, subscriber};

/// [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.8.4-4], [MQTT-3.8.4-5], [MQTT-3.9.3-1], [MQTT-3.9.3-2], of 5 also
/// [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-2.2.1-6]: a code for each filter, in their order.
#[test]
fn each_filter_has_its_code_in_its_place() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        let filters =
            [("inbox", 1), ("inbox", 0), ("inbox", 2), ("all", 1), ("t/a/+", 0), ("nowhere", 1), ("t/b", 1)];
        let unknown = mqtt.version.either(0x80, 0x8f);
        assert_eq!(mqtt.subscribe(&filters), [1, 0, 1, 0, 0, unknown, 1]);
        mqtt.say(&subscribe(mqtt.version, 0xfffe, &[("all", 0)]));
        assert_eq!(mqtt.expect(0x90)[..2], [0xff, 0xfe]);
    }
}

/// [MQTT-3.2.2-10] of 5: QoS 2 is granted as 1.
#[test]
fn qos_2_is_granted_as_1() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = Mqtt::connect(&server, &Connect::new(version, user, "phone"));
        assert_eq!(mqtt.subscribe(&[("inbox", 2)]), [1]);
        send(&server, user, &["a"]);
        assert_eq!(mqtt.message().qos, 1);
    }
}

/// [MQTT-3.8.3-2], of 5 [MQTT-3.8.3-1] and section 4.7: what the server does not have is refused, each with its reason.
#[test]
fn a_filter_that_the_server_does_not_have_is_refused_with_its_reason() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        for (filter, reason) in [
            ("nowhere", 0x8f),
            ("#", 0xa2),
            ("t/#", 0xa2),
            ("t/a/#", 0xa2),
            ("+", 0x8f),
            ("+/a", 0x8f),
            ("$SYS/broker", 0x8f),
            ("to/ada", 0x8f),
            ("inbox/", 0x8f),
            ("t/", 0x8f),
            ("t", 0x8f),
            ("/t/a", 0x8f),
            ("$share/group/t/a", 0x9e),
        ] {
            assert_eq!(mqtt.subscribe(&[(filter, 1)]), [mqtt.version.either(0x80, reason)], "{filter}");
        }
        mqtt.ping();
    }
}

/// [MQTT-4.7.1-2], [MQTT-4.7.1-3], of 5 [MQTT-4.7.1-1], [MQTT-4.7.1-2]: a wildcard stands for a whole level.
#[test]
fn a_wildcard_takes_a_level_of_its_own() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        for filter in ["t/a+", "t/+a/b", "t/a/b#", "t/#/b"] {
            let codes = mqtt.subscribe(&[(filter, 1)]);
            assert!(codes[0] >= 0x80, "{filter}: {codes:02x?}");
        }
        assert_eq!(mqtt.subscribe(&[("t/+", 1), ("t/+/+", 1), ("t/+/b", 1)]), [1; 3]);
    }
}

/// [MQTT-4.7.1-3], [MQTT-3.3.2-3]: one level, neither more nor less; what comes says where it was published.
#[test]
fn a_wildcard_stands_for_one_level() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("t/news/+/sport", 1)]);
        for topic in ["t/news/sport", "t/news/eu/north/sport", "t/news/eu/art", "t/other/eu/sport"] {
            assert_eq!(mqtt.publish(topic, "another"), 0);
        }
        assert_eq!(mqtt.publish("t/news/eu/sport", "this"), 0);
        let message = mqtt.message();
        assert_eq!((&*message.topic, &*message.payload), ("t/news/eu/sport", "this"));
    }
}

/// [MQTT-3.8.3-3], of 5 [MQTT-3.8.3-2]
#[test]
fn a_subscribe_without_a_filter_breaks_the_protocol() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        mqtt.say(&subscribe(mqtt.version, 9, &[]));
        assert_eq!(mqtt.end(), mqtt.version.either(None, Some(0x82)));
    }
}

/// [MQTT-3-8.3-4], of 5 [MQTT-3.8.3-5]: bits that are reserved, and QoS 3.
#[test]
fn options_that_are_reserved_are_malformed() {
    let (_directory, server) = server(&[]);
    for options in [0x03, 0x40, 0x80] {
        for mut mqtt in clients(&server) {
            mqtt.say(&subscribe(mqtt.version, 9, &[("all", options)]));
            let reason = mqtt.end();
            assert!(
                mqtt.version.either(reason.is_none(), matches!(reason, Some(0x81 | 0x82))),
                "{reason:02x?}"
            );
        }
    }
    // Of 5 alone: no local, retain as published, retain handling 1 and 2; and 3, which there is in neither.
    for options in [0x04, 0x08, 0x10, 0x20, 0x30] {
        let [mut old, mut new] = clients(&server);
        old.say(&subscribe(V311, 9, &[("all", options)]));
        assert_eq!(old.end(), None);
        new.say(&subscribe(V5, 9, &[("all", options)]));
        if options == 0x30 {
            let reason = new.end();
            assert!(matches!(reason, Some(0x81 | 0x82)), "{reason:02x?}");
        } else {
            new.expect(0x90);
        }
    }
}

/// [MQTT-4.7.3-1]
#[test]
fn a_filter_has_a_character() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        mqtt.say(&subscribe(mqtt.version, 9, &[("", 0)]));
        let reason = mqtt.end();
        assert!(mqtt.version.either(reason.is_none(), matches!(reason, Some(0x81 | 0x82))), "{reason:02x?}");
    }
}

/// [MQTT-3.8.4-3]: the same filter again takes the place of the first, and nothing is lost or doubled by it.
#[test]
fn a_filter_again_takes_the_place_of_the_first() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("t/a", 1), ("inbox", 1)]);
        assert_eq!(mqtt.subscribe(&[("t/a", 0), ("inbox", 1)]), [0, 1]);
        assert_eq!(mqtt.publish("t/a", "x"), 0);
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.qos), ("x", 0));
        send(&server, user, &["y"]);
        assert_eq!(mqtt.take(), "y");
        mqtt.assert_no_message();
    }
}

/// [MQTT-3.3.5-1], of 5 [MQTT-3.3.4-2]: what two filters fit comes once, as sure as the surest of them.
#[test]
fn what_two_filters_fit_comes_once_and_as_sure_as_the_surest() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("t/a/+", 0), ("t/+/b", 1)]);
        assert_eq!(mqtt.publish("t/a/b", "x"), 0);
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.qos), ("x", 1));
        mqtt.say(&crate::support::mqtt::puback(message.id));
        assert_eq!(mqtt.publish("t/a/c", "y"), 0);
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.qos), ("y", 0));
        mqtt.assert_no_message();
    }
}

/// [MQTT-3.8.3-3] of 5: the server does not know who published a message, and so it says that it has no such option.
#[test]
fn no_local_is_refused() {
    let (_directory, server) = server(&[]);
    let [_, mut mqtt] = clients(&server);
    assert_eq!(mqtt.subscribe(&[("t/a", 0x05)]), [0x83]);
}

/// [MQTT-3.3.1-13] of 5: nor does it know whether a message was to be retained.
#[test]
fn retain_as_published_is_refused() {
    let (_directory, server) = server(&[]);
    let [_, mut mqtt] = clients(&server);
    assert_eq!(mqtt.subscribe(&[("t/a", 0x09), ("t/b", 0x01)]), [0x83, 1]);
}

/// [MQTT-3.8.3-4] of 5
#[test]
fn no_local_does_not_go_with_a_shared_subscription() {
    let (_directory, server) = server(&[]);
    let [_, mut mqtt] = clients(&server);
    mqtt.say(&subscribe(V5, 9, &[("$share/group/t/a", 0x05)]));
    assert_eq!(mqtt.end(), Some(0x82));
}

/// Section 3.2.2.3.12: CONNACK has said that there are none.
#[test]
fn a_subscription_identifier_is_refused() {
    let (_directory, server) = server(&[]);
    let [_, mut mqtt] = clients(&server);
    let body = [&[0, 9, 2, 0x0b, 7][..], &string("all"), &[0]].concat();
    mqtt.say(&packet(0x82, &body));
    assert_eq!(mqtt.end(), Some(0xa1));
}

/// Who may not follow a topic is told so; a limit of the server has a reason of its own.
#[test]
fn a_device_that_follows_enough_is_told_so() {
    for version in VERSIONS {
        let (_directory, server) = server(&["--topics-per-device", "2"]);
        let user = version.either("old", "new");
        let mut mqtt = Mqtt::connect(&server, &Connect::new(version, user, "phone"));
        let full = version.either(0x80, 0x97);
        assert_eq!(mqtt.subscribe(&[("t/a", 1), ("t/b", 1), ("t/c", 1)]), [1, 1, full]);
        mqtt.ping();
    }
}

/// [MQTT-4.5.0-1]: what is subscribed to comes, and nothing else does.
#[test]
fn nothing_comes_that_was_not_subscribed_to() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("t/a", 1)]);
        send(&server, user, &["to the inbox"]);
        server.http().publish(&serde_json::json!({"to": {"all": true}, "content": "a notice"}));
        assert_eq!(mqtt.publish("t/b", "x"), 0);
        assert_eq!(mqtt.publish("t/a", "y"), 0);
        assert_eq!(mqtt.take(), "y");
        mqtt.assert_no_message();
    }
}
