//! stub
#[derive(Debug, Clone)] pub struct Bfd;
#[derive(Debug)] pub struct Watched;
#[derive(Debug)] pub enum News { Up, Down { is_failure: bool, cause: String } }
#[derive(Debug)] pub struct Request { pub remote: std::net::IpAddr, pub interface: Option<String>, pub source: Option<std::net::IpAddr>, pub multi_hop: bool, pub config: keryx_bfd::Config }
impl Bfd { pub fn acquire(&self, _: Request) -> Watched { Watched } }
impl Watched { pub fn is_up(&self) -> bool { false } pub async fn changed(&mut self) -> Option<News> { None } }
pub fn start(_m: crate::metrics::Metrics, _s: tokio_util::sync::CancellationToken) -> anyhow::Result<(Bfd, std::thread::JoinHandle<()>)> { unreachable!() }
