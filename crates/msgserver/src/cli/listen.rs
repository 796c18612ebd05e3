//! `msgserver listen`: the client crate, on a terminal.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use futures_util::StreamExt;
use msgserver_client::{Address, Builder, Error, FilePosition, Message, Messages, State, Trust};
use msgserver_message::{DeviceId, TopicFilter, UserId};
use tokio::signal::unix::{SignalKind, signal};

use super::Fault;

/// How many messages are printed, at most, before they are acknowledged.
const AT_ONCE: usize = 256;

#[derive(Args)]
pub(crate) struct Listen {
    /// Where the server is: tcp:// or tls:// and its frame door, or ws:// or wss:// and its HTTP door
    #[arg(long, default_value = "tcp://127.0.0.1:3367")]
    url: String,
    /// Who this is
    #[arg(long)]
    user: UserId,
    /// Which of the user's devices this is
    #[arg(long)]
    device: Option<DeviceId>,
    /// The proof: an access token, or the shared secret
    #[arg(long, env = "MSGSERVER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Follow this topic besides the inbox, as the device does from then on; + stands for one level. May be repeated
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<TopicFilter>,
    /// Keep the number of the last message here, so that the next run prints none again; a kill -9 may come between
    /// the two
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The certificates of the authorities that may vouch for the server, in PEM; the system's unless said
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Listen {
    pub(crate) fn run(self) -> Result<(), Fault> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::failed)?;
        let builder = self.builder()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).map_err(Fault::failed)?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(Fault::failed)?;
            let (client, messages) = builder.connect().await.map_err(Fault::failed)?;
            let end = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            let done = print_until(end, messages).await;
            client.close().await;
            done
        })
    }

    fn builder(self) -> Result<Builder, Fault> {
        let address = self.url.parse::<Address>();
        let address = address.map_err(|fault| Fault::Usage(vec![format!("--url: {fault}")]))?;
        let name = address.to_string();
        let mut builder = Builder::new(address).on_state(move |state| tell(&name, state)).topics(self.topics);
        if let Some(path) = self.state {
            let device = self.device.clone().unwrap_or_else(DeviceId::unnamed);
            let position = FilePosition::open(&path, &self.user, &device)
                .map_err(|fault| Fault::Failed(format!("--state {}: {fault}", path.display())))?;
            builder = builder.position(position);
        }
        if let Some(file) = self.ca {
            builder = builder
                .trust(Trust::authorities(file).map_err(|fault| Fault::Failed(format!("--ca {fault}")))?);
        }
        if let Some(token) = self.token {
            builder = builder.token(token);
        }
        if let Some(device) = self.device {
            builder = builder.device(device);
        }
        Ok(builder.user(self.user))
    }
}

/// What a person is told beside the messages.
fn tell(address: &str, state: &State) {
    match state {
        State::Online { user, device, .. } => eprintln!("connected as {user}, device {device}; Ctrl-C ends"),
        State::Waiting { detail, wait, .. } => {
            eprintln!("not connected to {address}: {detail}; trying again in {} ms", wait.as_millis());
        }
        State::Told { detail, .. } => eprintln!("the server says: {detail}"),
        _ => {}
    }
}

/// Prints what comes and acknowledges it. The end comes between two waits for messages, so that what is printed is
/// noted.
async fn print_until(end: impl Future<Output = ()>, messages: Messages) -> Result<(), Fault> {
    let mut end = std::pin::pin!(end);
    let mut messages = messages.ready_chunks(AT_ONCE);
    loop {
        let came = tokio::select! {
            biased;
            () = &mut end => return Ok(()),
            came = messages.next() => came,
        };
        let Some(came) = came else { return Ok(()) };
        print(came).await?;
    }
}

async fn print(came: Vec<Result<Message, Error>>) -> Result<(), Fault> {
    let mut last: Option<Message> = None;
    let mut fault = None;
    for message in came {
        match message {
            Ok(message) => {
                write(&message).map_err(|fault| Fault::Failed(format!("standard output: {fault}")))?;
                last = Some(message).filter(|message| message.seq.is_some()).or(last);
            }
            Err(error) => fault = Some(Fault::failed(error)),
        }
    }
    if let Some(last) = last {
        last.ack().await.map_err(|fault| Fault::Failed(format!("the state file: {fault}")))?;
    }
    fault.map_or(Ok(()), Err)
}

fn write(message: &Message) -> std::io::Result<()> {
    let text = message.content.as_text().unwrap_or_else(|| message.content.as_json().to_owned());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
