//! The format of packets (sections 1.5, 2 and 4.13): what is malformed is told by DISCONNECT 0x81 or 0x82 in 5, and by the
//! end of the connection in 3.1.1.

use crate::support::Server;
use crate::support::mqtt::Version::{V5, V311};
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, Version, packet, string};
use crate::{clients, server};

/// These bytes end a connection, for this reason.
fn end(server: &Server, version: Version, bytes: &[u8], reason: u8) {
    let mut mqtt = Mqtt::connect(server, &Connect::new(version, "ada", "phone"));
    mqtt.say(bytes);
    assert_eq!(mqtt.end(), version.either(None, Some(reason)), "{bytes:02x?}");
}

/// PUBLISH to a topic of these bytes.
fn publish_to(version: Version, topic: &[u8]) -> Vec<u8> {
    packet(0x30, &[&string(topic)[..], version.either(&[], &[0]), b"x"].concat())
}

/// [MQTT-1.5.3-1], of 5 [MQTT-1.5.4-1]
#[test]
fn a_text_is_utf8_without_surrogates() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        for text in
            [&b"t/\xff"[..], b"t/\xc0\xaf", b"t/\xed\xa0\x80", b"t/\xed\xbf\xbf", b"t/\xf4\x90\x80\x80"]
        {
            end(&server, version, &publish_to(version, text), 0x81);
        }
        let connect = Connect::new(version, "ada", "phone");
        let head = [&string("MQTT")[..], &[version as u8, 2, 0, 60], version.either(&[], &[0])].concat();
        let mut mqtt = Mqtt::open(&server, connect.version);
        mqtt.say(&packet(0x10, &[&head[..], &string(b"\xed\xa0\x80")].concat()));
        let code = mqtt.hear().map(|(_, body)| body[1]);
        assert_eq!(code, version.either(None, Some(0x81)), "a client id");
    }
}

/// [MQTT-1.5.3-2], [MQTT-4.7.3-2], of 5 [MQTT-1.5.4-2]
#[test]
fn a_text_has_no_null_in_it() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        end(&server, version, &publish_to(version, b"t/a\0b"), 0x81);
        end(&server, version, &crate::support::mqtt::subscribe(version, 1, &[("t/\0", 0)]), 0x81);
    }
}

/// [MQTT-1.5.3-3], [MQTT-4.7.3-4], of 5 [MQTT-1.5.4-3]: a byte order mark is a character, and no two ways to write
/// something are one.
#[test]
fn a_topic_is_what_it_is_octet_by_octet() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut mqtt = crate::subscriber(&server, version, "ada", &[("t/\u{feff}a/\u{e9}", 1)]);
        for other in ["t/a/\u{e9}", "t/\u{feff}a/e\u{301}", "t/\u{feff}A/\u{e9}", "t/\u{feff}a/\u{e9}/"] {
            mqtt.publish(other, "another");
        }
        assert_eq!(mqtt.publish("t/\u{feff}a/\u{e9}", "this"), 0);
        let message = mqtt.message();
        assert_eq!((&*message.payload, &*message.topic), ("this", "t/\u{feff}a/\u{e9}"));
    }
}

/// Section 2.2.3, of 5 [MQTT-1.5.5-1]: four bytes at most, and no more than the number takes.
#[test]
fn a_length_of_five_bytes_or_of_more_than_it_takes_is_malformed() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        end(&server, version, b"\x30\xff\xff\xff\xff\x01", 0x81);
        end(&server, version, b"\x30\x80\x80\x80\x80", 0x81);
    }
    end(&server, V5, b"\xc0\x80\x00", 0x81);
}

/// [MQTT-2.2.2-1], [MQTT-2.2.2-2], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1], of 5 [MQTT-2.1.3-1]
#[test]
fn reserved_bits_of_the_first_byte_are_as_they_have_to_be() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let id = [0, 1];
        let empty = version.either(&[][..], &[0]);
        let filter = [&id[..], empty, &string("all")].concat();
        for (right, body) in [
            (0x40, id.to_vec()),
            (0x62, id.to_vec()),
            (0x82, [&filter[..], &[0]].concat()),
            (0xa2, filter.clone()),
            (0xc0, Vec::new()),
            (0xe0, Vec::new()),
        ] {
            for flag in [1, 2, 4, 8] {
                end(&server, version, &packet(right ^ flag, &body), 0x81);
            }
        }
    }
}

/// [MQTT-4.8.0-1], of 5 [MQTT-4.13.1-1]: what only a server sends, and types that do not exist.
#[test]
fn a_packet_that_no_client_sends_ends_the_connection() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        for first in [0x20, 0x90, 0xb0, 0xd0] {
            end(&server, version, &packet(first, &[0, 1]), 0x82);
        }
        end(&server, version, &packet(0x00, &[]), 0x81);
    }
    end(&server, V311, &packet(0xf0, &[]), 0x81);
    // [MQTT-4.12.0-7]: whoever has not named a method has nothing to say about it.
    end(&server, V5, &packet(0xf0, &[]), 0x82);
}

/// [MQTT-2.3.1-1], of 5 [MQTT-2.2.1-3]
#[test]
fn a_packet_id_is_never_zero() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let publish = crate::support::mqtt::publish(version, 0, "all", "x");
        let subscribe = crate::support::mqtt::subscribe(version, 0, &[("all", 0)]);
        let unsubscribe = crate::support::mqtt::unsubscribe(version, 0, &["all"]);
        for bytes in [publish, subscribe, unsubscribe] {
            let mut mqtt = Mqtt::connect(&server, &Connect::new(version, "ada", "phone"));
            mqtt.say(&bytes);
            let reason = mqtt.end();
            let expected = version.either([None; 2], [Some(0x81), Some(0x82)]);
            assert!(expected.contains(&reason), "{bytes:02x?}: {reason:02x?}");
        }
    }
}

/// [MQTT-3.3.1-4]
#[test]
fn there_is_no_qos_3() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        end(&server, version, &packet(0x36, b"\0\x03all\0\x01\0"), 0x81);
    }
}

/// [MQTT-3.3.1-2]
#[test]
fn nothing_is_sent_again_at_qos_0() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        end(&server, version, &packet(0x38, b"\0\x03all\0"), 0x81);
    }
}

/// [MQTT-2.2.2-1] of 5 and section 2.2.2.2: each property belongs to some packets, and stands there once.
#[test]
fn a_property_comes_once_and_where_it_belongs() {
    let (_directory, server) = server(&[]);
    for (properties, reason) in [
        // Twice: expiry, payload format, content type.
        (&b"\x02\0\0\0\x01\x02\0\0\0\x01"[..], 0x82),
        (b"\x01\x01\x01\x01", 0x82),
        (b"\x03\0\0\x03\0\0", 0x82),
        // Of CONNECT, of CONNACK, of nothing.
        (b"\x11\0\0\0\x01", 0x81),
        (b"\x24\x01", 0x81),
        (b"\x7f", 0x81),
        // [MQTT-3.3.4-6]
        (b"\x0b\x01", 0x81),
        // Cut off.
        (b"\x02\0\0", 0x81),
    ] {
        let publish = crate::support::mqtt::publish_with(V5, 0, 0, "all", properties, b"x");
        let mut mqtt = Mqtt::connect(&server, &Connect::new(V5, "ada", "phone"));
        mqtt.say(&publish);
        let came = mqtt.end().unwrap();
        // To stand in the wrong place is malformed for some, and breaks the protocol for others.
        assert!(came == reason || matches!(came, 0x81 | 0x82), "{properties:02x?}: {came:02x}");
    }
    // But a user property as often as its client likes.
    let pair = [&[0x26][..], &string("a"), &string("b")].concat();
    let [_, mut mqtt] = clients(&server);
    mqtt.say(&crate::support::mqtt::publish_with(V5, 2, 7, "all", &pair.repeat(3), b"x"));
    assert_eq!(mqtt.puback(), 0);
}

/// Section 3.1.2.11: values that a property of CONNECT cannot have.
#[test]
fn a_property_of_connect_with_a_value_that_it_cannot_have_is_refused() {
    let (_directory, server) = server(&[]);
    for properties in [
        // Receive maximum 0, maximum packet size 0, problem information 2, response information 2.
        &b"\x21\0\0"[..],
        b"\x27\0\0\0\0",
        b"\x17\x02",
        b"\x19\x02",
        b"\x11\0\0\0\x01\x11\0\0\0\x01",
    ] {
        let connect = Connect::new(V5, "ada", "phone").with(properties);
        let code = Mqtt::try_connect(&server, &connect).1.code;
        assert!(matches!(code, 0x81 | 0x82), "{properties:02x?}: {code:02x}");
    }
}

/// [MQTT-3.14.4-1], [MQTT-3.14.4-2], section 4.2: octets may come in any pieces.
#[test]
fn packets_in_pieces_and_many_at_once_are_the_same() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").bytes();
        let subscribe = crate::support::mqtt::subscribe(version, 9, &[("all", 0)]);
        let mut mqtt = Mqtt::open(&server, version);
        for byte in [&connect[..], &subscribe].concat() {
            mqtt.say(&[byte]);
        }
        assert_eq!(mqtt.connack().code, 0);
        mqtt.expect(0x90);
        mqtt.say(&packet(0xc0, &[]).repeat(100));
        for _ in 0..100 {
            mqtt.expect(0xd0);
        }
    }
}

/// [MQTT-3.12.4-1]
#[test]
fn a_pingreq_is_answered() {
    let (_directory, server) = server(&[]);
    for mut mqtt in clients(&server) {
        mqtt.ping();
    }
}

/// [MQTT-3.14.2-1] and section 3.14.2.2.2 of 5
#[test]
fn a_session_that_was_to_end_is_not_kept_at_the_last_moment() {
    let (_directory, server) = server(&[]);
    end(&server, V5, &packet(0xe0, b"\x00\x05\x11\0\0\0\x05"), 0x82);
}
