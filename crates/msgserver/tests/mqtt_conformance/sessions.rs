//! What outlasts a connection (sections 3.1.2, 3.1.4 and 4.1).

use crate::support::mqtt::Version::V5;
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, Will, packet};
use crate::support::until;
use crate::{send, server};

/// [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.2.2-2], of 5 [MQTT-3.1.2-5], [MQTT-3.1.2-23], [MQTT-3.2.2-3], [MQTT-4.5.0-1]
#[test]
fn a_session_goes_on_with_its_subscriptions_and_what_came_meanwhile() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect);
        assert!(!connack.session_present());
        assert_eq!(mqtt.subscribe(&[("inbox", 1), ("t/a", 1), ("all", 0)]), [1, 1, 0]);
        mqtt.leave();
        server.wait_until_away(user);
        send(&server, user, &["a"]);
        server.http().publish(&serde_json::json!({"to": {"topic": "a"}, "content": "b"}));
        let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect);
        assert!(connack.session_present());
        assert_eq!([mqtt.take(), mqtt.take()], ["a", "b"]);
        server.http().publish(&serde_json::json!({"to": {"all": true}, "content": "c"}));
        assert_eq!(mqtt.take(), "c");
    }
}

/// [MQTT-3.1.2-6], [MQTT-3.2.2-1], of 5 [MQTT-3.1.2-4], [MQTT-3.2.2-2]
#[test]
fn who_begins_anew_has_nothing_of_before() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let lasting = Connect::lasting(version, user, "phone");
        let mut mqtt = Mqtt::connect(&server, &lasting);
        mqtt.subscribe(&[("t/a", 1)]);
        mqtt.leave();
        server.wait_until_away(user);
        let anew = Connect { clean: true, ..lasting.clone() };
        let (mut mqtt, connack) = Mqtt::try_connect(&server, &anew);
        assert!(!connack.session_present());
        server.http().publish(&serde_json::json!({"to": {"topic": "a"}, "content": "not for it"}));
        server.http().publish(&serde_json::json!({"to": {"topic": "b"}, "content": "not yet"}));
        assert_eq!(mqtt.subscribe(&[("t/b", 1)]), [1]);
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.retain), ("not yet", true));
        mqtt.assert_no_message();
    }
}

/// [MQTT-3.1.2-6] of 3.1.1, of 5 [MQTT-4.1.0-2]: a session that ends with its connection is not there afterwards.
#[test]
fn a_session_that_was_not_to_be_kept_is_gone() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let mut mqtt = Mqtt::connect(&server, &Connect::new(version, user, "phone"));
        mqtt.subscribe(&[("t/a", 1)]);
        mqtt.leave();
        server.wait_until_away(user);
        until(|| (server.http().get("/v1/topics/a")["subscribers"] == 0).then_some(()));
        let (_, connack) = Mqtt::try_connect(&server, &Connect::lasting(version, user, "phone"));
        assert!(!connack.session_present());
    }
}

/// [MQTT-4.1.0-2], of 5 also [MQTT-3.1.2-23]: the session is over when its expiry is.
#[test]
fn a_session_is_over_when_its_time_is() {
    let (_directory, server) = server(&[]);
    let connect = Connect { clean: false, ..Connect::new(V5, "ada", "phone").with(b"\x11\0\0\0\x01") };
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("t/a", 1)]);
    mqtt.leave();
    server.wait_until_away("ada");
    // A will that waits for longer tells that the time is over.
    let mut witness = crate::subscriber(&server, V5, "eve", &[("t/clock", 1)]);
    let will = Will { properties: b"\x18\0\0\0\x02".to_vec(), ..Will::new("t/clock", "two seconds") };
    drop(Mqtt::connect(&server, &Connect::lasting(V5, "eve", "clock").with_will(will)));
    assert_eq!(witness.take(), "two seconds");
    let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect);
    assert!(!connack.session_present());
    assert_eq!(mqtt.publish("t/a", "not for it any more"), 0);
    assert_eq!(mqtt.subscribe(&[("t/b", 1)]), [1]);
    assert_eq!(mqtt.publish("t/b", "for it"), 0);
    assert_eq!(mqtt.take(), "for it");
}

/// Section 3.14.2.2.2: DISCONNECT may change how long it is kept.
#[test]
fn a_client_may_end_its_session_when_it_leaves() {
    let (_directory, server) = server(&[]);
    let connect = Connect::lasting(V5, "ada", "phone");
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.subscribe(&[("t/a", 1)]);
    mqtt.say(&packet(0xe0, b"\x00\x05\x11\0\0\0\0"));
    assert_eq!(mqtt.hear(), None);
    server.wait_until_away("ada");
    until(|| (server.http().get("/v1/topics/a")["subscribers"] == 0).then_some(()));
    assert!(!Mqtt::try_connect(&server, &connect).1.session_present());
}

/// [MQTT-3.1.4-2], of 5 [MQTT-3.1.4-3]
#[test]
fn the_same_client_id_takes_over_and_the_first_is_told() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let user = version.either("old", "new");
        let connect = Connect::lasting(version, user, "phone");
        let mut first = Mqtt::connect(&server, &connect);
        first.subscribe(&[("inbox", 1)]);
        let (mut second, connack) = Mqtt::try_connect(&server, &connect);
        assert_eq!(first.end(), version.either(None, Some(0x8e)));
        assert!(connack.session_present());
        send(&server, user, &["a"]);
        assert_eq!(second.take(), "a");
    }
}

/// [MQTT-3.1.3-2]: the session is the client id's of this user, whichever version it speaks.
#[test]
fn a_session_is_of_one_user_and_one_client_id() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let connect = Connect::lasting(version, "ada", "phone");
        Mqtt::connect(&server, &connect).leave();
        server.wait_until_away("ada");
        for other in [Connect::lasting(version, "eve", "phone"), Connect::lasting(version, "ada", "tablet")] {
            let (mqtt, connack) = Mqtt::try_connect(&server, &other);
            assert!(!connack.session_present());
            Mqtt::connect(&server, &Connect { clean: true, properties: Vec::new(), ..other }).leave();
            drop(mqtt);
        }
        assert!(Mqtt::try_connect(&server, &connect).1.session_present());
        Mqtt::connect(&server, &Connect::new(version, "ada", "phone")).leave();
    }
}

/// [MQTT-4.1.0-1]: what its client has said counts as long as it is connected, and is there after a kill of the server.
#[test]
fn a_session_outlives_a_kill() {
    for version in VERSIONS {
        let (directory, mut server) = server(&[]);
        let connect = Connect::lasting(version, "ada", "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.subscribe(&[("inbox", 1), ("t/+", 1)]);
        send(&server, "ada", &["a"]);
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        drop(server);
        let server = crate::Server::start(directory.path(), &crate::MQTT);
        server.http().publish(&serde_json::json!({"to": {"topic": "x"}, "content": "b"}));
        let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect);
        assert!(connack.session_present());
        assert_eq!([mqtt.take(), mqtt.take()], ["a", "b"]);
    }
}

/// Sections 3.14.2.1 and 4.13.2: a stop is told, and by whom a connection was ended.
#[test]
fn the_server_says_why_it_ends_a_connection() {
    let (_directory, mut server) = server(&[]);
    let [mut old, mut new] = crate::clients(&server);
    server.http().call("DELETE", "/v1/users/eve/sessions", "");
    assert_eq!((old.end(), new.end()), (None, Some(0x98)));
    let [mut old, mut new] = crate::clients(&server);
    server.signal("-TERM");
    assert_eq!((old.end(), new.end()), (None, Some(0x8b)));
    assert!(server.child.wait().unwrap().success());
}
