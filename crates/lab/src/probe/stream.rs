use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::gap::Answers;
use super::{Answer, Gap, Pace, ProbeError, is_stopped, read_line};
use crate::clock;
use crate::netns::Namespace;

/// A TCP connection to the test app that is kept open: it sends numbered lines, one after the other, and checks that
/// each comes back in order.
#[derive(Debug)]
pub struct Stream {
    answer: Answer,
    connection: TcpStream,
    stop: PipeWriter,
    thread: JoinHandle<StreamReport>,
}

/// What became of a [`Stream`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// Lines sent.
    pub sent: u32,
    /// Lines that came back, each in its turn.
    pub echoed: u32,
    /// The longest time from one line that came back to the next, or to the end. With an undisturbed connection it is
    /// a little more than the interval.
    pub longest_gap: Gap,
    /// Why the connection was lost; `None` if it was still good when the stream was stopped or its pace was done.
    pub lost: Option<ProbeError>,
}

impl Stream {
    /// Connects from the namespace within `timeout` and starts to send at the pace. The next line waits until the one
    /// before is back; one that is not back within `silence` is the end.
    pub fn start(
        namespace: &Namespace,
        server: SocketAddr,
        timeout: Duration,
        pace: Pace,
        silence: Duration,
    ) -> Result<Stream, ProbeError> {
        let started = clock::now();
        let mut connection = namespace.run(|| TcpStream::connect_timeout(&server, timeout))?;
        connection.set_nodelay(true)?;
        // The first line makes the app speak at once.
        connection.write_all(b"0\n")?;
        let line = read_line(&mut connection, started + timeout)?;
        let answer = Answer::parse(&line, clock::now() - started)?;
        expect_line(&mut connection, 0, started + timeout)?;
        let (stopped, stop) = io::pipe()?;
        let for_thread = connection.try_clone()?;
        let thread = std::thread::Builder::new()
            .name("stream".into())
            .spawn(move || keep_up(for_thread, &stopped, pace, silence))?;
        Ok(Stream { answer, connection, stop, thread })
    }

    /// Who answers on this connection.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Ends the connection, also if it waits for a line, and tells what became of it.
    pub fn stop(self) -> StreamReport {
        drop(self.stop);
        // Wakes a reader that waits. An error means that the connection is gone already, which the report tells.
        let _gone = self.connection.shutdown(Shutdown::Both);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn keep_up(mut connection: TcpStream, stopped: &PipeReader, pace: Pace, silence: Duration) -> StreamReport {
    let started = clock::now();
    let mut answers = Answers::new(clock::wall_nanos());
    let mut sent = 0;
    let mut lost = None;
    let mut ticks = pace.ticks(started);
    while let Some(due) = ticks.next(clock::now()) {
        if is_stopped(stopped, due) {
            break;
        }
        sent += 1;
        let deadline = clock::now() + silence;
        let echoed = connection.write_all(format!("{sent}\n").as_bytes()).map_err(ProbeError::from);
        match echoed.and_then(|()| expect_line(&mut connection, sent, deadline)) {
            Ok(()) => answers.push(started.elapsed()),
            Err(_) if is_stopped(stopped, started) => break,
            Err(error) => {
                lost = Some(error);
                break;
            }
        }
    }
    StreamReport { sent, echoed: answers.count(), longest_gap: answers.longest_gap(started.elapsed()), lost }
}

fn expect_line(connection: &mut TcpStream, number: u32, deadline: Instant) -> Result<(), ProbeError> {
    let line = read_line(connection, deadline)?;
    if line == number.to_string() { Ok(()) } else { Err(ProbeError::Garbled(line)) }
}
