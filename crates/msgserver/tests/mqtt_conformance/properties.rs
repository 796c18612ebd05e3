//! What a publisher of 5 says beside the payload (sections 3.3.2.3 and 3.1.3.2).

use crate::support::mqtt::Version::V5;
use crate::support::mqtt::{Connect, Mqtt, Published, Will, puback, publish_with, string};
use crate::{clients, server, subscriber};

/// What a publisher says beside a payload, and what a subscriber has to find of it.
fn beside() -> (Vec<u8>, [(u8, Vec<u8>); 4]) {
    let said =
        [(0x01, vec![0]), (0x03, b"text/csv".to_vec()), (0x08, b"t/answers".to_vec()), (0x09, vec![0, 0xff])];
    let mut bytes = vec![0x01, 0];
    for (id, value) in &said[1..] {
        bytes.extend([&[*id][..], &string(value)].concat());
    }
    for (name, value) in [("b", "1"), ("a", "2"), ("b", "1"), ("seq", "none")] {
        bytes.extend([&[0x26][..], &string(name), &string(value)].concat());
    }
    (bytes, said)
}

fn assert_beside(message: &Published) {
    for (id, value) in beside().1 {
        assert_eq!(message.properties.get(id), Some(&value[..]), "{id:02x}");
    }
    let user = message.properties.of_user();
    assert_eq!(user[user.len() - 4..], ["b=1", "a=2", "b=1", "seq=none"]);
    // The first is the server's.
    assert_ne!(message.properties.user("seq").as_deref(), Some("none"));
}

/// [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20] of 5, also over a kill of the server.
#[test]
fn what_is_said_beside_a_payload_comes_as_it_was_said() {
    let (directory, mut server) = server(&[]);
    let connect = Connect::lasting(V5, "ada", "phone");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("inbox", 1), ("t/a", 1), ("all", 0)]);
    let [_, mut publisher] = clients(&server);
    for topic in ["to/ada", "t/a", "all"] {
        publisher.say(&publish_with(V5, 2, 7, topic, &beside().0, b"1;2"));
        assert_eq!(publisher.puback(), 0);
        let message = mqtt.message();
        assert_eq!(message.payload, "1;2", "{topic}");
        if message.qos > 0 {
            assert_beside(&message);
            mqtt.say(&puback(message.id));
        }
    }
    // Nothing is added for who has said nothing.
    publisher.say(&publish_with(V5, 2, 7, "to/ada", &[], b"bare"));
    assert_eq!(publisher.puback(), 0);
    let message = mqtt.message();
    assert_eq!([0x01, 0x03, 0x08, 0x09].map(|id| message.properties.get(id).is_some()), [false; 4]);
    mqtt.say(&puback(message.id));
    mqtt.leave();
    server.wait_until_away("ada");
    publisher.say(&publish_with(V5, 2, 7, "to/ada", &beside().0, b"later"));
    assert_eq!(publisher.puback(), 0);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(server);
    let server = crate::Server::start(directory.path(), &crate::MQTT);
    let message = Mqtt::connect(&server, &connect).message();
    assert_eq!(message.payload, "later");
    assert_beside(&message);
}

/// [MQTT-3.1.3-10] of 5: and what else it says.
#[test]
fn a_will_says_what_its_client_had_it_say() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    let mut properties = [&[0x03][..], &string("text/csv")].concat();
    for (name, value) in [("b", "1"), ("a", "2")] {
        properties.extend([&[0x26][..], &string(name), &string(value)].concat());
    }
    let will = Will { properties, ..Will::new("t/ada", "gone") };
    drop(Mqtt::connect(&server, &Connect::new(V5, "ada", "phone").with_will(will)));
    let message = witness.message();
    assert_eq!((&*message.payload, message.properties.text(0x03).as_deref()), ("gone", Some("text/csv")));
    let user = message.properties.of_user();
    assert_eq!(user[user.len() - 2..], ["b=1", "a=2"]);
}
