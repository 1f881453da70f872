//! How the rest of the speaker asks for sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keryx_bfd::{ClientId, Config};
use tokio::sync::{mpsc, watch};

use super::told::{Heard, News, SessionState, Told};

/// Asks the driver for sessions. Clones ask the same driver.
#[derive(Clone, Debug)]
pub struct Bfd {
    // A client has at most two orders in it.
    orders: mpsc::UnboundedSender<Order>,
    next_client: Arc<AtomicU64>,
}

/// A session that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The peer's address.
    pub remote: IpAddr,
    /// The interface that the session is bound to, by name; it need not exist yet. A link-local address needs one. Over
    /// several hops, the device of a VRF.
    pub interface: Option<String>,
    /// The address to send from, which this node must have; else the kernel chooses one.
    pub source: Option<IpAddr>,
    /// Whether there may be routers between (RFC 5883); else the peer is on the link (RFC 5881).
    pub multi_hop: bool,
    /// Intervals, multiplier and role.
    pub config: Config,
}

/// An order to the driver.
pub(super) enum Order {
    Acquire { client: ClientId, request: Request, told: watch::Sender<Told> },
    Release(ClientId),
}

impl Bfd {
    /// The handle, and where its orders come out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        (Self { orders, next_client: Arc::default() }, receiver)
    }

    /// Has a session as `request` says, from now until what is returned is dropped. Those who ask for the same peer share
    /// a session, whose parameters are merged from all wishes. So to change one, ask anew first and then drop the earlier one:
    /// the session stays up.
    #[must_use]
    pub fn acquire(&self, request: Request) -> Watched {
        let client = ClientId(self.next_client.fetch_add(1, Ordering::Relaxed));
        let (told, told_seen) = watch::channel(Told::default());
        // Fails if the driver has ended; then so does the other half of `told`, which is how the client hears of it.
        let _ended = self.orders.send(Order::Acquire { client, request, told });
        Watched { client, orders: self.orders.clone(), told: told_seen, heard: Heard::default() }
    }
}

/// A client's share of a session. Dropping it gives it back; after the last one the peer is told that the session is
/// switched off (AdminDown), so that it does not take the end for a failure.
#[derive(Debug)]
pub struct Watched {
    client: ClientId,
    orders: mpsc::UnboundedSender<Order>,
    told: watch::Receiver<Told>,
    heard: Heard,
}

impl Watched {
    /// Waits for the next news; the first is that the session is up, also if it was so already. `None` if the driver has
    /// ended. Nothing is lost if the future is dropped.
    pub async fn changed(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.heard.next(&self.told.borrow_and_update()) {
                return Some(news);
            }
            self.told.changed().await.ok()?;
        }
    }

    /// How the session is now.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.told.borrow().state.clone()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Fails if the driver has ended, and the session with it.
        let _ended = self.orders.send(Order::Release(self.client));
    }
}
