//! The raw TCP door of the `frame` protocol.

use std::io::{Read, Write};

use serde_json::Value;

use crate::door::{Device, Door, Line};
use crate::form::Form;
use crate::objects::{self, Carrier};
use crate::support::{Server, Stream};

pub struct Framed(pub Form);

struct Socket {
    socket: Stream,
    form: Form,
}

impl Framed {
    fn socket(&self, server: &Server) -> Socket {
        let door = if self.0 == Form::Json { "frame" } else { "listen" };
        Socket { socket: server.dial(door), form: self.0 }
    }
}

impl Socket {
    fn put(&mut self, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap();
        // The server may have gone meanwhile, which is seen when it is listened to.
        let _ = self.socket.write_all(&[&length.to_be_bytes(), payload].concat());
    }
}

impl Carrier for Socket {
    fn say(&mut self, object: &Value) {
        let payload = self.form.write(object);
        self.put(&payload);
    }

    fn hear(&mut self) -> Option<Value> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length).ok()?;
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut payload).ok()?;
        Some(self.form.read(&payload))
    }

    fn finish(&mut self) {
        self.socket.finish();
    }
}

impl Door for Framed {
    fn name(&self) -> &'static str {
        "frame"
    }

    fn flags<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        match self.0 {
            Form::Json => more.to_vec(),
            Form::MessagePack => [&["--protocol", "frame", "--serializer", "msgpack"], more].concat(),
        }
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        objects::open(self.socket(server), device)
    }

    fn refusals(&self) -> [&'static str; 2] {
        ["unauthorized"; 2]
    }

    fn says_what_was_wrong(&self, server: &Server) {
        let mut socket = self.socket(server);
        socket.put(b"\xc1 is neither JSON nor MessagePack");
        let bye = socket.hear().unwrap();
        assert_eq!((bye["type"].as_str(), bye["code"].as_str()), (Some("bye"), Some("bad_frame")), "{bye}");
        assert!(bye["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{bye}");
        assert_eq!(socket.hear(), None);
    }
}
