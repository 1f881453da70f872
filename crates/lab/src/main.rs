fn main() -> anyhow::Result<()> {
    keryx_lab::init();
    let lab = keryx_lab::Lab::builder().nodes(3).start()?;
    println!("{}", lab.kubectl(&["get", "nodes", "-o", "wide"])?);
    println!("{}", lab.kubectl(&["get", "pods,svc", "-A", "-o", "wide"])?);
    let mut s = String::new();
    std::io::stdin().read_line(&mut s)?;
    Ok(())
}
