//! A PostgreSQL server of a test's own, which may be stopped, copied and put back. It ends with the test process.

#![allow(dead_code, reason = "not every test binary does everything with it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::postgres::{binaries, block_on, is_root};

/// What a server calls itself when it follows another. A name of its own: "*" would let the tool that copies a disk count as
/// a standby.
const STANDBY: &str = "standby";

/// The server, with an empty database.
pub(crate) struct Cluster {
    dir: PathBuf,
    child: Option<Child>,
}

impl Cluster {
    pub(crate) fn create() -> Self {
        let mut cluster = Self::in_new_folder();
        let data = cluster.data();
        cluster.run(
            "initdb",
            &[
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-locale",
                "-E",
                "UTF8",
                "--no-sync",
                "--wal-segsize=1",
                "-D",
                &data,
            ],
        );
        cluster.start();
        cluster.run("createdb", &["-h", &cluster.socket(), "-U", "postgres", "signer"]);
        cluster
    }

    fn in_new_folder() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = PathBuf::from(format!("/tmp/signer-cluster-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").arg(&dir).status().unwrap().success());
        }
        Self { dir, child: None }
    }

    /// A standby of this one, started.
    pub(crate) fn standby(&self) -> Self {
        let mut standby = Self::in_new_folder();
        standby.follow(self);
        standby
    }

    /// Makes a stopped server a standby of another, from a copy of that one's disk, and starts it.
    pub(crate) fn follow(&mut self, primary: &Self) {
        assert!(self.child.is_none());
        let data = self.data();
        self.shell(&["rm", "-rf", &data]);
        let from = primary.socket();
        let copy =
            ["-h", &from, "-U", "postgres", "-D", &data, "-c", "fast", "--write-recovery-conf", "--no-sync"];
        self.run("pg_basebackup", &copy);
        self.start();
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.run("pg_ctl", &["promote", "-D", &self.data()]);
    }

    /// From now on a commit is answered when a standby has it on its disk, here and on each standby that is promoted later.
    pub(crate) fn wait_for_standbys(&self) {
        self.rows(&format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'"));
        self.rows("SELECT pg_reload_conf()");
    }

    /// Returns when a standby takes part in every commit.
    pub(crate) fn in_step(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.rows("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").is_empty() {
            assert!(Instant::now() < end, "no standby: {}", fs::read_to_string(self.log()).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns when this standby has what the primary has now.
    pub(crate) fn catch_up(&self, primary: &Self) {
        let end = Instant::now() + Duration::from_secs(60);
        let now: String = primary.rows("SELECT pg_current_wal_lsn()::text")[0].get(0);
        let there = format!("SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{now}'");
        while self.rows(&there).is_empty() {
            assert!(Instant::now() < end, "{}", fs::read_to_string(self.log()).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where this one or another is, whichever can be written to.
    pub(crate) fn url_of_pair(&self, other: &Self) -> String {
        let folder = |of: &Self| of.socket().replace('/', "%2F");
        format!("postgres://postgres@{},{}/signer", folder(self), folder(other))
    }

    /// Where it is, for the store.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/signer", self.socket().replace('/', "%2F"))
    }

    /// Its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none());
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut command = as_postgres(&binaries().join("postgres"), true);
        command.args(["-D", &self.data(), "-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c"]);
        command.arg(format!("unix_socket_directories={}", self.socket()));
        command.args(["-c", &format!("cluster_name={STANDBY}")]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(60);
        while !self.answers() {
            assert!(Instant::now() < end, "{}", fs::read_to_string(self.log()).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As a power cut would: nothing is finished, the log is replayed at the next start.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let told = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status().unwrap();
            assert!(told.success());
            child.wait().unwrap();
        }
    }

    /// A copy of the stopped server's disk.
    pub(crate) fn copy(&self, name: &str) {
        assert!(self.child.is_none());
        self.shell(&["cp", "-a", &self.data(), &self.named(name)]);
    }

    /// Puts a copy in the place of the stopped server's disk.
    pub(crate) fn put_back(&self, name: &str) {
        assert!(self.child.is_none());
        self.shell(&["rm", "-rf", &self.data()]);
        self.shell(&["cp", "-a", &self.named(name), &self.data()]);
    }

    /// A dump, as operators make them.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let mut command = as_postgres(&binaries().join("pg_dump"), false);
        let output =
            command.args(["-h", &self.socket(), "-U", "postgres", "-Fp", "signer"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Reads a dump in.
    pub(crate) fn read_in(&self, dump: &[u8]) {
        use std::io::Write as _;
        let mut command = as_postgres(&binaries().join("psql"), false);
        command.args(["-h", &self.socket(), "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "signer"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(dump).unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(crate) fn rows(&self, sql: &str) -> Vec<tokio_postgres::Row> {
        let config: tokio_postgres::Config = self.url().parse().unwrap();
        block_on(async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let rows = client.query(sql, &[]).await.unwrap();
            connection.abort();
            rows
        })
    }

    /// Every file of its disk.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(self.data())]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    found.push((path.display().to_string(), fs::read(&path).unwrap()));
                }
            }
        }
        found
    }

    fn answers(&self) -> bool {
        let config: tokio_postgres::Config = self.url().replace("/signer", "/postgres").parse().unwrap();
        block_on(async {
            let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await else { return false };
            let connection = tokio::spawn(connection);
            let answered = client.batch_execute("SELECT 1").await.is_ok();
            connection.abort();
            answered
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = as_postgres(&binaries().join(program), false).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn shell(&self, command: &[&str]) {
        assert!(Command::new(command[0]).args(&command[1..]).status().unwrap().success());
    }

    fn socket(&self) -> String {
        self.dir.display().to_string()
    }

    fn data(&self) -> String {
        self.named("data")
    }

    fn named(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        let _best_effort = fs::remove_dir_all(&self.dir);
    }
}

/// PostgreSQL refuses to run as root. What runs on dies with this process.
fn as_postgres(program: &Path, dies: bool) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    }
    if dies {
        command.args(["--pdeathsig", "QUIT"]);
    }
    command.arg(program).current_dir("/tmp");
    command
}
