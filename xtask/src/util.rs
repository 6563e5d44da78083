//! Paths, and commands whose output goes to a log.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Why a step did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    Failed(String),
    Skipped(String),
}

pub type Step = Result<(), Stop>;

pub fn failed<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(why.into()))
}

pub fn skipped<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skipped(why.into()))
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Failed(error.to_string())
    }
}

impl From<Stop> for String {
    fn from(stop: Stop) -> String {
        match stop {
            Stop::Failed(why) => why,
            Stop::Skipped(why) => format!("cannot run: {why}"),
        }
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

pub fn out_dir() -> PathBuf {
    root().join("target/xtask")
}

/// The log of one step, or the terminal.
pub struct Log {
    file: Option<File>,
}

impl Log {
    pub fn file(path: &Path) -> std::io::Result<Log> {
        Ok(Log { file: Some(File::create(path)?) })
    }

    pub fn terminal() -> Log {
        Log { file: None }
    }

    pub fn line(&mut self, text: &str) {
        match &mut self.file {
            // A log that cannot be written must not hide the result of the step.
            Some(file) => drop(writeln!(file, "{text}")),
            None => println!("{text}"),
        }
    }

    /// Runs a command to its end, at most `STEP_SECONDS_MAX`; output goes to the log.
    pub fn run(&mut self, command: &mut Command) -> Step {
        match self.exit_code(command)? {
            0 => Ok(()),
            code => failed(format!("{} ended with {code}", shown(command))),
        }
    }

    /// The exit code; a signal n is 128 + n.
    pub fn exit_code(&mut self, command: &mut Command) -> Result<i32, Stop> {
        self.line(&format!("$ {}", shown(command)));
        let mut child = self.spawn(command)?;
        let deadline = Instant::now() + Duration::from_secs(STEP_SECONDS_MAX);
        loop {
            if let Some(status) = child.try_wait()? {
                use std::os::unix::process::ExitStatusExt;
                return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
            }
            if Instant::now() > deadline {
                kill_group(&mut child);
                return failed(format!("{} took longer than {STEP_SECONDS_MAX} s", shown(command)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts a command in a process group of its own.
    pub fn spawn(&mut self, command: &mut Command) -> Result<Child, Stop> {
        if let Some(file) = &self.file {
            command.stdout(file.try_clone()?).stderr(file.try_clone()?);
            command.process_group(0);
        }
        command.stdin(Stdio::null()).current_dir(root());
        command.spawn().map_err(|error| Stop::Failed(format!("{}: {error}", shown(command))))
    }
}

/// Ends a child and its own children.
pub fn kill_group(child: &mut Child) {
    // SAFETY: killpg only sends a signal; the child is not reaped yet, so its id is still its own.
    unsafe { libc::killpg(child.id() as i32, libc::SIGKILL) };
    let _ = child.kill();
    let _ = child.wait();
}

/// A child that ends with its scope.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        kill_group(&mut self.0);
    }
}

/// What `cargo run` says of xtask is not for the commands that xtask starts: build scripts, ring's among them, watch
/// these variables, and everything would be built anew whenever cargo is called with and without xtask in turns.
pub fn forget_outer_cargo() {
    // No thread runs yet.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_cargo) {
            std::env::remove_var(name);
        }
    }
}

/// Set by cargo for a program of a package; what a user sets, such as `CARGO_HOME`, is not among them.
fn is_of_outer_cargo(name: &str) -> bool {
    // The library path has cargo's own target folder first, before any program's run path: the tests of an
    // instrumented or a multi-threaded build would load the plain library.
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            name,
            "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR" | "LD_LIBRARY_PATH"
        )
}

/// A shell without job control starts what it puts in the background with SIGINT ignored, which children inherit;
/// then nothing that is tested here could be interrupted. A handler that does nothing ignores a signal as well, and
/// ends with the next exec.
pub fn let_children_be_interrupted() {
    extern "C" fn ignore(_: libc::c_int) {}
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: zero is a value of all fields of sigaction, and the call writes to it only.
        let ignored = unsafe {
            let mut present: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut present) == 0 && present.sa_sigaction == libc::SIG_IGN
        };
        if ignored {
            // SAFETY: the handler does nothing, which is safe at any time.
            unsafe { libc::signal(signal, ignore as *const () as libc::sighandler_t) };
        }
    }
}

pub fn cargo(args: &str) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(args.split_whitespace());
    command
}

/// A command from one line of words.
pub fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("true"));
    command.args(words);
    command
}

pub fn output(command: &mut Command) -> Result<String, Stop> {
    let output = command.current_dir(root()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| Stop::Failed(format!("{}: {error}", shown(command))))?;
    if !output.status.success() {
        return failed(format!("{}: {}", shown(command), String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Files under a folder of the project with this ending, sorted; none when the folder is missing.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(command: &Command) -> String {
    let part = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let mut words = vec![part(command.get_program())];
    words.extend(command.get_args().map(part));
    words.join(" ")
}

const STEP_SECONDS_MAX: u64 = 900;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what the outer cargo says of xtask is told from what a user says to cargo. Method: names of both kinds.
    #[test]
    fn what_cargo_run_sets() {
        for name in ["CARGO_PKG_VERSION_PRE", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "LD_LIBRARY_PATH"] {
            assert!(is_of_outer_cargo(name), "{name}");
        }
        for name in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "CARGO_BUILD_JOBS", "PATH"] {
            assert!(!is_of_outer_cargo(name), "{name}");
        }
    }

    /// Goal: a child can be interrupted though xtask was started with SIGINT ignored. Method: a shell that ignores it
    /// starts this test again, and its child says what it ignores.
    #[test]
    fn children_can_be_interrupted() {
        if std::env::var_os(INNER).is_some() {
            let ignored = || {
                let status = output(&mut words("cat /proc/self/status")).expect("a status");
                let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line").trim();
                u64::from_str_radix(line, 16).expect("a mask")
            };
            let both = 1 << (libc::SIGINT - 1) | 1 << (libc::SIGQUIT - 1);
            assert_eq!(ignored() & both, both, "the shell did not ignore them");
            let_children_be_interrupted();
            assert_eq!(ignored() & both, 0);
            return;
        }
        let program = std::env::current_exe().expect("this program");
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' INT QUIT; exec \"$0\" --exact util::tests::children_can_be_interrupted"]);
        let answer = output(shell.arg(program).env(INNER, "1")).expect("a passed test");
        assert!(answer.contains("1 passed"), "{answer}");
    }

    const INNER: &str = "XTASK_TEST_INNER";
}
