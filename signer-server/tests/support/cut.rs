//! Stands between a node and PostgreSQL, and cuts a connection at the moment when the node sends a given text.

use std::{
    fs,
    io::{Read, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

/// PostgreSQL's name of a socket in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// A socket in a folder of its own that leads to another.
pub(crate) struct Cut {
    folder: tempfile::TempDir,
    /// The next connection on which this is sent is cut.
    text: Arc<Mutex<Option<&'static str>>>,
}

impl Cut {
    /// Before the database at this URL, which names a folder with a socket.
    pub(crate) fn before(url: &str) -> Self {
        let target = PathBuf::from(host(url).replace("%2F", "/")).join(SOCKET);
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket");
        let text = Arc::new(Mutex::new(None));
        let cut = Self { folder, text: Arc::clone(&text) };
        thread::spawn(move || {
            for node in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&target) else { continue };
                let (back, forth) = ends(&node, &server);
                let text = Arc::clone(&text);
                thread::spawn(move || pass(forth.0, forth.1, |bytes| sends(&text, bytes)));
                thread::spawn(move || pass(back.0, back.1, |_| false));
            }
        });
        cut
    }

    /// The same database, through this.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(host(url), &self.folder.path().display().to_string().replace('/', "%2F"))
    }

    /// Cuts the next connection on which this is sent, before the server has it.
    pub(crate) fn cut_at(&self, text: &'static str) {
        *self.text.lock().expect("no panic") = Some(text);
    }

    /// Whether that is still to come.
    pub(crate) fn cuts(&self) -> bool {
        self.text.lock().expect("no panic").is_some()
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _best_effort = fs::remove_file(self.folder.path().join(SOCKET));
    }
}

fn host(url: &str) -> &str {
    let rest = url.split_once('@').expect("a user").1;
    rest.split_once('/').expect("a database").0
}

/// From the server to the node, and from the node to the server.
fn ends(node: &UnixStream, server: &UnixStream) -> ((UnixStream, UnixStream), (UnixStream, UnixStream)) {
    let again = |stream: &UnixStream| stream.try_clone().expect("a second handle");
    ((again(server), again(node)), (again(node), again(server)))
}

/// Whether this is what is to be cut. Statements are short: they come in one piece.
fn sends(text: &Mutex<Option<&'static str>>, bytes: &[u8]) -> bool {
    let mut text = text.lock().expect("no panic");
    let found = text.is_some_and(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    if found {
        *text = None;
    }
    found
}

fn pass(mut from: UnixStream, mut to: UnixStream, cuts: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        if cuts(bytes) || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _gone = from.shutdown(Shutdown::Both);
    let _gone_too = to.shutdown(Shutdown::Both);
}
