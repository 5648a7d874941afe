//! A database that is reached over TLS with a password, as one on another machine is.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    http::Client,
    postgres::{as_postgres, binaries},
    process::Process,
};

const PASSWORD: &str = "a password of the store";
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes an authority, a certificate for 127.0.0.1 and another authority; then a server that takes nothing but TLS and passwords.
const SCRIPT: &str = r#"
set -e
cd "$1"; port=$2; bin=$3; shift 3
new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
for ca in root other; do $new -keyout $ca.key -out $ca.pem -subj /CN=$ca -addext basicConstraints=critical,CA:TRUE; done
$new -keyout server.key -out server.pem -CA root.pem -CAkey root.key -subj /CN=server -addext subjectAltName=IP:127.0.0.1 \
  -addext basicConstraints=critical,CA:FALSE
"$bin/initdb" -D data -A scram-sha-256 -U signer --pwfile=password --no-locale -E UTF8 --no-sync
echo 'hostssl all signer 127.0.0.1/32 scram-sha-256' > data/pg_hba.conf
exec "$bin/postgres" -D data -c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= \
  -c ssl=on -c ssl_cert_file="$PWD/server.pem" -c ssl_key_file="$PWD/server.key"
"#;

/// A server of its own; killed when dropped.
struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let folder = folder.join("database");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("password"), PASSWORD).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = as_postgres(&folder);
        command.args(["sh", "-c", SCRIPT, "sh"]).arg(&folder).arg(port.to_string()).arg(binaries());
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut server = Self { child, folder, port };
        let end = Instant::now() + PATIENCE;
        while !server.log().contains("ready to accept connections") {
            assert!(server.child.try_wait().unwrap().is_none() && Instant::now() < end, "{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    fn settings(&self, ca: &str, password: &Path) -> String {
        let url = format!("postgres://signer@127.0.0.1:{}/postgres?sslmode=require", self.port);
        let ca = self.folder.join(ca);
        format!("[store]\nurl = {url:?}\nca_file = {ca:?}\npassword_file = {password:?}\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = Command::new("kill").args(["-s", "QUIT", &self.child.id().to_string()]).status();
        let _ended_before = self.child.wait();
    }
}

/// What a server says that does not start with these settings.
fn refused(folder: &Path, settings: &str) -> String {
    let config = folder.join("refused.toml");
    let data = folder.join("refused");
    fs::write(&config, format!("listen = \"127.0.0.1:0\"\ndata_dir = {data:?}\n{settings}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signer-server"));
    let output = command.arg("--config").arg(&config).arg("serve").output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn sto_200_a_database_is_reached_over_tls_with_a_password_and_only_under_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    // Its user must get in.
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::start(folder.path());
    let password = folder.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let process = Process::start(folder.path(), &server.settings("root.pem", &password));
    assert_eq!(Client::new(process.url()).send("GET", "/health/ready", &[], b"").status, 200);
    drop(process);
    let text = refused(folder.path(), &server.settings("other.pem", &password));
    assert!(text.contains("certificate"), "{text}");
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "another password\n").unwrap();
    let text = refused(folder.path(), &server.settings("root.pem", &wrong));
    assert!(text.contains("password authentication failed"), "{text}");
    assert!(!text.contains("another password") && !text.contains(PASSWORD), "{text}");
}
