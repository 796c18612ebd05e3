//! One user on all doors at once.

use std::path::Path;

use serde_json::json;

use crate::came::Came;
use crate::door::{Device, Door};
use crate::form::Form::{Json, MessagePack};
use crate::framed::Framed;
use crate::mqtt::Mqtt;
use crate::streams::{Events, Poll};
use crate::support::Server;
use crate::support::mqtt::{
    MQTT,
    Version::{V5, V311},
};
use crate::websocket::WebSocket;

const ALL: u64 = 300;

#[test]
fn one_user_on_all_doors_gets_each_message_on_each_device_once_and_in_order() {
    one_user_on_all_doors(Server::start);
}

#[test]
fn one_user_on_all_doors_within_tls_gets_each_message_on_each_device_once_and_in_order() {
    one_user_on_all_doors(Server::start_within_tls);
}

fn one_user_on_all_doors(start: fn(&Path, &[&str]) -> Server) {
    let doors: [(&str, &dyn Door); 8] = [
        ("frame", &Framed(Json)),
        ("packed", &Framed(MessagePack)),
        ("tab", &WebSocket(Json)),
        ("app", &WebSocket(MessagePack)),
        ("events", &Events),
        ("poll", &Poll::default()),
        ("thing", &Mqtt(V311)),
        ("sensor", &Mqtt(V5)),
    ];
    let directory = tempfile::tempdir().unwrap();
    let flags = Framed(MessagePack).flags(&MQTT);
    let server = start(directory.path(), &flags);
    // Every device is known before the first message, so that each gets all of them.
    let lines: Vec<_> =
        doors.map(|(name, door)| (name, door, door.online(&server, Device::of("ada", name)))).into();
    std::thread::scope(|scope| {
        let server = &server;
        for (name, door, mut line) in lines {
            scope.spawn(move || {
                let mut came = Came::default();
                came.take(&mut *line, 100);
                // Away for a while, and back; the others go on meanwhile.
                line.leave();
                let mut line = door.online(server, Device::of("ada", name));
                came.take(&mut *line, ALL as usize - 100);
                assert_eq!(came.contents, (0..ALL).collect::<Vec<_>>(), "{name}");
                line.leave();
            });
        }
        let mut http = server.http();
        for n in 0..ALL {
            http.publish(&json!({"to": {"user": "ada"}, "content": n}));
        }
    });
    // Each of them has said that it has everything.
    server.wait_for("stored", 0);
}
