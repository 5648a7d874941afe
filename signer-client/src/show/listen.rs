//! Being told of what happens: server-sent events (WHATWG HTML, section 9.2), names only.

use std::{fmt, io::Read, time::Duration};

use signer_core::{
    codec,
    wire::{Event, Listen},
};

use crate::{
    error::ClientError,
    phone::{Phone, body_of},
    ports::{HttpRequest, HttpResponse, TransportError},
};

/// Longest silence of a stream: the server says something every 15 seconds.
pub const LISTEN_FOR: Duration = Duration::from_secs(45);
/// Longest line of a stream, bytes.
const LINE_BYTES_MAX: usize = 256;

impl Phone {
    /// Opens the stream of what happens to this phone: requests, checks, used codes, documents, history. It can be read on
    /// another thread, beside this phone. A new stream ends the one before; it begins with every event once, so that nothing
    /// is missed in between. Where there is none, asking every few seconds does as well.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn listen(&self) -> Result<EventStream, ClientError> {
        let request =
            HttpRequest { timeout: LISTEN_FOR, ..self.sealed::<Listen>(&codec::encode(&Listen {}))? };
        let mut stream = self.ports.http.stream(&request)?;
        if stream.status == 200 && stream.content_type == "text/event-stream" {
            return Ok(EventStream { body: stream.body, lines: Lines::default() });
        }
        let (status, content_type) = (stream.status, stream.content_type);
        let mut body = Vec::new();
        let limited = stream.body.by_ref().take(PROBLEM_BYTES_MAX).read_to_end(&mut body);
        limited.map_err(|error| TransportError::Unreachable(error.to_string()))?;
        let problem = body_of(HttpResponse { status, content_type, body: body.into() }, "text/event-stream");
        Err(problem.err().unwrap_or(ClientError::ServerMisbehaved("it opened no stream of events")))
    }
}

const PROBLEM_BYTES_MAX: u64 = 16 * 1024;

/// A stream of events. Ends when the connection does; events of unknown names are left out.
pub struct EventStream {
    body: Box<dyn Read + Send>,
    lines: Lines,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}

/// Blocks until the next event.
impl Iterator for EventStream {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut byte = [0; 1];
        loop {
            match self.body.read(&mut byte) {
                Ok(0) => return None,
                Ok(_) => match self.lines.push(byte[0]) {
                    Ok(Some(event)) => return Some(Ok(event)),
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                },
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(TransportError::Unreachable(error.to_string()).into())),
            }
        }
    }
}

/// The parser, byte by byte: a line ends with CR, LF or both, a blank one ends an event.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    after_cr: bool,
    event: Option<Event>,
}

impl Lines {
    fn push(&mut self, byte: u8) -> Result<Option<Event>, ClientError> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => Ok(None),
            b'\r' | b'\n' => Ok(self.end_line()),
            _ if self.line.len() == LINE_BYTES_MAX => {
                Err(ClientError::ServerMisbehaved("a line of its events is longer than allowed"))
            }
            _ => {
                self.line.push(byte);
                Ok(None)
            }
        }
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.event.take();
        }
        // Other fields and comments say nothing here.
        if let Some(name) = line.strip_prefix(b"event:") {
            let name = name.strip_prefix(b" ").unwrap_or(name);
            self.event = std::str::from_utf8(name).ok().and_then(Event::from_name);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(bytes: &'static [u8]) -> EventStream {
        EventStream { body: Box::new(bytes), lines: Lines::default() }
    }

    #[test]
    fn cli_104_events_are_read_by_name_whatever_ends_their_lines() {
        for bytes in [
            &b": hello\n\nevent: checks\ndata\n\n:\n\nevent:used\ndata: \nid: 7\n\nevent: weather\n\nevent: history"[..],
            b": hello\r\n\r\nevent: checks\r\ndata\r\n\r\n:\r\n\r\nevent:used\r\n\r\ndata: x\r\n\r\n",
            b"event: checks\r\revent: used\r\r",
            // The last name of an event counts, and a blank line forgets it.
            b"event: used\nevent: checks\n\n\n\nevent: checks\nevent: used\n\n",
        ] {
            let events: Vec<_> = stream(bytes).collect::<Result<_, _>>().unwrap();
            assert_eq!(events, [Event::Checks, Event::Used], "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn cli_104_an_endless_line_is_refused() {
        let mut endless = EventStream { body: Box::new(std::io::repeat(b'x')), lines: Lines::default() };
        assert!(matches!(endless.next(), Some(Err(ClientError::ServerMisbehaved(_)))));
    }
}
