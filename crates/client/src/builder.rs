//! What a client is made of.

use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{DeviceId, TopicFilter, UserId};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::connection::{Connection, OnState, Token, Who};
use crate::line::Way;
use crate::messages::Tray;
use crate::requests::Requests;
use crate::standing::Standing;
use crate::{Address, Client, Error, Messages, Position, State, Trust, Unkept};

/// How many bytes of messages wait for the application unless said, and how many of publications may be under way.
const BUFFER: usize = 1024 * 1024;
const UNDER_WAY: usize = 4 * 1024 * 1024;

/// How many requests wait for the connection's turn.
const ORDERS: usize = 64;

/// What a client is made of.
#[must_use = "nothing happens before `connect`"]
pub struct Builder {
    address: Address,
    who: Who,
    topics: Vec<TopicFilter>,
    position: Box<dyn Position>,
    trust: Trust,
    on_state: OnState,
    buffer: usize,
    deadline: Duration,
    patience: Duration,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Builder {
    /// A client of the server at `address`, that says nothing of itself.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            who: Who::default(),
            topics: Vec::new(),
            position: Box::new(Unkept),
            trust: Trust::System,
            on_state: Arc::new(|_| {}),
            buffer: BUFFER,
            deadline: Duration::from_secs(30),
            patience: Duration::from_secs(15),
        }
    }

    /// Who this is. May be left out if the token names the user.
    pub fn user(mut self, user: UserId) -> Self {
        self.who.user = Some(user);
        self
    }

    /// Which of the user's devices this is; two clients with one device put each other out. It is the unnamed one
    /// unless said.
    pub fn device(mut self, device: DeviceId) -> Self {
        self.who.device = Some(device);
        self
    }

    /// The proof: an access token, the shared secret, or an API key.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.who.token = Token::Fixed(token.into());
        self
    }

    /// Where to get a fresh token, before each connection. When the server does not take one, there is another try
    /// with the next.
    pub fn token_from<F, T>(mut self, source: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.who.token = Token::From(Arc::new(move || Box::pin(source())));
        self
    }

    /// What to follow besides the inbox.
    pub fn topics(mut self, topics: impl IntoIterator<Item = TopicFilter>) -> Self {
        self.topics.extend(topics);
        self
    }

    /// Where the number of the last acknowledgement is kept: nowhere unless said.
    pub fn position(mut self, position: impl Position) -> Self {
        self.position = Box::new(position);
        self
    }

    /// Whom to take for the server within TLS: who the system's authorities vouch for, unless said.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Is told each change of state, by the task that stays connected: what takes long there holds everything up.
    pub fn on_state(mut self, told: impl Fn(&State) + Send + Sync + 'static) -> Self {
        self.on_state = Arc::new(told);
        self
    }

    /// How many bytes of messages may wait for the application, 1 MiB unless said. One message may be larger, and
    /// one more is held beside them.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// How long a publication or a subscription is tried, 30 s unless said.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a connection may take to come online before another is tried, 15 s unless said.
    pub fn connect_within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Begins to connect, and to stay connected. Does not wait for the server, which may be away for now.
    ///
    /// # Errors
    /// [`Error::Position`] or [`Error::Trust`] if there is nothing to begin with.
    pub async fn connect(self) -> Result<(Client, Messages), Error> {
        let tls = if self.address.is_secret { Some(self.trust.config()?) } else { None };
        let standing = Arc::new(Standing::load(self.position).await?);
        let (tray, messages) = Tray::new(self.buffer);
        let (order, orders) = mpsc::channel(ORDERS);
        let trouble = watch::Sender::new(String::new());
        let client = Client {
            orders: order,
            room: Arc::new(Semaphore::new(UNDER_WAY)),
            most: UNDER_WAY,
            deadline: self.deadline,
            trouble: trouble.subscribe(),
        };
        let connection = Connection {
            way: Way { address: self.address, tls },
            who: self.who,
            on_state: self.on_state,
            patience: self.patience,
            handed_over: standing.now().seq,
            standing,
            tray,
            orders,
            takes_orders: true,
            requests: Requests::following(self.topics.into_iter().collect()),
            closing: Vec::new(),
            has_left_one: false,
            trouble,
        };
        tokio::spawn(connection.stay());
        Ok((client, messages))
    }
}
