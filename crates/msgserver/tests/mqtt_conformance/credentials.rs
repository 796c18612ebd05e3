//! Who a client is, and what it may do (sections 3.1.4, 3.3.5 and 5.4).

use crate::server;
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, Version::V5, Will};

/// [MQTT-3.1.4-2] of 5, [MQTT-3.2.2-4], [MQTT-3.2.2-5], of 5 [MQTT-3.2.2-6] to [MQTT-3.2.2-8]
#[test]
fn a_wrong_password_and_none_have_codes_of_their_own() {
    let (_directory, server) = server(&["--shared-secret", "s3cret"]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone");
        for (connect, code) in [
            (connect.clone().with_password("guess"), version.either(4, 0x86)),
            (connect.clone(), version.either(5, 0x87)),
            (connect.with_password("s3cret"), 0),
        ] {
            let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect);
            assert_eq!((connack.code, connack.flags), (code, 0));
            if code != 0 {
                assert_eq!(mqtt.hear(), None);
                assert_eq!(connack.properties.text(0x1f).is_some(), version == V5, "why, in words");
            }
        }
    }
}

/// [MQTT-3.3.5-2]: 5 is told by the reason of PUBACK, 3.1.1 by the end of the connection.
#[test]
fn who_may_not_publish_is_told_so() {
    let (_directory, server) = server(&["--shared-secret", "s3cret", "--api-key", "K"]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").with_password("s3cret");
        let mut mqtt = Mqtt::connect(&server, &connect);
        match version {
            V5 => {
                assert_eq!(mqtt.publish("all", "x"), 0x87);
                mqtt.ping();
            }
            _ => {
                mqtt.say(&crate::support::mqtt::publish(version, 7, "all", "x"));
                assert_eq!(mqtt.end(), None);
            }
        }
        let mut publisher = Mqtt::connect(&server, &connect.with_password("K"));
        assert_eq!(publisher.publish("all", "x"), 0);
    }
}

/// [MQTT-3.3.5-2]: at QoS 0, which has no answer, by the end of the connection.
#[test]
fn who_may_not_publish_at_qos_0_is_left() {
    let (_directory, server) = server(&["--shared-secret", "s3cret", "--api-key", "K"]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").with_password("s3cret");
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.say(&crate::support::mqtt::publish_with(version, 0, 0, "all", &[], b"x"));
        assert_eq!(mqtt.end(), version.either(None, Some(0x87)));
    }
}

/// [MQTT-3.1.4-2] of 5: a will that its client may not publish is no will.
#[test]
fn a_will_that_its_client_may_not_publish_is_refused() {
    let (_directory, server) = server(&["--shared-secret", "s3cret", "--api-key", "K"]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").with_will(Will::new("all", "gone"));
        let (mut mqtt, connack) = Mqtt::try_connect(&server, &connect.with_password("s3cret"));
        assert_eq!(connack.code, version.either(5, 0x87));
        assert_eq!(mqtt.hear(), None);
    }
}

/// [MQTT-3.1.2-29] of 5: who asks for no words gets none with PUBACK; CONNACK and DISCONNECT may have them.
#[test]
fn who_wants_no_words_gets_the_reason_alone() {
    let (_directory, server) = server(&[]);
    for (asked, has_words) in [(&[][..], true), (b"\x17\x01", true), (b"\x17\x00", false)] {
        let mut mqtt = Mqtt::connect(&server, &Connect::new(V5, "ada", "phone").with(asked));
        mqtt.say(&crate::support::mqtt::publish(V5, 7, "nowhere", "x"));
        let answer = mqtt.expect(0x40);
        assert_eq!((&answer[..3], answer.len() > 4), (&[0, 7, 0x90][..], has_words), "{answer:02x?}");
    }
}
