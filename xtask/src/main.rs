//! The project's automation: `cargo xtask COMMAND`. Only cargo is needed to run it.

mod bench;
mod build;
mod c_tests;
mod checks;
mod demo;
mod game;
mod header;
mod install;
mod instructions;
mod interop;
mod site;
mod symbols;
mod syscalls;
mod test;
mod tidy;
mod tools;
mod util;
mod wasm;

const HELP: &str = "\
cargo xtask COMMAND

  demo [URL]            build the library, then run the C and the Python example against an embedded site, or URL
  test                  everything that must be green; exit code 1 when a step fails
      --list            the steps
      --only A[,B]      these steps only
  install PREFIX        build the library and install it with its header, C++ header, pkg-config and CMake files
  header [--check]      write include/valtron_http.h from src/ffi; with --check fail when it differs
  symbols [FILE]        what the library exports: valtron_ names only
  bench                 measure CPU, memory, system calls and instructions beside other clients; builds them, and on
                        Debian, as root, installs what is missing
      --quick           fewer and shorter runs
      --only A[,B]      these only: http-1, http-64, http-1000, http-10000, https-64, download-http, download-https,
                        memory, start-up, size, frames-loop, frames-download, frames-steps; a beginning such as
                        `download` or `frames` means all of its kind
      --no-counts       no system calls and instructions, which take longest
      --report          instead: docs/performance.md and its charts, from what was measured
      --build-time      also a release build from nothing
      --profile         instead: instructions by function of a keep-alive request
      --serve           instead: the server alone, until stdin closes
  tidy                  the project's own rules
  site                  run the embedded test site until stdin closes
  help                  this text

With CI=true in the environment a step of `test` that cannot run is a failure.";

fn main() {
    util::forget_outer_cargo();
    util::let_children_be_interrupted();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    let result = match args.first().map(String::as_str) {
        Some("demo") => demo::run(&rest),
        Some("test") => test::run(&rest),
        Some("install") => install::run(&rest),
        Some("header") => header::run(&rest),
        Some("symbols") => symbols::run(&rest),
        Some("bench") => bench::run(&rest),
        Some(command @ ("tidy" | "site")) if !rest.is_empty() => Err(format!("{command} takes no argument: {rest:?}")),
        Some("tidy") => tidy::run(),
        Some("site") => site::run(),
        None | Some("help" | "--help" | "-h") => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("unknown command {other}\n\n{HELP}")),
    };
    if let Err(message) = result {
        eprintln!("{message}");
        std::process::exit(1);
    }
}
