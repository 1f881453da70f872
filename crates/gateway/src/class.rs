//! GatewayClass: whether Keryx serves a class of its controllerName.

use keryx_api::gateway_api::{BUNDLE_VERSION_ANNOTATION, GatewayClass};

use crate::conditions::Wanted;
use crate::reason::{ACCEPTED, INVALID_PARAMETERS, SUPPORTED_VERSION, UNSUPPORTED_VERSION};

/// Releases of Gateway API that this build supports, as prefixes of a bundle version.
const SUPPORTED_RELEASES: [&str; 2] = ["v1.6", "v1.7"];
/// Condition types that Keryx writes on a GatewayClass.
pub const CONDITION_TYPES: [&str; 2] = [ACCEPTED, SUPPORTED_VERSION];

/// Conditions of a GatewayClass whose `controllerName` is ours. `installed_bundle` is the value of
/// [`BUNDLE_VERSION_ANNOTATION`] on the installed Gateway API CRDs, `None` if it is missing.
///
/// An unsupported version is served as well as it can be: `SupportedVersion` is then False while `Accepted` stays True.
pub fn decide(class: &GatewayClass, installed_bundle: Option<&str>) -> Vec<Wanted> {
    vec![accepted(class), supported_version(installed_bundle)]
}

/// Whether the conditions that [`decide`] gave say `Accepted=True`. Only then are the class's Gateways decided on.
pub fn is_accepted(conditions: &[Wanted]) -> bool {
    conditions.iter().any(|condition| condition.type_ == ACCEPTED && condition.status)
}

fn accepted(class: &GatewayClass) -> Wanted {
    match &class.spec.parameters_ref {
        None => Wanted::yes(ACCEPTED, ACCEPTED, "Keryx serves Gateways of this class"),
        Some(reference) => Wanted::no(
            ACCEPTED,
            INVALID_PARAMETERS,
            format!(
                "parametersRef names {} {:?} of group {:?}, but this version of Keryx knows no kind of parameters; \
                 remove parametersRef",
                reference.kind, reference.name, reference.group
            ),
        ),
    }
}

fn supported_version(installed_bundle: Option<&str>) -> Wanted {
    let supported = SUPPORTED_RELEASES.join(" and ");
    let Some(installed) = installed_bundle else {
        let message = format!(
            "The Gateway API CRDs carry no annotation {BUNDLE_VERSION_ANNOTATION}; Keryx supports {supported} and \
             serves this class as well as it can; install the CRDs of one of these releases"
        );
        return Wanted::no(SUPPORTED_VERSION, UNSUPPORTED_VERSION, message);
    };
    let is_supported = SUPPORTED_RELEASES
        .iter()
        .any(|release| installed.strip_prefix(release).is_some_and(|rest| rest.starts_with('.')));
    if is_supported {
        return Wanted::yes(
            SUPPORTED_VERSION,
            SUPPORTED_VERSION,
            format!("Gateway API {installed} is installed; Keryx supports {supported}"),
        );
    }
    let message = format!(
        "Gateway API {installed} is installed; Keryx supports {supported} and serves this class as well as it can; \
         install the CRDs of one of these releases"
    );
    Wanted::no(SUPPORTED_VERSION, UNSUPPORTED_VERSION, message)
}

#[cfg(test)]
mod tests;
