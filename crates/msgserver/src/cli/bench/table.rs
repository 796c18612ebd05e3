//! The report as text.

use std::fmt::Write;

use indicatif::HumanCount;

use super::figures::{Figures, Memory};
use super::report::{Ratio, Report, Work};

/// Room for what a line is about.
const NAME: usize = 26;

const HEADINGS: [&str; 6] = ["a second", "CPU each", "p50", "p99", "p99.9", "memory"];

/// The report as a table, and what is to be said of it.
pub(super) fn table(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, "", HEADINGS.map(ToOwned::to_owned));
    let mut title = "";
    for work in &report.works {
        if work.title != title {
            title = &work.title;
            let _ = writeln!(out, "\n{title}");
        }
        line(&mut out, &work.name, cells(work, &work.server));
        for beside in &work.beside {
            if !report.works.iter().any(|other| other.title == title && other.name == beside.name) {
                line(&mut out, &format!("  {}", beside.label(work)), cells(work, &beside.figures));
            }
            line(&mut out, &format!("  to {}", beside.name), ratios(work, beside.ratio));
        }
        for remark in remarks(work) {
            let _ = writeln!(out, "    {remark}");
        }
    }
    let _ = writeln!(out, "\n{}", ending(report));
    out
}

fn line(out: &mut String, name: &str, cells: [String; 6]) {
    let cells: String = cells.iter().map(|cell| format!(" {cell:>12}")).collect();
    let _ = writeln!(out, "{}", format!("  {name:<NAME$}{cells}").trim_end());
}

fn cells(work: &Work, figures: &Figures) -> [String; 6] {
    let latency = |of: fn(&super::figures::Latency) -> u64| {
        figures.latency_us.as_ref().map(|latency| time(of(latency) as f64)).unwrap_or_default()
    };
    [
        short(figures.per_second),
        figures.cpu_us_each.map(time).unwrap_or_default(),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
        latency(|latency| latency.p999),
        figures.memory.map(|memory| memory_of(work, memory)).unwrap_or_default(),
    ]
}

/// Of clients that do nothing, what each costs; under load, what the server has.
fn memory_of(work: &Work, memory: Memory) -> String {
    if work.is_idle() { format!("{} each", bytes(memory.each)) } else { bytes(memory.with_clients as f64) }
}

fn ratios(work: &Work, ratio: Ratio) -> [String; 6] {
    let memory = ratio.memory_each.filter(|_| work.is_idle());
    let all = [ratio.per_second, ratio.cpu_us_each, ratio.p50, ratio.p99, ratio.p999, memory];
    all.map(|ratio| ratio.map(|ratio| format!("{} ×", digits(ratio))).unwrap_or_default())
}

fn remarks(work: &Work) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(syncs @ 1..) = work.server.syncs {
        let each = work.server.count as f64 / syncs as f64;
        remarks.push(format!("{} syncs of the disk, {} messages each", HumanCount(syncs), digits(each)));
    }
    if let Some(memory) = work.server.memory
        && let Some(after) = memory.after
    {
        let [before, with_clients, after] =
            [memory.before, memory.with_clients, after].map(|m| bytes(m as f64));
        remarks.push(format!(
            "memory {before} before, {with_clients} with the clients, {after} after they left"
        ));
    }
    if let Some(messages) = work.server.messages
        && messages.slow_closed > 0
    {
        remarks.push(format!(
            "{} of the clients that do not read were closed",
            HumanCount(messages.slow_closed)
        ));
    }
    remarks
}

fn ending(report: &Report) -> String {
    let delivered = report.works.iter().filter_map(|work| Some(work.server.messages?.delivered)).sum();
    let mut ending = match (delivered, report.faults()) {
        (0, faults) if faults.is_empty() => String::new(),
        (_, faults) if faults.is_empty() => {
            format!("{} deliveries: none lost, none doubled, none out of order.\n", HumanCount(delivered))
        }
        (_, faults) => format!("WRONG: {}\n", faults.join("\nWRONG: ")),
    };
    if report.works.iter().any(|work| work.window.is_some()) {
        ending.push_str(
            "Latency counts from handing over while so many are on their way; with --rate from the intended moment.\n",
        );
    }
    if report.works.iter().any(Work::is_beside_clear) {
        ending.push_str(
            "The server was under TLS, and what is marked beside it was not: the ratio holds what TLS costs.\n",
        );
    }
    if !report.complete {
        ending.push_str("Stopped before everything was measured.\n");
    }
    ending
}

/// Three digits.
fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", digits(value / 1e6)),
        1e3.. => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// Of microseconds.
pub(super) fn time(micros: f64) -> String {
    match micros {
        1e6.. => format!("{} s", digits(micros / 1e6)),
        1e3.. => format!("{} ms", digits(micros / 1e3)),
        _ => format!("{} µs", digits(micros)),
    }
}

fn bytes(bytes: f64) -> String {
    match bytes {
        1_048_576.0.. => format!("{} MiB", digits(bytes / 1_048_576.0)),
        10_240.0.. => format!("{} KiB", digits(bytes / 1024.0)),
        _ => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        assert_eq!([0.0, 999.0, 1234.0, 2e6].map(short), ["0.00", "999", "1.23 k", "2.00 M"]);
        assert_eq!([0.314, 42.0, 5300.0, 1.5e6].map(time), ["0.31 µs", "42.0 µs", "5.30 ms", "1.50 s"]);
        assert_eq!([510.4, 20_480.0, 3e6].map(bytes), ["510 B", "20.0 KiB", "2.86 MiB"]);
    }
}
