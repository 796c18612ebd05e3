//! Delivery at QoS 0 and 1 (sections 3.3, 4.3, 4.4 and 4.6).

use crate::support::mqtt::Version::{V5, V311};
use crate::support::mqtt::{Connect, Mqtt, Published, VERSIONS, packet, puback, publish_with};
use crate::support::{hello, read_frame};
use crate::{send, server, subscriber};

fn messages(mqtt: &mut Mqtt, count: usize) -> Vec<Published> {
    (0..count).map(|_| mqtt.message()).collect()
}

fn payloads(messages: &[Published]) -> Vec<&str> {
    messages.iter().map(|message| &*message.payload).collect()
}

/// [MQTT-2.3.1-4], [MQTT-4.3.2-1], of 5 [MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.3.2-2]
#[test]
fn what_is_sent_at_qos_1_has_a_packet_id_that_is_in_use_for_nothing_else() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("inbox", 1)]);
        send(&server, user, &["x"; 50]);
        let mut ids: Vec<_> = messages(&mut mqtt, 50).iter().map(|message| message.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), ids.contains(&0)), (50, false));
    }
}

/// [MQTT-3.3.1-1], [MQTT-4.4.0-1], [MQTT-4.6.0-1], of 5 [MQTT-4.3.2-3]
#[test]
fn what_was_not_acknowledged_comes_again_with_dup_its_packet_id_and_in_order() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1)]);
        send(&server, user, &["a", "b", "c", "d"]);
        let first = messages(&mut mqtt, 4);
        assert!(first.iter().all(|message| !message.again && message.qos == 1));
        // Of those in between, so that it is not enough to remember how far it was.
        mqtt.say(&puback(first[0].id));
        mqtt.leave();
        server.wait_until_away(user);
        let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect);
        assert!(connack.session_present());
        let again = messages(&mut mqtt, 3);
        assert_eq!(payloads(&again), ["b", "c", "d"]);
        for (again, first) in again.iter().zip(&first[1..]) {
            assert_eq!((again.again, again.id), (true, first.id));
        }
    }
}

/// [MQTT-4.4.0-1]: the same packet ids also when the server was killed meanwhile.
#[test]
fn packet_ids_outlive_a_kill() {
    let (directory, mut server) = server(&[]);
    let connect = Connect::lasting(V5, "ada", "phone");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("inbox", 1)]);
    send(&server, "ada", &["a", "b"]);
    let first = messages(&mut mqtt, 2);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(server);
    let server = crate::Server::start(directory.path(), &crate::MQTT);
    let mut mqtt = Mqtt::connect(&server, &connect);
    for (again, first) in messages(&mut mqtt, 2).iter().zip(&first) {
        assert_eq!((&again.payload, again.id), (&first.payload, first.id));
    }
}

/// [MQTT-4.4.0-1] of 5: only a reconnect brings something again, however long it is not acknowledged.
#[test]
fn nothing_is_sent_again_while_the_connection_lives() {
    for version in VERSIONS {
        let (_directory, server) = server(&["--sessions-ack-timeout", "1s"]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("inbox", 1)]);
        let (mut other, _) = hello(&server, user, "frame");
        send(&server, user, &["a"]);
        assert_eq!(mqtt.message().payload, "a");
        read_frame(&mut other);
        // By now both had it for as long.
        assert_eq!(read_frame(&mut other)["redelivered"], true);
        mqtt.assert_no_message();
    }
}

/// [MQTT-3.3.4-1], [MQTT-4.3.2-2], of 5 [MQTT-4.3.2-4]: what is acknowledged does not come again, whatever the reason
/// ([MQTT-4.4.0-2]).
#[test]
fn what_is_acknowledged_does_not_come_again() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1)]);
        send(&server, user, &["a", "b"]);
        let came = messages(&mut mqtt, 2);
        mqtt.say(&puback(came[0].id));
        // In 5 with a reason: it was not wanted.
        let id = came[1].id.to_be_bytes();
        mqtt.say(&version.either(puback(came[1].id), packet(0x40, &[id[0], id[1], 0x83])));
        mqtt.leave();
        server.wait_until_away(user);
        let mut mqtt = Mqtt::connect(&server, &connect);
        send(&server, user, &["c"]);
        let next = mqtt.message();
        assert_eq!((&*next.payload, next.again), ("c", false));
    }
}

/// [MQTT-4.3.2-3] of 5: acknowledgements in any order; what stands behind a gap is not forgotten with it.
#[test]
fn acknowledgements_may_come_in_any_order() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1)]);
        send(&server, user, &["a", "b", "c"]);
        let came = messages(&mut mqtt, 3);
        mqtt.say(&puback(came[2].id));
        mqtt.say(&puback(came[1].id));
        mqtt.ping();
        mqtt.leave();
        server.wait_until_away(user);
        let mut mqtt = Mqtt::connect(&server, &connect);
        let again = mqtt.message();
        assert_eq!((&*again.payload, again.again, again.id), ("a", true, came[0].id));
    }
}

/// [MQTT-3.3.4-9], [MQTT-4.9.0-1], [MQTT-4.9.0-2]; and nothing else waits for it: [MQTT-3.3.4-10], [MQTT-4.9.0-3]
#[test]
fn no_more_is_sent_than_the_receive_maximum_and_all_else_goes_on() {
    let (_directory, server) = server(&[]);
    let connect = Connect::new(V5, "ada", "phone").with(b"\x21\0\x03");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("inbox", 1), ("all", 0)]);
    let texts: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    send(&server, "ada", &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut came = messages(&mut mqtt, 3);
    server.http().publish(&serde_json::json!({"to": {"all": true}, "content": "a notice"}));
    assert_eq!(mqtt.message().payload, "a notice");
    assert_eq!(mqtt.subscribe(&[("t/a", 1)]), [1]);
    mqtt.assert_no_message();
    for n in 0..10 {
        mqtt.say(&puback(came[n].id));
        if came.len() < 10 {
            came.push(mqtt.message());
        }
    }
    assert_eq!(payloads(&came), texts);
}

/// [MQTT-4.6.0-5], [MQTT-4.6.0-6]
#[test]
fn messages_come_in_the_order_in_which_they_were_published() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        for qos in [0, 1] {
            let topic = format!("t/order/{}/{qos}", version as u8);
            let mut mqtt = subscriber(&server, version, "ada", &[(&topic, qos)]);
            let mut publisher = Mqtt::connect(&server, &Connect::new(version, "eve", "shell"));
            for n in 0..200u16 {
                publisher.say(&crate::support::mqtt::publish(version, n + 1, &topic, &n.to_string()));
            }
            for n in 0..200 {
                assert_eq!(mqtt.take(), n.to_string());
            }
        }
    }
}

/// [MQTT-3.3.1-3]: DUP of what a client publishes says nothing of what others get.
#[test]
fn dup_is_not_passed_on() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = subscriber(&server, version, "ada", &[("t/a", 1)]);
        mqtt.say(&publish_with(version, 0x0a, 7, "t/a", &[], b"x"));
        assert_eq!(mqtt.puback(), 0);
        assert!(!mqtt.message().again);
    }
}

/// [MQTT-3.3.1-2], [MQTT-4.3.1-1]: what is subscribed to at QoS 0 comes without a packet id, and is acknowledged by TCP.
#[test]
fn a_subscription_at_qos_0_needs_no_acknowledgement() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("inbox", 0)]);
        send(&server, user, &["a", "b"]);
        for message in messages(&mut mqtt, 2) {
            assert_eq!((message.qos, message.again), (0, false));
        }
        crate::support::until(|| {
            let user = server.http().get(&format!("/v1/users/{user}"));
            (user["waiting"] == 0).then_some(())
        });
    }
}

/// [MQTT-4.3.2-3]: an acknowledgement of what was never sent changes nothing.
#[test]
fn an_acknowledgement_of_nothing_is_passed_over() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = subscriber(&server, version, user, &[("inbox", 1)]);
        mqtt.say(&puback(4711));
        mqtt.ping();
        send(&server, user, &["a"]);
        assert_eq!(mqtt.take(), "a");
    }
}

/// Section 3.3.2.3: what 5 has room for comes with each message.
#[test]
fn a_message_says_what_it_is_in_version_5() {
    let (_directory, server) = server(&[]);
    let mut mqtt = subscriber(&server, V5, "ada", &[("inbox", 1)]);
    let mut old = Mqtt::connect(&server, &Connect::new(V311, "ada", "tablet"));
    old.subscribe(&[("inbox", 1)]);
    let (id, _) =
        server.http().publish(&serde_json::json!({"to": {"user": "ada"}, "content": {"a": [1, 2]}}));
    let message = mqtt.message();
    assert_eq!(message.properties.user("id"), Some(id));
    assert_eq!(message.properties.user("seq").as_deref(), Some("1"));
    assert!(message.properties.user("sent_at").is_some());
    assert_eq!(message.properties.text(0x03).as_deref(), Some("application/json"));
    assert_eq!(message.properties.number(0x01), Some(1));
    // The same to both, and what was published.
    for payload in [message.payload, old.message().payload] {
        let content: serde_json::Value = serde_json::from_str(&payload).unwrap();
        assert_eq!(content, serde_json::json!({"a": [1, 2]}));
    }
}

/// [MQTT-3.8.4-6], of 5 [MQTT-3.8.4-8]: a message comes no surer than it was published, and it is kept all the same.
#[test]
fn what_was_published_at_qos_0_comes_at_qos_0() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let connect = Connect::lasting(version, "ada", "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1), ("t/a", 1)]);
        let mut publisher = Mqtt::connect(&server, &Connect::new(version, "eve", "shell"));
        for topic in ["to/ada", "t/a"] {
            publisher.say(&publish_with(version, 0, 0, topic, &[], b"unsure"));
            let message = mqtt.message();
            assert_eq!((&*message.payload, message.qos), ("unsure", 0));
            assert_eq!(publisher.publish(topic, "sure"), 0);
            let message = mqtt.message();
            assert_eq!((&*message.payload, message.qos), ("sure", 1));
            mqtt.say(&puback(message.id));
        }
        mqtt.leave();
        server.wait_until_away("ada");
        publisher.say(&publish_with(version, 0, 0, "to/ada", &[], b"waits"));
        publisher.ping();
        crate::support::until(|| (server.http().get("/v1/users/ada")["waiting"] == 1).then_some(()));
        let message = Mqtt::connect(&server, &connect).message();
        assert_eq!((&*message.payload, message.qos), ("waits", 0));
    }
}
