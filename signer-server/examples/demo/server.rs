//! The server process: started with a data folder of its own, driven through the operator's command line.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

use crate::Result;

/// First argument that makes this program the server.
pub(crate) const ARGUMENT: &str = "__signer-server";

/// Documents of made-up people.
pub(crate) const REGISTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/register.json");

/// A running server process; stopped when dropped.
pub(crate) struct Server {
    child: Child,
    config: std::path::PathBuf,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(data: &Path, port: u16, step_seconds: u64) -> Result<Self> {
        let port = if port == 0 { TcpListener::bind("127.0.0.1:0")?.local_addr()?.port() } else { port };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let config = data.join("config.toml");
        fs::write(
            &config,
            format!(
                "listen = {:?}\ndata_dir = {:?}\nregister_file = {REGISTER:?}\nstep_seconds = {step_seconds}\nlog = \"warn\"\n",
                address.to_string(),
                data.join("server"),
            ),
        )?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).arg("--config").arg(&config).arg("serve").stdin(Stdio::null());
        // Ctrl-C is for the demo; it stops the server when it is done with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn()?;
        let mut server = Self { child, config, address };
        server.wait_until_ready()?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One act of the operator, by the command line's `--json` form.
    pub(crate) fn operator<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let output = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg("--json")
            .arg("--config")
            .arg(&self.config)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("signer-server {} failed", arguments.join(" ")).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Asks it to stop, and waits until what it accepted is durable.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.terminate();
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }

    fn terminate(&self) {
        let _gone_already = Command::new("kill").arg(self.child.id().to_string()).status();
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server did not start: {status}").into());
            }
            if Instant::now() > end {
                return Err("the server did not start within 30 s".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            let _ended = self.child.wait();
        }
    }
}
