//! What `serve` is told: the table of keys, and the layers that give them values.
//!
//! In order of force: default, file, environment, flag. Everything that is wrong is told at once.

mod combination;
#[cfg(test)]
mod document;
mod environment;
mod file;
mod flags;
mod given;
mod key;
mod keys;
mod place;
mod print;
mod proof;
mod tls;
mod value;
mod webhook;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use msgserver::{ApiKey, Limits, Networks, Settings};

pub(crate) use flags::Flags;
use given::{Given, Source};
use key::Key;
use keys::{LISTENER, WEBHOOK, keys};
pub(crate) use place::Place;
pub(crate) use proof::TokenSettings;
pub(crate) use tls::TlsSettings;
use value::HIDDEN;
pub(crate) use value::StoreChoice;
pub(crate) use webhook::Webhook;

/// Everything that `serve` can be told. What is default is said here and in [`Settings`].
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) listen: Listener,
    pub(crate) frame: Option<Place>,
    pub(crate) http: Option<Place>,
    pub(crate) mqtt: Option<Place>,
    /// Who may use doors that are files.
    pub(crate) unix_mode: u32,
    pub(crate) tls: TlsSettings,
    /// The webhook that the flags choose.
    pub(crate) webhook: Webhook,
    /// The webhooks that are in the file alone.
    pub(crate) webhooks: Vec<Webhook>,
    /// The doors that are in the file alone.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) store: StoreChoice,
    pub(crate) data_dir: PathBuf,
    pub(crate) shared_secret: Option<String>,
    pub(crate) api_key: Option<String>,
    /// Of which only the hashes are known.
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) api_keys_file: Option<PathBuf>,
    pub(crate) tokens: TokenSettings,
    pub(crate) allow_anonymous: bool,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: String,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) networks: Networks,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) proxy_protocol: bool,
    /// Of web pages that may open sessions.
    pub(crate) origins: Vec<String>,
    pub(crate) settings: Settings,
    /// Of each user's inbox, in the stores that are this program's own.
    pub(crate) inbox: Limits,
    /// Of all doors together.
    pub(crate) max_connections: Option<usize>,
    /// How long an HTTP client may take.
    pub(crate) request_deadline: Duration,
    /// The longest body of an HTTP request.
    pub(crate) body_bytes: usize,
    /// How long a stop may wait.
    pub(crate) drain: Duration,
    /// Of the server's RSA key.
    pub(crate) key_bits: usize,
    /// Of a key that is kept.
    pub(crate) key_file: Option<PathBuf>,
}

const fn loopback(port: u16) -> Option<Place> {
    Some(Place::Tcp(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)))
}

impl Configuration {
    /// Whether there are API keys that are known by their hashes.
    pub(crate) fn has_api_keys(&self) -> bool {
        !self.api_keys.is_empty() || self.api_keys_file.is_some()
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            listen: Listener { address: loopback(3366), ..Listener::default() },
            frame: loopback(3367),
            http: loopback(3365),
            mqtt: None,
            unix_mode: 0o660,
            tls: TlsSettings::default(),
            webhook: Webhook::default(),
            webhooks: Vec::new(),
            listeners: Vec::new(),
            store: StoreChoice::default(),
            data_dir: PathBuf::from("./msgserver-data"),
            shared_secret: None,
            api_key: None,
            api_keys: Vec::new(),
            api_keys_file: None,
            tokens: TokenSettings::default(),
            allow_anonymous: false,
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            ready_file: None,
            networks: Networks::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            origins: Vec::new(),
            settings: Settings::default(),
            inbox: Limits::default(),
            max_connections: None,
            request_deadline: Duration::from_secs(60),
            body_bytes: 8 * 1024 * 1024,
            drain: Duration::from_secs(10),
            key_bits: 1024,
            key_file: None,
        }
    }
}

/// A raw TCP door.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) address: Option<Place>,
    pub(crate) protocol: &'static str,
    pub(crate) serializer: &'static str,
    pub(crate) encrypt: bool,
    /// If it is not as at the other doors.
    pub(crate) tls: Option<bool>,
    pub(crate) proxy_protocol: Option<bool>,
    pub(crate) max_connections: Option<usize>,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: None,
            protocol: "default",
            serializer: "json",
            encrypt: false,
            tls: None,
            proxy_protocol: None,
            max_connections: None,
        }
    }
}

/// The form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Values, and where each came from that is not the default.
#[derive(Debug, Clone, Default)]
struct Layered<T> {
    values: T,
    sources: HashMap<&'static str, Source>,
}

impl<T> Layered<T> {
    /// Gives a key a value, in the place of what an earlier layer said.
    fn set(
        &mut self,
        key: &'static Key<T>,
        shown_name: &str,
        given: &Given,
        source: Source,
    ) -> Result<(), String> {
        let mut field = (key.field)(&mut self.values);
        if given.text(field.shape()).and_then(|text| field.set(&text)).is_none() {
            let value = given.shown(|text| field.shown(text));
            return Err(format!("{shown_name} = {value}: give {} ({source})", field.expected()));
        }
        drop(field);
        self.sources.insert(key.name, source);
        Ok(())
    }

    fn is_default(&self, name: &str) -> bool {
        !self.sources.contains_key(name)
    }
}

/// What is in the file alone, as many as wanted.
#[derive(Debug, Default)]
struct Listed {
    listeners: Vec<Layered<Listener>>,
    webhooks: Vec<Layered<Webhook>>,
}

impl Listed {
    /// Puts what is listed to the rest.
    fn put_into(&self, configuration: &mut Configuration) {
        configuration.listeners = self.listeners.iter().map(|listener| listener.values.clone()).collect();
        configuration.webhooks = self.webhooks.iter().map(|webhook| webhook.values.clone()).collect();
    }
}

/// What is in force, and where each value came from.
pub(crate) struct InForce {
    layered: Layered<Configuration>,
    listed: Listed,
}

impl InForce {
    /// Reads all layers.
    ///
    /// # Errors
    /// A line for each fault.
    pub(crate) fn read(flags: &Flags) -> Result<Self, Vec<String>> {
        let (mut layered, mut listed, mut faults) = (Layered::default(), Listed::default(), Vec::new());
        if let Some(path) = &flags.config {
            file::read(path, &mut layered, &mut listed, &mut faults);
        }
        environment::read(std::env::vars_os(), &mut layered, &mut faults);
        flags.read(&mut layered, &mut faults);

        listed.put_into(&mut layered.values);
        if !listed.listeners.is_empty() {
            // Whoever lists doors wants these, and not two more.
            if layered.is_default("listen") {
                layered.values.listen.address = None;
            }
            if layered.is_default("frame") {
                layered.values.frame = None;
            }
        }
        combination::check(&layered.values, &mut faults);
        if faults.is_empty() { Ok(Self { layered, listed }) } else { Err(faults) }
    }

    /// A line for each value that only stands for a secret: [`InForce::print`] wrote it.
    pub(crate) fn hidden(&mut self) -> Vec<String> {
        let values = &mut self.layered.values;
        let hidden = keys().filter(|key| (key.field)(values).is_hidden());
        let mut names: Vec<_> = hidden.map(|key| key.name.to_owned()).collect();
        for (n, webhook) in self.listed.webhooks.iter_mut().enumerate() {
            let hidden = WEBHOOK.iter().filter(|key| (key.field)(&mut webhook.values).is_hidden());
            names.extend(hidden.map(|key| format!("webhook[{}].{}", n + 1, key.name)));
        }
        let line = |name| format!("{name} = \"{HIDDEN}\": it stands for a secret; give the secret itself");
        names.into_iter().map(line).collect()
    }

    pub(crate) fn configuration(self) -> Configuration {
        self.layered.values
    }
}
