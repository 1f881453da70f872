//! Carries out what was decided for one subject: its steps in order, each with the resourceVersion it was decided from.

use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference, Service};
use keryx_api::gateway_api::{Gateway, GatewayClass, Route, RouteKind};
use keryx_api::names;
use keryx_daemon::connect::brief;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::ApiResource;
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{debug, warn};

use crate::index::{Key, Subject};

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
    Service(Box<Service>),
    /// A Service that is gone.
    NoService(Box<Service>),
    /// An exposure.
    Exposure(Box<ConfigMap>),
    /// The exposure of that key is gone.
    NoExposure(Key),
    /// A Gateway.
    Gateway(Box<Gateway>),
    /// A GatewayClass.
    Class(Box<GatewayClass>),
    /// A route.
    Route(RouteKind, Box<Route>),
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
    recorder: Recorder,
}

impl Writer {
    pub(crate) fn new(client: Client, identity: &str) -> Self {
        let reporter =
            Reporter { controller: names::CONTROLLER_NAME.to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client.clone(), reporter), client }
    }

    /// Carries out `steps`. The first that fails ends the sequence, because later steps build on earlier ones.
    pub(crate) async fn run(&self, subject: Subject, steps: Vec<Step>) -> Report {
        let mut report = Report { subject, stored: Vec::new(), refused: None, failed: false };
        for step in steps {
            let put =
                if let Step::PutService(service) = &step { Some(Key::of(&service.metadata)) } else { None };
            match self.step(step).await {
                Ok(stored) => report.stored.extend(stored),
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422) && put.is_some() => {
                    report.refused = put.map(|key| (key, status.message.clone()));
                    break;
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    debug!(subject = %report.subject, "object is gone already: {}", status.message);
                }
                Err(error) => {
                    let conflict = matches!(&error, kube::Error::Api(status) if status.code == 409);
                    if conflict {
                        debug!(subject = %report.subject, "object changed meanwhile: {}", brief(&error));
                    } else {
                        warn!(subject = %report.subject, "write failed, trying again: {}", brief(&error));
                    }
                    report.failed = true;
                    break;
                }
            }
        }
        report
    }

    async fn step(&self, step: Step) -> kube::Result<Option<Stored>> {
        match step {
            Step::PutService(service) => {
                let stored = put(&self.namespaced(&service.metadata.namespace), *service).await?;
                Ok(Some(Stored::Service(Box::new(stored))))
            }
            Step::ServiceStatus(patch) => {
                let api: Api<Service> = Api::namespaced(self.client.clone(), &patch.key.namespace);
                Ok(Some(Stored::Service(Box::new(patch_status(&api, patch).await?))))
            }
            Step::DeleteService { key, uid } => self.delete_service(&key, uid).await,
            Step::PutExposure(exposure) => {
                let stored = put(&self.namespaced(&exposure.metadata.namespace), *exposure).await?;
                Ok(Some(Stored::Exposure(Box::new(stored))))
            }
            Step::DeleteExposure(key) => {
                let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &key.namespace);
                api.delete(&key.name, &DeleteParams::default()).await?;
                Ok(Some(Stored::NoExposure(key)))
            }
            Step::Finalizers { key, resource_version, finalizers } => {
                let api: Api<Gateway> = Api::namespaced(self.client.clone(), &key.namespace);
                let patch =
                    json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } });
                let stored = api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
                Ok(Some(Stored::Gateway(Box::new(stored))))
            }
            Step::GatewayStatus(patch) => {
                let api: Api<Gateway> = Api::namespaced(self.client.clone(), &patch.key.namespace);
                Ok(Some(Stored::Gateway(Box::new(patch_status(&api, patch).await?))))
            }
            Step::ClassStatus(patch) => {
                let api: Api<GatewayClass> = Api::all(self.client.clone());
                Ok(Some(Stored::Class(Box::new(patch_status(&api, patch).await?))))
            }
            Step::RouteStatus { kind, version, patch } => {
                let resource: ApiResource = kind.resource(version);
                let api: Api<Route> =
                    Api::namespaced_with(self.client.clone(), &patch.key.namespace, &resource);
                Ok(Some(Stored::Route(kind, Box::new(patch_status(&api, patch).await?))))
            }
            Step::Notify { about, event } => {
                // An event is a courtesy: its failure must not hold up a status.
                if let Err(error) = self.recorder.publish(&event, &about).await {
                    warn!(%error, "failed to publish an event");
                }
                Ok(None)
            }
        }
    }

    async fn delete_service(&self, key: &Key, uid: String) -> kube::Result<Option<Stored>> {
        let api: Api<Service> = Api::namespaced(self.client.clone(), &key.namespace);
        let preconditions = Preconditions { uid: Some(uid), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        // The API answers with the object that is being deleted, or with a bare status.
        let gone = api.delete(&key.name, &parameters).await?.left();
        Ok(gone
            .filter(|service| service.metadata.finalizers.is_none())
            .map(|s| Stored::NoService(Box::new(s))))
    }

    fn namespaced<K>(&self, namespace: &Option<String>) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace.as_deref().unwrap_or_default())
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
        return api.create(&parameters, &object).await;
    }
    let name = object.meta().name.clone().unwrap_or_default();
    api.replace(&name, &parameters, &object).await
}

async fn patch_status<K>(api: &Api<K>, patch: StatusPatch) -> kube::Result<K>
where
    K: DeserializeOwned + Clone + std::fmt::Debug,
{
    let metadata = if patch.resource_version.is_empty() {
        json!({})
    } else {
        json!({ "resourceVersion": patch.resource_version })
    };
    let body = json!({ "metadata": metadata, "status": patch.status });
    api.patch_status(&patch.key.name, &PatchParams::default(), &Patch::Merge(&body)).await
}
