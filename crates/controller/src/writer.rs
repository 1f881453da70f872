//! Carries out what was decided for one subject: its steps in order, each with the resourceVersion it was decided from.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keryx_api::gateway_api::{Gateway, GatewayClass, Route, RouteKind};
use keryx_api::ip_address_pool::IPAddressPool;
use keryx_api::l2_advertisement::L2Advertisement;
use keryx_api::names;
use keryx_daemon::connect::brief;
use keryx_daemon::events::Publisher;
use keryx_daemon::watch::trimmed;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::ApiResource;
use kube::runtime::events::Event;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::clock;
use crate::index::{Key, Subject};
use crate::lease::Term;

/// Longest wait for the answer to one request: a connection that died unseen must not keep a subject for ever.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);

/// One write.
pub(crate) enum Step {
    /// Creates a generated Service, or replaces the version named in its metadata.
    PutService(Box<Service>),
    /// Patches a Service's status.
    ServiceStatus(StatusPatch),
    /// Deletes a generated Service, if it is still this one.
    DeleteService {
        /// Which.
        key: Key,
        /// Its UID.
        uid: String,
    },
    /// Creates or replaces an exposure.
    PutExposure(Box<ConfigMap>),
    /// Deletes an exposure.
    DeleteExposure(Key),
    /// Sets a Gateway's finalizers.
    Finalizers {
        /// Which Gateway.
        key: Key,
        /// The version that the list was derived from.
        resource_version: String,
        /// The whole list.
        finalizers: Vec<String>,
    },
    /// Patches a Gateway's status.
    GatewayStatus(StatusPatch),
    /// Patches a GatewayClass's status.
    ClassStatus(StatusPatch),
    /// Patches an IPAddressPool's status.
    PoolStatus(StatusPatch),
    /// Patches an L2Advertisement's status.
    L2AdvertisementStatus(StatusPatch),
    /// Patches a route's status.
    RouteStatus {
        /// TCPRoute or UDPRoute.
        kind: RouteKind,
        /// Served version.
        version: &'static str,
        /// What to write.
        patch: StatusPatch,
    },
    /// Publishes an event.
    Notify {
        /// About what.
        about: Box<ObjectReference>,
        /// What to say.
        event: Box<Event>,
    },
}

/// A merge patch of a status, valid for one version of the object.
#[derive(Debug)]
pub(crate) struct StatusPatch {
    /// Which object.
    pub(crate) key: Key,
    /// The version that the patch was derived from; empty for an object that the step before has just written.
    pub(crate) resource_version: String,
    /// The value of `status`.
    pub(crate) status: Value,
}

/// An object as the API server stored it.
#[derive(Debug)]
pub(crate) enum Stored {
    /// A Service.
    Service(Arc<Service>),
    /// A Service is gone.
    NoService {
        /// Which.
        key: Key,
        /// Its UID.
        uid: String,
    },
    /// An exposure.
    Exposure(Arc<ConfigMap>),
    /// The exposure of that key is gone.
    NoExposure(Key),
    /// A Gateway.
    Gateway(Arc<Gateway>),
    /// A GatewayClass.
    Class(Arc<GatewayClass>),
    /// An IPAddressPool.
    Pool(Arc<IPAddressPool>),
    /// An L2Advertisement.
    L2Advertisement(Arc<L2Advertisement>),
    /// A route.
    Route(RouteKind, Arc<Route>),
}

/// How a subject's writes ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whose.
    pub(crate) subject: Subject,
    /// What is stored now.
    pub(crate) stored: Vec<Stored>,
    /// A generated Service that quota or admission refused, with the reason given.
    pub(crate) refused: Option<(Key, String)>,
    /// Whether a step failed for another cause, so that all must be decided anew after a pause.
    pub(crate) failed: bool,
}

/// Writes to the API server.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    events: Publisher,
    term: Term,
}

impl Writer {
    /// A writer that writes nothing outside `term`.
    pub(crate) fn new(client: Client, identity: &str, term: Term) -> Self {
        let events = Publisher::new(client.clone(), names::CONTROLLER_NAME, identity);
        Self { events, client, term }
    }

    /// Carries out `steps`. The first that fails ends the sequence, because later steps build on earlier ones.
    pub(crate) async fn run(&self, subject: Subject, steps: Vec<Step>) -> Report {
        let mut report = Report { subject, stored: Vec::new(), refused: None, failed: false };
        for mut step in steps {
            if !self.term.covers(clock::now()) {
                debug!(subject = %report.subject, "not the leader any more");
                report.failed = true;
                break;
            }
            refer_to_last(&mut step, &report.stored);
            let put =
                if let Step::PutService(service) = &step { Some(Key::of(&service.metadata)) } else { None };
            let outcome = match timeout(REQUEST_LIMIT, self.step(step)).await {
                Ok(Ok(stored)) => {
                    report.stored.extend(stored);
                    continue;
                }
                Ok(Err(error)) => refusal(&error, put.is_some()),
                Err(_) => Refusal::Failed("no answer".to_owned()),
            };
            match outcome {
                Refusal::Gone(message) => {
                    // The watch is about to tell it; until then a decision would only repeat itself.
                    debug!(subject = %report.subject, "object is gone already: {message}");
                    report.failed = true;
                    continue;
                }
                Refusal::Rejected(message) => report.refused = put.map(|key| (key, message)),
                Refusal::Conflict(message) => {
                    debug!(subject = %report.subject, "object changed meanwhile: {message}");
                    report.failed = true;
                }
                Refusal::Failed(message) => {
                    warn!(subject = %report.subject, "write failed, trying again: {message}");
                    report.failed = true;
                }
            }
            break;
        }
        report
    }

    async fn step(&self, step: Step) -> kube::Result<Option<Stored>> {
        match step {
            Step::PutService(service) => {
                let stored = put(&self.namespaced(&service.metadata.namespace), *service).await?;
                Ok(Some(Stored::Service(Arc::new(stored))))
            }
            Step::ServiceStatus(patch) => {
                let api: Api<Service> = Api::namespaced(self.client.clone(), &patch.key.namespace);
                Ok(Some(Stored::Service(Arc::new(patch_status(&api, patch).await?))))
            }
            Step::DeleteService { key, uid } => self.delete_service(key, uid).await,
            Step::PutExposure(exposure) => {
                let stored = put(&self.namespaced(&exposure.metadata.namespace), *exposure).await?;
                Ok(Some(Stored::Exposure(Arc::new(stored))))
            }
            Step::DeleteExposure(key) => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &key.namespace);
                unless_gone(api.delete(&key.name, &DeleteParams::default()).await)?;
                Ok(Some(Stored::NoExposure(key)))
            }
            Step::Finalizers { key, resource_version, finalizers } => {
                let api: Api<Gateway> = Api::namespaced(self.client.clone(), &key.namespace);
                let patch =
                    json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } });
                let stored = api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
                Ok(Some(Stored::Gateway(Arc::new(trimmed(stored)))))
            }
            Step::GatewayStatus(patch) => {
                let api: Api<Gateway> = Api::namespaced(self.client.clone(), &patch.key.namespace);
                Ok(Some(Stored::Gateway(Arc::new(patch_status(&api, patch).await?))))
            }
            Step::ClassStatus(patch) => {
                let api: Api<GatewayClass> = Api::all(self.client.clone());
                Ok(Some(Stored::Class(Arc::new(patch_status(&api, patch).await?))))
            }
            Step::PoolStatus(patch) => {
                let api: Api<IPAddressPool> = Api::namespaced(self.client.clone(), &patch.key.namespace);
                Ok(Some(Stored::Pool(Arc::new(patch_status(&api, patch).await?))))
            }
            Step::L2AdvertisementStatus(patch) => {
                let api: Api<L2Advertisement> = Api::namespaced(self.client.clone(), &patch.key.namespace);
                Ok(Some(Stored::L2Advertisement(Arc::new(patch_status(&api, patch).await?))))
            }
            Step::RouteStatus { kind, version, patch } => {
                let resource: ApiResource = kind.resource(version);
                let api: Api<Route> =
                    Api::namespaced_with(self.client.clone(), &patch.key.namespace, &resource);
                Ok(Some(Stored::Route(kind, Arc::new(patch_status(&api, patch).await?))))
            }
            Step::Notify { about, event } => {
                self.events.publish(*about, *event);
                Ok(None)
            }
        }
    }

    async fn delete_service(&self, key: Key, uid: String) -> kube::Result<Option<Stored>> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &key.namespace);
        let preconditions = Preconditions { uid: Some(uid.clone()), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        // The API answers with the object that is being deleted, or with a bare status.
        let answer = unless_gone(api.delete(&key.name, &parameters).await)?;
        let going =
            answer.and_then(|answer| answer.left()).filter(|service| service.metadata.finalizers.is_some());
        Ok(Some(going.map_or(Stored::NoService { key, uid }, |service| Stored::Service(Arc::new(service)))))
    }

    fn namespaced<K>(&self, namespace: &Option<String>) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace.as_deref().unwrap_or_default())
    }
}

/// Why a write was not done.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// The object does not exist.
    Gone(String),
    /// Quota or admission do not let this object in.
    Rejected(String),
    /// The object is another version than was thought.
    Conflict(String),
    /// Anything else.
    Failed(String),
}

/// What an error means for a write, which is a `put` of a generated Service or something else.
fn refusal(error: &kube::Error, put: bool) -> Refusal {
    let message = brief(error);
    let kube::Error::Api(status) = error else { return Refusal::Failed(message) };
    match status.code {
        404 => Refusal::Gone(message),
        409 if status.reason == "Conflict" => Refusal::Conflict(message),
        // A webhook may answer with any code of the client's, 400 if it names none; these are not about the object.
        401 | 408 | 409 | 410 | 429 => Refusal::Failed(message),
        400..500 if put => Refusal::Rejected(message),
        _ => Refusal::Failed(message),
    }
}

/// The answer to a deletion; `None` if there was nothing to delete, which is as good.
fn unless_gone<T>(answer: kube::Result<T>) -> kube::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a status patch without a version that of its object as a step before has just stored it.
fn refer_to_last(step: &mut Step, stored: &[Stored]) {
    let (patch, find): (_, fn(&Stored) -> Option<&ObjectMeta>) = match step {
        Step::ServiceStatus(patch) => {
            (
                patch,
                |stored| if let Stored::Service(service) = stored { Some(&service.metadata) } else { None },
            )
        }
        Step::GatewayStatus(patch) => {
            (
                patch,
                |stored| if let Stored::Gateway(gateway) = stored { Some(&gateway.metadata) } else { None },
            )
        }
        Step::PutService(_)
        | Step::DeleteService { .. }
        | Step::PutExposure(_)
        | Step::DeleteExposure(_)
        | Step::Finalizers { .. }
        | Step::ClassStatus(_)
        | Step::PoolStatus(_)
        | Step::L2AdvertisementStatus(_)
        | Step::RouteStatus { .. }
        | Step::Notify { .. } => return,
    };
    let of_key = |metadata: &&ObjectMeta| Key::of(metadata) == patch.key;
    if patch.resource_version.is_empty()
        && let Some(metadata) = stored.iter().rev().filter_map(find).find(of_key)
    {
        patch.resource_version = metadata.resource_version.clone().unwrap_or_default();
    }
}

/// Creates `object`, or replaces the version it names, so that a change by others in between is a conflict.
async fn put<K>(api: &Api<K>, object: K) -> kube::Result<K>
where
    K: kube::Resource + serde::Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let parameters =
        PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
    if object.meta().resource_version.is_none() {
        return api.create(&parameters, &object).await.map(trimmed);
    }
    let name = object.meta().name.clone().unwrap_or_default();
    api.replace(&name, &parameters, &object).await.map(trimmed)
}

async fn patch_status<K>(api: &Api<K>, patch: StatusPatch) -> kube::Result<K>
where
    K: kube::Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    let metadata = if patch.resource_version.is_empty() {
        json!({})
    } else {
        json!({ "resourceVersion": patch.resource_version })
    };
    let body = json!({ "metadata": metadata, "status": patch.status });
    // The answer is kept as what the watch would tell, which is trimmed as well: an answer is several times its size.
    api.patch_status(&patch.key.name, &PatchParams::default(), &Patch::Merge(&body)).await.map(trimmed)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn error(code: u16, reason: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, reason: reason.into(), ..Status::failure("no", reason) }))
    }

    #[test]
    fn what_quota_and_admission_reject_is_told_apart_from_what_may_work_next_time() {
        let cases = [
            (403, "Forbidden", Refusal::Rejected("no".into())),
            (422, "Invalid", Refusal::Rejected("no".into())),
            (400, "BadRequest", Refusal::Rejected("no".into())),
            (404, "NotFound", Refusal::Gone("no".into())),
            (409, "Conflict", Refusal::Conflict("no".into())),
            (409, "AlreadyExists", Refusal::Failed("no".into())),
            (429, "TooManyRequests", Refusal::Failed("no".into())),
            (401, "Unauthorized", Refusal::Failed("no".into())),
            (500, "InternalError", Refusal::Failed("no".into())),
        ];
        for (code, reason, wanted) in cases {
            assert_eq!(refusal(&error(code, reason), true), wanted, "{code} {reason}");
        }
        assert_eq!(refusal(&error(403, "Forbidden"), false), Refusal::Failed("no".into()), "a status");
    }

    #[test]
    fn a_status_after_a_write_is_valid_for_what_that_write_stored_only() {
        let mut service = Service::default();
        service.metadata.namespace = Some("apps".into());
        service.metadata.name = Some("web".into());
        service.metadata.resource_version = Some("7".into());
        let stored = [Stored::Service(Arc::new(service))];
        let patch = |name: &str, version: &str| {
            let mut step = Step::ServiceStatus(StatusPatch {
                key: Key::new("apps", name),
                resource_version: version.into(),
                status: Value::Null,
            });
            refer_to_last(&mut step, &stored);
            let Step::ServiceStatus(patch) = step else { panic!("another step") };
            patch.resource_version
        };
        assert_eq!(patch("web", ""), "7");
        assert_eq!(patch("web", "5"), "5");
        assert_eq!(patch("other", ""), "");
    }
}
