//! The mark on a Service that says which addresses Keryx gave it: the message of the status condition
//! `keryx.dev/Assigned`. A tenant who may edit Services cannot write their status, so speakers trust it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses of one Service and the pools they come from. Text form: `192.0.2.10 2001:db8::10 from pool NAME`,
/// with several pools separated by a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// At least one address, in the order of `status.loadBalancer.ingress`.
    pub addresses: Vec<IpAddr>,
    /// Names of the pools, without repetition, in the order of their first address.
    pub pools: Vec<String>,
}

/// The text is not that of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAssigned;

impl fmt::Display for NotAssigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 'ADDRESS [ADDRESS ...] from pool NAME'")
    }
}

impl std::error::Error for NotAssigned {}

impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for address in &self.addresses {
            write!(f, "{address} ")?;
        }
        write!(f, "from pool {}", self.pools.join(" "))
    }
}

impl FromStr for Assigned {
    type Err = NotAssigned;

    fn from_str(text: &str) -> Result<Self, NotAssigned> {
        let (addresses, pools) = text.split_once(" from pool ").ok_or(NotAssigned)?;
        let addresses: Vec<IpAddr> = addresses
            .split(' ')
            .map(|word| word.parse().map_err(|_| NotAssigned))
            .collect::<Result<_, _>>()?;
        let pools: Vec<String> = pools.split(' ').map(str::to_owned).collect();
        if pools.iter().any(String::is_empty) {
            return Err(NotAssigned);
        }
        Ok(Self { addresses, pools })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "192.0.2.10 2001:db8::10 from pool edge";
        let assigned: Assigned = text.parse().unwrap();
        assert_eq!(assigned.addresses.len(), 2);
        assert_eq!(assigned.pools, ["edge"]);
        assert_eq!(assigned.to_string(), text);
    }

    #[test]
    fn refuses_other_text() {
        for text in ["", "from pool x", "192.0.2.10", "192.0.2.300 from pool x", "192.0.2.1 from pool "] {
            assert_eq!(text.parse::<Assigned>(), Err(NotAssigned), "{text:?}");
        }
    }
}
