//! From a connection to a guest that speaks MQTT.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use msgserver_listener::{Peer, Stream};
use msgserver_message::{DeviceId, MessageId, Seq, Timestamp, UserId};
use msgserver_mqtt::{Answer, Connect, Qos, Reason, Refused as NoConnect, Version, Welcome};
use msgserver_pool::Terms;
use msgserver_protocol::{ByeCode, Hello, Inbound};
use tokio::io::AsyncReadExt;

use super::talks::Will;
use super::{Refused, Talk, publication, records};
use crate::core::Core;
use crate::entering::Expected;
use crate::guest::Guest;
use crate::occupancy::Place;
use crate::refusal::Refusal;
use crate::turning_away::say_last;

/// The longest CONNECT packet: it may bring a will.
const MAX_CONNECT_BYTES: usize = 256 * 1024;

/// Why a connection is not opened, and in which version its client can be told, if it can.
struct Unopened {
    version: Option<Version>,
    /// The longest packet that it takes.
    longest: usize,
    refused: Refused,
}

impl Unopened {
    fn new(version: Option<Version>, refused: Refused) -> Self {
        Self { version, longest: usize::MAX, refused }
    }

    /// The bytes of what its client is told.
    fn answer(self) -> Bytes {
        let Some(version) = self.version else { return Bytes::new() };
        let Refused { reason, detail } = self.refused;
        let whole = Answer::Refused { reason, detail: Some(detail) }.encode(version);
        match whole.len() <= self.longest {
            true => whole,
            false => Answer::Refused { reason, detail: None }.encode(version),
        }
    }
}

impl Core {
    /// Hears CONNECT, and brings the client online.
    pub(crate) async fn open_mqtt(self: Arc<Self>, mut socket: Stream, peer: Peer, place: Place) {
        socket.set_nodelay();
        match self.hear_connect(&mut socket, &peer, place).await {
            Ok((expected, welcome)) => drop(self.enter_by(expected, Ok(socket), welcome).await),
            Err(unopened) => {
                self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
                let reason = unopened.refused.detail.replace(char::is_control, " ");
                tracing::info!(%peer, %reason, "connection refused");
                say_last(&mut socket, &unopened.answer()).await;
            }
        }
    }

    /// Who has come, on which terms, and what it is told.
    async fn hear_connect(
        self: &Arc<Self>,
        socket: &mut Stream,
        peer: &Peer,
        place: Place,
    ) -> Result<(Expected, Bytes), Unopened> {
        let deadline = self.settings.opening_deadline;
        let (connect, rest) =
            tokio::time::timeout(deadline, first_packet(socket)).await.unwrap_or_else(|_| {
                let refused = Refused::new(Reason::KEEP_ALIVE, "CONNECT did not come whole in time");
                Err(Unopened::new(None, refused))
            })?;
        let version = connect.version;
        let longest = connect.packet_size.map_or(usize::MAX, |most| most.get() as usize);
        let told = |refused| Unopened { version: Some(version), longest, refused };
        let encoding = self.encoding_of(version).ok_or_else(|| {
            told(Refused::new(Reason::VERSION, "this server does not speak this version of MQTT"))
        })?;
        let identified = tokio::time::timeout(deadline, self.identify_mqtt(&connect, peer)).await;
        let late = || Err(Refused::new(Reason::UNAVAILABLE, "who it is could not be found out in time"));
        let (guest, assigned) = identified.unwrap_or_else(|_| late()).map_err(told)?;
        let will = will_of(&connect, &guest).map_err(told)?;
        let guest = Guest { read_ahead: rest.to_vec(), ..guest };
        // A client has no number to tell what it has got already. Asked before and after: what is told the store
        // meanwhile is known to none of both.
        let (user, device) = (guest.user.clone(), guest.device.clone());
        let before = self.acknowledged_by(&user, &device);
        let expected = self.expect(guest, encoding, place).await;
        let mut expected = expected.map_err(|refusal| told(of_refusal(&refusal, &connect)))?;

        if let Some(cursor) = &mut expected.cursor {
            let acknowledged = before.max(self.acknowledged_by(&user, &device));
            cursor.acknowledged =
                acknowledged.map_or(cursor.acknowledged, |seq| seq.max(cursor.acknowledged));
        }
        let goes_on = self.resume(&mut expected, &connect).await.map_err(told)?;
        let has_inbox = expected.cursor.is_some();
        let session_expiry = if has_inbox { connect.session_expiry } else { 0 };
        let mut talk = Talk::new(will, session_expiry, !connect.problem_information);
        self.talks.restore_received(&user, &device, &mut talk, goes_on);
        self.talks.has_returned(&user, &device, goes_on);
        expected.agreed.talk = Some(talk);

        // Only who speaks 5 can be told that it has to be heard though it has not asked for that.
        let usual = 2 * self.settings.reactor.heartbeat.as_secs();
        let keep_alive = (version == Version::V5 && connect.keep_alive == 0)
            .then(|| u16::try_from(usual).unwrap_or(u16::MAX));
        let seconds = u32::from(keep_alive.unwrap_or(connect.keep_alive));
        expected.agreed.terms.silence = Some((seconds * 3).div_ceil(2));
        expected.agreed.terms.longest = connect.packet_size.map(std::num::NonZeroU32::get);
        expected.agreed.window = Some(usize::from(connect.receive_maximum.get()));
        let welcome = Answer::Welcome(Welcome {
            session_present: goes_on,
            session_expiry: (session_expiry != connect.session_expiry).then_some(session_expiry),
            client: assigned,
            keep_alive,
            packet_size: u32::try_from(self.settings.reactor.max_frame_bytes).unwrap_or(u32::MAX),
        });
        Ok((expected, welcome.encode(version)))
    }

    fn encoding_of(&self, version: Version) -> Option<usize> {
        self.encoders.iter().position(|encoder| encoder.inbound() == Inbound::Mqtt(version))
    }

    /// Who it is, and the id that it was given if it had none.
    async fn identify_mqtt(
        &self,
        connect: &Connect,
        peer: &Peer,
    ) -> Result<(Guest, Option<String>), Refused> {
        if connect.authentication_method.is_some() {
            let text = "a client proves who it is by user name and password";
            return Err(Refused::new(Reason::AUTHENTICATION_METHOD, text));
        }
        let has_id = !connect.client.is_empty();
        if !has_id && connect.version == Version::V311 && !connect.clean {
            return Err(Refused::new(Reason::CLIENT_ID, "a session that is kept takes a client id"));
        }
        let device = has_id.then(|| DeviceId::new(&connect.client)).transpose();
        let device = device.map_err(|fault| Refused::new(Reason::CLIENT_ID, fault))?;
        let wrong = |fault: &dyn std::fmt::Display| Refused::new(Reason::BAD_CREDENTIALS, fault);
        let user = connect.user.as_ref().filter(|user| !user.is_empty()).map(UserId::new).transpose();
        let user = user.map_err(|fault| wrong(&fault))?;
        let token =
            connect.password.as_ref().map(|password| String::from_utf8(password.to_vec())).transpose();
        let token = token.map_err(|_| wrong(&"a password has to be UTF-8"))?;
        let hello = Hello { user, device, token, topics: Vec::new() };
        let guest = self.introduce(hello, peer, "mqtt").await;
        let mut guest = guest.map_err(|refusal| of_refusal(&refusal, connect))?;
        if has_id {
            return Ok((guest, None));
        }
        if guest.access.as_ref().is_none_or(|access| access.device.is_none()) {
            guest.device = DeviceId::new(format!("auto-{}", MessageId::generate())).expect("a short name");
        }
        let assigned = guest.device.as_str().to_owned();
        Ok((guest, Some(assigned)))
    }

    /// Up to where a device has acknowledged in a session that lives or is just over, which the store may not know yet.
    fn acknowledged_by(&self, user: &UserId, device: &DeviceId) -> Option<Seq> {
        let sessions = self.parts.pool.sessions_of(user);
        let live = sessions.iter().filter(|session| session.device() == device);
        live.map(|session| session.acknowledged()).chain(self.talks.left_at(user, device)).max()
    }

    /// Goes on with the session of a device, or begins a new one; which of them.
    async fn resume(&self, expected: &mut Expected, connect: &Connect) -> Result<bool, Refused> {
        let Expected { guest, cursor, beginning, agreed, .. } = expected;
        let kept = cursor.as_ref().map_or(&[][..], |cursor| &cursor.topics);
        let (goes_on, choice) = records::read(kept, Timestamp::now());
        let goes_on = goes_on && !connect.clean;
        beginning.following.retain(|topics| goes_on && !records::is_one(topics));
        agreed.terms =
            Terms { choice: Some(if goes_on { choice } else { Default::default() }), ..Terms::default() };
        let (Some(store), Some(at)) = (self.store_for(&guest.user), cursor.as_ref()) else {
            return Ok(false);
        };
        let begun = async {
            let forgotten: Vec<_> =
                at.topics.iter().filter(|topics| !goes_on || records::is_end(topics)).cloned().collect();
            Self::forget_topics(&**store, &guest.user, &guest.device, &forgotten).await?;
            if !goes_on && connect.session_expiry > 0 {
                store.follow(&guest.user, &guest.device, &records::of_session()).await?;
            }
            Ok::<_, msgserver_persistence::StoreError>(())
        };
        match begun.await {
            Ok(()) => Ok(goes_on),
            Err(fault) => {
                let _ = store.leave(&guest.user, &guest.device, at.sent).await;
                Err(Refused::new(Reason::UNAVAILABLE, fault))
            }
        }
    }
}

/// The first packet, and what came behind it.
async fn first_packet(socket: &mut Stream) -> Result<(Connect, BytesMut), Unopened> {
    let mut bytes = BytesMut::new();
    loop {
        match Connect::next(&mut bytes, MAX_CONNECT_BYTES) {
            Ok(Some(connect)) => return Ok((connect, bytes)),
            Ok(None) => {}
            Err(NoConnect { version, fault }) => {
                return Err(Unopened::new(version, Refused::new(fault.reason(), fault)));
            }
        }
        let ended = |detail: String| Unopened::new(None, Refused::new(Reason::UNSPECIFIED, detail));
        match socket.read_buf(&mut bytes).await {
            Ok(0) => return Err(ended("the connection ended before CONNECT".to_owned())),
            Ok(_) => {}
            Err(fault) => return Err(ended(fault.to_string())),
        }
    }
}

/// The will of a client, if it may publish it.
fn will_of(connect: &Connect, guest: &Guest) -> Result<Option<Will>, Refused> {
    let Some(will) = &connect.will else { return Ok(None) };
    if will.publish.qos == Qos::ExactlyOnce && connect.version == Version::V5 {
        return Err(Refused::new(Reason::QOS, "a will may have QoS 1 at most"));
    }
    let publication = publication(&will.publish)?;
    let access = guest.access.as_ref();
    if !guest.may_publish || access.is_some_and(|access| !access.may_publish(&publication.target)) {
        let text = format!("this client may not publish to {}, which its will is for", publication.target);
        return Err(Refused::new(Reason::NOT_AUTHORIZED, text));
    }
    Ok(Some(Will { publication, delay: will.delay }))
}

/// A refusal that every door has, in the words of the standard.
fn of_refusal(refusal: &Refusal, connect: &Connect) -> Refused {
    let reason = match refusal.code() {
        ByeCode::Unauthorized if connect.password.is_some() => Reason::BAD_CREDENTIALS,
        ByeCode::Unauthorized => Reason::NOT_AUTHORIZED,
        ByeCode::ShuttingDown => Reason::SHUTTING_DOWN,
        _ => Reason::UNAVAILABLE,
    };
    Refused::new(reason, refusal)
}
