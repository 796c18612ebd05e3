//! How many allocations and how many instructions a message costs on each part of its way. A test that fails when
//! one of them grows: counts, which are the same on every machine, and no times.
//!
//! `cargo test --release -p msgserver-benches --test counts -- [PART]`. Without `--release` only allocations are
//! counted: what the compiler did not optimise says nothing about instructions. Those are counted by Valgrind.

mod instructions;
mod parts;

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::parts::{PARTS, Part};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a process that Valgrind watches is told: the number of a part, and how often to do it.
pub(crate) const WATCHED: &str = "--watched";

/// Rounds before allocations are counted: buffers that grow once have grown.
const WARM: usize = 16;

/// Rounds of which allocations are counted.
const COUNTED: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, part, rounds] = &arguments[..]
        && first == WATCHED
    {
        let number = |text: &String| text.parse::<usize>().expect("the counting process says a number");
        (PARTS[number(part)].work)(&mut |work| (0..number(rounds)).for_each(|_| work()));
        return ExitCode::SUCCESS;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with("--"));
    let parts = PARTS.iter().enumerate();
    let parts = parts.filter(|(_, part)| wanted.is_none_or(|wanted| part.name.contains(wanted.as_str())));
    let counter = instructions::counter();
    if let Err(reason) = &counter {
        println!("instructions are not counted: {reason}");
    }
    println!("{:<44} {:>12} {:>8} {:>13} {:>8}", "each", "allocations", "bound", "instructions", "bound");
    let mut grown = 0;
    for (number, part) in parts {
        let allocations = allocations(part);
        let instructions = counter.as_ref().ok().map(|counter| counter.count(number, part.each));
        let has_grown = allocations > part.allocations
            || instructions.is_some_and(|instructions| instructions > part.instructions);
        println!(
            "{:<44} {allocations:>12.2} {:>8.2} {:>13} {:>8}{}",
            part.name,
            part.allocations,
            instructions.map_or_else(|| "-".to_owned(), |instructions| instructions.to_string()),
            part.instructions,
            if has_grown { "  has grown" } else { "" },
        );
        grown += usize::from(has_grown);
    }
    if grown == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{grown} parts cost more than their bounds in benches/counts/parts.rs say");
    ExitCode::FAILURE
}

/// Allocations of each, those of all threads together. A buffer that is made longer is one more.
fn allocations(part: &Part) -> f64 {
    let mut counted = 0;
    (part.work)(&mut |work| {
        (0..WARM).for_each(|_| work());
        let region = Region::new(ALLOCATOR);
        (0..COUNTED).for_each(|_| work());
        let change = region.change();
        counted = change.allocations + change.reallocations;
    });
    counted as f64 / (COUNTED * part.each) as f64
}
