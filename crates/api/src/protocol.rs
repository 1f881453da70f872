//! The two transport protocols that a listener or Service port of Keryx can have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Transport protocol of a port. Orders TCP before UDP, so listings are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Protocol {
    /// The name as Kubernetes and Gateway API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }

    /// Reads the `protocol` field of a Service port or listener. An absent field means TCP (Service API default);
    /// `None` is returned for any protocol that Keryx does not serve.
    pub fn from_field(field: Option<&str>) -> Option<Self> {
        match field {
            None | Some("TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
