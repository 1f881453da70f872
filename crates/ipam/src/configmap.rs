//! The ConfigMap with address ranges, in the grammar of kube-vip-cloud-provider and gateway-api-controller.
//!
//! ```text
//! key   = ("cidr-" | "range-" | "allow-share-" | "interface-") scope | "search-order" | "skip-end-ips-in-cidr"
//! scope = "global" | <namespace of the Service or Gateway>
//! value = item *("," item)       ; of a cidr- or range- key; white space does not matter
//! item  = prefix | first "-" last | address
//! ```
//!
//! An item's kind is told by its content, not by its key, and one value may mix kinds and families. For a namespace the
//! first key **present** of `cidr-<ns>`, `cidr-global`, `range-<ns>`, `range-global` decides, even if its value is broken or
//! its addresses are used up.

use std::collections::BTreeMap;

use crate::family::Family;
use crate::pool::{KeyPrefix, Order, Pool, PoolKey, PoolProblem, PoolSource, Ranges, Scope};

pub(crate) mod item;
mod problem;
mod spelling;
#[cfg(test)]
mod tests;

pub use problem::{KeyError, KeyProblem, Notice};
pub use spelling::distance;

const SEARCH_ORDER: &str = "search-order";
const SKIP_END_IPS: &str = "skip-end-ips-in-cidr";
const CIDR: &str = "cidr-";
const RANGE: &str = "range-";
const ALLOW_SHARE: &str = "allow-share-";
const INTERFACE: &str = "interface-";
const GLOBAL: &str = "global";

/// What [`parse`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// One pool for each `cidr-` and `range-` key, the broken ones included (with [`Pool::problem`] set), by key.
    pub pools: Vec<Pool>,
    /// What is wrong, by key. Keys that are not named here are in force.
    pub problems: Vec<KeyProblem>,
    /// What is right but may surprise, by key.
    pub notices: Vec<Notice>,
}

/// What a key stands for.
enum KeyForm {
    Pool(PoolKey),
    AllowShare(Scope),
    Interface(Scope),
    Setting,
}

/// Settings that hold for every pool of the ConfigMap.
#[derive(Clone, Copy, Default)]
struct Settings {
    order: Order,
    skip_end_ips: bool,
}

/// Reads the `data` of the address ConfigMap. Never fails as a whole: an error in one key leaves the others in force.
pub fn parse(data: &BTreeMap<String, String>) -> Parsed {
    let mut parsed = Parsed::default();
    let settings = settings(data, &mut parsed.problems);
    for (key, value) in data {
        match key_form(key) {
            Ok(form) => {
                parsed.notices.extend(notices(&form, key, value, data));
                if let KeyForm::Pool(pool_key) = form {
                    let pool = pool(pool_key, value, settings);
                    if let Some(PoolProblem::Value(reason)) = pool.problem.clone() {
                        parsed.problems.push(KeyProblem { key: key.clone(), reason });
                    }
                    parsed.pools.push(pool);
                }
            }
            Err(reason) => parsed.problems.push(KeyProblem { key: key.clone(), reason }),
        }
    }
    parsed.problems.sort_by(|a, b| a.key.cmp(&b.key));
    parsed
}

fn settings(data: &BTreeMap<String, String>, problems: &mut Vec<KeyProblem>) -> Settings {
    let mut settings = Settings::default();
    let value = |key| data.get(key).map(|value| value.trim());
    match value(SEARCH_ORDER) {
        None | Some("asc") => {}
        Some("desc") => settings.order = Order::Highest,
        Some(text) => {
            let reason = KeyError::SearchOrder { text: item::excerpt(text) };
            problems.push(KeyProblem { key: SEARCH_ORDER.to_owned(), reason });
        }
    }
    match value(SKIP_END_IPS) {
        None | Some("false") => {}
        Some("true") => settings.skip_end_ips = true,
        Some(text) => {
            let reason = KeyError::Boolean { text: item::excerpt(text) };
            problems.push(KeyProblem { key: SKIP_END_IPS.to_owned(), reason });
        }
    }
    settings
}

fn key_form(key: &str) -> Result<KeyForm, KeyError> {
    if key == SEARCH_ORDER || key == SKIP_END_IPS {
        return Ok(KeyForm::Setting);
    }
    let scope = |text: &str| match text {
        GLOBAL => Ok(Scope::Global),
        "" => Err(KeyError::UnknownKey { nearest: Some(format!("{key}{GLOBAL}")) }),
        _ if is_namespace(text) => Ok(Scope::Namespace(text.to_owned())),
        _ => Err(KeyError::NotANamespace { scope: text.to_owned() }),
    };
    if let Some(rest) = key.strip_prefix(CIDR) {
        Ok(KeyForm::Pool(PoolKey { prefix: KeyPrefix::Cidr, scope: scope(rest)? }))
    } else if let Some(rest) = key.strip_prefix(RANGE) {
        Ok(KeyForm::Pool(PoolKey { prefix: KeyPrefix::Range, scope: scope(rest)? }))
    } else if let Some(rest) = key.strip_prefix(ALLOW_SHARE) {
        Ok(KeyForm::AllowShare(scope(rest)?))
    } else if let Some(rest) = key.strip_prefix(INTERFACE) {
        Ok(KeyForm::Interface(scope(rest)?))
    } else {
        Err(KeyError::UnknownKey { nearest: spelling::nearest_key(key) })
    }
}

/// A namespace name is an RFC 1123 label (Kubernetes naming rules).
pub(crate) fn is_namespace(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(legal)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn notices(form: &KeyForm, key: &str, value: &str, data: &BTreeMap<String, String>) -> Vec<Notice> {
    let mut notices = Vec::new();
    let scope = match form {
        KeyForm::Pool(pool_key) => {
            let by = hidden_by(pool_key, data);
            notices.extend(by.map(|by| Notice::Hidden { key: key.to_owned(), by }));
            &pool_key.scope
        }
        KeyForm::AllowShare(scope) => {
            // False is what Keryx does anyhow. The forms are those of Go's ParseBool.
            if !matches!(value.trim(), "0" | "f" | "F" | "false" | "False" | "FALSE") {
                notices.push(Notice::NotServedYet { key: key.to_owned() });
            }
            scope
        }
        KeyForm::Interface(scope) => {
            notices.push(Notice::NotServedYet { key: key.to_owned() });
            scope
        }
        KeyForm::Setting => return notices,
    };
    if let Scope::Namespace(namespace) = scope
        && spelling::distance(namespace, GLOBAL) == 1
    {
        let meant = format!("{}{GLOBAL}", key.strip_suffix(namespace.as_str()).unwrap_or(key));
        notices.push(Notice::AlmostGlobal { key: key.to_owned(), namespace: namespace.clone(), meant });
    }
    notices
}

/// The key that is looked at before `hidden` for every namespace that `hidden` serves.
fn hidden_by(hidden: &PoolKey, data: &BTreeMap<String, String>) -> Option<String> {
    match hidden.prefix {
        KeyPrefix::Cidr => None,
        KeyPrefix::Range => [format!("{CIDR}{}", hidden.scope), format!("{CIDR}{GLOBAL}")]
            .into_iter()
            .find(|earlier| data.contains_key(earlier)),
    }
}

fn pool(key: PoolKey, value: &str, settings: Settings) -> Pool {
    let (ranges, problem) = match item::ranges(value, settings.skip_end_ips) {
        Ok(ranges) => (ranges, None),
        Err(problem) => (Ranges::default(), Some(problem)),
    };
    let mut pool = Pool {
        name: key.to_string().into(),
        source: PoolSource::Key(key),
        ranges,
        reserved: Ranges::default(),
        order: settings.order,
        avoid_buggy_ips: true,
        auto_assign: true,
        reuse_after_secs: None,
        problem: problem.map(PoolProblem::Value),
    };
    if pool.problem.is_none() && Family::ALL.into_iter().all(|family| pool.capacity(family) == 0) {
        pool.problem = Some(PoolProblem::Value(KeyError::NothingLeft { text: item::excerpt(value.trim()) }));
    }
    pool
}
