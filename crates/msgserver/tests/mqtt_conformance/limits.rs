//! How long packets may be (sections 3.1.2.11.4 and 3.2.2.3.6), and what else has a limit.

use crate::support::mqtt::Version::V5;
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, packet, puback};
use crate::{clients, send, server};

/// [MQTT-3.1.2-24], [MQTT-3.1.2-25] of 5: what the client does not take is not sent, and counts as delivered.
#[test]
fn a_message_longer_than_the_client_takes_is_passed_over() {
    let (_directory, server) = server(&[]);
    let connect = Connect::lasting(V5, "ada", "phone").with(b"\x27\0\0\x04\0");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("inbox", 1)]);
    send(&server, "ada", &["a", &"x".repeat(2000), "b"]);
    assert_eq!([mqtt.take(), mqtt.take()], ["a", "b"]);
    mqtt.leave();
    crate::support::until(|| (server.http().get("/v1/users/ada")["waiting"] == 0).then_some(()));
    send(&server, "ada", &["c"]);
    assert_eq!(Mqtt::connect(&server, &connect).take(), "c");
}

/// Section 3.2.2.3.6: what is longer than CONNACK has said ends the connection, before it has come whole.
#[test]
fn a_packet_longer_than_the_server_takes_is_refused() {
    let (_directory, server) = server(&[]);
    let (_, connack) = Mqtt::try_connect(&server, &Connect::new(V5, "ada", "phone"));
    let most = connack.properties.number(0x27).unwrap();
    for mut mqtt in clients(&server) {
        // As long as may be, its head and its length not counted: it is taken.
        let head = [&b"\0\x06to/ada\0\x07"[..], mqtt.version.either(&[], &[0])].concat();
        let payload = vec![b'x'; 1024 * 1024 - 2];
        mqtt.say(&packet(0x32, &[&head[..], &payload].concat()));
        assert_eq!(mqtt.puback(), 0);
        let mut head = packet(0x32, &vec![0; most as usize]);
        head.truncate(5);
        mqtt.say(&head);
        assert_eq!(mqtt.end(), mqtt.version.either(None, Some(0x95)));
    }
}

/// Section 4.9 in the server's own terms: no more than its window, whatever the client would take.
#[test]
fn the_window_of_the_server_counts_as_well() {
    let (_directory, server) = server(&["--sessions-window", "2"]);
    for version in VERSIONS {
        let user = version.either("old", "new");
        let mut mqtt = Mqtt::connect(&server, &Connect::new(version, user, "phone"));
        mqtt.subscribe(&[("inbox", 1), ("all", 0)]);
        send(&server, user, &["a", "b", "c"]);
        let came = [mqtt.message(), mqtt.message()];
        server.http().publish(&serde_json::json!({"to": {"all": true}, "content": "a notice"}));
        assert_eq!(mqtt.message().payload, "a notice");
        for message in came {
            mqtt.say(&puback(message.id));
        }
        assert_eq!(mqtt.take(), "c");
    }
}

/// Who comes and says nothing, or half of it, is left in time, and nobody waits for it.
#[test]
fn who_does_not_say_connect_in_time_is_left() {
    let (_directory, server) = server(&["--limits-opening-deadline", "500ms"]);
    let connect = Connect::new(V5, "ada", "phone").bytes();
    for said in [&[][..], &connect[..1], &connect[..connect.len() - 1]] {
        let mut slow = Mqtt::open(&server, V5);
        slow.say(said);
        let [_, mut other] = clients(&server);
        other.ping();
        assert_eq!(slow.hear(), None);
    }
}

/// Garbage costs its own connection, and nobody else anything.
#[test]
fn garbage_costs_nobody_anything() {
    let (_directory, server) = server(&[]);
    let [mut old, mut new] = clients(&server);
    for n in 0..300u32 {
        let bytes: Vec<u8> =
            (0..64).map(|i| (n.wrapping_mul(2_654_435_761).rotate_left(i) >> 7) as u8).collect();
        let mut first = Mqtt::open(&server, V5);
        first.say(&bytes);
        let mut later = Mqtt::connect(&server, &Connect::new(V5, &format!("u{n}"), "phone"));
        later.say(&bytes);
    }
    old.ping();
    new.ping();
    drop((old, new));
    server.wait_for("connections", 0);
    assert!(!server.log().contains("panic"), "{}", server.log());
}
