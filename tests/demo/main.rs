//! `make demo`: a real cluster, Keryx installed from its own manifest and image, an app behind a TCP and one behind a
//! UDP listener, and what a client on the same segment then sees. With KEEP=1 the lab stays up to play with.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use keryx_lab::probe::Answer;
use keryx_tests::keryx::manifest;
use keryx_tests::{Keryx, Space, wait};

fn main() -> Result<()> {
    keryx_lab::init();
    let keryx = Keryx::start()?;
    present(&keryx)?;
    if std::env::var("KEEP").is_ok_and(|value| value == "1") {
        say("The lab stays up");
        println!("look around:  target/debug/keryx-lab kubectl get gateway -A");
        println!("end it:       make lab-down");
        return keryx.lab.keep();
    }
    say("Done; the lab is torn down");
    Ok(())
}

fn present(keryx: &Keryx) -> Result<()> {
    say("Keryx is installed and ready");
    print!("{}", keryx.lab.kubectl(&["-n", "keryx-system", "get", "pods", "-o", "wide"])?);

    for example in ["tcp.yaml", "udp.yaml"] {
        say(&format!("kubectl apply -f manifests/examples/{example}"));
        keryx.lab.apply(&manifest(&format!("examples/{example}"))?)?;
    }
    let (tcp, udp) = (Space::existing(keryx, "echo-tcp"), Space::existing(keryx, "echo-udp"));
    let (tcp_address, udp_address) = (tcp.gateway_address("echo")?, udp.gateway_address("echo")?);
    say("kubectl get gateway,svc");
    for space in [&tcp, &udp] {
        println!("{}", space.kubectl(&["get", "gateway,service"])?);
    }

    say("What a client on the nodes' segment gets");
    show("TCP", tcp_address, &keryx.client().tcp(tcp_address, 7000)?, keryx)?;
    show("UDP", udp_address, &keryx.client().udp(udp_address, 7000)?, keryx)?;

    say("The TCP app moves to another node, and the VIP follows it");
    let before = keryx.client().tcp(tcp_address, 7000)?.node;
    let target = keryx.lab.nodes().into_iter().find(|node| node.name() != before);
    let target = target.context("there is no other node")?.name().to_owned();
    let patch = format!(
        r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"kubernetes.io/hostname":"{target}"}}}}}}}}}}"#
    );
    tcp.kubectl(&["patch", "deployment", "echo", "-p", &patch])?;
    tcp.kubectl(&["rollout", "status", "deployment/echo", "--timeout=60s"])?;
    let moved = wait::until("the VIP and the answers on the other node", || {
        let announced = keryx.client().announcers(tcp_address)?.contains(&target);
        let answer = keryx.client().tcp(tcp_address, 7000)?;
        Ok((announced && answer.node == target).then_some(answer))
    })?;
    show("TCP", tcp_address, &moved, keryx)?;

    say(&format!("keryx explain {tcp_address}"));
    print!("{}", keryx.cli(&["explain", &tcp_address.to_string()])?);
    Ok(())
}

fn say(text: &str) {
    println!("\n=== {text}");
}

fn show(protocol: &str, address: IpAddr, answer: &Answer, keryx: &Keryx) -> Result<()> {
    let announcer = keryx.client().announcer(address)?;
    println!(
        "{protocol} {address}: {announcer} answers ARP; pod {} on {} answers in {:.1} ms",
        answer.pod,
        answer.node,
        answer.latency.as_secs_f64() * 1000.0
    );
    Ok(())
}
