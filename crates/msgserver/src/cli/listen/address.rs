//! Where a server is, and a connection to it.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use msgserver_protocol::{ClientFrame, FrameDecoder, FrameFormat, MAX_FRAME_BYTES, ServerFrame};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::codec::Framed;

/// Where a WebSocket is unless the address says otherwise.
const WEBSOCKET_PATH: &str = "/v1/ws";

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A raw TCP door of the `frame` protocol: host and port.
    Frame(String),
    /// A WebSocket: host and port, and the path behind them.
    WebSocket(String, String),
}

/// What is said, and what is heard; faults are told as text.
pub(super) type Say = Pin<Box<dyn Sink<ClientFrame, Error = String> + Send>>;
pub(super) type Heard = Pin<Box<dyn Stream<Item = Result<ServerFrame, String>> + Send>>;

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = url.strip_prefix("tcp://") {
            return Ok(Self::Frame(rest.trim_end_matches('/').to_owned()));
        }
        let rest = url.strip_prefix("ws://").ok_or("begin it with tcp:// or ws://")?;
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = match path {
            "" | "/" => WEBSOCKET_PATH.to_owned(),
            query if query.starts_with('?') => format!("{WEBSOCKET_PATH}{query}"),
            path => path.to_owned(),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Ok(Self::WebSocket(if has_port { host.to_owned() } else { format!("{host}:80") }, path))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(host) => f.write_str(host),
            Self::WebSocket(host, path) => write!(f, "ws://{host}{path}"),
        }
    }
}

fn text(fault: impl ToString) -> String {
    fault.to_string()
}

impl Address {
    pub(super) async fn connect(&self) -> Result<(Say, Heard), String> {
        let (Self::Frame(host) | Self::WebSocket(host, _)) = self;
        let socket = TcpStream::connect(host).await.map_err(text)?;
        let _ = socket.set_nodelay(true);
        match self {
            Self::Frame(_) => {
                let codec = FrameDecoder::<ServerFrame>::new(FrameFormat::Json, MAX_FRAME_BYTES);
                let (say, heard) = Framed::new(socket, codec).split();
                Ok((Box::pin(say.sink_map_err(text)), Box::pin(heard.map(|frame| frame.map_err(text)))))
            }
            Self::WebSocket(..) => self.shake_hands(socket).await,
        }
    }

    async fn shake_hands(&self, socket: TcpStream) -> Result<(Say, Heard), String> {
        let mut request = self.to_string().into_client_request().map_err(text)?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("msgserver.v1.json"));
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_FRAME_BYTES));
        let shaken = tokio_tungstenite::client_async_with_config(request, socket, Some(limits));
        let (say, heard) = shaken.await.map_err(text)?.0.split();
        let say = say.sink_map_err(text).with(|frame: ClientFrame| async move {
            serde_json::to_string(&frame).map(Message::text).map_err(text)
        });
        // Pings are answered beneath.
        let heard = heard.filter_map(|message| async {
            match message {
                Ok(Message::Text(frame)) => Some(serde_json::from_str(&frame).map_err(text)),
                Ok(_) => None,
                Err(fault) => Some(Err(fault.to_string())),
            }
        });
        Ok((Box::pin(say), Box::pin(heard)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_to_speak() {
        let read = |url: &str| url.parse::<Address>().ok();
        let websocket = |host: &str, path: &str| Some(Address::WebSocket(host.to_owned(), path.to_owned()));
        assert_eq!(read("tcp://a:3367/"), Some(Address::Frame("a:3367".to_owned())));
        assert_eq!(read("ws://a:3365"), websocket("a:3365", "/v1/ws"));
        assert_eq!(read("ws://a/"), websocket("a:80", "/v1/ws"));
        assert_eq!(read("ws://[::1]:3365?user=ada"), websocket("[::1]:3365", "/v1/ws?user=ada"));
        assert_eq!(read("ws://a:1/push/v1/ws"), websocket("a:1", "/push/v1/ws"));
        assert_eq!(read("http://a"), None);
    }
}
