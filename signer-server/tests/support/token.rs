//! A token of SoftHSM2, which a test can take away.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where SoftHSM2's library is: Debian's place, or where `SOFTHSM2_MODULE` says.
fn module() -> PathBuf {
    let found = std::env::var_os("SOFTHSM2_MODULE").map(PathBuf::from);
    found.unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into())
}

pub(crate) const TOKEN_PIN: &str = "hsm pin 2468";

/// A token with its library, in a folder of its own.
pub(crate) struct SoftToken(PathBuf);

impl SoftToken {
    pub(crate) fn create(folder: &Path) -> Self {
        let token = Self(folder.join("token"));
        fs::create_dir_all(token.file("tokens")).unwrap();
        let conf = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            token.file("tokens").display()
        );
        fs::write(token.file("softhsm2.conf"), conf).unwrap();
        token.set_pin(TOKEN_PIN);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/token_faults.c");
        run(Command::new("cc")
            .args(["-shared", "-fPIC", "-w", "-o"])
            .arg(token.module())
            .args([source, "-ldl"]));
        let pin = format!("--pin={TOKEN_PIN}");
        let init = ["--init-token", "--free", "--label=signer test", "--so-pin=officer", &pin];
        run(Command::new("softhsm2-util").args(init).envs(token.environment()));
        token
    }

    /// The server's settings for it.
    pub(crate) fn settings(&self, mode: &str) -> String {
        format!(
            "[hsm]\nmodule = {:?}\ntoken = \"signer test\"\npin_file = {:?}\nmode = {mode:?}\ntimeout_seconds = 1\n",
            self.module(),
            self.file("pin")
        )
    }

    /// What a process that uses it must know.
    pub(crate) fn environment(&self) -> Vec<(String, PathBuf)> {
        vec![
            ("SOFTHSM2_CONF".into(), self.file("softhsm2.conf")),
            ("TOKEN_MODULE".into(), module()),
            ("TOKEN_FAULTS".into(), self.file("faults")),
            ("TOKEN_LOGINS".into(), self.file("logins")),
        ]
    }

    pub(crate) fn set_pin(&self, pin: &str) {
        fs::write(self.file("pin"), format!("{pin}\n")).unwrap();
    }

    /// From now on it does so: `removed`, `hang`, or nothing of the kind.
    pub(crate) fn fault(&self, fault: &str) {
        fs::write(self.file("faults.new"), fault).unwrap();
        fs::rename(self.file("faults.new"), self.file("faults")).unwrap();
    }

    /// How often somebody logged in.
    pub(crate) fn logins(&self) -> u64 {
        fs::metadata(self.file("logins")).map_or(0, |file| file.len())
    }

    /// What a backup of the token's disk has.
    pub(crate) fn copy(&self, name: &str) {
        run(Command::new("cp").arg("-a").arg(self.file("tokens")).arg(self.file(name)));
    }

    /// Puts such a backup in the place of what is there.
    pub(crate) fn put_back(&self, name: &str) {
        fs::remove_dir_all(self.file("tokens")).unwrap();
        run(Command::new("cp").arg("-a").arg(self.file(name)).arg(self.file("tokens")));
    }

    fn module(&self) -> PathBuf {
        self.file("token.so")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
