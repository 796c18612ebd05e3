//! Everything that was measured, with what it is to be compared to.

use serde::Serialize;

use super::figures::Figures;
use super::options::Mode;

/// All runs.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// The version of this program.
    pub(super) version: &'static str,
    /// How many processors the machine lets it use.
    pub(super) processors: usize,
    /// Whether all that was asked for was measured.
    pub(super) complete: bool,
    pub(super) works: Vec<Work>,
}

/// One load, on the server and on what stands beside it.
#[derive(Debug, Serialize)]
pub(super) struct Work {
    pub(super) mode: Mode,
    /// The load in words; the same for loads that are to be compared.
    pub(super) title: String,
    /// How it was put on the server.
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) door: String,
    /// Whether the server's doors were under TLS.
    pub(super) tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) publisher: Option<String>,
    /// Of the server, if it was started for the purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) store: Option<String>,
    pub(super) clients: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rate: Option<f64>,
    pub(super) server: Figures,
    pub(super) beside: Vec<Beside>,
}

/// The same load elsewhere, in the same run.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    pub(super) name: String,
    /// Whether this was under TLS; nothing if it knows no connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tls: Option<bool>,
    pub(super) figures: Figures,
    pub(super) ratio: Ratio,
}

/// The server's figures divided by the others.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratio {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_us_each: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p99: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) p999: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_each: Option<f64>,
}

impl Ratio {
    fn of(server: &Figures, other: &Figures) -> Self {
        let divide = |value: fn(&Figures) -> Option<f64>| {
            let (server, other) = value(server).zip(value(other))?;
            (other > 0.0).then(|| server / other)
        };
        Self {
            per_second: divide(|figures| Some(figures.per_second)),
            cpu_us_each: divide(|figures| figures.cpu_us_each),
            p50: divide(|figures| Some(figures.latency_us.as_ref()?.p50 as f64)),
            p99: divide(|figures| Some(figures.latency_us.as_ref()?.p99 as f64)),
            p999: divide(|figures| Some(figures.latency_us.as_ref()?.p999 as f64)),
            memory_each: divide(|figures| Some(figures.memory?.each)),
        }
    }
}

impl Beside {
    /// Its name; that it is in the clear, beside a work that is not.
    pub(super) fn label(&self, work: &Work) -> String {
        let clear = if work.tls && self.tls == Some(false) { ", in the clear" } else { "" };
        format!("{}{clear}", self.name)
    }
}

impl Work {
    /// Compares with figures that were taken in the same run.
    pub(super) fn compare(&mut self, name: &str, tls: Option<bool>, figures: Figures) {
        let ratio = Ratio::of(&self.server, &figures);
        self.beside.push(Beside { name: name.to_owned(), tls, figures, ratio });
    }

    /// Whether it was under TLS, and something beside it was not.
    pub(super) fn is_beside_clear(&self) -> bool {
        self.tls && self.beside.iter().any(|beside| beside.tls == Some(false))
    }

    /// Whether its clients do nothing.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.mode, Mode::Idle | Mode::Connect)
    }

    /// Whether the server has broken a promise.
    fn is_faulty(&self) -> bool {
        self.server.messages.is_some_and(|messages| messages.is_faulty()) || self.server.fault.is_some()
    }
}

impl Report {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { version: env!("CARGO_PKG_VERSION"), processors, complete: false, works: Vec::new() }
    }

    /// What went wrong, a line a work.
    pub(super) fn faults(&self) -> Vec<String> {
        let faulty = self.works.iter().filter(|work| work.is_faulty());
        faulty
            .map(|work| {
                let counts = work.server.messages.unwrap_or_default();
                let fault =
                    work.server.fault.as_deref().map(|fault| format!("; {fault}")).unwrap_or_default();
                format!(
                    "{}, {}: {} lost, {} doubled, {} out of order, {} refused, {} clients closed{fault}",
                    work.title,
                    work.name,
                    counts.lost,
                    counts.doubled,
                    counts.out_of_order,
                    counts.refused,
                    counts.closed
                )
            })
            .collect()
    }
}
