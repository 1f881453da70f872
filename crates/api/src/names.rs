//! Every name that Keryx writes into the cluster or looks for there.

/// API group of Keryx' own kinds, labels, annotations and conditions.
pub const GROUP: &str = "keryx.dev";

/// `GatewayClass.spec.controllerName` that Keryx answers to unless told otherwise.
pub const CONTROLLER_NAME: &str = "keryx.dev/gateway-controller";
/// `Service.spec.loadBalancerClass` that Keryx serves unless told otherwise.
pub const LOAD_BALANCER_CLASS: &str = "keryx.dev/load-balancer";
/// Namespace of the ledger, the exposures and the workloads unless told otherwise.
pub const NAMESPACE: &str = "keryx-system";
/// Name of the Secret with the key by which speakers know each other, in Keryx' own namespace.
pub const SECRET_MEMBERSHIP: &str = "keryx-membership";
/// Key of that Secret that holds the key which seals what speakers send: 32 octets.
pub const MEMBERSHIP_KEY: &str = "key";
/// Name of the ConfigMap with address ranges unless told otherwise.
pub const IPAM_CONFIGMAP: &str = "keryx";

/// Service condition that marks the addresses in a status as given by Keryx. See [`crate::assigned`].
pub const CONDITION_ASSIGNED: &str = "keryx.dev/Assigned";
/// Service and Gateway condition, present only while True: the owner has addresses, but not what it asks for now.
pub const CONDITION_REQUEST_UNMET: &str = "keryx.dev/RequestUnmet";
/// Service and Gateway condition, present only while True: the owner keeps an address that it would not be given any more.
pub const CONDITION_OUTSIDE_POOL: &str = "keryx.dev/OutsidePool";
/// Service and Gateway condition, present only while True: a station that is no node of the cluster uses an address of the
/// owner, too.
pub const CONDITION_ADDRESS_CONFLICT: &str = "keryx.dev/AddressConflict";
/// Route condition, only on a route that is accepted but loses its port to an older one.
pub const CONDITION_CONFLICTED: &str = "keryx.dev/Conflicted";

/// Finalizer on a Gateway while clones of it stand in other namespaces, which owner references cannot clean up.
pub const FINALIZER_CLONES: &str = "keryx.dev/clones";

/// Label on every object that Keryx makes; its value is one of the `COMPONENT_*` names.
pub const LABEL_COMPONENT: &str = "keryx.dev/component";
/// A clone of a route's backend Service.
pub const COMPONENT_CLONE: &str = "clone";
/// A Gateway's own selectorless Service.
pub const COMPONENT_ANCHOR: &str = "anchor";
/// A ConfigMap of the ledger.
pub const COMPONENT_LEDGER: &str = "ledger";
/// A Gateway's exposure ConfigMap.
pub const COMPONENT_EXPOSURE: &str = "exposure";
/// The speaker's Pods.
pub const COMPONENT_SPEAKER: &str = "speaker";
/// The controller's Pods.
pub const COMPONENT_CONTROLLER: &str = "controller";

/// Label on clones, anchors and exposures: the UID of their Gateway (names can be longer than a label value).
pub const LABEL_GATEWAY_UID: &str = "keryx.dev/gateway-uid";
/// Annotation on the same objects: `namespace/name` of their Gateway, for people.
pub const ANNOTATION_GATEWAY: &str = "keryx.dev/gateway";
/// Annotation on a clone: `namespace/name` of the Service it follows.
pub const ANNOTATION_BACKEND: &str = "keryx.dev/backend";

/// GEP-1762: name of the Gateway that an object was generated for.
pub const LABEL_GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// GEP-1762: name of that Gateway's class.
pub const LABEL_GATEWAY_CLASS_NAME: &str = "gateway.networking.k8s.io/gateway-class-name";

/// Node label by which an administrator takes a node out of external load balancing (Kubernetes, KEP-1143).
pub const LABEL_EXCLUDE_NODE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
/// EndpointSlice label that names the Service it belongs to (Kubernetes).
pub const LABEL_SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Field manager of every write.
pub const FIELD_MANAGER: &str = "keryx";
