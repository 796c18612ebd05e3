//! The table of keys: flags, file, environment, help and documentation all come from it.

use std::time::Duration;

use msgserver::{ClientCertificates, NameIn, Replacement};
use msgserver_handshake::KEY_BITS;

use super::key::Key;
use super::place::{Address, Mode};
use super::proof::{ApiKeyList, Text, Texts, Url};
use super::tls::{Files, OwnSwitch, SomeOf};
use super::value::{
    Count, Directory, File, Level, Limit, NetworkList, OneOf, OriginList, Secret, Size, StoreName, Switch,
    Time,
};
use super::webhook::{EndpointUrl, Secrets, Steps, Targets};
use super::{Configuration, Listener, LogFormat, Webhook};

/// Keys that belong together.
pub(crate) struct Section {
    /// The heading in the help.
    pub(crate) title: &'static str,
    pub(crate) keys: &'static [Key<Configuration>],
}

const PROTOCOLS: &[(&str, &str)] = &[("default", "default"), ("frame", "frame")];
const SERIALIZERS: &[(&str, &str)] = &[("json", "json"), ("msgpack", "msgpack")];

const CLIENTS: &[(&str, ClientCertificates)] =
    &[("optional", ClientCertificates::Optional), ("required", ClientCertificates::Required)];
const NAMES: &[(&str, NameIn)] = &[("cn", NameIn::CommonName), ("san", NameIn::AlternativeName)];

/// The doors that have keys of their own.
const DOORS: &[&str] = &["listen", "frame", "http", "mqtt"];

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}

/// Every key but those of a [`Listener`].
pub(crate) static SECTIONS: &[Section] = &[
    Section {
        title: "Doors",
        keys: &[
            Key::new("listen", "Raw TCP door, the first msgserver's protocol; off closes it", |c| {
                Box::new(Address(&mut c.listen.address))
            }),
            Key::new("protocol", "Protocol of that door", |c| {
                Box::new(OneOf(&mut c.listen.protocol, PROTOCOLS))
            }),
            Key::new("serializer", "Serializer of that door", |c| {
                Box::new(OneOf(&mut c.listen.serializer, SERIALIZERS))
            }),
            Key::new("encrypt", "The first msgserver's \"SSL\" handshake on that door", |c| {
                Box::new(Switch(&mut c.listen.encrypt))
            }),
            Key::new("frame", "Raw TCP door, the frame protocol in JSON; off closes it", |c| {
                Box::new(Address(&mut c.frame))
            }),
            Key::new("http", "HTTP API, WebSocket, SSE; off closes it", |c| Box::new(Address(&mut c.http))),
            Key::new("mqtt", "MQTT door, 3.1.1 and 5; the usual port is 1883", |c| {
                Box::new(Address(&mut c.mqtt))
            }),
            Key::new("unix_mode", "Who may use doors that are Unix sockets", |c| {
                Box::new(Mode(&mut c.unix_mode))
            }),
        ],
    },
    Section {
        title: "TLS",
        keys: &[
            Key::new(
                "tls_cert",
                "Certificate with its issuers, in PEM: TLS on every door that has not said otherwise; several are \
                 shown by the name that a client asks for",
                |c| Box::new(Files(&mut c.tls.certificates)),
            ),
            Key::new("tls_key", "Its private key, in PEM; of several in the same order", |c| {
                Box::new(Files(&mut c.tls.keys))
            }),
        ],
    },
    Section {
        title: "TLS and its clients",
        keys: &[
            Key::new(
                "tls.client_ca",
                "Authorities of clients' certificates, in PEM; the user is in them",
                |c| Box::new(File(&mut c.tls.client_ca)),
            ),
            Key::new("tls.client_certificates", "Whether clients have to show one", |c| {
                Box::new(OneOf(&mut c.tls.clients, CLIENTS))
            }),
            Key::new("tls.user", "Where in it the user is: common name or alternative name", |c| {
                Box::new(OneOf(&mut c.tls.user, NAMES))
            }),
            Key::new("tls.except", "Doors that stay in the clear", |c| {
                Box::new(SomeOf(&mut c.tls.except, DOORS))
            }),
        ],
    },
    Section {
        title: "Store",
        keys: &[
            Key::new("store", "Where undelivered messages live: memory, disk or a Redis URL", |c| {
                Box::new(StoreName(&mut c.store))
            }),
            Key::new("data_dir", "Directory of the disk store", |c| Box::new(Directory(&mut c.data_dir))),
        ],
    },
    Section {
        title: "Access",
        keys: &[
            Key::new("shared_secret", "Clients prove themselves with `user;SECRET`", |c| {
                Box::new(Secret(&mut c.shared_secret))
            }),
            Key::new("api_key", "Publishers send `Authorization: Bearer SECRET`", |c| {
                Box::new(Secret(&mut c.api_key))
            }),
            Key::new("api_keys", "More keys, each for its scopes, known by their hashes", |c| {
                Box::new(ApiKeyList(&mut c.api_keys))
            }),
            Key::new("api_keys_file", "A file with such keys, one a line; read again when it changes", |c| {
                Box::new(File(&mut c.api_keys_file))
            }),
            Key::new("allow_anonymous", "Open doors to the network without authentication or key", |c| {
                Box::new(Switch(&mut c.allow_anonymous))
            }),
        ],
    },
    Section {
        title: "Access tokens",
        keys: &[
            Key::new("tokens.secret", "Secret that tokens are signed with (HS256)", |c| {
                Box::new(Secret(&mut c.tokens.secret))
            }),
            Key::new(
                "tokens.key_file",
                "Keys of tokens: PEM, a JWK or JWKS, or a secret; read again when it changes",
                |c| Box::new(File(&mut c.tokens.key_file)),
            ),
            Key::new("tokens.jwks_url", "Where the public keys of tokens are, as a JWKS", |c| {
                Box::new(Url(&mut c.tokens.jwks_url))
            }),
            Key::new(
                "tokens.refresh",
                "How often they are asked for, besides when a token names an unknown one",
                |c| Box::new(Time(&mut c.tokens.refresh, millis(1000)..=hours(24))),
            ),
            Key::new(
                "tokens.audience",
                "A token's aud has to be one of these; without them it has none",
                |c| Box::new(Texts(&mut c.tokens.rules.audience)),
            ),
            Key::new("tokens.issuer", "A token's iss has to be this one", |c| {
                Box::new(Text(&mut c.tokens.rules.issuer))
            }),
            Key::new("tokens.leeway", "How far the clocks of who makes tokens may differ", |c| {
                Box::new(Time(&mut c.tokens.rules.leeway, Duration::ZERO..=hours(1)))
            }),
            Key::new("tokens.hook_url", "Where the application is asked about who comes", |c| {
                Box::new(Url(&mut c.tokens.hook_url))
            }),
            Key::new(
                "tokens.hook_deadline",
                "How long its answer may take; without one nobody is let in",
                |c| Box::new(Time(&mut c.tokens.hook_deadline, millis(10)..=millis(60_000))),
            ),
        ],
    },
    Section {
        title: "Logs and readiness",
        keys: &[
            Key::new("log_format", "Form of the logs on standard error", |c| {
                Box::new(OneOf(&mut c.log_format, &[("text", LogFormat::Text), ("json", LogFormat::Json)]))
            }),
            Key::new("log_level", "What is logged: error, warn, info, debug, trace or off", |c| {
                Box::new(Level(&mut c.log_level))
            }),
            Key::new("ready_file", "Written once every door is open, with their addresses", |c| {
                Box::new(File(&mut c.ready_file))
            }),
        ],
    },
    Section {
        title: "Who may open sessions",
        keys: &[
            Key::new("network.allow", "If not empty, only these may", |c| {
                Box::new(NetworkList(&mut c.networks.allow))
            }),
            Key::new("network.deny", "These may not, even if they are among the allowed", |c| {
                Box::new(NetworkList(&mut c.networks.deny))
            }),
            Key::new(
                "network.trusted_proxies",
                "Proxies that are believed when they say for whom they speak (PROXY protocol, X-Forwarded-For)",
                |c| Box::new(NetworkList(&mut c.trusted_proxies)),
            ),
            Key::new(
                "network.proxy_protocol",
                "Every door is for these proxies alone, and begins with the PROXY protocol",
                |c| Box::new(Switch(&mut c.proxy_protocol)),
            ),
        ],
    },
    Section {
        title: "Web pages",
        keys: &[Key::new(
            "browser.origins",
            "Whose pages may open WebSocket and SSE sessions, besides those of the server's own host",
            |c| Box::new(OriginList(&mut c.origins)),
        )],
    },
    Section {
        title: "Delivery",
        keys: &[
            Key::new("delivery.resend_times", "How often a message that found nobody is tried again", |c| {
                Box::new(Count(&mut c.settings.resend_times, 0..=1_000_000))
            }),
            Key::new("delivery.resend_interval", "How long between two tries", |c| {
                Box::new(Time(&mut c.settings.resend_interval, millis(1)..=hours(24)))
            }),
            Key::new("delivery.max_parallel", "Most workers at a time", |c| {
                Box::new(Count(&mut c.settings.max_parallel, 1..=1024))
            }),
            Key::new("delivery.min_parallel", "Workers to begin with, and to stay", |c| {
                Box::new(Count(&mut c.settings.min_parallel, 1..=1024))
            }),
            Key::new(
                "delivery.queue_buffer_len",
                "How many messages wait for each worker before one more is added",
                |c| Box::new(Count(&mut c.settings.queue_buffer_len, 1..=1_000_000_000)),
            ),
            Key::new(
                "delivery.replacement",
                "What happens to a device's earlier connection: replace closes it, all serves both",
                |c| {
                    let policies = &[("replace", Replacement::Replace), ("all", Replacement::All)];
                    Box::new(OneOf(&mut c.settings.replacement, policies))
                },
            ),
            Key::new("delivery.drain", "How long a stop waits for clients to take what is on its way", |c| {
                Box::new(Time(&mut c.drain, Duration::ZERO..=hours(1)))
            }),
        ],
    },
    Section {
        title: "Limits",
        keys: &[
            Key::new(
                "limits.connections",
                "Most sessions at a time at all doors together",
                |c: &mut Configuration| Box::new(Limit(&mut c.max_connections)),
            )
            .by_default("what the limit of open files allows"),
            Key::new("limits.queue", "Messages that may wait before publishers are refused", |c| {
                Box::new(Count(&mut c.settings.queue_limit, 1..=1_000_000_000))
            }),
            Key::new(
                "limits.publishing_bytes",
                "Bytes of what is being published at a time; publishers beyond are refused for a while",
                |c| Box::new(Size(&mut c.settings.publishing_limit, 32 * MIB..=1024 * 1024 * MIB)),
            ),
            Key::new("limits.body_bytes", "The longest body of an HTTP request", |c| {
                Box::new(Size(&mut c.body_bytes, KIB..=64 * MIB))
            }),
            Key::new("limits.outbox_bytes", "What a client may leave unread in the server's memory", |c| {
                Box::new(Size(&mut c.settings.outbox_limit, KIB..=1024 * MIB))
            }),
            Key::new("limits.opening_deadline", "How long a client may take to come online", |c| {
                Box::new(Time(&mut c.settings.opening_deadline, millis(10)..=hours(1)))
            }),
            Key::new("limits.authentication_bytes", "The longest authentication text", |c| {
                Box::new(Size(&mut c.settings.text_limit, 16..=MIB))
            }),
            Key::new(
                "limits.authentication_pause",
                "How long a client that ends its authentication text with no `|` has to pause for it to count",
                |c| Box::new(Time(&mut c.settings.text_grace, millis(1)..=millis(60_000))),
            ),
            Key::new(
                "limits.request_deadline",
                "How long an HTTP client may take over the head of a request, over its body, or be idle",
                |c| Box::new(Time(&mut c.request_deadline, millis(10)..=hours(1))),
            ),
            Key::new("limits.frame_bytes", "The longest frame that a client may send", |c| {
                Box::new(Size(&mut c.settings.reactor.max_frame_bytes, KIB..=64 * MIB))
            }),
        ],
    },
    Section {
        title: "Admission",
        keys: &[
            Key::new("admission.rate", "How many clients for whom messages wait are let in a second", |c| {
                Box::new(Count(&mut c.settings.admission.rate, 1..=1_000_000))
            }),
            Key::new("admission.burst", "How many of them may come at once after a quiet time", |c| {
                Box::new(Count(&mut c.settings.admission.burst, 1..=1_000_000))
            }),
            Key::new(
                "admission.parallel",
                "How many inboxes in which messages wait are read for the first time, side by side",
                |c| Box::new(Count(&mut c.settings.admission.parallel, 1..=10_000)),
            ),
        ],
    },
    Section {
        title: "Sessions",
        keys: &[
            Key::new("sessions.heartbeat", "How long a connection may be silent, in whole seconds", |c| {
                Box::new(Time(&mut c.settings.reactor.heartbeat, millis(1000)..=hours(1)))
            }),
            Key::new("sessions.threads", "Threads that watch the sockets", |c: &mut Configuration| {
                Box::new(Count(&mut c.settings.reactor.threads, 1..=1024))
            })
            .by_default("half the processors"),
            Key::new(
                "sessions.window",
                "How many kept messages a device may have been sent and not acknowledged",
                |c| Box::new(Count(&mut c.settings.window, 1..=1_000_000)),
            ),
            Key::new(
                "sessions.ack_timeout",
                "How long a device that acknowledges may take before what it was sent is sent again",
                |c| Box::new(Time(&mut c.settings.ack_timeout, millis(100)..=hours(24))),
            ),
            Key::new(
                "sessions.return_within",
                "Over how long clients are told to spread their return when the server stops or has no room",
                |c| Box::new(Time(&mut c.settings.return_within, Duration::ZERO..=hours(1))),
            ),
        ],
    },
    Section {
        title: "Inboxes",
        keys: &[
            Key::new("inbox.messages", "Most messages that wait for one user; the oldest go first", |c| {
                Box::new(Count(&mut c.inbox.messages, 1..=1_000_000_000))
            }),
            Key::new("inbox.bytes", "Most bytes that wait for one user; the oldest go first", |c| {
                Box::new(Size(&mut c.inbox.bytes, KIB..=1024 * MIB))
            }),
            Key::new("inbox.age", "How long a message waits", |c| {
                Box::new(Time(&mut c.inbox.age, millis(1000)..=hours(24 * 3650)))
            }),
            Key::new("inbox.device_ttl", "How long a device is known after it was last seen", |c| {
                Box::new(Time(&mut c.inbox.device_ttl, millis(1000)..=hours(24 * 3650)))
            }),
            Key::new(
                "inbox.receipts",
                "How long it is known what became of a message; 0s for not at all",
                |c| Box::new(Time(&mut c.inbox.receipts, Duration::ZERO..=hours(24 * 3650))),
            ),
        ],
    },
    Section {
        title: "Topics",
        keys: &[
            Key::new("topics.per_device", "Topics that one device may follow", |c| {
                Box::new(Count(&mut c.inbox.topics, 0..=1_000_000))
            }),
            Key::new(
                "topics.history",
                "How many of its last messages a topic keeps for who asks for them",
                |c| Box::new(Count(&mut c.inbox.history, 0..=1_000_000_000)),
            ),
            Key::new("topics.history_age", "How long a topic keeps them", |c| {
                Box::new(Time(&mut c.inbox.history_age, millis(1000)..=hours(24 * 3650)))
            }),
        ],
    },
    Section {
        title: "Webhook",
        keys: &[
            Key::new(
                "webhook_url",
                "Is told what becomes of messages; more are [[webhook]] in the file",
                |c| Box::new(EndpointUrl(&mut c.webhook.url)),
            ),
            Key::new("webhook_secrets", "What its requests are signed with; with several, each signs", |c| {
                Box::new(Secrets(&mut c.webhook.secrets))
            }),
            Key::new("webhook_steps", "Which steps it is told of", |c| Box::new(Steps(&mut c.webhook.steps))),
            Key::new("webhook_targets", "Whose messages it is told of", |c: &mut Configuration| {
                Box::new(Targets(&mut c.webhook.targets))
            })
            .by_default("every message"),
        ],
    },
    Section {
        title: "Encryption",
        keys: &[
            Key::new(
                "encryption.key_bits",
                "Size of the RSA key that is made at the start for doors with encrypt",
                |c| Box::new(Count(&mut c.key_bits, KEY_BITS)),
            ),
            Key::new(
                "encryption.key_file",
                "An RSA key to use in its place: PKCS#8 or PKCS#1, in PEM or DER, without a password",
                |c| Box::new(File(&mut c.key_file)),
            ),
        ],
    },
];

/// The keys of a `[[listener]]`.
pub(crate) static LISTENER: &[Key<Listener>] = &[
    Key::new("address", "Where the door is", |l: &mut Listener| Box::new(Address(&mut l.address)))
        .by_default("must be given"),
    Key::new("protocol", "What is spoken", |l| Box::new(OneOf(&mut l.protocol, PROTOCOLS))),
    Key::new("serializer", "How contents are written", |l| Box::new(OneOf(&mut l.serializer, SERIALIZERS))),
    Key::new("encrypt", "The first msgserver's \"SSL\" handshake", |l| Box::new(Switch(&mut l.encrypt))),
    Key::new("tls", "Whether TLS is spoken", |l: &mut Listener| Box::new(OwnSwitch(&mut l.tls)))
        .by_default("if there is `tls_cert`"),
    Key::new("proxy_protocol", "Whether it begins with the PROXY protocol", |l: &mut Listener| {
        Box::new(OwnSwitch(&mut l.proxy_protocol))
    })
    .by_default("as `network.proxy_protocol`"),
    Key::new("max_connections", "Most connections at a time; one more is told so and closed", |l| {
        Box::new(Limit(&mut l.max_connections))
    }),
];

/// The keys of a `[[webhook]]`.
pub(crate) static WEBHOOK: &[Key<Webhook>] = &[
    Key::new("url", "Where requests go", |w: &mut Webhook| Box::new(EndpointUrl(&mut w.url)))
        .by_default("must be given"),
    Key::new("secrets", "What they are signed with; with several, each signs", |w: &mut Webhook| {
        Box::new(Secrets(&mut w.secrets))
    })
    .by_default("must be given"),
    Key::new("steps", "Which steps are told", |w| Box::new(Steps(&mut w.steps))),
    Key::new("targets", "Whose messages are told of", |w: &mut Webhook| Box::new(Targets(&mut w.targets)))
        .by_default("every message"),
    Key::new("timeout", "How long a request may take", |w| {
        Box::new(Time(&mut w.timeout, millis(10)..=hours(1)))
    }),
    Key::new("batch", "Most events in a request", |w| Box::new(Count(&mut w.batch, 1..=10_000))),
    Key::new("backlog_bytes", "Memory for events that wait; beyond it the oldest go", |w| {
        Box::new(Size(&mut w.backlog, 64 * KIB..=1024 * MIB))
    }),
    Key::new("retry_first", "How long to wait after a first failure; each further one doubles it", |w| {
        Box::new(Time(&mut w.retry.first, millis(1)..=hours(1)))
    }),
    Key::new("retry_longest", "The longest wait", |w| {
        Box::new(Time(&mut w.retry.longest, millis(1)..=hours(24)))
    }),
    Key::new("give_up_after", "How long an event is tried again, counted from when it happened", |w| {
        Box::new(Time(&mut w.retry.give_up_after, Duration::ZERO..=hours(24 * 30)))
    }),
];

/// All keys of the sections.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key<Configuration>> {
    SECTIONS.iter().flat_map(|section| section.keys)
}
