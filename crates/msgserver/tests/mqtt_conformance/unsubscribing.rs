//! UNSUBSCRIBE and UNSUBACK (sections 3.10 and 3.11).

use crate::support::mqtt::{Connect, Mqtt, VERSIONS, puback, unsubscribe};
use crate::{clients, send, server, subscriber};

/// The reasons of an UNSUBACK; 3.1.1 has none.
fn reasons(mqtt: &mut Mqtt, filters: &[&str]) -> Vec<u8> {
    mqtt.say(&unsubscribe(mqtt.version, 11, filters));
    let body = mqtt.expect(0xb0);
    assert_eq!(body[..2], [0, 11]);
    body[mqtt.version.either(2, 3)..].to_vec()
}

/// [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.10.4-6], of 5 also [MQTT-3.11.3-1], [MQTT-3.11.3-2]
#[test]
fn each_filter_has_its_reason_and_what_was_not_there_too() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("inbox", 1), ("all", 0), ("t/+", 1)]);
        let filters = ["t/+", "t/a", "inbox", "nowhere", "all", "inbox"];
        let expected = version.either(&[][..], &[0, 0x11, 0, 0x11, 0, 0x11]);
        assert_eq!(reasons(&mut mqtt, &filters), expected);
    }
}

/// [MQTT-3.10.4-1], [MQTT-3.10.4-2]: octet by octet, and nothing new comes afterwards.
#[test]
fn what_is_unsubscribed_from_comes_no_more() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("t/a", 1), ("t/+", 1), ("t/b/c", 1)]);
        reasons(&mut mqtt, &["t/+", "t/A", "t/b/+"]);
        assert_eq!(mqtt.publish("t/z", "another"), 0);
        assert_eq!(mqtt.publish("t/a", "x"), 0);
        assert_eq!(mqtt.publish("t/b/c", "y"), 0);
        assert_eq!([mqtt.take(), mqtt.take()], ["x", "y"]);
        reasons(&mut mqtt, &["t/a", "t/b/c"]);
        assert_eq!(mqtt.publish("t/a", "z"), 0);
        mqtt.assert_no_message();
    }
}

/// [MQTT-3.10.4-3]: what was sent already is brought to its end.
#[test]
fn what_was_sent_before_is_still_acknowledged() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1), ("t/a", 1)]);
        send(&server, user, &["a"]);
        let message = mqtt.message();
        reasons(&mut mqtt, &["t/a"]);
        mqtt.say(&puback(message.id));
        mqtt.leave();
        server.wait_until_away(user);
        send(&server, user, &["b"]);
        assert_eq!(Mqtt::connect(&server, &connect).take(), "b");
    }
}

/// [MQTT-3.10.3-2]
#[test]
fn an_unsubscribe_without_a_filter_breaks_the_protocol() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        mqtt.say(&unsubscribe(mqtt.version, 11, &[]));
        assert_eq!(mqtt.end(), mqtt.version.either(None, Some(0x82)));
    }
}

/// [MQTT-3.10.3-1]
#[test]
fn a_filter_to_unsubscribe_from_is_utf8() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        mqtt.say(&unsubscribe(mqtt.version, 11, &["t/\0"]));
        assert_eq!(mqtt.end(), mqtt.version.either(None, Some(0x81)));
    }
}

/// What is unsubscribed from does not come back with the session.
#[test]
fn a_session_goes_on_without_what_was_unsubscribed_from() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1), ("all", 0), ("t/a", 1)]);
        reasons(&mut mqtt, &["t/a", "all"]);
        mqtt.leave();
        server.wait_until_away(user);
        let mut mqtt = Mqtt::connect(&server, &connect);
        assert_eq!(mqtt.publish("t/a", "another"), 0);
        assert_eq!(mqtt.publish("all", "another"), 0);
        send(&server, user, &["mine"]);
        assert_eq!(mqtt.take(), "mine");
        mqtt.assert_no_message();
    }
}
