//! The program `akin`: what the library's [`akin::commands`] does with the arguments of this process.

fn main() -> std::process::ExitCode {
    akin::commands::main(std::env::args_os().collect()).into()
}
