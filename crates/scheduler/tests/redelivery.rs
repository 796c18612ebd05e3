//! Sending again what a connected client does not acknowledge in time, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{Content, Seq, UserId};
use msgserver_persistence::{MemoryStore, Store};
use msgserver_pool::ShardedPool;
use msgserver_protocol::{
    ClientFrame, Encoder, FrameDecoder, FrameFormat, Hello, Json, LengthPrefixed, MAX_FRAME_BYTES,
    ServerFrame,
};
use msgserver_queue::LaneQueue;
use msgserver_scheduler::{Door, Parts, Scheduler, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder as _};

/// A client of the `frame` protocol that does only what it is told.
struct Client {
    socket: TcpStream,
    codec: FrameDecoder<ServerFrame>,
    read: BytesMut,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self {
            socket: TcpStream::connect(address).await.unwrap(),
            codec: FrameDecoder::new(FrameFormat::Json, MAX_FRAME_BYTES),
            read: BytesMut::new(),
        }
    }

    async fn say(&mut self, frame: ClientFrame) {
        self.say_all([frame]).await;
    }

    /// Says several things in one write.
    async fn say_all(&mut self, frames: impl IntoIterator<Item = ClientFrame>) {
        let mut bytes = BytesMut::new();
        frames.into_iter().for_each(|frame| self.codec.encode(frame, &mut bytes).unwrap());
        self.socket.write_all(&bytes).await.unwrap();
    }

    async fn hear(&mut self) -> ServerFrame {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.read).unwrap() {
                return frame;
            }
            let reading = self.socket.read_buf(&mut self.read);
            let n = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("a frame").unwrap();
            assert_ne!(n, 0, "the server closed the connection");
        }
    }

    /// The next message: its number, and whether it is marked as sent before.
    async fn message(&mut self) -> (u64, bool) {
        match self.hear().await {
            ServerFrame::Message { seq: Some(seq), redelivered, .. } => (seq.get(), redelivered),
            other => panic!("{other:?}"),
        }
    }
}

async fn serve(settings: Settings) -> (Scheduler, Arc<MemoryStore>, SocketAddr) {
    let store = Arc::new(MemoryStore::new());
    let encoder = Encoder::new(LengthPrefixed, Json).unwrap();
    let parts = Parts {
        pool: Arc::new(ShardedPool::default()),
        queue: Arc::new(LaneQueue::default()),
        store: Some(Arc::clone(&store) as Arc<dyn Store>),
        doors: vec![Door { encoder, encryption: None, max_connections: None }],
        filter: None,
        authentication: None,
        failed_callback: None,
        witness: None,
    };
    let scheduler = Scheduler::start(parts, settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = scheduler.clone();
    tokio::spawn(async move { door.serve(listener, 0).await });
    (scheduler, store, address)
}

async fn online(settings: Settings) -> (Scheduler, Arc<MemoryStore>, Client) {
    let (scheduler, store, address) = serve(settings).await;
    let mut client = Client::connect(address).await;
    client.say(hello()).await;
    assert!(matches!(client.hear().await, ServerFrame::Welcome { .. }));
    (scheduler, store, client)
}

fn hello() -> ClientFrame {
    ClientFrame::Hello(Hello { user: Some(ada()), ..Hello::default() })
}

fn ada() -> UserId {
    UserId::new("ada").unwrap()
}

async fn publish(scheduler: &Scheduler, count: usize) {
    for _ in 0..count {
        scheduler.send_message(Content::text("hello"), ada()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_in_time_is_sent_again_and_marked_also_when_the_window_is_full() {
    let settings = Settings { ack_timeout: Duration::from_millis(100), window: 3, ..Settings::default() };
    let (scheduler, store, mut client) = online(settings).await;
    publish(&scheduler, 5).await;
    for n in 1..=3 {
        assert_eq!(client.message().await, (n, false));
    }
    // Again and again, the same and no more, until it says something.
    for n in [1, 2, 3, 1, 2, 3] {
        assert_eq!(client.message().await, (n, true));
    }
    client.say(ClientFrame::Ack { seq: Seq::new(3) }).await;
    let (mut fresh, mut next) = (Vec::new(), 1);
    while fresh.len() < 2 {
        match client.message().await {
            (n, false) => fresh.push(n),
            // What was on its way meanwhile.
            (n, true) => {
                assert!(n == next && n <= 3 || n == 1, "{n} after {next}");
                next = n + 1;
            }
        }
    }
    assert_eq!(fresh, [4, 5]);
    client.say(ClientFrame::Ack { seq: Seq::new(5) }).await;
    while store.stored().await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    // In order behind what was sent again.
    publish(&scheduler, 1).await;
    loop {
        match client.message().await {
            (6, false) => break,
            (n, marked) => assert!(marked && (4..=5).contains(&n), "{n}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_comes_too_late_counts() {
    let settings = Settings { ack_timeout: Duration::from_millis(50), ..Settings::default() };
    let (scheduler, store, mut client) = online(settings).await;
    for round in 0..20 {
        let first = 3 * round + 1;
        publish(&scheduler, 3).await;
        loop {
            // Meanwhile it may be sent again at any moment.
            if client.message().await == (first + 2, false) {
                break;
            }
        }
        while client.message().await != (first, true) {}
        client.say(ClientFrame::Ack { seq: Seq::new(first + 2) }).await;
        while store.stored().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    }
    client.say(ClientFrame::Ping).await;
    loop {
        match client.hear().await {
            ServerFrame::Pong => break,
            ServerFrame::Message { redelivered: true, .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_may_acknowledge_what_it_has_kept_before_it_is_sent_again() {
    let (scheduler, store, address) = serve(Settings::default()).await;
    for round in 0..100 {
        let last = 3 * (round + 1);
        let mut client = Client::connect(address).await;
        client.say(hello()).await;
        assert!(matches!(client.hear().await, ServerFrame::Welcome { .. }));
        publish(&scheduler, 3).await;
        while client.message().await.0 < last {}
        drop(client);
        while store.devices(&ada()).await.unwrap()[0].connected {
            tokio::task::yield_now().await;
        }
        let mut client = Client::connect(address).await;
        let ack = ClientFrame::Ack { seq: Seq::new(last) };
        client.say_all([hello(), ack, ClientFrame::Ping]).await;
        loop {
            match client.hear().await {
                ServerFrame::Pong => break,
                // It may be on its way already.
                ServerFrame::Welcome { .. } | ServerFrame::Message { redelivered: true, .. } => {}
                other => panic!("{other:?}"),
            }
        }
        while store.stored().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
        drop(client);
        while store.devices(&ada()).await.unwrap()[0].connected {
            tokio::task::yield_now().await;
        }
    }
}
