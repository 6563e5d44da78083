//! The server of all measurements: nginx with one worker on a core of its own, HTTP and HTTPS, files in memory.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::site::certs::{Authority, Validity, LOCAL_NAMES};
use crate::tools;
use crate::util::{failed, root, Server, Stop};

pub const SMALL_BYTES: u64 = 1024;
/// For counting, where everything takes fifty times as long.
pub const MEDIUM_BYTES: u64 = 16 << 20;
/// What the frames of a game fetch.
pub const FRAME_BYTES: u64 = 64 << 10;
pub const LARGE_BYTES: u64 = 256 << 20;

/// A running nginx; it and its files go with this value.
pub struct Nginx {
    pub http: String,
    pub https: String,
    /// As `https`, but no session is ever resumed.
    pub fresh: String,
    /// The authority of the server's certificate, alone.
    pub ca_file: PathBuf,
    /// The same after the system's authorities, as a host would have it; not there if the system has none.
    pub ca_bundle: Option<PathBuf>,
    process: Option<Server>,
    dir: PathBuf,
}

impl Nginx {
    pub fn start(core: usize, out: &Path) -> Result<Nginx, Stop> {
        tools::require("nginx")?;
        remove_leftovers();
        let dir = memory_dir().join(format!("{DIR_PREFIX}{}", std::process::id()));
        std::fs::create_dir_all(dir.join("root"))?;
        let mut nginx = Nginx {
            http: String::new(),
            https: String::new(),
            fresh: String::new(),
            ca_file: dir.join("ca.pem"),
            ca_bundle: None,
            process: None,
            dir,
        };
        nginx.write_files()?;
        let (http, https, fresh) = (free_port()?, free_port()?, free_port()?);
        let template = std::fs::read_to_string(root().join("benches/nginx.conf"))?;
        let text = template
            .replace("@DIR@", &nginx.dir.display().to_string())
            .replace("@HTTP@", &http.to_string())
            .replace("@HTTPS@", &https.to_string())
            .replace("@FRESH@", &fresh.to_string())
            // The master runs as whoever measures; a worker under another user could not read the files.
            .replace("@USER@", if is_root() { "user root;" } else { "" })
            .replace("@CORE@", &format!("{:b}", 1u64 << core));
        let config = nginx.dir.join("nginx.conf");
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(out.join("nginx.log"))?;
        let mut command = Command::new(tools::find("nginx").unwrap_or_else(|| "nginx".into()));
        command.arg("-p").arg(&nginx.dir).arg("-c").arg(config).args(["-e", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        end_with_parent(&mut command);
        nginx.process = Some(Server(command.spawn()?));
        nginx.await_ports(&[http, https, fresh])?;
        nginx.http = format!("http://127.0.0.1:{http}");
        nginx.https = format!("https://127.0.0.1:{https}");
        nginx.fresh = format!("https://127.0.0.1:{fresh}");
        Ok(nginx)
    }

    fn write_files(&mut self) -> Result<(), Stop> {
        let authority = Authority::new("valtron_http benchmark authority");
        let leaf = authority.leaf(&LOCAL_NAMES, Validity::Now);
        std::fs::write(&self.ca_file, &authority.pem)?;
        std::fs::write(self.dir.join("leaf.pem"), &leaf.certificate_pem)?;
        std::fs::write(self.dir.join("leaf.key"), &leaf.key_pem)?;
        if let Ok(system) = std::fs::read_to_string(SYSTEM_BUNDLE) {
            let bundle = self.dir.join("bundle.pem");
            std::fs::write(&bundle, system + &authority.pem)?;
            self.ca_bundle = Some(bundle);
        }
        let bytes: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
        std::fs::write(self.dir.join("root/small"), &bytes[..SMALL_BYTES as usize])?;
        std::fs::write(self.dir.join("root/frame"), &bytes[..FRAME_BYTES as usize])?;
        for (name, size) in [("medium", MEDIUM_BYTES), ("large", LARGE_BYTES)] {
            let mut file = std::fs::File::create(self.dir.join("root").join(name))?;
            for _ in 0..size >> 20 {
                std::io::Write::write_all(&mut file, &bytes)?;
            }
        }
        Ok(())
    }

    fn await_ports(&mut self, ports: &[u16]) -> Result<(), Stop> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
            if let Some(status) = self.process.as_mut().map(|server| server.0.try_wait()).transpose()?.flatten() {
                return failed(format!("nginx ended at once: {status}; see nginx.log"));
            }
            if Instant::now() > deadline {
                return failed("nginx does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process = None;
        // What cannot be removed is the system's to clean up: it lies in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A folder in memory, where there is one: a disk must not have a say.
fn memory_dir() -> PathBuf {
    Some(PathBuf::from("/dev/shm")).filter(|dir| dir.is_dir()).unwrap_or_else(std::env::temp_dir)
}

/// A measurement that was interrupted cannot remove its files; the next one does.
fn remove_leftovers() {
    for entry in std::fs::read_dir(memory_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(DIR_PREFIX).is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// An interrupted measurement must not leave a server behind: this one has a process group of its own, which the
/// terminal's Ctrl-C does not reach.
fn end_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is a plain system call.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, || {
            match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

fn free_port() -> Result<u16, Stop> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

const DIR_PREFIX: &str = "valtron_http-bench-";
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
