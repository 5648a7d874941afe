//! The server that is driven: one that runs, or one of our own.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use signer_benches::http::Request;
use tempfile::TempDir;

use crate::{Arguments, register::Register, table::Usage};

/// Limits that no load reaches.
const WIDE: &str = "[limits]\ncalls_per_second = 1000000\nrequests_for_person = 1000000\n\
                    requests_for_person_of_all = 1000000\npause_seconds = 0\nkept_bytes = 1125899906842624\n";

/// A server.
pub(crate) struct Target {
    /// Of its nodes.
    addresses: Vec<SocketAddr>,
    turn: AtomicUsize,
    pub(crate) admin: String,
    /// Where its phones are kept.
    pub(crate) state: PathBuf,
    pids: Vec<u32>,
    child: Option<Child>,
    _register: Option<Register>,
    _folder: Option<TempDir>,
}

impl Target {
    pub(crate) fn of(arguments: &Arguments) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let register = (arguments.verifiers > 0).then(|| Register::start(arguments.register.unwrap_or(free)));
        match &arguments.url[..] {
            [] => Self::start(arguments, register),
            urls => Self {
                addresses: urls.iter().map(|url| address(url)).collect(),
                turn: AtomicUsize::new(0),
                admin: read_token(arguments.admin_token_file.as_deref().unwrap()),
                state: arguments.state.clone().unwrap(),
                pids: arguments.pid.clone(),
                child: None,
                _register: register,
                _folder: None,
            },
        }
    }

    fn start(arguments: &Arguments, register: Option<Register>) -> Self {
        let temporary = arguments.data.is_none().then(|| tempfile::tempdir().unwrap());
        let folder = match (&arguments.data, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(folder)) => folder.path().to_owned(),
            (None, None) => unreachable!("a folder is either given or temporary"),
        };
        fs::create_dir_all(&folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (config, data) = (folder.join("load.toml"), folder.join("data"));
        let settings = arguments.settings.join("\n");
        let token_file = folder.join("register-token");
        fs::write(&token_file, "anything-is-answered\n").unwrap();
        let register_settings = register.as_ref().map(|one| one.settings(&token_file)).unwrap_or_default();
        let text = format!(
            "listen = {:?}\ndata_dir = {data:?}\nlog = \"warn\"\n{settings}\n{WIDE}{register_settings}",
            address.to_string()
        );
        fs::write(&config, text).unwrap();
        let program = arguments
            .server
            .clone()
            .unwrap_or_else(|| std::env::current_exe().unwrap().with_file_name("signer-server"));
        let mut command = match &arguments.server_cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        let log = fs::File::create(folder.join("log")).unwrap();
        let child = command.arg("--config").arg(&config).arg("serve");
        let child = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut target = Self {
            addresses: vec![address],
            turn: AtomicUsize::new(0),
            admin: String::new(),
            state: arguments.state.clone().unwrap_or_else(|| folder.join("phones")),
            pids: vec![child.id()],
            child: Some(child),
            _register: register,
            _folder: temporary,
        };
        target.wait(&folder);
        target.admin = read_token(&data.join("admin-token"));
        target
    }

    fn wait(&mut self, folder: &Path) {
        let end = Instant::now() + Duration::from_secs(600);
        while TcpStream::connect(self.address()).is_err() {
            let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(!ended && Instant::now() < end, "the server did not start:\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where the next connection goes: to each node by turns.
    pub(crate) fn address(&self) -> SocketAddr {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.addresses[turn % self.addresses.len()]
    }

    /// A request of the operator.
    pub(crate) fn admin(&self, path: &str, body: &serde_json::Value) -> Request {
        let authorization = format!("authorization: Bearer {}", self.admin);
        let body = serde_json::to_vec(body).unwrap();
        Request::post(&format!("/admin/v1{path}"), "application/json", &[&authorization], &body)
    }

    /// What its process has taken so far, if that can be known.
    pub(crate) fn usage(&self) -> Option<Usage> {
        Usage::of(&self.pids)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Politely: the store is closed then, and opens at once in the next run.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// The address in an origin.
pub(crate) fn address(url: &str) -> SocketAddr {
    let host = url.strip_prefix("http://").expect("an origin begins with http://").trim_end_matches('/');
    host.to_socket_addrs().unwrap().next().unwrap()
}

fn read_token(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}
