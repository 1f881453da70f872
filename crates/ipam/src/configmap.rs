//! The ConfigMap with address ranges, in the grammar of kube-vip-cloud-provider and gateway-api-controller.
//!
//! ```text
//! key   = ("cidr-" | "range-" | "allow-share-" | "interface-") scope
//!       | "search-order" | "skip-end-ips-in-cidr" | "avoid-buggy-ips"
//! scope = "global" | <namespace of the Service or Gateway>
//! value = item *("," item)       ; of a cidr- or range- key; white space does not matter
//!       | name *("," name)       ; of an interface- key
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
/// Keryx' own: kube-vip-cloud-provider has the rule and no switch.
const AVOID_BUGGY_IPS: &str = "avoid-buggy-ips";
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
    /// What the `allow-share-` keys say, by scope. See [`Parsed::sharing_scope`].
    pub allow_share: BTreeMap<Scope, bool>,
    /// The interfaces that the `interface-` keys name, by scope. See [`Parsed::interfaces_of`].
    pub interfaces: BTreeMap<Scope, Vec<String>>,
    /// What is wrong, by key. Keys that are not named here are in force.
    pub problems: Vec<KeyProblem>,
    /// What is right but may surprise, by key.
    pub notices: Vec<Notice>,
}

impl Parsed {
    /// Within which scope the Services of `namespace` may share addresses without asking for it: the namespace's own key
    /// decides, else the global one. `None` if they may not.
    pub fn sharing_scope(&self, namespace: &str) -> Option<Scope> {
        let own = Scope::Namespace(namespace.to_owned());
        [own, Scope::Global]
            .into_iter()
            .find_map(|scope| Some((*self.allow_share.get(&scope)?, scope)))
            .and_then(|(allowed, scope)| allowed.then_some(scope))
    }
}

impl Parsed {
    /// The interfaces on which addresses of `namespace` are announced: those of the namespace's own key, else of the global
    /// one. Empty if neither is there: then any.
    pub fn interfaces_of(&self, namespace: &str) -> &[String] {
        let own = Scope::Namespace(namespace.to_owned());
        let named = self.interfaces.get(&own).or_else(|| self.interfaces.get(&Scope::Global));
        named.map(Vec::as_slice).unwrap_or_default()
    }
}

/// What a key stands for.
enum KeyForm {
    Pool(PoolKey),
    AllowShare(Scope),
    Interface(Scope),
    Setting,
}

/// Settings that hold for every pool of the ConfigMap.
#[derive(Clone, Copy)]
struct Settings {
    order: Order,
    skip_end_ips: bool,
    avoid_buggy_ips: bool,
}

/// Reads the `data` of the address ConfigMap. Never fails as a whole: an error in one key leaves the others in force.
pub fn parse(data: &BTreeMap<String, String>) -> Parsed {
    let mut parsed = Parsed::default();
    let settings = settings(data, &mut parsed.problems);
    for (key, value) in data {
        match key_form(key) {
            Ok(form) => {
                parsed.notices.extend(notices(&form, key, data));
                parsed.take_in(form, key, value, settings);
            }
            Err(reason) => parsed.problems.push(KeyProblem { key: key.clone(), reason }),
        }
    }
    parsed.problems.sort_by(|a, b| a.key.cmp(&b.key));
    parsed
}

impl Parsed {
    fn take_in(&mut self, form: KeyForm, key: &str, value: &str, settings: Settings) {
        let problem = match form {
            KeyForm::Pool(pool_key) => {
                let pool = pool(pool_key, value, settings);
                let problem = pool.problem.clone();
                self.pools.push(pool);
                if let Some(PoolProblem::Value(reason)) = problem { Some(reason) } else { None }
            }
            KeyForm::AllowShare(scope) => {
                let allowed = boolean(value);
                self.allow_share.insert(scope, allowed.unwrap_or(false));
                allowed.is_none().then(|| KeyError::Boolean { text: item::excerpt(value.trim()) })
            }
            KeyForm::Interface(scope) => {
                let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
                let wrong = names.iter().find(|name| !is_interface(name));
                let problem = wrong.map(|name| KeyError::Interface { text: item::excerpt(name) });
                // A wrong name stays: it is no interface's, so nothing is announced where it was not meant to be.
                self.interfaces.insert(scope, names);
                problem
            }
            KeyForm::Setting => None,
        };
        self.problems.extend(problem.map(|reason| KeyProblem { key: key.to_owned(), reason }));
    }
}

/// The forms of Go's ParseBool, which kube-vip-cloud-provider reads these keys with.
fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn settings(data: &BTreeMap<String, String>, problems: &mut Vec<KeyProblem>) -> Settings {
    let mut settings = Settings { order: Order::default(), skip_end_ips: false, avoid_buggy_ips: true };
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
    match value(AVOID_BUGGY_IPS) {
        None | Some("true") => {}
        Some("false") => settings.avoid_buggy_ips = false,
        Some(text) => {
            let reason = KeyError::AvoidBuggyIps { text: item::excerpt(text) };
            problems.push(KeyProblem { key: AVOID_BUGGY_IPS.to_owned(), reason });
        }
    }
    settings
}

fn key_form(key: &str) -> Result<KeyForm, KeyError> {
    if [SEARCH_ORDER, SKIP_END_IPS, AVOID_BUGGY_IPS].contains(&key) {
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

/// What Linux takes as the name of an interface (`dev_valid_name`).
fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && ![".", ".."].contains(&text)
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}

fn notices(form: &KeyForm, key: &str, data: &BTreeMap<String, String>) -> Vec<Notice> {
    let mut notices = Vec::new();
    let scope = match form {
        KeyForm::Pool(pool_key) => {
            let by = hidden_by(pool_key, data);
            notices.extend(by.map(|by| Notice::Hidden { key: key.to_owned(), by }));
            &pool_key.scope
        }
        KeyForm::AllowShare(scope) | KeyForm::Interface(scope) => scope,
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
        avoid_buggy_ips: settings.avoid_buggy_ips,
        auto_assign: true,
        reuse_after_secs: None,
        problem: problem.map(PoolProblem::Value),
    };
    if pool.problem.is_none() && Family::ALL.into_iter().all(|family| pool.capacity(family) == 0) {
        pool.problem = Some(PoolProblem::Value(KeyError::NothingLeft { text: item::excerpt(value.trim()) }));
    }
    pool
}
