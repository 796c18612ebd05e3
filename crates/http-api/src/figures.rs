//! Figures for people and for Prometheus.

use std::sync::Arc;

use msgserver_scheduler::Scheduler;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use warp::http::Response;

use crate::answer::{json, ok};

/// A figure that `/v1/stats` and `/metrics` tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    name: &'static str,
    meaning: &'static str,
    value: Option<u64>,
}

impl Figure {
    /// A figure: its name in `/v1/stats`, which begins with `msgserver_` in `/metrics`, its meaning in a sentence
    /// without a full stop, and its value.
    #[must_use]
    pub const fn new(name: &'static str, meaning: &'static str, value: u64) -> Self {
        Self { name, meaning, value: Some(value) }
    }
}

/// Figures of other parts of a server, as they are now.
pub(crate) type MoreFigures = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// Each figure; one without a value is not known now.
async fn figures(scheduler: &Scheduler, more: Option<&MoreFigures>) -> Vec<Figure> {
    let figures = scheduler.figures().await;
    let of_scheduler = [
        ("connections", "Sessions now", Some(figures.connections as u64)),
        ("users", "Users with a session now", Some(figures.users as u64)),
        ("queued", "Messages that wait in lanes now", Some(figures.queued as u64)),
        ("stored", "Messages in inboxes now", figures.stored),
        ("accepted", "Publications accepted since the start", Some(figures.accepted)),
        ("refused", "Publications refused since the start", Some(figures.refused)),
        ("given_up", "Messages given up since the start", Some(figures.given_up)),
        (
            "expired",
            "Messages whose time was over before they were delivered, since the start",
            Some(figures.expired),
        ),
        ("connections_refused", "Connections refused since the start", Some(figures.connections_refused)),
    ];
    let of_scheduler = of_scheduler.map(|(name, meaning, value)| Figure { name, meaning, value });
    of_scheduler.into_iter().chain(more.map(|more| more()).unwrap_or_default()).collect()
}

pub(crate) async fn stats(scheduler: &Scheduler, more: Option<&MoreFigures>) -> Response<Vec<u8>> {
    let figures = figures(scheduler, more).await.into_iter();
    let figures = figures.map(|Figure { name, value, .. }| (name.to_owned(), value.into()));
    json(&serde_json::Value::Object(figures.collect()))
}

pub(crate) async fn metrics(scheduler: &Scheduler, more: Option<&MoreFigures>) -> Response<Vec<u8>> {
    let mut registry = Registry::with_prefix("msgserver");
    for Figure { name, meaning, value } in figures(scheduler, more).await {
        if let Some(value) = value {
            registry.register(name, meaning, ConstGauge::new(value as f64));
        }
    }
    let mut out = String::new();
    encode(&mut out, &registry).expect("a String takes every text");
    ok("application/openmetrics-text; version=1.0.0; charset=utf-8", out)
}
