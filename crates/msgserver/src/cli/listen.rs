//! `msgserver listen`: a client of the `frame` protocol, over TCP or WebSocket.

mod address;
mod place;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use msgserver_message::{Content, DeviceId, Seq, UserId};
use msgserver_protocol::{ByeCode, ClientFrame, Hello, ServerFrame};
use tokio::signal::unix::{SignalKind, signal};

use self::address::{Address, Heard, Say};
use self::place::Place;
use super::Fault;

/// The first wait before a new connection, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(30);

/// How many messages are printed, at most, before they are acknowledged.
const AT_ONCE: usize = 256;

#[derive(Args)]
pub(crate) struct Listen {
    /// Where the server is: tcp:// and its frame door, or ws:// and its HTTP door
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
    /// Keep the number of the last message here, so that the next run prints none again; a kill -9 may come between
    /// the two
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

/// How a connection ended.
enum End {
    /// There may be another, after the time that the server has named.
    Lost(String, Option<Duration>),
    Refused(String),
}

fn lost(fault: impl ToString) -> End {
    End::Lost(fault.to_string(), None)
}

impl Listen {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let address: Address =
            self.url.parse().map_err(|fault| Fault::Usage(vec![format!("--url {}: {fault}", self.url)]))?;
        let device = self.device.clone().unwrap_or_else(DeviceId::unnamed);
        let place = Place::read(self.state.clone(), &self.user, &device);
        let place = place.map_err(|fault| {
            let path = self.state.as_deref().unwrap_or_else(|| "".as_ref()).display();
            Fault::Failed(format!("--state {path}: {fault}"))
        })?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::failed)?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).map_err(Fault::failed)?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::failed)?;
            // Between two waits: what is printed is noted.
            tokio::select! {
                fault = self.stay_connected(&address, place) => Err(fault),
                _ = terminate.recv() => Ok(()),
                _ = interrupt.recv() => Ok(()),
            }
        })
    }

    async fn stay_connected(&self, address: &Address, mut place: Place) -> Fault {
        let mut wait = FIRST_WAIT;
        loop {
            let end = match address.connect().await {
                Ok((say, heard)) => self.follow(say, heard, &mut place, &mut wait).await,
                Err(fault) => lost(fault),
            };
            match end {
                End::Refused(detail) => return Fault::Failed(detail),
                End::Lost(detail, named) => {
                    // Jitter: a server that comes back is not met by all its clients at once. A time that it has
                    // named is spread already.
                    let wait_now = named.unwrap_or_else(|| wait.mul_f64(rand::random_range(0.5..1.0)));
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

    async fn follow(&self, mut say: Say, heard: Heard, place: &mut Place, wait: &mut Duration) -> End {
        let mut frames = heard.ready_chunks(AT_ONCE);
        let hello = Hello {
            user: Some(self.user.clone()),
            device: self.device.clone(),
            token: self.token.clone(),
            topics: Vec::new(),
        };
        if let Err(fault) = say.send(ClientFrame::Hello(hello)).await {
            return lost(fault);
        }
        let mut heartbeat = Duration::from_secs(30);
        loop {
            let came = match tokio::time::timeout(heartbeat, frames.next()).await {
                Err(_) => {
                    if let Err(fault) = say.send(ClientFrame::Ping).await {
                        return lost(fault);
                    }
                    continue;
                }
                Ok(None) => return lost("the server closed the connection"),
                Ok(Some(came)) => came,
            };
            let (mut printed, mut arrived, mut end) = (place.seq(), None, None);
            for frame in came {
                match frame {
                    Err(fault) => end = end.or(Some(lost(fault))),
                    Ok(ServerFrame::Welcome { user, device, heartbeat_ms, resumed, .. }) => {
                        eprintln!("connected as {user}, device {device}; Ctrl-C ends");
                        heartbeat = Duration::from_millis(heartbeat_ms / 2).max(Duration::from_secs(1));
                        *wait = FIRST_WAIT;
                        if !resumed {
                            // A server that has forgotten the device may count from 1 again.
                            printed = Seq::ZERO;
                        }
                    }
                    Ok(ServerFrame::Message { seq, content, .. }) => {
                        // What comes again after a lost acknowledgement is acknowledged and not printed twice.
                        if seq.is_none_or(|seq| seq > printed)
                            && let Err(fault) = print(&content)
                        {
                            return End::Refused(format!("standard output: {fault}"));
                        }
                        printed = printed.max(seq.unwrap_or_default());
                        arrived = arrived.max(seq);
                    }
                    Ok(ServerFrame::Bye {
                        code: ByeCode::Unauthorized | ByeCode::Replaced, detail, ..
                    }) => {
                        end = Some(End::Refused(detail));
                    }
                    Ok(ServerFrame::Bye { detail, retry_after_ms, .. }) => {
                        end = Some(End::Lost(detail, retry_after_ms.map(Duration::from_millis)));
                    }
                    Ok(ServerFrame::Error { detail, .. }) => eprintln!("the server says: {detail}"),
                    Ok(_) => {}
                }
            }
            // Only what is printed and noted is acknowledged: the server sends it no more.
            if let Err(fault) = place.move_to(printed) {
                return End::Refused(format!("the state file: {fault}"));
            }
            if let Some(seq) = arrived
                && let Err(fault) = say.send(ClientFrame::Ack { seq }).await
            {
                return end.unwrap_or_else(|| lost(fault));
            }
            if let Some(end) = end {
                return end;
            }
        }
    }
}

fn print(content: &Content) -> std::io::Result<()> {
    let text = content.as_text().unwrap_or_else(|| content.as_json().to_owned());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
