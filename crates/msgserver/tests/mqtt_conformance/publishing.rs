//! PUBLISH by clients (sections 3.3, 3.4 and 4.3).

use serde_json::json;

use crate::support::mqtt::Version::{V5, V311};
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, packet, publish, publish_with, string};
use crate::{clients, server, subscriber};

/// [MQTT-3.3.4-1], [MQTT-2.3.1-6], of 5 [MQTT-2.2.1-5], [MQTT-4.3.2-4]: acknowledged by its packet id, once it is safe.
#[test]
fn what_is_acknowledged_survives_a_kill() {
    let (directory, mut server) = server(&[]);
    for (mut mqtt, n) in clients(&server).into_iter().zip(1..) {
        assert_eq!(mqtt.publish("to/ada", &format!("message {n}")), 0);
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(server);
    let server = crate::Server::start(directory.path(), &crate::MQTT);
    let mut mqtt = subscriber(&server, V5, "ada", &[("inbox", 1)]);
    assert_eq!([mqtt.take(), mqtt.take()], ["message 1", "message 2"]);
}

/// [MQTT-3.3.2-1], [MQTT-3.3.2-3]: to a user, to a topic, to everybody.
#[test]
fn what_is_published_reaches_whom_it_is_for() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("inbox", 1), ("all", 0), ("t/a/b", 1)]);
        for (topic, from) in [(&*format!("to/{user}"), "inbox"), ("all", "all"), ("t/a/b", "t/a/b")] {
            assert_eq!(mqtt.publish(topic, "x"), 0);
            let message = mqtt.message();
            assert_eq!((&*message.topic, &*message.payload), (from, "x"));
        }
    }
}

/// [MQTT-4.3.1-1]: at QoS 0 there is no answer.
#[test]
fn nothing_answers_a_publish_at_qos_0() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("t/a", 1)]);
        mqtt.say(&publish_with(version, 0, 0, "t/a", &[], b"x"));
        assert_eq!(mqtt.take(), "x");
        mqtt.assert_no_message();
    }
}

/// [MQTT-4.3.2-5] of 5, [MQTT-4.3.2-2] of 3.1.1: behind its PUBACK a packet id is free for another message.
#[test]
fn a_packet_id_that_was_acknowledged_is_free_again() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("t/a", 1)]);
        assert_eq!(mqtt.publish("t/a", "x"), 0);
        mqtt.say(&publish_with(version, 0x0a, 7, "t/a", &[], b"y"));
        assert_eq!(mqtt.puback(), 0);
        assert_eq!([mqtt.take(), mqtt.take()], ["x", "y"]);
    }
}

/// [MQTT-3.3.2-2], of 5 also [MQTT-4.7.0-1]
#[test]
fn a_topic_to_publish_to_has_no_wildcard() {
    let (_directory, server) = server(&[]);
    for topic in ["t/+", "t/#", "#", "t/a+b"] {
        for mut mqtt in clients(&server) {
            mqtt.say(&publish(mqtt.version, 7, topic, "x"));
            let reason = mqtt.end();
            let is_right = mqtt.version.either(reason.is_none(), matches!(reason, Some(0x81 | 0x82 | 0x90)));
            assert!(is_right, "{topic}: {reason:02x?}");
        }
    }
}

/// [MQTT-4.7.3-1]: of 5, where an alias could have stood for it, it breaks the protocol.
#[test]
fn a_topic_to_publish_to_has_a_character() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        mqtt.say(&publish(mqtt.version, 7, "", "x"));
        assert_eq!(mqtt.end(), mqtt.version.either(None, Some(0x82)));
    }
}

/// [MQTT-3.4.2-1] of 5, [MQTT-3.3.5-2]: where nothing is published to.
#[test]
fn a_topic_that_the_server_does_not_have_is_refused() {
    let (_directory, server) = server(&[]);
    for topic in ["nowhere", "inbox", "to/", "t/", "t", "$SYS/x"] {
        let [mut old, mut new] = clients(&server);
        assert_eq!(new.publish(topic, "x"), 0x90, "{topic}");
        new.ping();
        old.say(&publish(V311, 7, topic, "x"));
        assert_eq!(old.end(), None, "{topic}");
        // At QoS 0 there is no answer but the end.
        new.say(&publish_with(V5, 0, 0, topic, &[], b"x"));
        assert_eq!(new.end(), Some(0x90), "{topic}");
    }
}

/// Section 3.3.2.3.2: a payload is UTF-8, and JSON if it says so.
#[test]
fn a_payload_that_is_no_text_is_refused() {
    let (_directory, server) = server(&[]);
    let json = [&[3][..], &string("application/json")].concat();
    for (properties, payload) in [(&[][..], &b"\xff\xfe"[..]), (&[1, 1], b"\xff"), (&json, b"{\"half\":")] {
        let [_, mut mqtt] = clients(&server);
        mqtt.say(&publish_with(V5, 2, 7, "t/a", properties, payload));
        assert_eq!(mqtt.puback(), 0x99, "{payload:02x?}");
        mqtt.ping();
    }
    let [mut old, _] = clients(&server);
    old.say(&publish_with(V311, 2, 7, "t/a", &[], b"\xff"));
    assert_eq!(old.end(), None);
}

/// Section 3.3.2.3.9 of 5, [MQTT-3.3.2-20] for JSON: it comes to other doors as what it is.
#[test]
fn a_payload_of_json_is_json_everywhere() {
    let (_directory, server) = server(&[]);
    let mut mqtt = subscriber(&server, V5, "ada", &[("inbox", 1)]);
    let (mut frame, _) = crate::support::hello(&server, "ada", "frame");
    let json = [&[3][..], &string("application/json")].concat();
    mqtt.say(&publish_with(V5, 2, 7, "to/ada", &json, b"{\"a\":[1,2]}"));
    assert_eq!(mqtt.puback(), 0);
    let message = mqtt.message();
    assert_eq!(
        (&*message.payload, message.properties.text(3).as_deref()),
        ("{\"a\":[1,2]}", Some("application/json"))
    );
    assert_eq!(crate::support::read_frame(&mut frame)["content"], json!({"a": [1, 2]}));
    // Without a type it is a text, whatever it looks like.
    assert_eq!(mqtt.publish("to/ada", "{\"a\":1}"), 0);
    assert_eq!(crate::support::read_frame(&mut frame)["content"], json!("{\"a\":1}"));
}

/// Section 3.3.2.3.4, [MQTT-3.3.2-8], [MQTT-3.3.2-9]: CONNACK has allowed no alias.
#[test]
fn a_topic_alias_is_refused() {
    let (_directory, server) = server(&[]);
    for (topic, alias) in [("t/a", 0u8), ("t/a", 1), ("", 1)] {
        let [_, mut mqtt] = clients(&server);
        mqtt.say(&publish_with(V5, 2, 7, topic, &[0x23, 0, alias], b"x"));
        assert_eq!(mqtt.end(), Some(0x94), "{topic:?} {alias}");
    }
}

/// [MQTT-3.2.2-9] of 5: CONNACK has said that the most is QoS 1.
#[test]
fn qos_2_is_refused_in_version_5() {
    let (_directory, server) = server(&[]);
    let [_, mut mqtt] = clients(&server);
    mqtt.say(&publish_with(V5, 4, 7, "t/a", &[], b"x"));
    assert_eq!(mqtt.end(), Some(0x9b));
}

/// [MQTT-4.3.3-2] of 3.1.1: what comes again before PUBREL is published once, also over another connection.
#[test]
fn qos_2_of_version_311_is_published_once() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/a", 1)]);
    let connect = Connect::lasting(V311, "ada", "phone");
    let mut mqtt = Mqtt::connect(&server, &connect);
    let send = |flags: u8, payload: &[u8]| publish_with(V311, flags, 7, "t/a", &[], payload);
    mqtt.say(&send(0x04, b"x"));
    assert_eq!(mqtt.expect(0x50), [0, 7]);
    mqtt.say(&send(0x0c, b"x"));
    assert_eq!(mqtt.expect(0x50), [0, 7]);
    mqtt.leave();
    server.wait_until_away("ada");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.say(&send(0x0c, b"x"));
    assert_eq!(mqtt.expect(0x50), [0, 7]);
    // PUBREL, also a second time, and then the packet id is free.
    for _ in 0..2 {
        mqtt.say(&packet(0x62, &[0, 7]));
        assert_eq!(mqtt.expect(0x70), [0, 7]);
    }
    mqtt.say(&send(0x04, b"y"));
    assert_eq!(mqtt.expect(0x50), [0, 7]);
    assert_eq!([witness.take(), witness.take()], ["x", "y"]);
    witness.assert_no_message();
}

/// [MQTT-3.3.2-14] of 5
#[test]
fn a_response_topic_has_no_wildcard() {
    let (_directory, server) = server(&[]);
    let [_, mut mqtt] = clients(&server);
    mqtt.say(&publish_with(V5, 2, 7, "t/a", &[&[8][..], &string("t/+")].concat(), b"x"));
    let reason = mqtt.end();
    assert!(matches!(reason, Some(0x81 | 0x82)), "{reason:02x?}");
}

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6] of 5: a message that is over does not come, another says how long it is worth something.
#[test]
fn a_message_expires_and_says_how_long_it_has() {
    let (_directory, server) = server(&[]);
    let connect = Connect::lasting(V5, "ada", "phone");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("inbox", 1)]);
    mqtt.leave();
    server.wait_until_away("ada");
    let [_, mut publisher] = clients(&server);
    let with_expiry =
        |seconds: u8, payload: &[u8]| publish_with(V5, 2, 7, "to/ada", &[2, 0, 0, 0, seconds], payload);
    for (seconds, payload) in [(1, "over"), (200, "lasts")] {
        publisher.say(&with_expiry(seconds, payload.as_bytes()));
        assert_eq!(publisher.puback(), 0);
    }
    // When the one is over, the other has waited as long.
    crate::support::until(|| {
        let inbox = server.http().get("/v1/users/ada/inbox");
        (inbox["messages"].as_array().unwrap().len() == 1).then_some(())
    });
    let mut mqtt = Mqtt::connect(&server, &connect);
    let message = mqtt.message();
    assert_eq!(message.payload, "lasts");
    let left = message.properties.number(2).unwrap();
    assert!((1..200).contains(&left), "{left}");
}
