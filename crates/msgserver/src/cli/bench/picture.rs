//! The report as a picture: for each work the distribution of latencies and the rate over time, the server's and what
//! stands beside it.

use std::fmt::Write;

use super::figures::Figures;
use super::report::{Report, Work};
use super::table::time;

/// Sizes in pixels.
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 52.0;
/// Left edge of each of the two diagrams, and how wide they are.
const LEFT: [f64; 2] = [70.0, 560.0];
const BROAD: f64 = 370.0;

/// For readers with any kind of sight: apart in brightness too.
const COLOURS: [&str; 3] = ["#0b62a4", "#e07b00", "#7a7a7a"];

/// The share of deliveries that is not below a percentile, as far as the axis goes.
const TAIL: [(f64, &str); 5] = [(0.0, "0"), (90.0, "90"), (99.0, "99"), (99.9, "99.9"), (99.99, "99.99 %")];

/// A picture of every work of which there is something to see; nothing if there is none.
pub(super) fn picture(report: &Report) -> Option<String> {
    let works: Vec<&Work> = report.works.iter().filter(|work| work.server.latency_us.is_some()).collect();
    let height = HEIGHT * works.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (n, work) in works.iter().enumerate() {
        let _ = writeln!(out, "<g transform=\"translate(0 {})\">", HEIGHT * n as f64);
        panel(&mut out, work);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    (!works.is_empty()).then_some(out)
}

fn panel(out: &mut String, work: &Work) {
    text(out, (LEFT[0], 18.0), "start", "bold", &work.title);
    let lines: Vec<(String, &Figures)> = std::iter::once((work.name.clone(), &work.server))
        .chain(work.beside.iter().map(|beside| (beside.label(work), &beside.figures)))
        .filter(|(_, figures)| figures.latency_us.is_some())
        .collect();
    for (n, (name, _)) in lines.iter().enumerate() {
        let x = LEFT[0] + 150.0 * n as f64;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"27\" width=\"10\" height=\"3\" fill=\"{}\"/>",
            COLOURS[n % COLOURS.len()]
        );
        text(out, (x + 14.0, 32.0), "start", "normal", name);
    }
    latencies(out, &lines);
    rates(out, work.unit, &lines);
}

/// Percentiles to the right, the rarer the farther, and latency upwards; both by powers of ten.
fn latencies(out: &mut String, lines: &[(String, &Figures)]) {
    let all = lines.iter().filter_map(|(_, figures)| figures.latency_us.as_ref());
    let values =
        || all.clone().flat_map(|latency| latency.distribution.iter().map(|(_, value)| *value as f64));
    let lowest = values().fold(f64::MAX, f64::min).max(1.0);
    let low = 10_f64.powf(lowest.log10().floor());
    let high = 10_f64.powf(values().fold(low, f64::max).log10().ceil()).max(low * 10.0);
    let y = |value: f64| upwards((value.max(low) / low).log10() / (high / low).log10());
    let x = |percentile: f64| {
        let last = (1.0 - TAIL[TAIL.len() - 1].0 / 100.0).log10();
        let share = (1.0 - percentile / 100.0).max(1e-9).log10() / last;
        LEFT[0] + BROAD * share.min(1.0)
    };
    let mut level = low;
    while level <= high * 1.01 {
        grid(out, LEFT[0], y(level), &time(level));
        level *= 10.0;
    }
    for (percentile, name) in TAIL {
        text(out, (x(percentile), HEIGHT - BOTTOM + 14.0), "middle", "normal", name);
    }
    caption(out, LEFT[0], "latency by percentile");
    for (n, (_, figures)) in lines.iter().enumerate() {
        let Some(latency) = &figures.latency_us else { continue };
        // Of so many, none is rarer than one of all.
        let rarest = 100.0 * (1.0 - 1.0 / latency.count as f64);
        let first = latency.distribution.first().map(|(_, value)| (0.0, *value));
        let all = first.into_iter().chain(latency.distribution.iter().copied());
        polyline(out, n, all.map(|(percentile, value)| (x(percentile.min(rarest)), y(value as f64))));
    }
}

/// Time to the right, and how many a second upwards.
fn rates(out: &mut String, unit: &str, lines: &[(String, &Figures)]) {
    let courses: Vec<_> = lines
        .iter()
        .map(|(_, figures)| {
            let course = figures.over_time.as_ref()?;
            let step = course.interval_ms as f64 / 1000.0;
            // The last interval is not over when the last delivery comes.
            let whole = course.counts.len().saturating_sub(1).max(1);
            let counts = course.counts.iter().take(whole).enumerate();
            Some(counts.map(|(n, count)| (step * (n as f64 + 0.5), *count as f64 / step)).collect::<Vec<_>>())
        })
        .collect();
    let points = || courses.iter().flatten().flatten();
    if points().next().is_none() {
        return;
    }
    let end = points().map(|point| point.0).fold(0.01, f64::max);
    let high = round_up(points().map(|point| point.1).fold(1.0, f64::max));
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        grid(out, LEFT[1], upwards(share), &number(high * share));
        let x = LEFT[1] + BROAD * share;
        text(out, (x, HEIGHT - BOTTOM + 14.0), "middle", "normal", &format!("{:.2} s", end * share));
    }
    caption(out, LEFT[1], &format!("{unit} a second over time"));
    for (n, course) in courses.iter().enumerate() {
        let Some(course) = course else { continue };
        let place = |(when, rate): &(f64, f64)| (LEFT[1] + BROAD * when / end, upwards(rate / high));
        polyline(out, n, course.iter().map(place));
    }
}

/// The height of a share of the axis.
fn upwards(share: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share.clamp(0.0, 1.0)
}

/// The next of 1, 2, 5, 10, …
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|step| step * power).find(|step| *step >= value).unwrap_or(10.0 * power)
}

fn number(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", value / 1e6),
        1e3.. => format!("{} k", value / 1e3),
        _ => value.to_string(),
    }
}

fn grid(out: &mut String, left: f64, y: f64, name: &str) {
    let right = left + BROAD;
    let _ = writeln!(out, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>");
    text(out, (left - 6.0, y + 4.0), "end", "normal", name);
}

fn caption(out: &mut String, left: f64, name: &str) {
    text(out, (left + BROAD / 2.0, HEIGHT - 18.0), "middle", "normal", name);
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, weight: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
    );
}

fn polyline(out: &mut String, n: usize, points: impl Iterator<Item = (f64, f64)>) {
    let mut points: Vec<(f64, f64)> = points.collect();
    if let [(x, y)] = points[..] {
        // One point alone would not be seen.
        points.push((x + 3.0, y));
    }
    let points: String = points.iter().map(|(x, y)| format!("{x:.1},{y:.1} ")).collect();
    let colour = COLOURS[n % COLOURS.len()];
    let points = points.trim_end();
    let _ = writeln!(
        out,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
    );
}
