//! scratch
use keryx_lab::*;
use std::time::{Duration, Instant};
#[expect(clippy::disallowed_methods, reason="x")]
fn now() -> Instant { Instant::now() }
fn out(h: &Host, p: &str, a: &[&str]) -> String { let o = h.command(p).args(a).output().unwrap(); format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr)) }
fn ping(h: &Host, ip: &str) -> bool { // no ping binary maybe: use curl to a port → refused vs timeout
    let s = out(h, "curl", &["-sS", "-m1", &format!("http://{ip}:9/")]); s.contains("Couldn't connect") || s.contains("refused") }
fn main() -> anyhow::Result<()> {
    init();
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == "wire" { let t=now(); let lab = Lab::builder().tier(Tier::Wire).segments(2).clients(2).start()?; println!("wire {:?}", t.elapsed());
        println!("{}", out(&lab.client_host(2), "ip", &["-br", "addr"])); println!("{}", out(&lab.node(1), "ip", &["-br", "addr"]));
        println!("{}", out(&lab.node(1), "ip", &["route"])); println!("{:?} {:?} {}", lab.node(1).mac(), lab.node(1).addresses_on(1), lab.node(1).port(1));
        let p = lab.node(1).spawn("sleeper", "/bin/sleep", ["100"], [])?; println!("pid {} {}", p.pid()?, p.is_running()); drop(p);
        let t=now(); drop(lab); println!("gone {:?}", t.elapsed()); return Ok(()) }
    if mode == "api" { let t=now(); let lab = Lab::builder().tier(Tier::Api).start()?; println!("api {:?}", t.elapsed()); println!("{}", lab.kubectl(&["get","ns,crd,nodes"])?); return Ok(()) }
    let lab = Lab::builder().nodes(2).start()?;
    if mode == "panic" { panic!("boo"); }
    let t = now();
    lab.load_image(std::path::Path::new(&std::env::var("ECHO")?), &lab.nodes())?; println!("load {:?}", t.elapsed());
    lab.apply(&std::fs::read_to_string("/work/shared/reference/work.yaml")?)?;
    println!("{}", lab.kubectl(&["rollout","status","deploy/echo","--timeout=60s"])?); println!("rolled {:?}", t.elapsed());
    let (n1, n2, c1) = (lab.node(1), lab.node(2), lab.client_host(1));
    let a = n1.address_v4().to_string();
    println!("reach {}", ping(&c1, &a));
    n1.unplug(0)?; println!("unplugged reach {} carrier {}", ping(&c1, &a), out(&n1, "ip", &["-br","link","show","eth0"])); n1.plug(0)?; println!("plugged reach {}", ping(&c1, &a));
    n1.set_carrier(0,false)?; println!("nocarrier reach {} {}", ping(&c1,&a), out(&n1, "ip", &["-br","link","show","eth0"])); n1.set_carrier(0,true)?; println!("carrier reach {}", ping(&c1,&a));
    println!("routes after carrier {}", out(&n1, "ip", &["route"])); println!("{}", out(&n1, "ip", &["-6", "route"]));println!("{}", out(&n1, "ip", &["-br","addr"]));
    let api = n1.management_address(); let _ = api;
    n1.cut_management()?; println!("mgmt cut: api {} lan {}", ping(&n1, "10.99.0.10"), ping(&c1,&a)); n1.restore_management()?; println!("mgmt back: {}", ping(&n1,"10.99.0.10"));
    n1.set_loss(0, Loss{to_host_percent:100,from_host_percent:0})?; println!("loss 100 reach {}", ping(&c1,&a)); n1.set_loss(0, Loss{to_host_percent:0, from_host_percent:100})?; println!("loss from {}", ping(&c1,&a)); n1.set_loss(0, Loss::default())?; println!("no loss {}", ping(&c1,&a));
    // freeze kubelet
    let k = n2.process(Role::Kubelet); k.signal(Signal::SIGSTOP)?; let t=now();
    // meanwhile kill containerd of n1 & start
    let c = n1.process(Role::Containerd); c.kill()?; println!("containerd running {}", c.is_running()); println!("{}", out(&c1, "true", &[])); c.start()?;
    let s = n1.process(Role::ApiServer); println!("{:?}", s.pid().err());
    let api = lab.control_plane().process(Role::ApiServer); api.kill()?; println!("api dead: {:?}", lab.kubectl(&["get","nodes"]).is_err()); api.start()?;
    let t2=now(); while lab.kubectl(&["get","--raw","/readyz"]).is_err() { std::thread::sleep(Duration::from_millis(50)); } println!("api back {:?}", t2.elapsed());
    println!("client works: {:?}", lab.block_on(lab.client().apiserver_version())?.git_version);
    while !lab.kubectl(&["get","nodes"])?.contains("NotReady") { std::thread::sleep(Duration::from_millis(200)); } println!("NotReady after {:?}", t.elapsed());
    k.signal(Signal::SIGCONT)?; let t=now(); while lab.kubectl(&["get","nodes"])?.contains("NotReady") { std::thread::sleep(Duration::from_millis(200)); } println!("Ready after {:?}", t.elapsed());
    println!("{}", lab.kubectl(&["get","pods","-A","-o","wide"])?);
    println!("{}", lab.kubectl(&["scale","deploy/echo","--replicas=6"])?); println!("{}", lab.kubectl(&["rollout","status","deploy/echo","--timeout=60s"])?);
    println!("{}", lab.kubectl(&["get","pods","-A","-o","wide"])?);
    if mode == "hang" { println!("pid {}", std::process::id()); std::thread::sleep(Duration::from_secs(1000)); }
    let t=now(); drop(lab); println!("gone {:?}", t.elapsed());
    Ok(())
}
