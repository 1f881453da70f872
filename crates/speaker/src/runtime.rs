//! Wires watches, index and drivers together.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use keryx_daemon::endpoints::{self, Bind, Ready};
use keryx_daemon::events::Publisher;
use keryx_daemon::{connect, stop};
use keryx_plan::NodeName;
use kube::Api;
use tokio::sync::{mpsc, watch as state};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::Args;
use crate::clock;
use crate::core::{Core, News};
use crate::drivers::bgp::Standings;
use crate::drivers::layer2::Summary;
use crate::drivers::{self, gate::Guarded};
use crate::events::Events;
use crate::live;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::passwords;
use crate::snapshot;
use crate::status;
use crate::watches;

/// Reports of layer 2 that wait to be told; further ones are lost.
const REPORTS_MAX: usize = 1024;
/// Questions to layer 2 that wait.
const REQUESTS_MAX: usize = 16;
/// Reporter of events.
const SPEAKER_NAME: &str = "keryx.dev/speaker";

/// Runs the speaker until a stop signal.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let client = connect::client(args.kubeconfig.as_deref()).await?;
    let (metrics, registry) = Metrics::new();
    let ready = Ready::default();
    let (orders, orders_seen) = state::channel(Orders::default());
    let (guarded, guarded_seen) = state::channel(None);
    let (announce, announce_seen) = state::channel(Orders::default());

    let (requests, requests_seen) = mpsc::channel(REQUESTS_MAX);
    let (reports, reports_seen) = mpsc::channel(REPORTS_MAX);
    let (summary, summary_seen) = state::channel(Summary::default());
    let (standings, standings_seen) = state::channel(Standings::default());
    let (passwords, passwords_seen) = state::channel(None);
    let (bfd, bfd_thread) = drivers::bfd::start(metrics.clone(), stop.clone())?;
    let channels =
        drivers::bgp::Channels { orders: announce_seen.clone(), passwords: passwords_seen, standings };
    let node = args.node_name.clone();
    let bgp = drivers::bgp::start(channels, node, bfd, metrics.clone(), stop.clone())?;
    let channels =
        drivers::layer2::Channels { orders: announce_seen, requests: requests_seen, reports, summary };
    let layer2 = drivers::layer2::start(channels, layer2_settings(&args), metrics.clone(), stop.clone())?;
    let plan_file = args.state.join("plan.json");
    tokio::spawn(snapshot::keep(orders_seen.clone(), plan_file.clone()));
    tokio::spawn(drivers::gate::run(orders_seen.clone(), guarded_seen, announce, ready.clone()));
    let guard_stop = CancellationToken::new();
    let guard = tokio::spawn(guard(orders_seen, guarded, metrics.clone(), guard_stop.clone()));

    let app =
        endpoints::probes(ready).merge(endpoints::metrics(Arc::new(registry))).merge(live::layer2(requests));
    let bind = Bind { address: args.metrics_bind_address, flag: "--metrics-bind-address" };
    let served = endpoints::serve(bind, app);

    let inputs = watches::start(&client, &args.namespace);
    let secrets = (client.clone(), args.namespace.clone());
    tokio::spawn(passwords::follow(secrets.0, secrets.1, watches::config(), passwords));
    let me = NodeName::from(args.node_name.as_str());
    let statuses = Api::namespaced(client.clone(), &args.namespace);
    let shown = status::Shown { summary: summary_seen, standings: standings_seen.clone() };
    tokio::spawn(status::keep(shown, statuses, status::Identity::of(&args)));
    let publisher = Publisher::new(client, SPEAKER_NAME, &args.node_name);
    let core = Core::new(me.clone(), orders, metrics, Events::new(me, publisher, clock::now()));
    let news = News { reports: reports_seen, standings: standings_seen };
    info!(node = args.node_name, "speaker started");
    tokio::select! {
        outcome = served => outcome?,
        () = core.run(inputs, news, plan_file) => {}
        () = stop.cancelled() => info!("stopping"),
    }
    stop.cancel();
    // The guard stands for as long as anything is announced.
    let drivers = [("layer 2", layer2), ("BGP", bgp), ("BFD", bfd_thread)];
    let withdrawn = tokio::task::spawn_blocking(move || join_all(drivers)).await?;
    guard_stop.cancel();
    guard.await.context("the guard driver panicked")?;
    withdrawn
}

/// Waits for drivers to end.
fn join_all<const N: usize>(drivers: [(&str, JoinHandle<()>); N]) -> anyhow::Result<()> {
    let outcomes =
        drivers.map(|(name, thread)| thread.join().map_err(|_| anyhow!("the {name} driver panicked")));
    outcomes.into_iter().collect()
}

fn layer2_settings(args: &Args) -> drivers::layer2::Settings {
    drivers::layer2::Settings {
        node: NodeName::from(args.node_name.as_str()),
        interfaces: args.interfaces.iter().cloned().collect(),
        keys: drivers::layer2::KeySource(args.membership_keys.clone()),
        cluster: args.namespace.clone(),
        holds_file: args.state.join("holds"),
    }
}

/// Runs the guard from the first plan on: until then the table of the speaker before this one is the best there is.
async fn guard(
    mut orders: state::Receiver<Orders>,
    guarded: state::Sender<Guarded>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    tokio::select! {
        _ = orders.changed() => {}
        () = stop.cancelled() => {}
    }
    drivers::guard::run(orders, guarded, metrics, stop).await;
}
