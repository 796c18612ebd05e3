//! The MQTT door: everything at QoS 1, notices at QoS 0, and a session that is kept.

use serde_json::Value;

use crate::door::{Device, Door, Line, Message, Said};
use crate::support::Server;
use crate::support::mqtt::{Connect, MQTT, Mqtt as Connection, Version, packet, puback};

pub struct Mqtt(pub Version);

struct MqttLine(Connection);

/// The causes that DISCONNECT tells, in the words of the other doors.
fn cause(reason: u8) -> String {
    match reason {
        0x8b => "shutting_down".to_owned(),
        0x8e => "replaced".to_owned(),
        0x98 => "dismissed".to_owned(),
        other => format!("{other:#04x}"),
    }
}

impl Line for MqttLine {
    fn next(&mut self) -> Said {
        let message = match self.0.next() {
            Ok(message) => message,
            Err(end) => return Said::End(end.map(cause)),
        };
        let payload = message.payload;
        Said::Message(Message {
            content: serde_json::from_str(&payload).unwrap_or(Value::String(payload)),
            topic: message.topic.strip_prefix("t/").map(str::to_owned),
            seq: message.properties.user("seq").map(|seq| seq.parse().unwrap()),
            mark: (message.qos > 0).then_some(message.id.into()),
            again: message.again,
        })
    }

    fn acknowledge(&mut self, message: &Message) {
        if let Some(id) = message.mark {
            self.0.say(&puback(u16::try_from(id).unwrap()));
        }
    }

    fn leave(self: Box<Self>) {
        self.0.leave();
    }
}

impl Door for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn flags<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        [&MQTT, more].concat()
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        let mut connect = Connect::lasting(self.0, device.user, device.name);
        connect.password = device.token.map(str::to_owned);
        let (mut connection, connack) = Connection::try_connect(server, &connect);
        if connack.code != 0 {
            return Err(format!("{:#04x}", connack.code));
        }
        if connack.session_present() {
            // What it had subscribed to goes on.
            return Ok(Box::new(MqttLine(connection)));
        }
        let topics: Vec<_> = device.topics.iter().map(|topic| format!("t/{topic}")).collect();
        let filters = [("inbox", 1), ("all", 0)].into_iter();
        let filters: Vec<_> = filters.chain(topics.iter().map(|topic| (&**topic, 1))).collect();
        let granted = connection.subscribe(&filters);
        assert!(granted.iter().all(|code| *code < 0x80), "{granted:02x?}");
        Ok(Box::new(MqttLine(connection)))
    }

    fn refusals(&self) -> [&'static str; 2] {
        self.0.either(["0x05", "0x04"], ["0x87", "0x86"])
    }

    fn says_why(&self) -> bool {
        self.0 == Version::V5
    }

    fn says_what_was_wrong(&self, server: &Server) {
        let connect = Connect::new(self.0, "eve", "shell");
        let mut connection = Connection::connect(server, &connect);
        // QoS 3.
        connection.say(&packet(0x36, b"\0\x03all\0\x01\0"));
        assert_eq!(connection.end(), self.0.either(None, Some(0x81)));
    }
}
