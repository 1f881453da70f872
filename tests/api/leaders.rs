//! Two controllers.

use anyhow::{Result, ensure};
use keryx_tests::app::{load_balancer, service};
use keryx_tests::controller::writes;
use keryx_tests::{Keryx, Space};

use crate::Test;

pub(crate) const TESTS: &[Test] =
    &[("leaders::one_that_is_stopped_leaves_the_next_service_to_the_other_at_once", handed_over)];

fn handed_over(keryx: &Keryx) -> Result<()> {
    let space = Space::new(keryx, "leaders-handed-over")?;
    let first = keryx.run_controller(0)?;
    space.apply(service("before", "web", 80, load_balancer()))?;
    space.service_address("before")?;
    let second = keryx.run_controller(1)?;
    second.wait_ready()?;
    let requests = keryx.lab.requests()?;
    first.stop()?;
    space.apply(service("after", "web", 80, load_balancer()))?;
    space.service_address("after")?;
    let written = writes(requests.so_far()?);
    let expected = |resource: &str, name: &str| match resource {
        "services" => name == "after",
        "configmaps" => name.starts_with("keryx-ledger"),
        _ => false,
    };
    ensure!(written.iter().all(|request| expected(&request.resource, &request.name)), "{written:#?}");
    Ok(())
}
