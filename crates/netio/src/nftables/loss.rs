//! Tells when somebody else deletes a table, as `nft flush ruleset` does.

use std::ffi::CStr;
use std::io;

use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

use super::decode::{attribute, messages, u16_at, u32_at};
use super::encode::MESSAGE_HEADER;
use crate::option;

/// `NFNLGRP_NFTABLES`, to which the kernel tells every change of a ruleset.
const GROUP: u32 = 7;
/// `NETLINK_NETFILTER`.
const PROTOCOL: isize = 12;
/// The kernel joins notifications to datagrams of at most a page.
const DATAGRAM_MAX: usize = 32 << 10;
/// Room for what waits to be read.
const RECEIVE_BUFFER_BYTES: libc::c_int = 32 << 20;
/// Length of `struct nfgenmsg`, which stands before the attributes.
const NETFILTER_HEADER: usize = 4;
/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;

/// Listens for the loss of one table in the network namespace in which it was opened. Needs CAP_NET_ADMIN, and a tokio
/// runtime.
pub struct TableLoss {
    socket: TokioSocket,
    table: &'static str,
    datagram: Vec<u8>,
}

impl TableLoss {
    /// Begins to listen.
    ///
    /// # Errors
    /// No netlink socket can be opened.
    pub fn listen(table: &'static str) -> io::Result<Self> {
        let mut socket = TokioSocket::new(PROTOCOL)?;
        // All that a batch of many thousand elements is told by must find room: what overflows counts as a loss.
        option::set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)?;
        socket.socket_mut().bind(&SocketAddr::new(0, 1 << (GROUP - 1)))?;
        Ok(Self { socket, table, datagram: Vec::with_capacity(DATAGRAM_MAX) })
    }

    /// Waits until the table was deleted, or may have been because notifications were lost. What came from the socket
    /// with the netlink port `own` ([`super::Nftables::port`]) is no loss.
    ///
    /// # Errors
    /// The socket fails.
    pub async fn lost(&mut self, own: Option<u32>) -> io::Result<()> {
        loop {
            self.datagram.clear();
            match self.socket.recv(&mut self.datagram).await {
                Ok(()) if tells_loss(&self.datagram, self.table, own) => return Ok(()),
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a notification says that another port than `own` deleted `table`.
pub(super) fn tells_loss(datagram: &[u8], table: &str, own: Option<u32>) -> bool {
    messages(datagram).any(|message| {
        let kind = u16_at(message, 4).map(libc::c_int::from);
        let attributes = message.get(MESSAGE_HEADER + NETFILTER_HEADER..).unwrap_or_default();
        let name = attribute(attributes, TABLE_NAME).and_then(|name| CStr::from_bytes_until_nul(name).ok());
        kind == Some(libc::NFNL_SUBSYS_NFTABLES << 8 | libc::NFT_MSG_DELTABLE)
            && (own.is_none() || u32_at(message, 12) != own)
            && name.is_some_and(|name| name.to_bytes() == table.as_bytes())
    })
}
