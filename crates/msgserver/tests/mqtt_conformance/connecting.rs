//! CONNECT and CONNACK (sections 3.1 and 3.2).

use crate::server;
use crate::support::mqtt::Version::{V5, V311};
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, packet, puback, string, subscribe};
use crate::support::{Server, until};

/// What the server answers to these first bytes: the code of its CONNACK, if it sends one; then it closes.
fn refusal(server: &Server, bytes: &[u8]) -> Option<u8> {
    let mut mqtt = Mqtt::open(server, V311);
    mqtt.say(bytes);
    let answer = mqtt.hear();
    assert_eq!(mqtt.hear(), None, "it closes");
    answer.map(|(first, body)| {
        assert_eq!((first, body[0]), (0x20, 0), "no session is present");
        body[1]
    })
}

/// CONNECT with other flags than belong to it.
fn with_flags(connect: &Connect, flags: u8) -> Vec<u8> {
    let head = [&string("MQTT")[..], &[connect.version as u8, flags]].concat();
    packet(0x10, &[head, connect.behind_flags()].concat())
}

/// [MQTT-3.1.0-1]
#[test]
fn the_first_packet_is_connect() {
    let (_directory, server) = server(&[]);
    for bytes in [packet(0xc0, &[]), subscribe(V5, 1, &[("all", 0)]), puback(1), packet(0x30, b"\0\x03allx")]
    {
        assert_eq!(refusal(&server, &bytes), None, "{bytes:02x?}");
    }
}

/// [MQTT-3.1.0-2]
#[test]
fn a_second_connect_ends_the_connection() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.say(&connect.bytes());
        assert_eq!(mqtt.end(), version.either(None, Some(0x82)));
    }
}

/// [MQTT-3.1.2-1], [MQTT-3.1.2-2]: return code 1 for who may speak 3.1.1, 0x84 for who speaks something later than 5.
#[test]
fn another_protocol_name_or_level_is_told_so() {
    let (_directory, server) = server(&[]);
    let first =
        |name: &str, level: u8| packet(0x10, &[string(name), vec![level, 2, 0, 0], string("phone")].concat());
    for (name, level, code) in
        [("MQTT", 3, 1), ("MQIsdp", 3, 1), ("mqtt", 4, 1), ("MQTT", 6, 0x84), ("MQTT", 0x84, 0x84)]
    {
        assert_eq!(refusal(&server, &first(name, level)), Some(code), "{name} at level {level}");
    }
}

/// [MQTT-3.1.2-3]
#[test]
fn the_reserved_connect_flag_is_zero() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone");
        let code = refusal(&server, &with_flags(&connect, connect.flags() | 1));
        assert_eq!(code, version.either(None, Some(0x81)));
    }
}

/// [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-14], [MQTT-3.1.2-15]; of 5 also [MQTT-3.1.2-12]
#[test]
fn will_flags_fit_each_other() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone");
        for (what, flags) in [("QoS without a will", 0x08), ("retain without a will", 0x20), ("QoS 3", 0x1c)]
        {
            let code = refusal(&server, &with_flags(&connect, connect.flags() | flags));
            assert_eq!(code, version.either(None, Some(0x81)), "{what}");
        }
    }
}

/// [MQTT-3.1.2-22] of 3.1.1. 5 allows a password alone, by which a token is given that says who it is.
#[test]
fn a_password_without_a_user_name_is_for_version_5() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let alone = Connect { user: None, ..Connect::new(version, "", "phone").with_password("token") };
        let mut mqtt = Mqtt::open(&server, version);
        mqtt.say(&alone.bytes());
        match version {
            V311 => assert_eq!(mqtt.hear().map(|(_, body)| body[1]), None),
            V5 => assert_eq!(mqtt.connack().code, 0),
        }
    }
}

/// [MQTT-3.1.2-18] to [MQTT-3.1.2-21], [MQTT-3.1.3-1], [MQTT-3.1.4-1]: what the flags announce is there, and no more.
#[test]
fn a_connect_that_ends_early_or_late_is_refused() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let mut connect = Connect::new(version, "ada", "phone").with_password("x");
        let whole =
            [&string("MQTT")[..], &[version as u8, connect.flags()], &connect.behind_flags()].concat();
        let malformed = version.either(None, Some(0x81));
        let refused = |body: &[u8]| refusal(&server, &packet(0x10, body)) == malformed;
        for length in 8..whole.len() {
            assert!(refused(&whole[..length]), "{length} of {}", whole.len());
        }
        assert!(refused(&[&whole[..], b"x"].concat()));
        connect.user = None;
        connect.password = None;
        assert!(refused(&[&string("MQTT")[..], &[version as u8, 0xc2], &connect.behind_flags()].concat()));
    }
}

/// [MQTT-3.1.2-24], of 5 [MQTT-3.1.2-22]: whoever says nothing for one and a half times its keep alive is left. The
/// will shows that this counts as a failure.
#[test]
fn who_is_silent_beyond_its_keep_alive_is_left() {
    use crate::support::mqtt::Will;
    let (_directory, server) = server(&[]);
    let mut witness = crate::subscriber(&server, V5, "eve", &[("t/gone/+", 1)]);
    for version in VERSIONS {
        let topic = version.either("t/gone/old", "t/gone/new");
        let connect = Connect::new(version, "ada", "phone").with_will(Will::new(topic, "gone"));
        let mut mqtt = Mqtt::connect(&server, &Connect { keep_alive: 1, ..connect });
        assert_eq!(mqtt.end(), version.either(None, Some(0x8d)));
        assert_eq!(witness.message().topic, topic);
    }
}

/// [MQTT-3.1.2-22] of 5: any packet counts, and without a keep alive nobody is left for being silent.
#[test]
fn who_speaks_in_time_stays() {
    let (_directory, server) = server(&["--sessions-heartbeat", "1s"]);
    let mut idle = Mqtt::connect(&server, &Connect { keep_alive: 0, ..Connect::new(V311, "ada", "idle") });
    let mut silent =
        Mqtt::connect(&server, &Connect { keep_alive: 3, ..Connect::new(V311, "ada", "silent") });
    let mut speaks =
        Mqtt::connect(&server, &Connect { keep_alive: 2, ..Connect::new(V311, "ada", "speaks") });
    // As long as it takes until the silent one is left, this one is heard.
    let is_there = || server.http().get("/v1/users/ada")["sessions"].as_array().unwrap().len() == 3;
    until(|| {
        speaks.ping();
        (!is_there()).then_some(())
    });
    assert_eq!(silent.end(), None);
    speaks.ping();
    idle.ping();
}

/// [MQTT-3.2.2-21], [MQTT-3.2.2-22]: who asks to be silent as long as it likes is told how long it may.
#[test]
fn the_keep_alive_of_the_server_is_told_to_who_speaks_5() {
    let (_directory, server) = server(&["--sessions-heartbeat", "30s"]);
    let keep_alive = |asked: u16| {
        let connect = Connect { keep_alive: asked, ..Connect::new(V5, "ada", "phone") };
        Mqtt::try_connect(&server, &connect).1.properties.number(0x13)
    };
    assert_eq!(keep_alive(20), None);
    assert_eq!(keep_alive(0), Some(60));
}

/// [MQTT-3.1.3-5]
#[test]
fn every_client_id_that_has_to_be_allowed_is() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        for id in ["0", "abcdefghijklmnopqrstuvw", "xyzABCDEFGHIJKLMNOPQRST", "UVWXYZ0123456789"] {
            assert_eq!(Mqtt::try_connect(&server, &Connect::new(version, "ada", id)).1.code, 0, "{id}");
        }
    }
}

/// [MQTT-3.1.3-6], of 5 also [MQTT-3.1.3-7], [MQTT-3.2.2-16]
#[test]
fn who_has_no_client_id_is_given_one_of_its_own() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "");
        let [first, second] = [(); 2].map(|()| Mqtt::try_connect(&server, &connect));
        let [given, other] = [&first, &second].map(|(_, connack)| connack.properties.text(0x12));
        match version {
            V311 => assert_eq!((given, other), (None, None)),
            V5 => assert!(given.is_some() && given != other, "{given:?} {other:?}"),
        }
        // Each is a device of its own: neither has taken the place of the other.
        for (mut mqtt, connack) in [first, second] {
            assert_eq!(connack.code, 0);
            mqtt.ping();
        }
    }
}

/// [MQTT-3.1.3-7], [MQTT-3.1.3-8] of 3.1.1. 5 allows it, and the client learns under which id to come back.
#[test]
fn a_session_that_is_kept_takes_a_client_id_in_version_311() {
    let (_directory, server) = server(&[]);
    let connect = Connect::lasting(V311, "ada", "");
    assert_eq!(refusal(&server, &connect.bytes()), Some(2));
    let (mqtt, connack) = Mqtt::try_connect(&server, &Connect::lasting(V5, "ada", ""));
    let given = connack.properties.text(0x12).unwrap();
    mqtt.leave();
    let again = Connect::lasting(V5, "ada", &given);
    assert!(Mqtt::try_connect(&server, &again).1.session_present());
}

/// [MQTT-3.1.3-9], of 5 [MQTT-3.1.3-8]
#[test]
fn a_client_id_that_cannot_be_a_device_is_refused() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", &"x".repeat(257));
        assert_eq!(refusal(&server, &connect.bytes()), Some(version.either(2, 0x85)));
    }
}

/// [MQTT-3.1.4-5], of 5 [MQTT-3.1.4-6]: what came behind a CONNECT that was refused is not done.
#[test]
fn nothing_is_done_for_who_is_refused() {
    let (_directory, server) = server(&["--shared-secret", "s3cret", "--api-key", "K"]);
    let mut witness = Mqtt::connect(&server, &Connect::new(V5, "eve", "shell").with_password("s3cret"));
    witness.subscribe(&[("all", 0)]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").with_password("guess");
        let publish = crate::support::mqtt::publish(version, 1, "all", "from nobody");
        let mut mqtt = Mqtt::open(&server, version);
        mqtt.say(&[connect.bytes(), publish].concat());
        assert_eq!(mqtt.connack().code, version.either(4, 0x86));
        assert_eq!(mqtt.hear(), None);
    }
    server.http().publish(&serde_json::json!({"to": {"all": true}, "content": "first"}));
    assert_eq!(witness.message().payload, "first");
}

/// [MQTT-3.2.0-1], [MQTT-3.2.0-2], [MQTT-3.2.2-1] of 5: CONNACK comes first and once, its flags are no others.
#[test]
fn connack_is_the_first_packet_also_for_who_sends_ahead() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let user = version.either("old", "new");
        crate::send(&server, user, &["waits"]);
        let connect = Connect::new(version, user, "phone");
        let mut mqtt = Mqtt::open(&server, version);
        mqtt.say(&[connect.bytes(), subscribe(version, 9, &[("inbox", 0)])].concat());
        let (first, body) = mqtt.hear().unwrap();
        assert_eq!((first, body[0] & 0xfe), (0x20, 0));
        mqtt.expect(0x90);
        assert_eq!(mqtt.take(), "waits");
    }
}

/// [MQTT-3.2.2-9], [MQTT-3.2.2-10]: what the server does not have stands in CONNACK.
#[test]
fn connack_says_what_the_server_does_not_have() {
    let (_directory, server) = server(&[]);
    let (_, connack) = Mqtt::try_connect(&server, &Connect::new(V5, "ada", "phone"));
    let says = |id| connack.properties.number(id);
    assert_eq!(says(0x24), Some(1), "maximum QoS");
    assert_eq!(says(0x29), Some(0), "subscription identifiers");
    assert_eq!(says(0x2a), Some(0), "shared subscriptions");
    assert!(says(0x27).is_some_and(|most| most >= 1024 * 1024), "maximum packet size");
    assert_eq!(says(0x22), None, "topic aliases");
}

/// [MQTT-4.12.0-1]
#[test]
fn an_authentication_method_is_refused() {
    let (_directory, server) = server(&[]);
    let method = [&[0x15][..], &string("SCRAM-SHA-1")].concat();
    let connect = Connect::new(V5, "ada", "phone").with(&method);
    assert_eq!(Mqtt::try_connect(&server, &connect).1.code, 0x8c);
}
