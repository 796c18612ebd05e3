//! The WebSocket door, with the client of the crate `tungstenite`.

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message as Packet, WebSocket as Client};

use crate::door::{Device, Door, Line};
use crate::form::Form;
use crate::objects::{self, Carrier};
use crate::support::{Server, Stream};

pub struct WebSocket(pub Form);

struct Socket {
    client: Client<Stream>,
    form: Form,
}

impl WebSocket {
    fn socket(&self, server: &Server) -> Socket {
        let subprotocol = match self.0 {
            Form::Json => "msgserver.v1.json",
            Form::MessagePack => "msgserver.v1.msgpack",
        };
        let mut request = format!("ws://{}/v1/ws", server.address("http")).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().unwrap());
        let (client, _) = tungstenite::client::client(request, server.dial("http")).unwrap();
        Socket { client, form: self.0 }
    }
}

impl Carrier for Socket {
    fn say(&mut self, object: &Value) {
        let bytes = self.form.write(object);
        let packet = match self.form {
            Form::Json => Packet::text(String::from_utf8(bytes).unwrap()),
            Form::MessagePack => Packet::binary(bytes),
        };
        // The server may have gone meanwhile, which is seen when it is listened to.
        let _ = self.client.send(packet);
    }

    fn hear(&mut self) -> Option<Value> {
        loop {
            match (self.client.read().ok()?, self.form) {
                (Packet::Text(text), Form::Json) => return Some(self.form.read(text.as_bytes())),
                (Packet::Binary(bytes), Form::MessagePack) => return Some(self.form.read(&bytes)),
                // The client answers these by itself.
                (Packet::Ping(_) | Packet::Pong(_) | Packet::Close(_), _) => {}
                (packet, form) => panic!("{packet:?} to who speaks {form:?}"),
            }
        }
    }

    fn finish(&mut self) {
        let _ = self.client.close(None);
    }
}

impl Door for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        objects::open(self.socket(server), device)
    }

    fn refusals(&self) -> [&'static str; 2] {
        ["unauthorized"; 2]
    }

    fn says_what_was_wrong(&self, server: &Server) {
        let mut socket = self.socket(server);
        let packet = match self.0 {
            Form::Json => Packet::text("nonsense"),
            Form::MessagePack => Packet::binary(b"\xc1".to_vec()),
        };
        socket.client.send(packet).unwrap();
        let bye = socket.hear().unwrap();
        assert_eq!((bye["type"].as_str(), bye["code"].as_str()), (Some("bye"), Some("bad_frame")), "{bye}");
        assert!(bye["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{bye}");
        match socket.client.read().unwrap() {
            Packet::Close(Some(close)) => assert_eq!(u16::from(close.code), 4000, "{close:?}"),
            packet => panic!("{packet:?}"),
        }
    }
}
