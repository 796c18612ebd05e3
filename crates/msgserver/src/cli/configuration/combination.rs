//! What cannot go together.

use std::net::SocketAddr;

use msgserver_access::MIN_SECRET_BYTES;

use super::value::HIDDEN;
use super::{Configuration, Listener};

pub(super) fn check(c: &Configuration, faults: &mut Vec<String>) {
    let doors = doors(c);
    speakable("", &c.listen, faults);
    for (n, listener) in c.listeners.iter().enumerate() {
        speakable(&format!("listener[{}].", n + 1), listener, faults);
    }
    if !c.allow_anonymous {
        for (name, address) in doors.iter().filter(|(_, address)| !address.ip().to_canonical().is_loopback())
        {
            let (proof, key, flag) = match name.as_str() {
                "http" => ("a key", "api_key", "--api-key"),
                _ => ("authentication", "shared_secret", "--shared-secret"),
            };
            let given = c.tokens.ask()
                || if name == "http" {
                    c.api_key.is_some() || !c.api_keys.is_empty()
                } else {
                    c.shared_secret.is_some()
                };
            if !given {
                faults.push(format!(
                    "{name} = \"{address}\": it is open to the network without {proof}; give {key} ({flag}), or \
                     allow_anonymous (--allow-anonymous) if that is meant"
                ));
            }
        }
    }
    for (n, (name, address)) in doors.iter().enumerate() {
        let twin = doors[..n].iter().find(|(_, other)| address.port() != 0 && other == address);
        if let Some((other, _)) = twin {
            faults.push(format!("{name} = \"{address}\": {other} is there already; give each door its own"));
        }
    }
    webhooks(c, faults);
    if let Some(secret) =
        c.tokens.secret.as_ref().filter(|secret| *secret != HIDDEN && secret.len() < MIN_SECRET_BYTES)
    {
        faults.push(format!(
            "tokens.secret = {HIDDEN}: it has {} bytes; give at least {MIN_SECRET_BYTES} (`openssl rand -hex 32`)",
            secret.len()
        ));
    }
    let (least, most) = (c.settings.min_parallel, c.settings.max_parallel);
    if least > most {
        faults.push(format!(
            "delivery.min_parallel = {least}: it is more than delivery.max_parallel, which is {most}; give at \
             most that"
        ));
    }
    let heartbeat = c.settings.reactor.heartbeat;
    if heartbeat.subsec_nanos() != 0 {
        let heartbeat = humantime::format_duration(heartbeat);
        faults.push(format!("sessions.heartbeat = \"{heartbeat}\": give whole seconds"));
    }
}

/// A webhook has a URL and a secret, or is none.
fn webhooks(c: &Configuration, faults: &mut Vec<String>) {
    if c.webhook.url.is_none() && !c.webhook.secrets.is_empty() {
        faults.push(format!(
            "webhook_secrets = {HIDDEN}: there is no webhook to sign for; give webhook_url (--webhook-url)"
        ));
    }
    let listed = (1..).zip(&c.webhooks);
    let listed =
        listed.map(|(n, webhook)| (format!("webhook[{n}].url"), format!("webhook[{n}].secrets"), webhook));
    let single = ("webhook_url".to_owned(), "webhook_secrets".to_owned(), &c.webhook);
    for (url, secrets, webhook) in listed.chain([single]) {
        let Some(shown) = webhook.url.as_ref().filter(|_| webhook.secrets.is_empty()) else { continue };
        faults.push(format!(
            "{url} = {shown:?}: its requests would not be signed; give {secrets}, one such as \"whsec_\" and the \
             output of `openssl rand -base64 32`"
        ));
    }
}

/// Every door that is to be open, by its key.
fn doors(c: &Configuration) -> Vec<(String, SocketAddr)> {
    let named = [("listen", c.listen.address), ("frame", c.frame), ("http", c.http), ("mqtt", c.mqtt)];
    let named = named.map(|(name, address)| (name.to_owned(), address));
    let listed = c.listeners.iter().enumerate();
    let listed = listed.map(|(n, listener)| (format!("listener[{}].address", n + 1), listener.address));
    named.into_iter().chain(listed).filter_map(|(name, address)| Some((name, address?))).collect()
}

/// Whether the protocol, the serializer and the encryption of a door fit together.
fn speakable(place: &str, listener: &Listener, faults: &mut Vec<String>) {
    if listener.protocol == "default" && listener.serializer == "msgpack" && !listener.encrypt {
        faults.push(format!(
            "{place}serializer = \"msgpack\": not under protocol \"default\" in the clear, whose frames end with a \
             byte that it can hold; give \"json\", protocol \"frame\", or encrypt"
        ));
    }
    if listener.protocol == "frame" && listener.encrypt {
        faults.push(format!(
            "{place}encrypt = true: not with protocol \"frame\", whose clients do not know it; give protocol \
             \"default\", or leave encrypt out"
        ));
    }
}
