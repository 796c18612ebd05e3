//! Wills (sections 3.1.2.5, 3.1.3.2 and 3.14.4).

use crate::support::mqtt::Version::{V5, V311};
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, Will, packet};
use crate::{server, subscriber};

fn dies(mqtt: Mqtt) {
    drop(mqtt);
}

/// [MQTT-3.1.2-8], of 5 also [MQTT-3.1.2-7]
#[test]
fn a_will_is_published_when_its_client_is_cut_off() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").with_will(Will::new("t/ada", "gone"));
        dies(Mqtt::connect(&server, &connect));
        let will = witness.message();
        assert_eq!((&*will.topic, &*will.payload), ("t/ada", "gone"));
    }
}

/// [MQTT-3.1.2-10], [MQTT-3.14.4-3]
#[test]
fn who_leaves_in_good_order_has_no_will() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone");
        Mqtt::connect(&server, &connect.clone().with_will(Will::new("t/ada", "forgotten"))).leave();
        // Published behind it, and so it would have come first.
        dies(Mqtt::connect(&server, &connect.with_will(Will::new("t/ada", "gone"))));
        assert_eq!(witness.take(), "gone");
    }
    // It is published once.
    witness.assert_no_message();
}

/// [MQTT-3.1.2-8] of 5: reason 0x04 is for who leaves and wants its will published all the same.
#[test]
fn who_leaves_may_ask_for_its_will() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    let connect = Connect::new(V5, "ada", "phone").with_will(Will::new("t/ada", "asked for"));
    let mut mqtt = Mqtt::connect(&server, &connect);
    mqtt.say(&packet(0xe0, &[0x04]));
    assert_eq!(mqtt.hear(), None);
    assert_eq!(witness.message().payload, "asked for");
}

/// [MQTT-3.1.2-8]: also who breaks the protocol.
#[test]
fn the_will_of_who_breaks_the_protocol_is_published() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V311, "eve", &[("t/+", 1)]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone").with_will(Will::new("t/ada", "gone"));
        let mut mqtt = Mqtt::connect(&server, &connect);
        mqtt.say(&packet(0x36, b"\0\x05t/adax"));
        assert_eq!(mqtt.end(), version.either(None, Some(0x81)));
        assert_eq!(witness.take(), "gone");
    }
}

/// [MQTT-3.1.3-9] of 5, [MQTT-3.1.2-8]: a will that waits is not published if its client comes back in time, and is if it
/// does not.
#[test]
fn a_will_waits_for_its_delay() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    let with_delay = |device: &str, seconds: u8, payload| {
        let will = Will { properties: vec![0x18, 0, 0, 0, seconds], ..Will::new("t/ada", payload) };
        Connect::lasting(V5, "ada", device).with_will(will)
    };
    let connect = with_delay("phone", 2, "too late");
    dies(Mqtt::connect(&server, &connect));
    server.wait_until_away("ada");
    // Back in time.
    let (_back, connack) = Mqtt::try_connect(&server, &connect);
    assert!(connack.session_present());
    // This one goes afterwards and waits as long: what is published of both is published in this order.
    dies(Mqtt::connect(&server, &with_delay("tablet", 2, "in time")));
    assert_eq!(witness.message().payload, "in time");
}

/// [MQTT-3.1.2-8] of 5: the end of its session does not wait for the delay.
#[test]
fn a_will_waits_no_longer_than_its_session_lasts() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    let will = Will { properties: vec![0x18, 0, 1, 0, 0], ..Will::new("t/ada", "gone") };
    dies(Mqtt::connect(&server, &Connect::new(V5, "ada", "phone").with_will(will)));
    assert_eq!(witness.message().payload, "gone");
}

/// [MQTT-3.1.2-16], [MQTT-3.1.2-17], of 5 [MQTT-3.1.2-14], [MQTT-3.1.2-15]: to who follows already, a will comes as any
/// message.
#[test]
fn a_will_that_is_retained_is_there_for_who_comes_later() {
    let (_directory, server) = server(&[]);
    for version in VERSIONS {
        let topic = version.either("t/state/old", "t/state/new");
        let will = Will { retain: true, ..Will::new(topic, "gone") };
        let mut witness = subscriber(&server, version, "eve", &[(topic, 1)]);
        dies(Mqtt::connect(&server, &Connect::new(version, "ada", "phone").with_will(will)));
        let will = witness.message();
        assert_eq!((&*will.payload, will.retain), ("gone", false));
        let mut late = subscriber(&server, version, "dan", &[(topic, 1)]);
        let will = late.message();
        assert_eq!((&*will.payload, will.retain), ("gone", true));
    }
}

/// [MQTT-3.2.2-12]
#[test]
fn a_will_at_a_qos_that_the_server_does_not_have_is_refused() {
    let (_directory, server) = server(&[]);
    let will = Will { qos: 2, ..Will::new("t/ada", "gone") };
    let (mut mqtt, connack) =
        Mqtt::try_connect(&server, &Connect::new(V5, "ada", "phone").with_will(will.clone()));
    assert_eq!(connack.code, 0x9b);
    assert_eq!(mqtt.hear(), None);
    // 3.1.1 has no way to say so: it is published at the QoS that there is.
    Mqtt::connect(&server, &Connect::new(V311, "ada", "phone").with_will(will)).ping();
}

/// [MQTT-3.1.4-3], [MQTT-3.1.2-8]: who takes over a client id makes its will due.
#[test]
fn a_takeover_makes_a_will_due() {
    let (_directory, server) = server(&[]);
    let mut witness = subscriber(&server, V5, "eve", &[("t/+", 1)]);
    for version in VERSIONS {
        let connect = Connect::new(version, "ada", "phone");
        let mut first = Mqtt::connect(&server, &connect.clone().with_will(Will::new("t/ada", "taken over")));
        let second = Mqtt::connect(&server, &connect);
        assert_eq!(first.end(), version.either(None, Some(0x8e)));
        assert_eq!(witness.take(), "taken over");
        second.leave();
    }
}
