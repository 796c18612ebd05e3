//! Logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::configuration::LogFormat;

/// Begins to log. From now on standard error is for the log alone if it is JSON, one object a line.
pub(crate) fn start(format: LogFormat, level: &str) {
    let filter = EnvFilter::new(level);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Colours are for people; in a file they are noise.
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => {
            log.json().flatten_event(true).init();
            std::panic::set_hook(Box::new(|panic| {
                let place = panic.location().map(ToString::to_string);
                let text = panic.payload_as_str().unwrap_or("no text");
                tracing::error!(place, "panic: {text}");
            }));
        }
    }
}
