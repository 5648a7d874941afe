//! One PostgreSQL server for a test binary, on a socket in a folder of its own, and a database for each test. The server ends
//! with the test process, however that ends.

#![allow(dead_code, reason = "not every test binary looks into the database")]

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_postgres::NoTls;

const MISSING: &str =
    "PostgreSQL's server is not installed, and the tests of the store need it: apt-get install postgresql";

/// Starts the server and removes its folder when its own standard input ends, as it does with the process that has the other end.
const SCRIPT: &str = r#"
bin=$1; dir=$2; shift 2
"$@" "$bin/initdb" -D "$dir/data" -A trust -U postgres --no-locale -E UTF8 --no-sync >"$dir/log" 2>&1 || exit 1
"$@" "$bin/postgres" -D "$dir/data" -c listen_addresses= -c unix_socket_directories="$dir" -c max_connections=400 \
    -c shared_buffers=64MB -c autovacuum_naptime=5 >>"$dir/log" 2>&1 </dev/null &
server=$!
trap '' INT TERM
cat >/dev/null
kill -QUIT $server; wait $server; rm -rf "$dir"
"#;

struct Server {
    dir: PathBuf,
    /// Its standard input is what keeps the server.
    _script: Child,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    fn start() -> Self {
        let bin = binaries();
        let dir = PathBuf::from(format!("/tmp/signer-pg-{}", std::process::id()));
        fs::create_dir(&dir).expect("a folder for PostgreSQL");
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&bin).arg(&dir);
        // It refuses to run as root.
        if is_root() {
            let given = Command::new("chown").arg("postgres:").arg(&dir).status().expect("chown");
            assert!(given.success(), "there is no user postgres: apt-get install postgresql");
            command.args(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        let script = command.stdin(Stdio::piped()).spawn().expect("sh");
        let server = Self { dir, _script: script };
        server.wait();
        server
    }

    fn wait(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while block_on(self.try_run("SELECT 1")).is_err() {
            let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    async fn try_run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.dir).user("postgres").dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let done = client.batch_execute(sql).await;
        connection.abort();
        done
    }
}

/// A database of its own for one test; dropped with this.
pub(crate) struct Database {
    name: String,
}

impl Database {
    /// An empty database.
    pub(crate) fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        block_on(server().try_run(&format!("CREATE DATABASE {name}"))).expect("a database");
        Self { name }
    }

    /// Where it is, for the store.
    pub(crate) fn url(&self) -> String {
        let dir = server().dir.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{dir}/{}", self.name)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it.
    pub(crate) fn run(&self, sql: &str) {
        let config = self.url().parse::<tokio_postgres::Config>().expect("a URL");
        block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            let connection = tokio::spawn(connection);
            let done = client.batch_execute(sql).await;
            connection.abort();
            done
        })
        .expect("runs");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Best effort: the server's folder goes in the end.
        let _ = block_on(server().try_run(&format!("DROP DATABASE {} WITH (FORCE)", self.name)));
    }
}

/// Runs to the end on a thread of its own: tests come from inside and outside of runtimes.
pub(crate) fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let work = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(future)
        };
        scope.spawn(work).join().expect("no panic")
    })
}

/// A command whose arguments are a program that PostgreSQL's user runs; the folder is given to that user.
pub(crate) fn as_postgres(dir: &Path) -> Command {
    if !is_root() {
        return Command::new("env");
    }
    let given = Command::new("chown").args(["-R", "postgres:"]).arg(dir).status().expect("chown");
    assert!(given.success(), "there is no user postgres: apt-get install postgresql");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    command
}

pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.starts_with(b"0\n")
}

/// The folder with `initdb` and `postgres`: on the path, or where Debian puts them, the newest version.
pub(crate) fn binaries() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    match fs::read_dir("/usr/lib/postgresql") {
        Ok(versions) => {
            let mut found: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
            found.sort();
            folders.extend(found.into_iter().rev());
        }
        Err(error) => assert!(error.kind() == ErrorKind::NotFound, "{error}"),
    }
    let has = |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| is_file(&folder.join(name)));
    // Links elsewhere do not do: the server finds its own files beside itself.
    let found = folders.into_iter().find(has).and_then(|folder| fs::canonicalize(folder.join("initdb")).ok());
    found.as_deref().and_then(Path::parent).map(Path::to_owned).expect(MISSING)
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}
