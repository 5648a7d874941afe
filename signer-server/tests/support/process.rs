//! The real server program as a child process.

#![allow(dead_code, reason = "not every test binary does everything with it")]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Limits that no test of something else reaches.
const WIDE: &str = "[limits]\nrequests_for_person = 1000000\npause_seconds = 0\nrequests_for_person_of_all = 1000000\ncalls_per_second = 1000000";

/// A server process on a folder; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) log: PathBuf,
    environment: Vec<(String, PathBuf)>,
}

impl Process {
    /// Starts a server in `folder` with `settings` (TOML) on top of address and folder.
    pub(crate) fn start(folder: &Path, settings: &str) -> Self {
        Self::start_in(folder, settings, Vec::new())
    }

    /// The same with variables of its environment.
    pub(crate) fn start_in(folder: &Path, settings: &str, environment: Vec<(String, PathBuf)>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (config, data, log) = (folder.join("config.toml"), folder.join("data"), folder.join("log"));
        let text = format!("listen = {:?}\ndata_dir = {data:?}\n{settings}\n{WIDE}\n", address.to_string());
        fs::write(&config, text).unwrap();
        let child = spawn(&config, &log, &environment);
        let mut process = Self { child, address, data, config, log, environment };
        process.wait_until_ready();
        process
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn admin_token(&self) -> String {
        fs::read_to_string(self.data.join("admin-token")).unwrap().trim().to_owned()
    }

    /// Everything it wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.config, &self.log, &self.environment);
        self.wait_until_ready();
    }

    /// What it says when it does not start again where it was.
    pub(crate) fn refuses_to_start(&mut self) -> String {
        let before = self.log().len();
        self.child = spawn(&self.config, &self.log, &self.environment);
        let status = self.child.wait().unwrap();
        assert!(!status.success());
        self.log().split_off(before)
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect_timeout(&self.address, Duration::from_millis(500)).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server did not start: {status}\n{}", self.log());
            }
            assert!(Instant::now() < end, "the server did not start in time\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn spawn(config: &Path, log: &Path, environment: &[(String, PathBuf)]) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    Command::new(env!("CARGO_BIN_EXE_signer-server"))
        .arg("--config")
        .arg(config)
        .arg("serve")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}
