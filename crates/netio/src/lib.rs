//! Where Keryx meets the Linux kernel: raw packet sockets, ICMPv6, TCP, UDP, netlink, and the scheduler, one module for each. It moves
//! bytes and reads state; what a frame means and what to do about a change is decided elsewhere.
//!
//! The only crate with `unsafe` code. A socket belongs to the network namespace of the thread that opens it.

mod address;
pub mod bfd;
mod datagram;
pub mod groups;
pub mod icmpv6;
pub mod link;
pub mod nftables;
mod option;
pub mod packet;
pub mod realtime;
pub mod tcp;
