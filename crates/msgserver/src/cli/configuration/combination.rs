//! What cannot go together.

use msgserver::ClientCertificates;
use msgserver_access::MIN_SECRET_BYTES;

use super::value::HIDDEN;
use super::{Configuration, Listener, Place};

pub(super) fn check(c: &Configuration, faults: &mut Vec<String>) {
    let doors = doors(c);
    speakable("", &c.listen, faults);
    for (n, listener) in c.listeners.iter().enumerate() {
        speakable(&format!("listener[{}].", n + 1), listener, faults);
    }
    if !c.allow_anonymous {
        for Door { name, place, tls, .. } in doors.iter().filter(|door| !door.place.is_local()) {
            let (proof, key, flag) = match name.as_str() {
                "http" => ("a key", "api_key", "--api-key"),
                _ => ("authentication", "shared_secret", "--shared-secret"),
            };
            let given = c.tokens.ask()
                || if name == "http" {
                    c.api_key.is_some() || c.has_api_keys()
                } else {
                    c.shared_secret.is_some() || *tls && c.tls.asks_clients()
                };
            if !given {
                faults.push(format!(
                    "{name} = \"{place}\": it is open to the network without {proof}; give {key} ({flag}), or \
                     allow_anonymous (--allow-anonymous) if that is meant"
                ));
            }
        }
    }
    for (n, Door { name, place, .. }) in doors.iter().enumerate() {
        let twin = doors[..n].iter().find(|other| !place.is_chosen_by_system() && other.place == *place);
        if let Some(Door { name: other, .. }) = twin {
            faults.push(format!("{name} = \"{place}\": {other} is there already; give each door its own"));
        }
    }
    tls(c, faults);
    proxies(c, &doors, faults);
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

/// A door that is to be open.
struct Door {
    /// The key of its address.
    name: String,
    place: Place,
    tls: bool,
    behind_proxies: bool,
}

/// Every door that is to be open.
fn doors(c: &Configuration) -> Vec<Door> {
    let named = [("listen", &c.listen.address), ("frame", &c.frame), ("http", &c.http), ("mqtt", &c.mqtt)];
    let named = named.into_iter().filter_map(|(name, place)| Some((name, place.clone()?)));
    let named = named.map(|(name, place)| Door {
        name: name.to_owned(),
        tls: c.has_tls(name, &place),
        behind_proxies: c.is_behind_proxies(&place),
        place,
    });
    let listed = c.listeners.iter().enumerate().filter_map(|(n, listener)| {
        Some(Door {
            name: format!("listener[{}].address", n + 1),
            place: listener.address.clone()?,
            tls: c.listener_has_tls(listener),
            behind_proxies: c.listener_is_behind_proxies(listener),
        })
    });
    named.chain(listed).collect()
}

/// A certificate has a key, and what goes with TLS has a certificate.
fn tls(c: &Configuration, faults: &mut Vec<String>) {
    let (certificates, keys) = (c.tls.certificates.len(), c.tls.keys.len());
    if certificates != keys {
        faults.push(format!(
            "tls_key = {keys} files: tls_cert has {certificates}; give each certificate its key, in the same order"
        ));
    }
    if let Some(path) = c.tls.client_ca.as_ref().filter(|_| !c.tls.is_on()) {
        faults.push(format!(
            "tls.client_ca = {:?}: there is no TLS in which clients could show a certificate; give tls_cert \
             (--tls-cert) and tls_key",
            path.display().to_string()
        ));
    }
    if c.tls.client_ca.is_none() && c.tls.clients == ClientCertificates::Required {
        faults.push(
            "tls.client_certificates = \"required\": nothing says whose are good; give tls.client_ca \
             (--tls-client-ca)"
                .to_owned(),
        );
    }
    for (n, listener) in c.listeners.iter().enumerate().filter(|(_, listener)| listener.tls == Some(true)) {
        let place = format!("listener[{}].tls = true", n + 1);
        if !c.tls.is_on() {
            faults.push(format!("{place}: there is no certificate; give tls_cert (--tls-cert) and tls_key"));
        }
        if listener.encrypt {
            faults.push(format!(
                "{place}: not with encrypt, whose clients do not know it; leave one of them out"
            ));
        }
        if matches!(listener.address, Some(Place::Unix(_))) {
            faults.push(format!(
                "{place}: not at a Unix socket, which leaves the machine for nobody; leave it out"
            ));
        }
    }
}

/// Somebody is trusted where somebody has to be.
fn proxies(c: &Configuration, doors: &[Door], faults: &mut Vec<String>) {
    for Door { name, place, .. } in doors.iter().filter(|door| door.behind_proxies) {
        if c.trusted_proxies.is_empty() {
            faults.push(format!(
                "{name} = \"{place}\": its connections begin with the PROXY protocol, and no proxy is trusted; give \
                 network.trusted_proxies (--network-trusted-proxies)"
            ));
        }
        if matches!(place, Place::Unix(_)) {
            faults.push(format!("{name} = \"{place}\": not with proxy_protocol; leave that out"));
        }
    }
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
