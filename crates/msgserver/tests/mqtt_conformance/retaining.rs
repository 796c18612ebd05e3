//! The last message of a topic (sections 3.3.1.3 and 3.8.3.1).

use crate::support::mqtt::Version::V5;
use crate::support::mqtt::{Connect, Mqtt, VERSIONS, Will, publish_with};
use crate::{clients, server, subscriber};

fn publish_retained(mqtt: &mut Mqtt, topic: &str, payload: &str) {
    mqtt.say(&publish_with(mqtt.version, 3, 7, topic, &[], payload.as_bytes()));
    assert_eq!(mqtt.puback(), 0);
}

/// [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-8], of 5 [MQTT-3.3.1-9]: who subscribes gets what was retained last.
#[test]
fn who_subscribes_gets_what_was_retained_last() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let topic = version.either("t/state/old", "t/state/new");
        let mut publisher = Mqtt::connect(&server, &Connect::new(version, "eve", "shell"));
        publish_retained(&mut publisher, topic, "first");
        publish_retained(&mut publisher, topic, "last");
        let mut mqtt = subscriber(&server, version, "ada", &[(topic, 1)]);
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.retain, &*message.topic), ("last", true, topic));
        mqtt.assert_no_message();
    }
}

/// [MQTT-3.3.1-6]: of each topic that a wildcard fits.
#[test]
fn a_wildcard_gets_the_last_of_each_topic() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let at = version.either("old", "new");
        let mut publisher = Mqtt::connect(&server, &Connect::new(version, "eve", "shell"));
        for place in ["oslo", "rome"] {
            publish_retained(&mut publisher, &format!("t/{at}/{place}"), place);
        }
        let mut mqtt = subscriber(&server, version, "ada", &[(&format!("t/{at}/+"), 1)]);
        let mut came = [mqtt.take(), mqtt.take()];
        came.sort();
        assert_eq!(came, ["oslo", "rome"]);
    }
}

/// [MQTT-3.3.1-9], of 5 [MQTT-3.3.1-12]: to who follows already, it comes as any message.
#[test]
fn who_follows_already_gets_no_retain_flag() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let topic = version.either("t/state/old", "t/state/new");
        let mut mqtt = subscriber(&server, version, "ada", &[(topic, 1)]);
        publish_retained(&mut mqtt, topic, "x");
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.retain, message.qos), ("x", false, 1));
    }
}

/// [MQTT-3.8.4-3] of 3.1.1, [MQTT-3.8.4-4] of 5: subscribing again brings it again.
#[test]
fn who_subscribes_again_gets_it_again() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let topic = version.either("t/state/old", "t/state/new");
        let mut publisher = Mqtt::connect(&server, &Connect::new(version, "eve", "shell"));
        publish_retained(&mut publisher, topic, "x");
        let mut mqtt = subscriber(&server, version, "ada", &[(topic, 1)]);
        assert_eq!(mqtt.take(), "x");
        mqtt.subscribe(&[(topic, 1)]);
        let message = mqtt.message();
        assert_eq!((&*message.payload, message.retain), ("x", true));
    }
}

/// [MQTT-3.3.1-10] of 5: only if it is new.
#[test]
fn retain_handling_1_is_for_new_subscriptions() {
    let (_directory, server) = server(&[]);
    let mut publisher = Mqtt::connect(&server, &Connect::new(V5, "eve", "shell"));
    publish_retained(&mut publisher, "t/a", "x");
    let mut mqtt = Mqtt::connect(&server, &Connect::new(V5, "ada", "phone"));
    assert_eq!(mqtt.subscribe(&[("t/a", 0x11)]), [1]);
    assert_eq!(mqtt.take(), "x");
    assert_eq!(mqtt.subscribe(&[("t/a", 0x11)]), [1]);
    mqtt.assert_no_message();
}

/// [MQTT-3.3.1-11] of 5: never.
#[test]
fn retain_handling_2_is_for_who_wants_nothing_of_before() {
    let (_directory, server) = server(&[]);
    let mut publisher = Mqtt::connect(&server, &Connect::new(V5, "eve", "shell"));
    publish_retained(&mut publisher, "t/a", "x");
    let mut mqtt = Mqtt::connect(&server, &Connect::new(V5, "ada", "phone"));
    assert_eq!(mqtt.subscribe(&[("t/a", 0x21)]), [1]);
    mqtt.assert_no_message();
    publish_retained(&mut publisher, "t/a", "y");
    assert_eq!(mqtt.take(), "y");
}

/// A retained message outlives a kill of the server.
#[test]
fn what_is_retained_outlives_a_kill() {
    let (directory, mut server) = server(&[]);
    let mut publisher = Mqtt::connect(&server, &Connect::new(V5, "eve", "shell"));
    publish_retained(&mut publisher, "t/a", "x");
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    drop(server);
    let server = crate::Server::start(directory.path(), &crate::MQTT);
    for version in VERSIONS {
        let mut mqtt = subscriber(&server, version, "ada", &[("t/a", 1)]);
        assert_eq!(mqtt.take(), "x");
    }
}

/// [MQTT-3.3.1-10], [MQTT-3.3.1-11], of 5 [MQTT-3.3.1-6], [MQTT-3.3.1-7]: an empty one comes to who follows, and leaves
/// nothing for who comes later.
#[test]
fn an_empty_message_takes_away_what_was_retained() {
    for version in VERSIONS {
        let (_directory, server) = server(&[]);
        let mut publisher = Mqtt::connect(&server, &Connect::new(version, "eve", "shell"));
        let mut early = subscriber(&server, version, "ada", &[("t/a", 1)]);
        for payload in ["x", ""] {
            publish_retained(&mut publisher, "t/a", payload);
            assert_eq!(early.take(), payload);
        }
        let mut late = subscriber(&server, version, "dan", &[("t/a", 1)]);
        late.assert_no_message();
    }
}

/// [MQTT-3.3.1-5]: what would be retained nowhere is not taken in silence.
#[test]
fn what_cannot_be_retained_is_refused() {
    let (_directory, server) = server(&[]);
    for topic in ["all", "to/ada"] {
        let [mut old, mut new] = clients(&server);
        new.say(&publish_with(V5, 3, 7, topic, &[], b"x"));
        assert_eq!(new.puback(), 0x83);
        new.say(&publish_with(V5, 1, 0, topic, &[], b"x"));
        assert_eq!(new.end(), Some(0x83));
        old.say(&publish_with(old.version, 3, 7, topic, &[], b"x"));
        assert_eq!(old.end(), None);
        for version in VERSIONS {
            let will = Will { retain: true, ..Will::new(topic, "gone") };
            let connect = Connect::new(version, "ada", "phone").with_will(will);
            assert_eq!(Mqtt::try_connect(&server, &connect).1.code, version.either(3, 0x83));
        }
    }
}
