//! The progress bar, on standard error; there is none if that is not a terminal.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// A bar for one run at a time.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

/// How far a run is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Far {
    Of { count: u64, all: u64 },
    Time { elapsed: Duration, all: Duration },
}

impl Progress {
    pub(super) fn new() -> Self {
        let style = "{prefix:<34} {wide_bar:.cyan/dim} {percent:>3}%  {msg:>22}";
        let style = ProgressStyle::with_template(style).expect("a template that indicatif knows");
        Self(ProgressBar::new(1000).with_style(style.progress_chars("━╸─")))
    }

    /// Another run begins.
    pub(super) fn begin(&self, name: &str) {
        self.0.set_position(0);
        self.0.set_message("");
        self.0.set_prefix(name.to_owned());
    }

    pub(super) fn show(&self, far: Far, count: u64, unit: &str) {
        let share = match far {
            Far::Of { count, all } => count as f64 / all.max(1) as f64,
            Far::Time { elapsed, all } => elapsed.as_secs_f64() / all.as_secs_f64(),
        };
        self.0.set_position((share.clamp(0.0, 1.0) * 1000.0) as u64);
        self.0.set_message(format!("{} {unit}", HumanCount(count)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
