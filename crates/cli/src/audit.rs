//! `keryx check ledger`: what is wrong with the ledger, and its repair.

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use keryx_api::gateway_api::{Gateway, GatewayClass};
use keryx_api::names;
use keryx_pools::audit::{self, Owners, Repair};
use keryx_pools::shown;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::args::{Args, LedgerArgs};
use crate::check::{blocks, sources};
use crate::cluster::{gateways, list, list_if_served};

/// Prints what is wrong with the ledger, mends what cannot be read if asked to, and says whether nothing is wrong any more.
pub(crate) async fn audit(args: &Args, how: &LedgerArgs) -> anyhow::Result<bool> {
    let client = keryx_daemon::connect::client(args.kubeconfig.as_deref()).await?;
    // The owners after the ledger: whom it names and the list lacks is gone.
    let found = blocks(&client, args).await?;
    let owners = owners(&client, how).await?;
    let findings = audit::audit(&found, &owners);
    findings.iter().for_each(|finding| println!("{finding}"));
    if !how.repair {
        println!("{}", summary(findings.len()));
        return Ok(findings.is_empty());
    }
    let pools = sources(&client, args, &how.ranges).await?.declared().pools;
    for repair in audit::repairs(&found, &owners, &pools) {
        write(&client, args, &repair).await?;
        repair.to_string().lines().for_each(|line| println!("repaired: {line}"));
    }
    let left = audit::audit(&blocks(&client, args).await?, &owners).len();
    println!("{}", summary(left));
    Ok(left == 0)
}

fn summary(findings: usize) -> String {
    match findings {
        0 => "nothing wrong".to_owned(),
        1 => "1 finding".to_owned(),
        _ => format!("{findings} findings"),
    }
}

/// Services and Gateways, and what those of Keryx show.
async fn owners(client: &Client, how: &LedgerArgs) -> anyhow::Result<Owners> {
    let services: Vec<Service> = list(&Api::all(client.clone()), &ListParams::default()).await?;
    let classes: Vec<GatewayClass> = list_if_served(&Api::all(client.clone())).await?;
    let gateways = gateways(client).await?;
    let is_ours = |gateway: &&Gateway| {
        classes.iter().any(|class| {
            class.spec.controller_name == how.controller_name
                && class.name_any() == gateway.spec.gateway_class_name
        })
    };
    // What a clone or an anchor shows is its Gateway's.
    let services_shown = services
        .iter()
        .filter(|service| !service.labels().contains_key(names::LABEL_GATEWAY_UID))
        .filter_map(shown::by_service);
    Ok(Owners {
        present: services
            .iter()
            .map(shown::service_owner)
            .chain(gateways.iter().map(shown::gateway_owner))
            .collect(),
        shown: services_shown.chain(gateways.iter().filter(is_ours).filter_map(shown::by_gateway)).collect(),
    })
}

/// Writes one block, if it is still as it was read. The controller notices and reads the ledger anew.
async fn write(client: &Client, args: &Args, repair: &Repair) -> anyhow::Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &args.keryx_namespace);
    let data: serde_json::Map<String, Value> = repair
        .changes
        .iter()
        .map(|(key, entry)| {
            let text = entry.as_ref().map(|entry| json!(entry).to_string());
            (key.clone(), text.map_or(Value::Null, Value::String))
        })
        .collect();
    let outcome = match &repair.resource_version {
        Some(version) => {
            let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
            api.patch(&repair.block, &PatchParams::default(), &Patch::Merge(&patch)).await
        }
        None => {
            let block: ConfigMap = serde_json::from_value(json!({
                "metadata": {
                    "name": repair.block,
                    "labels": {names::LABEL_COMPONENT: names::COMPONENT_LEDGER},
                },
                "data": data,
            }))?;
            api.create(&PostParams::default(), &block).await
        }
    };
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("failed to repair ledger block {}; try again", repair.block))
        }
    }
}
