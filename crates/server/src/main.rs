//! The binary `strongroom`.

fn main() -> std::process::ExitCode {
    strongroom::cli::main()
}
