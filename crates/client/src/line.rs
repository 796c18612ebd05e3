//! One connection: what is said on it, and what is heard.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use msgserver_protocol::{ClientFrame, FrameDecoder, FrameFormat, MAX_FRAME_BYTES, ServerFrame};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::codec::Framed;

use crate::Error;
use crate::address::{Address, Speech};
use crate::end::{End, lost};

pub(crate) type Say = Pin<Box<dyn Sink<ClientFrame, Error = End> + Send>>;
pub(crate) type Heard = Pin<Box<dyn Stream<Item = Result<ServerFrame, End>> + Send>>;

/// One connection.
pub(crate) struct Line {
    pub(crate) say: Say,
    pub(crate) heard: Heard,
}

/// Where, and by what means.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) address: Address,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Way {
    pub(crate) async fn connect(&self) -> Result<Line, End> {
        let socket = TcpStream::connect(&*self.address.authority).await.map_err(lost)?;
        // Acknowledgements and publications do not wait for each other.
        let _ = socket.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.speak(socket).await };
        let host = self.address.host().to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|_| lost(format!("{host:?} is no name that a certificate may have")))?;
        let connected = TlsConnector::from(Arc::clone(tls)).connect(name, socket).await;
        self.speak(connected.map_err(|fault| lost(format!("TLS: {fault}")))?).await
    }

    async fn speak<S>(&self, socket: S) -> Result<Line, End>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.address.speech {
            Speech::Frame => {
                let codec = FrameDecoder::<ServerFrame>::new(FrameFormat::Json, MAX_FRAME_BYTES);
                let (say, heard) = Framed::new(socket, codec).split();
                let say = say.sink_map_err(lost);
                Ok(Line { say: Box::pin(say), heard: Box::pin(heard.map(|frame| frame.map_err(lost))) })
            }
            Speech::WebSocket(_) => self.shake_hands(socket).await,
        }
    }

    async fn shake_hands<S>(&self, socket: S) -> Result<Line, End>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut request = self.address.to_string().into_client_request().map_err(lost)?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("msgserver.v1.json"));
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_FRAME_BYTES));
        let shaken = tokio_tungstenite::client_async_with_config(request, socket, Some(limits)).await;
        let (say, heard) = shaken.map_err(|fault| self.unshaken(fault))?.0.split();
        let say = say.sink_map_err(lost).with(|frame: ClientFrame| async move {
            serde_json::to_string(&frame).map(Message::text).map_err(lost)
        });
        // Pings are answered beneath.
        let heard = heard.filter_map(|message| async {
            match message {
                Ok(Message::Text(frame)) => Some(serde_json::from_str(&frame).map_err(lost)),
                Ok(_) => None,
                Err(fault) => Some(Err(lost(fault))),
            }
        });
        Ok(Line { say: Box::pin(say), heard: Box::pin(heard) })
    }

    /// Why there is no WebSocket. A status that blames the client would be the same the next time.
    fn unshaken(&self, fault: tungstenite::Error) -> End {
        let tungstenite::Error::Http(answer) = fault else { return lost(fault) };
        let status = answer.status();
        let detail = said(&answer);
        if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) {
            return End::Final(Error::Status {
                address: self.address.to_string(),
                status: status.as_u16(),
                detail,
            });
        }
        let named =
            answer.headers().get("retry-after").and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        End::Lost { detail: format!("{status}: {detail}"), retry_after: named.map(Duration::from_secs) }
    }
}

/// The detail of a problem, if the answer is one.
fn said(answer: &Response<Option<Vec<u8>>>) -> String {
    let body = answer.body().as_deref().unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or("there is no WebSocket of msgserver").to_owned()
}
