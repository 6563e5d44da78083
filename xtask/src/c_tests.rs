//! The C tests: each file of `tests/c` is one program. 0 passes, 77 skips with a reason on its
//! output, 78 says that the test makes no sense under this sanitizer (`VALTRON_SANITIZER`), all else fails.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{library_for_tests, Executor, Library, Sanitizer, EXECUTORS};
use crate::site::Site;
use crate::util::{failed, files, out_dir, root, skipped, Log, Step, Stop};

/// All C tests against both builds of the library, plain or instrumented.
pub fn run(log: &mut Log, site: &Site, sanitizer: Option<Sanitizer>) -> Step {
    let sources = sources()?;
    let mut tally = Tally::default();
    for executor in EXECUTORS {
        let library = library_for_tests(log, executor, sanitizer)?;
        if sanitizer == Some(Sanitizer::Thread) {
            sees_races(log, site, &library, executor)?;
        }
        for source in &sources {
            let name = format!("{} ({})", stem(source), executor.name());
            match compile(log, source, &library, sanitizer) {
                Err(_) => tally.failed.push(format!("{name}: does not compile")),
                Ok(program) => {
                    let mut command = Command::new(program);
                    environment(&mut command, site, &library, executor, sanitizer);
                    match log.exit_code(&mut command) {
                        Ok(NOT_APPLICABLE) if sanitizer.is_some() => log.line(&format!("not applicable: {name}")),
                        code => tally.count(code, name),
                    }
                }
            }
        }
        if sanitizer.is_none() && executor == Executor::Single {
            layout(log, &library, &mut tally)?;
            packages(log, &library, site, &mut tally)?;
        }
    }
    tally.result()
}

/// A tool that sees nothing is quiet, too: the planted races must be reported.
fn sees_races(log: &mut Log, site: &Site, library: &Library, executor: Executor) -> Step {
    let program = compile(log, &root().join("tests/c/planted/race.c"), library, Some(Sanitizer::Thread))?;
    for place in ["host", "library"] {
        let mut command = Command::new(&program);
        environment(command.arg(place), site, library, executor, Some(Sanitizer::Thread));
        match log.exit_code(&mut command)? {
            REPORTED => {}
            code => return failed(format!("the race planted in the {place} ended with {code}, not {REPORTED}")),
        }
    }
    Ok(())
}

/// The layout in each language that the header promises, besides the one that all tests are in.
const LAYOUT_LANGUAGES: [&str; 3] = ["gcc -x c -std=c99", "gcc -x c -std=c11", "g++ -x c++ -std=c++17"];

fn layout(log: &mut Log, library: &Library, tally: &mut Tally) -> Step {
    crate::tools::require("g++")?;
    for language in LAYOUT_LANGUAGES {
        let program = out_dir().join("c/layout-strict");
        let mut command = crate::util::words(&format!("{language} -Wall -Wextra -Wpedantic -Werror -Iinclude"));
        command.arg("-Itests/c").arg(root().join("tests/c/layout.c")).arg("-o").arg(&program);
        link(&mut command, library);
        match log.run(&mut command) {
            Err(_) => tally.failed.push(format!("layout ({language}): does not compile")),
            Ok(()) => tally.count(log.exit_code(&mut Command::new(program)), format!("layout ({language})")),
        }
    }
    Ok(())
}

/// The library installed, found by pkg-config and by CMake, used from C and from C++.
fn packages(log: &mut Log, library: &Library, site: &Site, tally: &mut Tally) -> Step {
    for program in ["g++", "pkg-config", "cmake", "make"] {
        crate::tools::require(program)?;
    }
    let out = out_dir().join("packages");
    let _ = std::fs::remove_dir_all(&out);
    // The names are for their letters: what a shell, pkg-config and CMake read in a way of their own.
    for name in ["plain", "Bob's own files"] {
        installed(log, library, site, &out.join(name), tally)?;
    }
    Ok(())
}

fn installed(log: &mut Log, library: &Library, site: &Site, out: &Path, tally: &mut Tally) -> Step {
    let (prefix, sources) = (out.join("prefix"), root().join("tests/c/packages"));
    crate::install::install(library, &prefix)?;
    for (language, name) in [("gcc -std=c99", "get.c"), ("g++ -std=c++17 -fno-exceptions", "get.cpp")] {
        let program = out.join(format!("pkg-config-{name}.out"));
        // As a Makefile has it: the shell takes the words apart, and the quotes of pkg-config away.
        let compile = format!("{language} -Wall -Wextra -Wpedantic -Werror \"$1\" -o \"$2\"");
        let script = format!("eval '{compile}' \"$(pkg-config --cflags --libs valtron_http)\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).arg(sources.join(name)).arg(&program);
        log.run(command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")))?;
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", prefix.join("lib"));
        tally.count(run_get(log, command, site), format!("{name} by pkg-config"));
    }
    let build = out.join("cmake");
    let mut command = Command::new("cmake");
    command.arg("-S").arg(&sources).arg("-B").arg(&build).arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    log.run(&mut command)?;
    log.run(Command::new("cmake").arg("--build").arg(&build))?;
    for name in ["get_c", "get_cpp"] {
        tally.count(run_get(log, Command::new(build.join(name)), site), format!("{name} by CMake"));
    }
    Ok(())
}

fn run_get(log: &mut Log, mut command: Command, site: &Site) -> Result<i32, Stop> {
    log.exit_code(command.arg(format!("{}/hello", site.value("VALTRON_SITE_HTTP"))))
}

/// The tests of bad input again, under memcheck.
pub fn valgrind(log: &mut Log, site: &Site) -> Step {
    crate::tools::require("valgrind")?;
    let sources: Vec<_> = sources()?.into_iter().filter(|source| stem(source).contains("bad_input")).collect();
    if sources.is_empty() {
        return failed("no tests/c/*bad_input*.c");
    }
    let library = library_for_tests(log, Executor::Single, None)?;
    let mut tally = Tally::default();
    for source in sources {
        let program = compile(log, &source, &library, None)?;
        let mut command = crate::util::words(
            "valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite",
        );
        command.arg(program);
        environment(&mut command, site, &library, Executor::Single, None);
        tally.count(log.exit_code(&mut command), stem(&source));
    }
    tally.result()
}

/// The linker's words for a program that uses the library where it lies.
pub fn link(command: &mut Command, library: &Library) {
    let dir = library.dir.display();
    // Only as needed: a program that opens the library itself must not have it from the start.
    command.arg(format!("-L{dir}")).arg(format!("-Wl,-rpath,{dir}")).args([
        "-Wl,--as-needed",
        "-lvaltron_http",
        "-pthread",
        "-ldl",
        "-lm",
    ]);
}

fn sources() -> Result<Vec<PathBuf>, Stop> {
    let own = root().join("tests/c");
    let sources: Vec<_> = files("tests/c", ".c").into_iter().filter(|file| file.parent() == Some(&own)).collect();
    if sources.is_empty() {
        return failed("tests/c holds no test");
    }
    Ok(sources)
}

fn compile(log: &mut Log, source: &Path, library: &Library, sanitizer: Option<Sanitizer>) -> Result<PathBuf, Stop> {
    let out = out_dir().join("c");
    std::fs::create_dir_all(&out)?;
    let lib_name = library.dir.file_name().unwrap_or_default().to_string_lossy();
    let program = out.join(format!("{}-{lib_name}", stem(source)));
    let mut command = crate::util::words("gcc -std=gnu11 -g -O1 -Wall -Wextra -Werror -Iinclude -Itests/c");
    if let Some(sanitizer) = sanitizer {
        command.arg(format!("-fsanitize={}", sanitizer.name())).arg("-fno-omit-frame-pointer").arg("-rdynamic");
    }
    command.arg(source);
    if sanitizer == Some(Sanitizer::Thread) {
        let shim = out.join("tsan_shim.c");
        std::fs::write(&shim, TSAN_SHIM)?;
        command.arg(shim);
    }
    command.arg("-o").arg(&program);
    link(&mut command, library);
    log.run(&mut command)?;
    Ok(program)
}

fn environment(
    command: &mut Command,
    site: &Site,
    library: &Library,
    executor: Executor,
    sanitizer: Option<Sanitizer>,
) {
    command.envs(site.env.iter().map(|(key, value)| (key, value)));
    command.env("VALTRON_HTTP_LIB", library.file()).env("VALTRON_EXECUTOR", executor.name());
    match sanitizer {
        None => {}
        Some(Sanitizer::Address) => {
            command.env("VALTRON_SANITIZER", "address");
            command.env("ASAN_OPTIONS", format!("detect_leaks=1:abort_on_error=0:exitcode={REPORTED}"));
        }
        Some(Sanitizer::Thread) => {
            let list = root().join("tests/tsan.supp");
            command.env("VALTRON_SANITIZER", "thread");
            let options = format!("suppressions={}:exitcode={REPORTED}:second_deadlock_stack=1", list.display());
            command.env("TSAN_OPTIONS", options);
        }
    }
    if sanitizer.is_some() {
        fixed_addresses(command);
    }
}

/// The shadow memory of gcc 12's sanitizers has fixed places, which a kernel that spreads a program wide (more than 28
/// bits of `vm.mmap_rnd_bits`) can put other things at. Where this is refused, as in some containers, the tool says so
/// itself if it then has no room.
fn fixed_addresses(command: &mut Command) {
    // SAFETY: the closure makes one system call and touches no memory.
    unsafe {
        command.pre_exec(|| {
            libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong);
            Ok(())
        })
    };
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    fn count(&mut self, code: Result<i32, Stop>, name: String) {
        match code {
            Ok(0) => self.passed += 1,
            Ok(77) => self.skipped.push(name),
            Ok(code) => self.failed.push(format!("{name}: exit code {code}")),
            Err(stop) => self.failed.push(format!("{name}: {}", String::from(stop))),
        }
    }

    fn result(self) -> Step {
        if !self.failed.is_empty() {
            return failed(format!("{} passed, failed: {}", self.passed, self.failed.join("; ")));
        }
        if !self.skipped.is_empty() {
            return skipped(format!("{} passed, skipped: {}", self.passed, self.skipped.join("; ")));
        }
        Ok(())
    }
}

const NOT_APPLICABLE: i32 = 78;
/// The exit code of a program that a sanitizer has found something in.
const REPORTED: i32 = 66;

/// LLVM calls these three, gcc's run-time library has them under their plain names only, where it intercepts them.
const TSAN_SHIM: &str = "#include <string.h>
void *__tsan_memcpy(void *to, const void *from, size_t n) { return memcpy(to, from, n); }
void *__tsan_memmove(void *to, const void *from, size_t n) { return memmove(to, from, n); }
void *__tsan_memset(void *to, int byte, size_t n) { return memset(to, byte, n); }
";
