//! Figures for people and for Prometheus.

use msgserver_scheduler::Scheduler;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use warp::http::Response;

use crate::answer::{json, ok};

/// Name, meaning and value of each figure; none if it is not known now.
async fn figures(scheduler: &Scheduler) -> [(&'static str, &'static str, Option<u64>); 9] {
    let figures = scheduler.figures().await;
    [
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
    ]
}

pub(crate) async fn stats(scheduler: &Scheduler) -> Response<Vec<u8>> {
    let figures = figures(scheduler).await.map(|(name, _, value)| (name.to_owned(), value.into()));
    json(&serde_json::Value::Object(figures.into_iter().collect()))
}

pub(crate) async fn metrics(scheduler: &Scheduler) -> Response<Vec<u8>> {
    let mut registry = Registry::with_prefix("msgserver");
    for (name, help, value) in figures(scheduler).await {
        if let Some(value) = value {
            registry.register(name, help, ConstGauge::new(value as f64));
        }
    }
    let mut out = String::new();
    encode(&mut out, &registry).expect("a String takes every text");
    ok("application/openmetrics-text; version=1.0.0; charset=utf-8", out)
}
