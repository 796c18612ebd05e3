//! What stays connected: one session after the other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use msgserver_message::{DeviceId, Seq, UserId};
use msgserver_protocol::{ByeCode, ClientFrame, Hello, ServerFrame};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::end::{End, bye, lost};
use crate::line::{Line, Way};
use crate::messages::Tray;
use crate::requests::{Order, Requests};
use crate::session::Session;
use crate::standing::Standing;
use crate::waits::Waits;
use crate::{Error, State};

/// Where a token comes from.
#[derive(Clone, Default)]
pub(crate) enum Token {
    #[default]
    None,
    Fixed(String),
    /// Asked before each connection.
    From(Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>),
}

/// Who a client says it is.
#[derive(Clone, Default)]
pub(crate) struct Who {
    pub(crate) user: Option<UserId>,
    pub(crate) device: Option<DeviceId>,
    pub(crate) token: Token,
}

pub(crate) type OnState = Arc<dyn Fn(&State) + Send + Sync>;

/// What stays connected.
pub(crate) struct Connection {
    pub(crate) way: Way,
    pub(crate) who: Who,
    pub(crate) on_state: OnState,
    /// How long a connection may take to come online.
    pub(crate) patience: Duration,
    pub(crate) standing: Arc<Standing>,
    /// The last message that the application was given.
    pub(crate) handed_over: Seq,
    pub(crate) tray: Tray,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Whether somebody may still order something.
    pub(crate) takes_orders: bool,
    pub(crate) requests: Requests,
    /// Who waits for the end.
    pub(crate) closing: Vec<oneshot::Sender<()>>,
    /// Whether a connection of this client may still come online although it was given up.
    pub(crate) has_left_one: bool,
    /// What went wrong last, for those whose time is over.
    pub(crate) trouble: watch::Sender<String>,
}

impl Connection {
    /// Goes on until there is no use in it, or nobody wants it any more.
    pub(crate) async fn stay(mut self) {
        let mut waits = Waits::new();
        loop {
            match self.connect_once(&mut waits).await {
                End::Behind => {}
                End::Lost { detail, retry_after } => {
                    let wait = waits.spread(retry_after);
                    self.trouble(detail.clone());
                    (self.on_state)(&State::Waiting { detail, wait });
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = self.until_closing() => break,
                    }
                }
                End::Final(error) => {
                    self.trouble(error.to_string());
                    self.tray.end(error);
                    break;
                }
                End::Closed => break,
            }
        }
        (self.on_state)(&State::Closed);
        for done in self.closing.drain(..) {
            let _ = done.send(());
        }
    }

    async fn connect_once(&mut self, waits: &mut Waits) -> End {
        (self.on_state)(&State::Connecting);
        let (way, who, topics) = (self.way.clone(), self.who.clone(), self.requests.followed());
        let patience = self.patience;
        let opened = async move {
            let late =
                |_| lost(format!("it did not come online within {}", humantime::format_duration(patience)));
            timeout(patience, open(way, who, topics)).await.map_err(late)?
        };
        let opened = tokio::select! {
            opened = opened => opened,
            () = self.until_closing() => return End::Closed,
        };
        let Opened { line, welcome, told } = match opened {
            Ok(opened) => opened,
            Err(end) => {
                self.has_left_one = true;
                return end;
            }
        };
        waits.reset();
        let State::Online { resumed, .. } = welcome.state else { return lost("no welcome") };
        if !resumed {
            // A server that does not know the device counts from 1 again.
            self.handed_over = Seq::ZERO;
            if let Err(fault) = self.standing.begin_anew().await {
                return End::Final(fault.into());
            }
        }
        self.trouble(String::new());
        (self.on_state)(&welcome.state);
        told.into_iter().for_each(|detail| self.tell(detail));
        Session::new(self, line).run(welcome.heartbeat).await
    }

    /// Takes what is asked for while there is no connection, until nobody wants one.
    async fn until_closing(&mut self) {
        while !self.is_closing() {
            tokio::select! {
                order = self.orders.recv(), if self.takes_orders => { self.take(order); }
                () = self.tray.unwanted(), if self.tray.is_wanted() => {}
            }
        }
    }

    /// Takes what is asked for; gives the number of what is to be published.
    pub(crate) fn take(&mut self, order: Option<Order>) -> Option<u64> {
        let Some(order) = order else {
            self.takes_orders = false;
            return None;
        };
        match order {
            Order::Publish { message, room, reply } => {
                return Some(self.requests.publish(message, room, reply));
            }
            Order::Topic { frame, reply } => self.requests.ask(frame, reply),
            Order::Close { done } => self.closing.push(done),
        }
        None
    }

    /// Whether nobody wants a connection any more.
    pub(crate) fn is_closing(&self) -> bool {
        !self.closing.is_empty() || !self.takes_orders && !self.tray.is_wanted()
    }

    /// What a `bye` means for a session that was online.
    pub(crate) fn bye(&mut self, code: ByeCode, detail: String, retry_after_ms: Option<u64>) -> End {
        // The server may have come to an earlier hello of ours only now, and that is nobody else.
        if code == ByeCode::Replaced && std::mem::take(&mut self.has_left_one) {
            return lost(detail);
        }
        bye(code, detail, retry_after_ms, matches!(self.who.token, Token::From(_)))
    }

    pub(crate) fn trouble(&self, detail: String) {
        self.trouble.send_replace(detail);
    }

    pub(crate) fn tell(&self, detail: String) {
        (self.on_state)(&State::Told { detail });
    }
}

/// A connection that is online.
struct Opened {
    line: Line,
    welcome: Welcome,
    /// What the server did not take of the `hello`.
    told: Vec<String>,
}

struct Welcome {
    state: State,
    heartbeat: Duration,
}

async fn open(way: Way, who: Who, topics: Vec<msgserver_message::TopicFilter>) -> Result<Opened, End> {
    let has_other_tokens = matches!(who.token, Token::From(_));
    let token = match who.token {
        Token::None => None,
        Token::Fixed(token) => Some(token),
        Token::From(source) => Some(source().await.map_err(|fault| lost(format!("no token: {fault}")))?),
    };
    let mut line = way.connect().await?;
    line.say.send(ClientFrame::Hello(Hello { user: who.user, device: who.device, token, topics })).await?;
    let mut told = Vec::new();
    loop {
        match line.heard.next().await {
            Some(Ok(ServerFrame::Welcome { session, user, device, heartbeat_ms, resumed })) => {
                let state = State::Online { user, device, session, resumed };
                let welcome = Welcome { state, heartbeat: Duration::from_millis(heartbeat_ms) };
                return Ok(Opened { line, welcome, told });
            }
            Some(Ok(ServerFrame::Bye { code, detail, retry_after_ms })) => {
                return Err(bye(code, detail, retry_after_ms, has_other_tokens));
            }
            Some(Ok(ServerFrame::Error { detail, .. })) => told.push(detail),
            Some(Ok(other)) => return Err(End::Final(Error::Answer(format!("{other:?} before a welcome")))),
            Some(Err(end)) => return Err(end),
            None => return Err(lost("the server closed the connection before its welcome")),
        }
    }
}
