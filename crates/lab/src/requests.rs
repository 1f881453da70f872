//! What Keryx asks of the API server, by the audit log that the lab's API server writes for Keryx' ServiceAccounts and
//! for nobody else.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Deserialize;

use crate::machine;
use crate::state::State;

/// The namespace whose ServiceAccounts are written about.
const NAMESPACE: &str = "keryx-system";
const POLICY: &str = "audit-policy.json";
const LOG: &str = "requests.jsonl";
/// Megabytes that the log may grow to; what is moved aside then would be lost to its readers. The default is 100.
const SIZE_MAX: &str = "100000";

/// The arguments of an API server that writes the log. Each request is written as soon as it is answered.
pub(crate) fn arguments(state: &State) -> Result<[String; 4]> {
    let policy = state.path(POLICY);
    machine::write(&policy, &policy_text())?;
    Ok([
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", state.path(LOG).display()),
        "--audit-log-mode=blocking".to_owned(),
        format!("--audit-log-maxsize={SIZE_MAX}"),
    ])
}

fn policy_text() -> String {
    let ours = format!("system:serviceaccounts:{NAMESPACE}");
    serde_json::json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        "rules": [{"level": "Metadata", "userGroups": [ours]}, {"level": "None"}],
    })
    .to_string()
}

/// One request of a ServiceAccount in `keryx-system` that the API server has answered. A watch is answered when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asked, such as `system:serviceaccount:keryx-system:keryx-controller`.
    pub user: String,
    /// What for, as RBAC names it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    /// For a request that is for no resource, the HTTP method in small letters.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource's plural, such as `services`; empty for a request that is for no resource, such as discovery.
    pub resource: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// Empty for all namespaces, and for what is in none.
    pub namespace: String,
    /// Empty for requests that name no object.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// When it was answered, in nanoseconds since 1970 by `CLOCK_REALTIME`, to the microsecond.
    pub at_nanos: u64,
}

impl Request {
    /// Whether it asked for a change, granted or not.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch" | "head" | "options")
    }
}

/// The requests from some moment on; from [`crate::Lab::requests`].
#[derive(Clone, Debug)]
pub struct Requests {
    log: PathBuf,
    from: u64,
}

impl Requests {
    /// Those that are answered from now on.
    pub(crate) fn from_now(state: &State) -> Result<Requests> {
        let log = state.path(LOG);
        let from = match std::fs::metadata(&log) {
            Ok(log) => log.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).with_context(|| log.display().to_string()),
        };
        Ok(Requests { log, from })
    }

    /// All that have been answered so far, in the order of their answers. The API server writes one down just after its
    /// answer has left, so the very last may be missing for a moment.
    pub fn so_far(&self) -> Result<Vec<Request>> {
        let mut text = String::new();
        match File::open(&self.log) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(self.from))?;
                file.read_to_string(&mut text)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| self.log.display().to_string()),
        }
        parse(&text).with_context(|| self.log.display().to_string())
    }
}

/// The parts of an `audit.k8s.io/v1` Event that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    stage_timestamp: MicroTime,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

/// The requests in the whole lines of a log. A last line without an end is still being written.
fn parse(log: &str) -> Result<Vec<Request>> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| request(line).with_context(|| format!("no audit event: {line}"))).collect()
}

fn request(line: &str) -> Result<Request> {
    let Event { verb, user, object_ref: object, response_status, stage_timestamp } =
        serde_json::from_str(line)?;
    Ok(Request {
        user: user.username,
        verb,
        group: object.api_group,
        resource: object.resource,
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        code: response_status.code,
        at_nanos: u64::try_from(stage_timestamp.0.as_nanosecond())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/services/web/status?","verb":"patch","user":{"username":"system:serviceaccount:keryx-system:keryx-controller","uid":"u","groups":["system:serviceaccounts"],"extra":{}},"sourceIPs":["10.99.0.10"],"userAgent":"","objectRef":{"resource":"services","namespace":"default","name":"web","apiVersion":"v1","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.000001Z","stageTimestamp":"2026-01-02T03:04:05.000250Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#;
    const DISCOVERY: &str = r#"{"kind":"Event","stage":"ResponseComplete","requestURI":"/apis","verb":"get","user":{"username":"u"},"responseStatus":{"metadata":{},"code":200},"stageTimestamp":"2026-01-02T03:04:06.000000Z"}"#;

    #[test]
    fn a_line_of_the_log_is_a_request() {
        let found = parse(&format!("{PATCH}\n")).unwrap();
        let wanted = Request {
            user: "system:serviceaccount:keryx-system:keryx-controller".into(),
            verb: "patch".into(),
            group: String::new(),
            resource: "services".into(),
            subresource: "status".into(),
            namespace: "default".into(),
            name: "web".into(),
            code: 200,
            at_nanos: 1_767_323_045_000_250_000,
        };
        assert_eq!(found, [wanted]);
        assert!(found[0].is_write());
    }

    #[test]
    fn a_request_for_no_resource_is_one_too() {
        let found = parse(&format!("{PATCH}\n{DISCOVERY}\n")).unwrap();
        assert_eq!((found[1].resource.as_str(), found[1].verb.as_str()), ("", "get"));
        assert!(!found[1].is_write());
    }

    #[test]
    fn a_line_that_is_still_being_written_is_left_for_later() {
        for end in 0..DISCOVERY.len() {
            let found = parse(&format!("{PATCH}\n{}", &DISCOVERY[..end])).unwrap();
            assert_eq!(found.len(), 1);
        }
        assert!(parse(&PATCH[..9]).unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_no_event_is_shown() {
        let error = parse("{\"kind\":\"Event\"}\n").unwrap_err();
        assert!(format!("{error:#}").contains("no audit event: {\"kind\""), "{error:#}");
    }

    #[test]
    fn requests_begin_where_the_log_ended() {
        let labs = tempfile::tempdir().unwrap();
        std::fs::create_dir(labs.path().join("processes")).unwrap();
        let state = State::open(labs.path()).unwrap();
        let all = Requests::from_now(&state).unwrap();
        assert!(all.so_far().unwrap().is_empty(), "there is no log yet");
        std::fs::write(state.path(LOG), format!("{PATCH}\n")).unwrap();
        let later = Requests::from_now(&state).unwrap();
        std::fs::write(state.path(LOG), format!("{PATCH}\n{DISCOVERY}\n")).unwrap();
        assert_eq!(all.so_far().unwrap().len(), 2);
        assert_eq!(later.so_far().unwrap(), parse(&format!("{DISCOVERY}\n")).unwrap());
    }
}
