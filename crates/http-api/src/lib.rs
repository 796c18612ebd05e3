//! The HTTP door of msgserver: publishing, figures, health. Paths, bodies and answers are in
//! `docs/protocol.md`.
//!
//! The first msgserver's `POST /msg/sender` is here as its clients know it: the body is `1` or `0`.

mod body;
mod connections;
mod lingering;
mod messages;
mod problem;
mod routes;

pub use routes::HttpApi;
