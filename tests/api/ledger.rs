//! The ledger, lost and damaged.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::keryx::NAMESPACE;
use keryx_tests::{Keryx, Space, wait};
use serde_json::{Value, json};

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("ledger::that_is_deleted_is_written_anew_from_the_statuses_and_moves_nobody", deleted),
    ("ledger::that_is_deleted_while_nobody_leads_is_written_anew_too", deleted_before),
    ("ledger::entry_that_cannot_be_read_is_said_and_closes_its_block_until_it_is_repaired", damaged),
];

/// Every entry of the ledger, by address.
fn entries(keryx: &Keryx) -> Result<BTreeMap<String, String>> {
    let selector = "keryx.dev/component=ledger";
    let text = keryx.lab.kubectl(&["-n", NAMESPACE, "get", "configmap", "-l", selector, "-o", "json"])?;
    let list: Value = serde_json::from_str(&text)?;
    let blocks = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let data = blocks.iter().filter_map(|block| block["data"].as_object()).flatten();
    Ok(data
        .map(|(address, entry)| (address.clone(), entry.as_str().unwrap_or_default().to_owned()))
        .collect())
}

fn delete_ledger(keryx: &Keryx) -> Result<()> {
    let selector = "keryx.dev/component=ledger";
    keryx.lab.kubectl(&["-n", NAMESPACE, "delete", "configmap", "-l", selector]).map(drop)
}

/// Services by these names with the addresses that they get.
fn serve(space: &Space<'_>, names: &[&str]) -> Result<BTreeMap<String, String>> {
    names
        .iter()
        .map(|name| {
            space.apply(service(name, "web", 80, load_balancer()))?;
            Ok(((*name).to_owned(), space.service_address(name)?.to_string()))
        })
        .collect()
}

fn holds(keryx: &Keryx, owners: &BTreeMap<String, String>) -> Result<()> {
    wait::until("a ledger that names every owner", || {
        let entries = entries(keryx)?;
        let named = |(name, address): (&String, &String)| {
            entries.get(address).is_some_and(|entry| entry.contains(&format!("\"name\":\"{name}\"")))
        };
        Ok(owners.iter().all(named).then_some(()))
    })
}

fn deleted(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "ledger-deleted")?;
    let _controller = keryx.run_controller(0)?;
    let before = serve(&space, &["a", "b"])?;
    holds(keryx, &before)?;
    delete_ledger(keryx)?;
    holds(keryx, &before)?;
    let after = serve(&space, &["a", "b", "c"])?;
    ensure!(before.iter().all(|(name, address)| after[name] == *address), "{before:?} became {after:?}");
    ensure!(!before.values().any(|address| *address == after["c"]), "c got an address in use: {after:?}");
    Ok(())
}

fn deleted_before(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "ledger-before")?;
    let before = {
        let _controller = keryx.run_controller(0)?;
        serve(&space, &["a", "b"])?
    };
    delete_ledger(keryx)?;
    space.apply(service("c", "web", 80, load_balancer()))?;
    let _controller = keryx.run_controller(0)?;
    let after = serve(&space, &["a", "b", "c"])?;
    ensure!(before.iter().all(|(name, address)| after[name] == *address), "{before:?} became {after:?}");
    holds(keryx, &after)
}

fn damaged(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "ledger-damaged")?;
    let _controller = keryx.run_controller(0)?;
    let before = serve(&space, &["a"])?;
    holds(keryx, &before)?;
    let address = &before["a"];
    let block =
        format!("keryx-ledger-v4-{}", address.rsplit_once('.').map_or("", |(net, _)| net).replace('.', "-"));
    let garbage = json!({ "data": { address: "not an entry" } }).to_string();
    keryx.lab.kubectl(&["-n", NAMESPACE, "patch", "configmap", &block, "--type=merge", "-p", &garbage])?;
    let (type_, message) = Space::existing(keryx, NAMESPACE).event("DamagedEntry")?;
    ensure!(type_ == "Warning" && message.contains(address) && message.contains("--repair"), "{message}");
    let prefix = |address: &str| address.rsplit_once('.').map_or("", |(net, _)| net).to_owned();
    let elsewhere = serve(&space, &["b"])?;
    ensure!(prefix(&elsewhere["b"]) != prefix(address), "given out of the damaged block: {elsewhere:?}");
    ensure!(space.service_address("a")?.to_string() == *address, "the owner lost its address");
    let said = keryx.cli(&["check", "ledger", "--repair"])?;
    ensure!(said.contains(address), "{said}");
    holds(keryx, &before)?;
    let again = serve(&space, &["c"])?;
    ensure!(prefix(&again["c"]) == prefix(address), "the repaired block is still closed: {again:?}");
    Ok(())
}
