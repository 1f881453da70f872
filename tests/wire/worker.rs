//! A thread that ends with its value.

use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

/// A running thread that heeds a token. Dropping it stops the thread and waits for its end.
pub(crate) struct Worker {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Takes over a thread that ends when `stop` is cancelled.
    pub(crate) fn new(stop: CancellationToken, thread: JoinHandle<()>) -> Self {
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) else { return };
        if !std::thread::panicking() {
            std::panic::resume_unwind(panic);
        }
    }
}
