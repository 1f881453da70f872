//! What the lab gives to these tests.

use anyhow::{Result, ensure};
use keryx_lab::capture::wall_nanos;
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::{Keryx, Space, wait};
use serde_json::json;

use crate::{FAKE_NODES, Test};

pub(crate) const TESTS: &[Test] = &[
    ("lab::fake_nodes_are_ready_and_pods_bound_to_them_run", fake_nodes),
    ("lab::requests_of_keryx_accounts_are_seen_with_their_answers_and_nobody_elses", requests),
];

fn fake_nodes(keryx: &Keryx) -> Result<()> {
    let path = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    let ready = keryx.lab.kubectl(&["get", "nodes", "-o", path])?;
    let ready = ready.split_whitespace().filter(|status| *status == "True").count();
    ensure!(ready == usize::from(FAKE_NODES), "{ready} of {FAKE_NODES} fake nodes are Ready");
    let space = Space::new(keryx, "lab-fake-nodes")?;
    space.apply(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
        "spec": { "nodeName": "f7", "containers": [{ "name": "web", "image": "lab.invalid/web" }] },
    }))?;
    let pod = space.wait_for("pod", "web", "a Pod that is Ready", |pod| {
        let conditions = pod["status"]["conditions"].as_array()?;
        conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True").then(|| pod.clone())
    })?;
    ensure!(pod["status"]["hostIP"] == "10.94.0.7", "{}", pod["status"]);
    ensure!(pod["status"]["podIP"].as_str().is_some_and(|ip| ip.starts_with("10.95.")), "{}", pod["status"]);
    space.kubectl(&["delete", "pod", "web", "--timeout=10s"]).map(drop)
}

fn requests(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "lab-requests")?;
    let kubeconfig = keryx.lab.service_account(NAMESPACE, "keryx-controller")?;
    let account = |args: &[&str]| {
        let kubeconfig = kubeconfig.to_string_lossy();
        keryx.lab.kubectl(&[&["--kubeconfig", &kubeconfig], args].concat())
    };
    let (all, began) = (keryx.lab.requests()?, wall_nanos());
    account(&["-n", NAMESPACE, "create", "configmap", "seen"])?;
    space.kubectl(&["create", "configmap", "of-another-user"])?;
    let refused = account(&["-n", &space.name, "create", "configmap", "refused"]);
    ensure!(refused.is_err(), "the controller may write ConfigMaps anywhere");
    let later = keryx.lab.requests()?;
    account(&["-n", NAMESPACE, "delete", "configmap", "seen"])?;

    let seen = wait::until("three writes in the log", || {
        let requests = all.so_far()?;
        Ok((requests.iter().filter(|request| request.is_write()).count() >= 3).then_some(requests))
    })?;
    let user = "system:serviceaccount:keryx-system:keryx-controller";
    ensure!(seen.iter().all(|request| request.user == user), "{seen:#?}");
    let ended = wall_nanos();
    ensure!(seen.iter().all(|request| (began..ended).contains(&request.at_nanos)), "{seen:#?}");
    let writes: Vec<_> = seen.iter().filter(|request| request.is_write()).collect();
    let shown = writes.iter().map(|r| (&*r.verb, &*r.namespace, &*r.resource, &*r.name, r.code));
    let wanted = [
        ("create", NAMESPACE, "configmaps", "seen", 201),
        ("create", "lab-requests", "configmaps", "", 403),
        ("delete", NAMESPACE, "configmaps", "seen", 200),
    ];
    ensure!(shown.eq(wanted), "{writes:#?}");
    ensure!(later.so_far()?.iter().filter(|request| request.is_write()).count() == 1, "{seen:#?}");
    Ok(())
}
