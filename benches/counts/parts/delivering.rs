//! From a message to the sockets of sessions.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use msgserver_benches::{Nobody, content, plain_session};
use msgserver_message::{Message, UserId};
use msgserver_pool::{Events, Notice, Reactor, ReactorOptions, Sent, Session, SessionSetup};
use msgserver_protocol::{Bar, Delivery, Encoder, Json};

use super::Rounds;

/// A content of 128 bytes, and the bar behind it.
const FRAME: usize = 129;

/// Sessions of one reactor thread, and their clients.
struct Crowd {
    reactor: Reactor,
    encoders: Arc<[Encoder]>,
    sessions: Vec<Arc<Session>>,
    clients: Vec<TcpStream>,
}

impl Crowd {
    fn new(count: u64) -> Self {
        let events: Arc<dyn Events> = Arc::new(Nobody);
        let options = ReactorOptions { threads: 1, ..ReactorOptions::default() };
        let reactor = Reactor::start(&options, &events).expect("threads");
        let encoders: Arc<[Encoder]> = [Encoder::new(Bar, Json).expect("they fit")].into();
        let door = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut crowd = Self { reactor, encoders, sessions: Vec::new(), clients: Vec::new() };
        for number in 0..count {
            crowd.clients.push(TcpStream::connect(door.local_addr().expect("bound")).expect("it listens"));
            let (socket, _) = door.accept().expect("somebody has connected");
            let session = crowd.reactor.session(socket, crowd.setup(number)).expect("a socket");
            crowd.sessions.push(Arc::new(session));
            crowd.reactor.watch(&crowd.sessions[number as usize]);
        }
        crowd
    }

    fn setup(&self, number: u64) -> SessionSetup {
        plain_session(number, UserId::new("ada").expect("a name"), &self.encoders)
    }

    fn read(&mut self) {
        let mut frame = [0; FRAME];
        for client in &mut self.clients {
            client.read_exact(&mut frame).expect("a frame");
        }
    }
}

fn notice(rounds: Rounds<'_>, sessions: u64) {
    let mut crowd = Crowd::new(sessions);
    let content = content(FRAME - 1);
    rounds(&mut || {
        let notice = Notice::new(Message::new(content.clone()), Arc::clone(&crowd.encoders));
        crowd.reactor.broadcast(&Arc::new(notice.expect("it has a form")));
        crowd.read();
    });
}

pub(super) fn notice_to_100(rounds: Rounds<'_>) {
    notice(rounds, 100);
}

pub(super) fn notice_to_400(rounds: Rounds<'_>) {
    notice(rounds, 400);
}

pub(super) fn message_to_a_session(rounds: Rounds<'_>) {
    let mut crowd = Crowd::new(1);
    let message = Message::new(content(FRAME - 1));
    rounds(&mut || {
        assert_eq!(crowd.sessions[0].send(&Delivery::notice(&message)), Sent::Taken);
        crowd.read();
    });
}
