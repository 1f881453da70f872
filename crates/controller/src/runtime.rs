//! Wires watches, lease, core and endpoints together.

use std::sync::Arc;

use keryx_daemon::endpoints::{self, Bind, Ready};
use keryx_daemon::{connect, stop};
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::Args;
use crate::bgp;
use crate::core::{Core, Input, Settings, Told};
use crate::lease::{Candidate, Term};
use crate::membership_key;
use crate::metrics::Metrics;
use crate::services::ServicePolicy;
use crate::watches;
use crate::writer::Writer;

/// Inputs that may wait for the core; a full queue slows the watches down.
const INPUTS_MAX: usize = 1024;

/// Runs the controller until a stop signal.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let client = connect::client(args.kubeconfig.as_deref()).await?;
    let (metrics, registry) = Metrics::new();
    let metrics = Arc::new(metrics);
    let ready = Ready::default();
    let (sender, inputs) = mpsc::channel(INPUTS_MAX);

    let identity = identity();
    watches::start(&client, &args, &sender);
    tokio::spawn(membership_key::keep(client.clone(), args.namespace.clone()));
    let (term, lease) = elect(&args, client.clone(), identity.clone(), sender.clone(), stop.clone());

    let settings = Settings {
        namespace: args.namespace.clone(),
        controller_name: args.controller_name.clone(),
        services: ServicePolicy {
            load_balancer_class: args.load_balancer_class.clone(),
            handle_classless: args.handle_classless_services,
        },
        foreign_annotations: args.foreign_annotations,
    };
    let writer = Writer::new(client.clone(), &identity, term.clone());
    let (pools, pools_seen) = watch::channel(Arc::default());
    tokio::spawn(bgp::keep(client.clone(), args.namespace.clone(), term.clone(), pools_seen));
    let told = Told { reports: sender, pool_names: pools };
    let core = Core::new(settings, client, writer, term, told, metrics, ready.clone());

    let probes = Bind { address: args.health_probe_bind_address, flag: "--health-probe-bind-address" };
    let scrapes = Bind { address: args.metrics_bind_address, flag: "--metrics-bind-address" };
    let served = async {
        tokio::try_join!(
            endpoints::serve(probes, endpoints::probes(ready)),
            endpoints::serve(scrapes, endpoints::metrics(Arc::new(registry))),
        )
    };
    info!(identity, "controller started");
    tokio::select! {
        outcome = served => { outcome?; }
        () = core.run(inputs) => {}
        () = stop.cancelled() => info!("stopping"),
    }
    stop.cancel();
    lease.await?;
    Ok(())
}

/// Name of this candidate. In a Pod it is the same after the container restarts, which so goes on as leader at once;
/// elsewhere no other living process has it.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// Tells the core who leads: by the Lease, or always this process. Returns for how long it does, and the task.
fn elect(
    args: &Args,
    client: Client,
    identity: String,
    sender: mpsc::Sender<Input>,
    stop: CancellationToken,
) -> (Term, tokio::task::JoinHandle<()>) {
    if !args.leader_elect {
        let told = tokio::spawn(async move {
            // The core ends only with the process, so a failed send needs no care.
            let _ended = sender.send(Input::Leading(true)).await;
        });
        return (Term::unlimited(), told);
    }
    let (candidate, term) = Candidate::new(client, &args.namespace, identity);
    let (leading, mut changes) = watch::channel(false);
    let election = tokio::spawn(async move {
        let told = tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let leads = *changes.borrow_and_update();
                let _ended = sender.send(Input::Leading(leads)).await;
            }
        });
        candidate.run(leading, stop).await;
        told.abort();
    });
    (term, election)
}
