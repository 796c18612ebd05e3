//! Runs seeds, and replays one.
#![allow(clippy::print_stdout, reason = "what it is for")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use msgserver_simulation::{Scene, run};

/// Runs the server's decisions under a simulated clock, network and disk.
#[derive(Debug, Parser)]
struct Arguments {
    /// What is simulated; everything unless said.
    #[arg(long, value_enum)]
    scene: Option<Scene>,
    /// One seed, with its trace.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Many seeds, as FROM..TO; a fault ends it and is told with its trace.
    #[arg(long, default_value = "0..1000", value_parser = range)]
    seeds: (u64, u64),
    /// Lines of the trace that are shown, from its end.
    #[arg(long, default_value_t = 200)]
    lines: usize,
    /// Goes on after a fault, and tells each in one line.
    #[arg(long)]
    all: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    ends.ok_or_else(|| format!("{text:?} is not a range: give FROM..TO, such as 0..1000"))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scenes = arguments.scene.map_or(Scene::ALL.to_vec(), |scene| vec![scene]);
    let mut faults = 0;
    for scene in scenes {
        faults += match arguments.seed {
            Some(seed) => show(scene, seed, arguments.lines),
            None => run_many(scene, &arguments),
        };
    }
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Shows one run; how many faults it has.
fn show(scene: Scene, seed: u64, lines: usize) -> u64 {
    let outcome = run(scene, seed);
    for line in &outcome.trace[outcome.trace.len().saturating_sub(lines)..] {
        println!("{line}");
    }
    match &outcome.broken {
        None => println!("{scene} {seed}: every promise was kept"),
        Some(broken) => println!("{scene} {seed}: {broken}"),
    }
    u64::from(outcome.broken.is_some())
}

/// Runs many seeds on all cores; how many have faults.
fn run_many(scene: Scene, arguments: &Arguments) -> u64 {
    let (from, to) = arguments.seeds;
    let (next, faults, events) = (AtomicU64::new(from), AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to || !arguments.all && faults.load(Ordering::Relaxed) > 0 {
                        return;
                    }
                    let outcome = run(scene, seed);
                    events.fetch_add(outcome.trace.len() as u64, Ordering::Relaxed);
                    if let Some(broken) = outcome.broken {
                        faults.fetch_add(1, Ordering::Relaxed);
                        println!("{scene} {seed}: {broken}");
                    }
                }
            });
        }
    });
    let (faults, events) = (faults.into_inner(), events.into_inner());
    let seconds = started.elapsed().as_secs_f64();
    println!("{scene}: seeds {from}..{to}, {events} events, {seconds:.1} s, {faults} with a broken promise");
    if faults > 0 {
        println!("replay one with: simulate --scene {scene} --seed N");
    }
    faults
}
