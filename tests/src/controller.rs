//! Keryx' controller as a plain process beside the API server: for crowds and restarts, which need no real nodes.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use keryx_lab::{Lab, Process, Request, Signal, Tier};

use crate::keryx::{Keryx, NAMESPACE, manifest, program};
use crate::wait;

/// The account that the controller runs as.
const ACCOUNT: &str = "keryx-controller";
/// Where controller 0 serves its probes and its metrics; each next one is a port further.
const PROBES_PORT: u16 = 8100;
const METRICS_PORT: u16 = 8200;
/// Longest wait for the answer to a probe, which is on the same machine.
const PROBE: Duration = Duration::from_secs(2);
/// A controller that has written nothing for so long has nothing under way.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a controller may take to give up its Lease and end.
const STOP: Duration = Duration::from_secs(10);

impl Keryx {
    /// Starts a lab of the API and so many fake nodes, with all of Keryx but its workloads: namespace, permissions,
    /// GatewayClass.
    ///
    /// # Errors
    /// The lab cannot be started.
    pub fn start_api(fake_nodes: u16) -> Result<Self> {
        let lab = Lab::builder().tier(Tier::Api).nodes(0).clients(0).fake_nodes(fake_nodes).start()?;
        lab.apply(&without_workloads(&manifest("install.yaml")?))?;
        lab.apply(&manifest("examples/gatewayclass.yaml")?)?;
        Ok(Self { lab })
    }

    /// Starts a controller with the rights of its ServiceAccount. `number` tells those apart that run at one time.
    ///
    /// # Errors
    /// The program is not built, or has no account to run as.
    pub fn run_controller(&self, number: u16) -> Result<Controller> {
        let kubeconfig = self.lab.service_account(NAMESPACE, ACCOUNT)?;
        let address = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port + number));
        let probes = address(PROBES_PORT);
        let args = [
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--health-probe-bind-address={probes}"),
            format!("--metrics-bind-address={}", address(METRICS_PORT)),
        ];
        let host = self.lab.control_plane();
        let name = format!("keryx-controller-{number}");
        let process = host.spawn(&name, program("keryx-controller")?, args, [])?;
        Ok(Controller { process, namespace: host.namespace(), probes })
    }
}

impl Keryx {
    /// Waits until controllers have had nothing to write for a while.
    ///
    /// # Errors
    /// They never do.
    pub fn wait_at_rest(&self) -> Result<()> {
        wait::until("controllers that write nothing", || {
            let requests = self.lab.requests()?;
            std::thread::sleep(PAUSE);
            Ok(writes(requests.so_far()?).is_empty().then_some(()))
        })
    }
}

/// A controller that runs. It ends with this value, and gives up its Lease first if it can.
pub struct Controller {
    /// To freeze, kill and measure it.
    pub process: Process,
    namespace: keryx_lab::netns::Namespace,
    probes: SocketAddr,
}

impl Controller {
    /// Waits until it answers that it is ready: it has seen every object that there is.
    ///
    /// # Errors
    /// It ends, or never is.
    pub fn wait_ready(&self) -> Result<()> {
        wait::until("a controller that is ready", || {
            self.process.pid()?;
            Ok(self.namespace.run(|| is_ready(self.probes)).unwrap_or_default().then_some(()))
        })
    }

    /// Ends it as a Pod is ended, and waits until it is gone.
    ///
    /// # Errors
    /// It does not go.
    pub fn stop(&self) -> Result<()> {
        if self.process.is_running() {
            self.process.signal(Signal::SIGTERM)?;
        }
        self.process.wait(STOP)
    }

    /// The last lines that it said.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.process.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // One that hangs or is frozen is killed by the process's own end.
        let _ignored = self.process.signal(Signal::SIGCONT).and_then(|()| self.stop());
    }
}

/// What a controller wrote, but for its Lease.
pub fn writes(requests: Vec<Request>) -> Vec<Request> {
    requests.into_iter().filter(|request| request.is_write() && request.resource != "leases").collect()
}

fn is_ready(probes: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&probes, PROBE)?;
    stream.set_read_timeout(Some(PROBE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split(' ').nth(1) == Some("200"))
}

/// The documents of the manifest that start no Pods.
fn without_workloads(manifest: &str) -> String {
    let starts_pods = |line: &str| matches!(line, "kind: Deployment" | "kind: DaemonSet");
    let documents = manifest.split("\n---\n").filter(|document| !document.lines().any(starts_pods));
    documents.collect::<Vec<_>>().join("\n---\n")
}
