//! The `msgserver` program.

mod cli;

/// What a client needs while it comes online and what it keeps do not share pages: else the small things that stay
/// would hold the large ones that have gone (docs/decisions/024-allocator.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
