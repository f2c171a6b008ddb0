//! A world of real sockets, `curl` and the real appliance, in network namespaces: two zones that the simulator lays, as root.
//!
//! The simulator starts the stores in each zone, the appliance, and, in the first zone, the clients, which tell the story. What
//! they have to know of each other lies in files of one folder.

mod clients;
mod crafted;
mod stores;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::story::{CRAFTED_GATEWAY, GATEWAY, LATERAL, OTHER_GATEWAY};
use super::world::{FOOD_STORE, PET_STORE};
use super::{leave, policy};

/// What runs in a namespace of the demonstration's.
#[derive(Args)]
pub(crate) struct Inside {
    /// Where policies, logs and tables are.
    folder: PathBuf,
}

pub(crate) use clients::run as clients;
pub(crate) use stores::run as stores;

/// The policy in force, for the appliance.
const POLICY_FILE: &str = "policy.toml";
/// What it says.
const LOG_FILE: &str = "appliance.log";
/// Its process.
const PID_FILE: &str = "appliance.pid";

/// Lays the zones and plays the story there.
pub(super) fn run(folder: &Path) -> Result<()> {
    let own = std::env::current_exe().context("where is this program?")?;
    let simulator = own.with_file_name("gwlb_sim");
    ensure!(
        simulator.is_file(),
        "expected the simulator at {}: build it (cargo build --release --example appliance --example gwlb_sim)",
        simulator.display()
    );
    leave(folder, &[(LOG_FILE, b"")])?;
    let folder = folder.canonicalize()?;
    leave(&folder, &[(POLICY_FILE, policy(&folder)?.as_bytes())])?;
    let [own, at] = [&own, &folder].map(|path| quoted(path));
    let mut command = Command::new(simulator);
    command.args(["bridge", "--self-contained", "--zones", "2"]);
    for address in [GATEWAY, OTHER_GATEWAY, CRAFTED_GATEWAY, LATERAL] {
        command.args(["--client-address", &address.to_string()]);
    }
    for store in [PET_STORE, FOOD_STORE] {
        command.args(["--server-address", &store.ip().to_string()]);
    }
    command.args(["--server-port", &PET_STORE.port().to_string()]);
    command.args(["--server", &format!("exec {own} demo stores {at}")]);
    command.args(["--client", &format!("exec {own} demo clients {at}")]);
    // Killed, it is started again. The shell has nothing to say about that.
    let appliance = format!(
        "exec 2>/dev/null; while :; do {own} run --workers 1 --config {at}/{POLICY_FILE} >>{at}/{LOG_FILE} 2>&1 & \
         echo $! >{at}/{PID_FILE}; wait $!; done"
    );
    command.args(["--", "sh", "-c", &appliance]);
    let status = command.status().context("cannot start the simulator")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => bail!("not all expectations are met"),
        _ => bail!(
            "the simulator has failed ({status}); what the appliance said is in {}",
            folder.join(LOG_FILE).display()
        ),
    }
}

/// As a shell has it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
