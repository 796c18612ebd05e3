//! `msgserver listen`: a client of the `frame` protocol.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use msgserver_message::{DeviceId, Seq, UserId};
use msgserver_protocol::{
    ByeCode, ClientFrame, FrameDecoder, FrameFormat, Hello, MAX_FRAME_BYTES, ServerFrame,
};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use super::Fault;

/// The first wait before a new connection, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Listen {
    /// Where the frame door is
    #[arg(long, default_value = "tcp://127.0.0.1:3367")]
    url: String,
    /// Who this is
    #[arg(long)]
    user: UserId,
    /// Which of the user's devices this is
    #[arg(long)]
    device: Option<DeviceId>,
    /// The proof: the shared secret
    #[arg(long, env = "MSGSERVER_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// How a connection ended.
enum End {
    Lost(String),
    Refused(String),
}

impl Listen {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let address = self.url.strip_prefix("tcp://").map(|rest| rest.trim_end_matches('/').to_owned());
        let Some(address) = address else {
            return Err(Fault::Usage(vec![format!("--url {}: begin it with tcp://", self.url)]));
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::failed)?;
        runtime.block_on(async {
            tokio::select! {
                fault = self.stay_connected(&address) => Err(fault),
                _ = tokio::signal::ctrl_c() => Ok(()),
            }
        })
    }

    async fn stay_connected(&self, address: &str) -> Fault {
        let mut wait = FIRST_WAIT;
        let mut seen = Seq::ZERO;
        loop {
            let end = match TcpStream::connect(address).await {
                Ok(socket) => self.follow(socket, &mut seen, &mut wait).await,
                Err(fault) => End::Lost(fault.to_string()),
            };
            match end {
                End::Refused(detail) => return Fault::Failed(detail),
                End::Lost(detail) => {
                    // Jitter: a server that comes back is not met by all its clients at once.
                    let wait_now = wait.mul_f64(rand::random_range(0.5..1.0));
                    eprintln!(
                        "not connected to {address}: {detail}; trying again in {} ms",
                        wait_now.as_millis()
                    );
                    tokio::time::sleep(wait_now).await;
                    wait = (wait * 2).min(LAST_WAIT);
                }
            }
        }
    }

    async fn follow(&self, socket: TcpStream, seen: &mut Seq, wait: &mut Duration) -> End {
        let lost = |fault: &dyn std::fmt::Display| End::Lost(fault.to_string());
        let codec = FrameDecoder::<ServerFrame>::new(FrameFormat::Json, MAX_FRAME_BYTES);
        let mut frames = Framed::new(socket, codec);
        let hello = Hello {
            user: Some(self.user.clone()),
            device: self.device.clone(),
            token: self.token.clone(),
            topics: Vec::new(),
        };
        if let Err(fault) = frames.send(ClientFrame::Hello(hello)).await {
            return lost(&fault);
        }
        let mut heartbeat = Duration::from_secs(30);
        loop {
            let frame = match tokio::time::timeout(heartbeat, frames.next()).await {
                Err(_) => {
                    if let Err(fault) = frames.send(ClientFrame::Ping).await {
                        return lost(&fault);
                    }
                    continue;
                }
                Ok(None) => return lost(&"the server closed the connection"),
                Ok(Some(Err(fault))) => return lost(&fault),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame {
                ServerFrame::Welcome { user, device, heartbeat_ms, .. } => {
                    eprintln!("connected as {user}, device {device}; Ctrl-C ends");
                    heartbeat = Duration::from_millis(heartbeat_ms / 2).max(Duration::from_secs(1));
                    *wait = FIRST_WAIT;
                }
                ServerFrame::Message { seq, content, .. } => {
                    // What comes again after a lost acknowledgement is acknowledged and not shown twice.
                    if seq.is_none_or(|seq| seq > *seen) {
                        let text = content.as_text().unwrap_or_else(|| content.as_json().to_owned());
                        let mut out = std::io::stdout().lock();
                        if let Err(fault) = writeln!(out, "{text}").and_then(|()| out.flush()) {
                            return End::Refused(format!("standard output: {fault}"));
                        }
                    }
                    if let Some(seq) = seq {
                        *seen = seq.max(*seen);
                        if let Err(fault) = frames.send(ClientFrame::Ack { seq }).await {
                            return lost(&fault);
                        }
                    }
                }
                ServerFrame::Bye { code: ByeCode::Unauthorized | ByeCode::Replaced, detail, .. } => {
                    return End::Refused(detail);
                }
                ServerFrame::Bye { detail, .. } => return End::Lost(detail),
                ServerFrame::Error { detail, .. } => eprintln!("the server says: {detail}"),
                _ => {}
            }
        }
    }
}
