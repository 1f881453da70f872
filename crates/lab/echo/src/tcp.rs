//! TCP: an HTTP request gets the line as the body of a 200; any other client gets the line, then back whatever it
//! sends until it ends the stream. A client that waits for the server to speak gets the line after 100 ms.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::Identity;

/// Connections served at once, below the usual limit of 1024 open files; more are closed on arrival.
const MAX_CONNECTIONS: usize = 512;
const STACK_BYTES: usize = 128 * 1024;
/// How long a client may take to say what it is.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a stream may be silent, and how long a client may leave its answer unread.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_HTTP_HEAD_BYTES: usize = 8192;
const HTTP_METHODS: [&[u8]; 2] = [b"GET ", b"HEAD "];

/// A dual-stack socket on every address of the host.
pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
}

/// Serves each connection on a thread of its own until the process ends.
pub(crate) fn serve(listener: &TcpListener, identity: &Arc<Identity>) -> ! {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        // A client that is gone before it is accepted is no reason to stop.
        let Ok((stream, _)) = listener.accept() else { continue };
        let place = Place::take(&open);
        if place.count > MAX_CONNECTIONS {
            continue;
        }
        let identity = Arc::clone(identity);
        let connection = move || {
            let _place = place;
            // The client went away in the middle: its own business.
            let _gone = converse(stream, &identity);
        };
        // Without a thread the connection is dropped, and so closed.
        let _no_thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(connection);
    }
}

/// One open connection; given back on drop, also when its thread could not start.
struct Place {
    open: Arc<AtomicUsize>,
    count: usize,
}

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Place {
        let count = open.fetch_add(1, Ordering::Relaxed) + 1;
        Place { open: Arc::clone(open), count }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn converse(mut stream: TcpStream, identity: &Identity) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let line = identity.line(stream.peer_addr()?, stream.local_addr()?);
    let (first, speech) = first_bytes(&mut stream)?;
    match speech {
        Speech::Http => answer_http(&mut stream, first, &line),
        Speech::Plain => {
            stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
            stream.write_all(&[line.as_bytes(), &first].concat())?;
            let mut buffer = [0; 4096];
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    len => stream.write_all(&buffer[..len])?,
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Speech {
    Http,
    Plain,
}

/// What the bytes so far say; `None` while they may still become an HTTP method.
fn recognise(bytes: &[u8]) -> Option<Speech> {
    if HTTP_METHODS.iter().any(|method| bytes.starts_with(method)) {
        Some(Speech::Http)
    } else if HTTP_METHODS.iter().any(|method| method.starts_with(bytes)) {
        None
    } else {
        Some(Speech::Plain)
    }
}

/// Reads until the bytes tell the speech, the client ends its side, or it stays silent too long.
fn first_bytes(stream: &mut TcpStream) -> io::Result<(Vec<u8>, Speech)> {
    stream.set_read_timeout(Some(FIRST_BYTES_TIMEOUT))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(speech) = recognise(&bytes) {
            return Ok((bytes, speech));
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok((bytes, Speech::Plain)),
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((bytes, Speech::Plain)),
            Err(error) => return Err(error),
        }
    }
}

/// Answers one request, whatever its path, and closes. The head is read whole first: closing with unread bytes
/// would reset the connection before the client has read its answer.
fn answer_http(stream: &mut TcpStream, mut head: Vec<u8>, line: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HTTP_HEAD_BYTES {
        match stream.read(&mut buffer)? {
            0 => break,
            len => head.extend_from_slice(&buffer[..len]),
        }
    }
    let fields = format!("Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close", line.len());
    let body = if head.starts_with(b"HEAD ") { "" } else { line };
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{Shutdown, TcpStream};
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::{Speech, bind, recognise, serve};
    use crate::Identity;

    fn connect() -> TcpStream {
        let listener = bind(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let identity = Arc::new(Identity { pod: "p".into(), node: "n".into() });
        thread::spawn(move || serve(&listener, &identity));
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
    }

    fn line_for(stream: &TcpStream) -> String {
        let (client, local) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        format!("pod=p node=n client={client} local={local}\n")
    }

    #[test]
    fn the_first_bytes_tell_the_speech() {
        let cases: [(&[u8], Option<Speech>); 8] = [
            (b"", None),
            (b"G", None),
            (b"HEAD", None),
            (b"GET /healthz HTTP/1.1\r\n", Some(Speech::Http)),
            (b"HEAD / HTTP/1.0\r\n", Some(Speech::Http)),
            (b"GETAWAY", Some(Speech::Plain)),
            (b"line 1\n", Some(Speech::Plain)),
            (b"\0", Some(Speech::Plain)),
        ];
        for (bytes, speech) in cases {
            assert_eq!(recognise(bytes), speech, "{bytes:?}");
        }
    }

    #[test]
    fn a_silent_client_gets_the_line() {
        let stream = connect();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert_eq!(line, line_for(&stream));
    }

    #[test]
    fn a_client_that_ends_its_side_at_once_gets_the_line_and_the_end() {
        let mut stream = connect();
        let line = line_for(&stream);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, line);
    }

    #[test]
    fn what_a_client_sends_comes_back_after_the_line_in_order() {
        let mut stream = connect();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(b"one\n").unwrap();
        for expected in [line_for(&stream), "one\n".into()] {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, expected);
        }
        stream.write_all(b"GET two\n").unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "GET two\n", "a stream that has begun stays plain");
    }

    #[test]
    fn an_http_request_gets_the_line_as_its_body_and_the_end() {
        let mut stream = connect();
        let line = line_for(&stream);
        stream.write_all(b"GET /any HTTP/1.1\r\nHost: x\r\n").unwrap();
        stream.write_all(b"\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert_eq!(body, line);
    }

    #[test]
    fn a_head_request_gets_no_body() {
        let mut stream = connect();
        stream.write_all(b"HEAD / HTTP/1.1\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("Connection: close\r\n\r\n"), "{text}");
    }
}
