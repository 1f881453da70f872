//! `make soak`: 500 Services come and go while the controller is killed again and again. After each round no address has
//! two owners, no address has moved, the ledger says what the statuses say, and nothing is written at rest.
//! SOAK_ROUNDS (5) and SOAK_SEED (1) set its length and its moments.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::{Keryx, Space, wait};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt as _};

/// Services in each round.
const SERVICES: u32 = 500;
/// Services created between two chances of a kill.
const BATCH: u32 = 50;
/// Room for all of them.
const RANGE: &str = "10.98.64.0/22";
/// How long nothing may be written after the last change.
const REST: Duration = Duration::from_secs(10);
/// Longest wait for a round to settle.
const SETTLE: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    keryx_lab::init();
    let rounds = number("SOAK_ROUNDS", 5)?;
    let mut random = Random(number("SOAK_SEED", 1)?);
    let keryx = Keryx::start()?;
    keryx.set_ranges(&[("cidr-global", RANGE)])?;
    let space = Space::new(&keryx, "soak")?;
    let mut before = BTreeMap::new();
    for round in 1..=rounds {
        let kills = churn(&keryx, &mut random)?;
        let addresses = settled(&keryx)?;
        check(&keryx, &addresses, &before)?;
        println!(
            "soak round {round} of {rounds}: {} Services, {kills} kills, nothing wrong",
            addresses.len()
        );
        before = addresses;
    }
    drop(space);
    println!("soak: {rounds} of {rounds} rounds without a fault");
    Ok(())
}

/// Deletes about a third of the Services, creates what is missing, and kills the controller between batches.
fn churn(keryx: &Keryx, random: &mut Random) -> Result<u32> {
    let api: Api<Service> = Api::namespaced(keryx.lab.client(), "soak");
    let mut kills = 0;
    for number in 0..SERVICES {
        let name = format!("s{number}");
        keryx.lab.block_on(async {
            if random.one_in(3) {
                // It may not exist yet.
                let _absent = api.delete(&name, &DeleteParams::default()).await;
            }
            let object: Service = serde_json::from_value(service(&name, "none", 80, load_balancer()))?;
            match api.create(&PostParams::default(), &object).await {
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                other => other.map(drop).context("the API server refused a Service"),
            }
        })?;
        if number % BATCH == BATCH - 1 && random.one_in(3) {
            keryx.kill_controller()?;
            kills += 1;
        }
    }
    Ok(kills)
}

/// Addresses by Service name, once every Service has one.
fn settled(keryx: &Keryx) -> Result<BTreeMap<String, (String, String)>> {
    let api: Api<Service> = Api::namespaced(keryx.lab.client(), "soak");
    wait::until_within(SETTLE, "an address for every Service", || {
        let list = keryx.lab.block_on(api.list(&ListParams::default()))?;
        let addressed = list.iter().filter_map(|service| {
            let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
            Some((service.name_any(), (service.uid()?, ingress.first()?.ip.clone()?)))
        });
        let addressed: BTreeMap<_, _> = addressed.collect();
        Ok((addressed.len() == SERVICES as usize).then_some(addressed))
    })
}

fn check(
    keryx: &Keryx,
    addresses: &BTreeMap<String, (String, String)>,
    before: &BTreeMap<String, (String, String)>,
) -> Result<()> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, (_, address)) in addresses {
        if let Some(other) = owners.insert(address, name) {
            anyhow::bail!("{address} belongs to {other} and {name}");
        }
    }
    for (name, old) in before {
        let new = addresses.get(name).filter(|new| new.0 == old.0);
        ensure!(new.is_none_or(|new| new.1 == old.1), "{name} had {} and now has {new:?}", old.1);
    }
    let versions = || -> Result<(BTreeMap<String, String>, usize)> {
        let ledger: Api<ConfigMap> = Api::namespaced(keryx.lab.client(), keryx_tests::keryx::NAMESPACE);
        let blocks =
            keryx.lab.block_on(ledger.list(&ListParams::default().labels("keryx.dev/component=ledger")))?;
        let entries = blocks.iter().flat_map(|block| block.data.iter().flatten());
        let ours = entries.filter(|(_, entry)| entry.contains("\"soak\"")).count();
        let services: Api<Service> = Api::namespaced(keryx.lab.client(), "soak");
        let list = keryx.lab.block_on(services.list(&ListParams::default()))?;
        let ledger =
            blocks.iter().map(|block| (block.name_any(), block.resource_version().unwrap_or_default()));
        let all =
            list.iter().map(|service| (service.name_any(), service.resource_version().unwrap_or_default()));
        Ok((ledger.chain(all).collect(), ours))
    };
    let (at_first, entries) = versions()?;
    ensure!(entries == SERVICES as usize, "the ledger has {entries} entries for {SERVICES} Services");
    std::thread::sleep(REST);
    ensure!(versions()?.0 == at_first, "something was written at rest");
    Ok(())
}

fn number(variable: &str, default: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(default),
    }
}

/// SplitMix64: the same seed, the same kills.
struct Random(u64);

impl Random {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).is_multiple_of(n)
    }
}
