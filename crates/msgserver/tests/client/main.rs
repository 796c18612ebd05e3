//! The client crate and the real server: each message once, whatever happens to either, or to what is between them.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod line;
mod publishing;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod tls;

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use msgserver_client::{
    Builder, Client, Content, DeviceId, FilePosition, Message, Messages, Publication, State, UserId,
};
use support::{PATIENCE, Server, until};
use tokio::time::timeout;

fn ada() -> UserId {
    UserId::new("ada").unwrap()
}

fn phone() -> DeviceId {
    DeviceId::new("phone").unwrap()
}

/// A client of ada's phone.
fn phone_at(url: &str) -> Builder {
    Client::builder(url).unwrap().user(ada()).device(phone()).deadline(PATIENCE)
}

/// The same, that goes on where a file says.
fn phone_of(url: &str, file: &Path) -> Builder {
    phone_at(url).position(FilePosition::open(file, &ada(), &phone()).unwrap())
}

fn to_ada(number: u64) -> Publication {
    Publication::to_user(ada(), Content::of(&number).unwrap())
}

async fn next(messages: &mut Messages) -> Message {
    timeout(PATIENCE, messages.next()).await.expect("a message comes").expect("the stream goes on").unwrap()
}

/// The number that a message says.
fn number(message: &Message) -> u64 {
    message.content.as_json().parse().unwrap()
}

/// What a client was, from its beginning.
#[derive(Clone, Default)]
struct States(Arc<Mutex<Vec<State>>>);

impl States {
    fn of(builder: Builder) -> (Builder, Self) {
        let states = Self::default();
        let told = states.clone();
        (builder.on_state(move |state| told.0.lock().unwrap().push(state.clone())), states)
    }

    fn count(&self, is_one: impl Fn(&State) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|state| is_one(state)).count()
    }

    async fn wait_for(&self, count: usize, is_one: impl Fn(&State) -> bool) {
        self.wait_until(|states| states.iter().filter(|state| is_one(state)).count() >= count).await;
    }

    async fn wait_until_online(&self) {
        self.wait_until(|states| states.last().is_some_and(is_online)).await;
    }

    async fn wait_until(&self, is_so: impl Fn(&[State]) -> bool) {
        let came = async {
            while !is_so(&self.0.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, came).await.unwrap_or_else(|_| panic!("{:?}", self.0.lock().unwrap()));
    }
}

fn is_online(state: &State) -> bool {
    matches!(state, State::Online { .. })
}

fn is_waiting(state: &State) -> bool {
    matches!(state, State::Waiting { .. })
}

/// An address where nobody is, and where a server can be later.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Starts a server where its predecessor was.
fn start_again(server: &Server, directory: &Path, flags: &[&str]) -> Server {
    let (frame, http) = (server.address("frame"), server.address("http"));
    Server::start(directory, &[&["--frame", frame, "--http", http], flags].concat())
}
