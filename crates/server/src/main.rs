//! The binary `strongroom`.

/// The system's allocator took 8 % of the time of logging metrics.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    strongroom::cli::main()
}
