//! Who has come, by what it says of itself.

use std::net::SocketAddr;
use std::sync::Arc;

use msgserver_access::{Access, ApiKey, Offer, Scope};
use msgserver_handshake::SessionCipher;
use msgserver_listener::Peer;
use msgserver_message::{DeviceId, TopicFilter, UserId};
use msgserver_protocol::{ByeCode, Hello};

use crate::core::Core;
use crate::refusal::Refusal;

/// Who has come, and what it may do.
pub(crate) struct Guest {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) may_publish: bool,
    /// What its token allows, if it has shown one. Without one, what its door allows to everybody.
    pub(crate) access: Option<Arc<Access>>,
    /// What it asks to follow.
    pub(crate) topics: Vec<TopicFilter>,
    pub(crate) cipher: Option<SessionCipher>,
    /// What it has said beyond its first words.
    pub(crate) read_ahead: Vec<u8>,
}

/// What somebody has said, in the words of every door.
struct Introduction<'a> {
    user: Option<UserId>,
    device: Option<DeviceId>,
    token: Option<&'a str>,
    /// The same as an authentication function gets it: `user;token`.
    text: &'a str,
    peer: &'a Peer,
    door: &'a str,
}

impl Guest {
    /// Somebody of whom nothing was asked.
    pub(crate) fn anonymous(peer: SocketAddr) -> Self {
        Self::new(UserId::anonymous(peer), DeviceId::unnamed())
    }

    pub(crate) fn new(user: UserId, device: DeviceId) -> Self {
        let (topics, read_ahead) = (Vec::new(), Vec::new());
        Self { user, device, may_publish: false, access: None, topics, cipher: None, read_ahead }
    }
}

impl Core {
    /// Whether clients have to prove who they are.
    pub(crate) fn asks_for_proof(&self) -> bool {
        self.parts.authentication.is_some() || self.settings.gate.asks()
    }

    /// The guest that a `hello` introduces: the one way in for every door whose clients say hello.
    pub(crate) async fn introduce(
        &self,
        mut hello: Hello,
        peer: &Peer,
        door: &str,
    ) -> Result<Guest, Refusal> {
        let topics = std::mem::take(&mut hello.topics);
        Ok(Guest { topics, ..self.identify(hello, peer, door).await? })
    }

    async fn identify(&self, hello: Hello, peer: &Peer, door: &str) -> Result<Guest, Refusal> {
        let Hello { user, device, token, .. } = hello;
        let shown = token.as_deref().unwrap_or_default();
        // Whoever may send to everybody needs no other proof.
        if self.settings.publishers.know(shown) {
            let user = user.unwrap_or_else(|| UserId::anonymous(peer.address));
            let device = device.unwrap_or_else(DeviceId::unnamed);
            return Ok(Guest { may_publish: true, ..Guest::new(user, device) });
        }
        if let Some(key) = self.settings.gate.key(shown) {
            return with_key(&key, user, device, peer.address);
        }
        let text = user.as_ref().map_or_else(|| shown.to_owned(), |user| format!("{user};{shown}"));
        let token = token.as_deref();
        self.prove(Introduction { user, device, token, text: &text, peer, door }).await
    }

    /// The guest that an authentication text introduces: `user;token`, or a token that says whose it is.
    pub(crate) async fn hear(&self, text: &str, peer: &Peer, door: &str) -> Result<Guest, Refusal> {
        let (user, token) =
            text.rsplit_once(';').map_or((None, text), |(user, token)| (Some(UserId::new(user)), token));
        let user = match user.transpose() {
            Ok(user) => user,
            Err(fault) if self.settings.gate.asks() => {
                return Err(Refusal::new(ByeCode::Unauthorized, fault));
            }
            // It is for the authentication function to make something of.
            Err(_) => None,
        };
        self.prove(Introduction { user, device: None, token: Some(token), text, peer, door }).await
    }

    /// Asks for the proof that this server wants: a token that can be checked here decides alone; then come the
    /// authentication function, such as a shared secret, and at last the application.
    async fn prove(&self, who: Introduction<'_>) -> Result<Guest, Refusal> {
        let gate = &self.settings.gate;
        let may_publish = self.settings.publishers.take_everybody();
        let device = || who.device.clone().unwrap_or_else(DeviceId::unnamed);
        let decides = who.token.is_some_and(|token| gate.decides(token));
        if let Some(certified) = &who.peer.user {
            if who.user.as_ref().is_some_and(|other| other != certified) {
                let text =
                    format!("the client's certificate is {certified}'s; be {certified}, or name nobody");
                return Err(Refusal::new(ByeCode::Unauthorized, text));
            }
            // A token may still say what that user may do.
            if !decides {
                return Ok(Guest { may_publish, ..Guest::new(certified.clone(), device()) });
            }
        }
        if let Some(authentication) = &self.parts.authentication
            && !decides
        {
            match authentication.authenticate(who.text).await {
                Ok(user) => return Ok(Guest { may_publish, ..Guest::new(user, device()) }),
                Err(text) if !gate.has_hook() => return Err(Refusal::new(ByeCode::Unauthorized, text)),
                Err(_) => {}
            }
        }
        if !gate.asks() {
            let user = who.user.clone().unwrap_or_else(|| UserId::anonymous(who.peer.address));
            return Ok(Guest { may_publish, ..Guest::new(user, device()) });
        }
        let access = gate
            .admit(&Offer {
                user: who.user.as_ref().or(who.peer.user.as_ref()),
                device: who.device.as_ref(),
                token: who.token,
                peer: Some(who.peer.address),
                door: who.door,
            })
            .await?;
        let user = access.user.clone().unwrap_or_else(|| UserId::anonymous(who.peer.address));
        let device = access.device.clone().unwrap_or_else(device);
        let may_publish = access.is_publisher();
        Ok(Guest { may_publish, access: Some(Arc::new(access)), ..Guest::new(user, device) })
    }
}

/// A program that shows an API key may be a user only if it may operate: whose messages it acknowledges does not get
/// them any more.
fn with_key(
    key: &ApiKey,
    user: Option<UserId>,
    device: Option<DeviceId>,
    peer: SocketAddr,
) -> Result<Guest, Refusal> {
    let refuse = |text: &str| Err(Refusal::new(ByeCode::Unauthorized, text));
    match &user {
        Some(_) if !key.may(Scope::Operate) => {
            return refuse("this API key is no proof of being a user; leave the user out");
        }
        None if !key.may(Scope::Publish) => return refuse("this API key is not for publishing"),
        _ => {}
    }
    let user = user.unwrap_or_else(|| UserId::anonymous(peer));
    let device = device.unwrap_or_else(DeviceId::unnamed);
    Ok(Guest { may_publish: key.may(Scope::Publish), ..Guest::new(user, device) })
}
