//! The mark on a Service that says which addresses Keryx gave it: the message of the status condition
//! `keryx.dev/Assigned`. A tenant who may edit Services cannot write their status, so speakers trust it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use k8s_openapi::api::core::v1::Service;

use crate::names::CONDITION_ASSIGNED;

/// Addresses of one Service, the pools they come from, the interfaces that announce them, and the key by which others may share
/// them. Text form:
/// `192.0.2.10 2001:db8::10 from pool NAME`, with several pools, one for each address, separated by a space; then, if
/// they are limited to interfaces, ` on interface NAME`, several separated by a space; then, if there is a sharing key,
/// ` shared by key KEY` to the end of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// At least one address, in the order of `status.loadBalancer.ingress`.
    pub addresses: Vec<IpAddr>,
    /// Names of the pools: one that all addresses are from, or one for each address, in their order.
    pub pools: Vec<String>,
    /// Names of the interfaces to which announcing is limited; empty if it is not.
    pub interfaces: Vec<String>,
    /// The sharing key, never empty; it may hold spaces. Owners of one address that carry the same key share it.
    pub sharing_key: Option<String>,
}

const FROM_POOL: &str = " from pool ";
const ON_INTERFACE: &str = " on interface ";
const SHARED_BY_KEY: &str = " shared by key ";

/// The text is not that of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAssigned;

impl fmt::Display for NotAssigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected 'ADDRESS [ADDRESS ...] from pool NAME [NAME ...] [on interface NAME ...] [shared by key KEY]'")
    }
}

impl std::error::Error for NotAssigned {}

impl fmt::Display for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{}{FROM_POOL}{}", addresses.join(" "), self.pools.join(" "))?;
        if !self.interfaces.is_empty() {
            write!(f, "{ON_INTERFACE}{}", self.interfaces.join(" "))?;
        }
        match &self.sharing_key {
            Some(key) => write!(f, "{SHARED_BY_KEY}{key}"),
            None => Ok(()),
        }
    }
}

/// The pool that the address at `place` of a list is from, given the pools that go with the list: one for all, or one for
/// each; `None` if there are none.
pub fn pool_of<S: AsRef<str>>(pools: &[S], place: usize) -> Option<&str> {
    pools.get(place).or(pools.last()).map(AsRef::as_ref)
}

/// Pools that go with a list of addresses, as short as [`pool_of`] can read them.
pub fn pools_of<'a>(pools: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut pools: Vec<String> = pools.map(str::to_owned).collect();
    if pools.iter().all(|pool| *pool == pools[0]) {
        pools.truncate(1);
    }
    pools
}

impl Assigned {
    /// What the status of `service` says; `None` without the condition, where it says no, and where its message is none of
    /// Keryx'.
    pub fn read(service: &Service) -> Option<Self> {
        let mut conditions = service.status.as_ref()?.conditions.as_deref()?.iter();
        let mark = conditions.find(|condition| condition.type_ == CONDITION_ASSIGNED)?;
        (mark.status == "True").then(|| mark.message.parse().ok())?
    }
}

impl FromStr for Assigned {
    type Err = NotAssigned;

    fn from_str(text: &str) -> Result<Self, NotAssigned> {
        let (addresses, rest) = text.split_once(FROM_POOL).ok_or(NotAssigned)?;
        let addresses: Vec<IpAddr> = addresses
            .split(' ')
            .map(|word| word.parse().map_err(|_| NotAssigned))
            .collect::<Result<_, _>>()?;
        let (pools, sharing_key) = match rest.split_once(SHARED_BY_KEY) {
            Some((pools, key)) => (pools, Some(key.to_owned())),
            None => (rest, None),
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let (pools, interfaces) = match pools.split_once(ON_INTERFACE) {
            Some((pools, interfaces)) => (words(pools), words(interfaces)),
            None => (words(pools), Vec::new()),
        };
        if pools.iter().chain(&interfaces).any(String::is_empty)
            || sharing_key.as_ref().is_some_and(String::is_empty)
        {
            return Err(NotAssigned);
        }
        Ok(Self { addresses, pools, interfaces, sharing_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let rows = [
            ("192.0.2.10 2001:db8::10 from pool edge", &["edge"][..], None),
            ("192.0.2.10 2001:db8::10 from pool edge wide", &["edge", "wide"], None),
            ("192.0.2.10 2001:db8::10 from pool edge shared by key dns", &["edge"], Some("dns")),
            (
                "192.0.2.10 2001:db8::10 from pool a b shared by key  two  words ",
                &["a", "b"],
                Some(" two  words "),
            ),
            (
                "192.0.2.10 2001:db8::10 from pool edge shared by key x from pool y shared by key z",
                &["edge"],
                Some("x from pool y shared by key z"),
            ),
        ];
        for (text, pools, sharing_key) in rows {
            let assigned: Assigned = text.parse().unwrap();
            assert_eq!(assigned.addresses.len(), 2, "{text}");
            assert_eq!(assigned.pools, pools, "{text}");
            assert_eq!(assigned.sharing_key.as_deref(), sharing_key, "{text}");
            assert_eq!(assigned.to_string(), text);
        }
    }

    #[test]
    fn interfaces_stand_between_pools_and_sharing_key() {
        for (text, interfaces, sharing_key) in [
            ("192.0.2.10 from pool edge on interface eth1", &["eth1"][..], None),
            (
                "192.0.2.10 from pool edge on interface eth1 bond0 shared by key k",
                &["eth1", "bond0"],
                Some("k"),
            ),
            ("192.0.2.10 from pool edge shared by key a on interface b", &[], Some("a on interface b")),
        ] {
            let assigned: Assigned = text.parse().unwrap();
            assert_eq!(assigned.pools, ["edge"]);
            assert_eq!(assigned.interfaces, interfaces);
            assert_eq!(assigned.sharing_key.as_deref(), sharing_key, "{text}");
            assert_eq!(assigned.to_string(), text);
        }
        assert_eq!("192.0.2.10 from pool edge on interface ".parse::<Assigned>(), Err(NotAssigned));
    }

    #[test]
    fn pools_are_named_once_for_all_or_once_for_each() {
        for (of_each, written) in [
            (&[][..], &[][..]),
            (&["a"], &["a"]),
            (&["a", "a", "a"], &["a"]),
            (&["a", "b", "a"], &["a", "b", "a"]),
        ] {
            let pools = pools_of(of_each.iter().copied());
            assert_eq!(pools, written);
            for (place, pool) in of_each.iter().enumerate() {
                assert_eq!(pool_of(&pools, place), Some(*pool), "{of_each:?} {place}");
            }
        }
        assert_eq!(pool_of::<String>(&[], 0), None);
    }

    #[test]
    fn refuses_other_text() {
        for text in [
            "",
            "from pool x",
            "192.0.2.10",
            "192.0.2.300 from pool x",
            "192.0.2.1 from pool ",
            "192.0.2.1 from pool x shared by key ",
            "192.0.2.1 from pool  shared by key k",
            "192.0.2.1 shared by key k",
        ] {
            assert_eq!(text.parse::<Assigned>(), Err(NotAssigned), "{text:?}");
        }
    }
}
