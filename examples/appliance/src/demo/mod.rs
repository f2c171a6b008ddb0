//! `appliance demo`: what an appliance is for, told by one that works.
//!
//! Two container services behind an API gateway check nothing themselves, and the appliance stands before them. The same [story] is
//! told in two [worlds](world::World): in [memory], with the real engine under a real [policy](POLICY), and [live], with the real appliance,
//! real sockets and `curl` in network namespaces.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod live;
mod memory;
mod service;
mod story;
mod tcp;
mod token;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use memory::Memory;
use story::Expectation;

/// Who may do what, at the beginning.
const POLICY: &str = include_str!("policy.toml");
/// What takes its place in the middle of a connection.
const READ_ONLY: &str = include_str!("read-only.toml");

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    scene: Scene,
}

#[derive(Subcommand)]
enum Scene {
    /// A pet store and a food store, which whoever reaches them can write to.
    Petstore(Petstore),
    /// The stores of a zone.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[command(hide = true)]
    Stores(live::Inside),
    /// The clients of all zones.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[command(hide = true)]
    Clients(live::Inside),
}

#[derive(Args)]
struct Petstore {
    /// Where to leave the capture and the policy.
    #[arg(long, value_name = "DIR", default_value = "petstore-demo")]
    out: PathBuf,
    /// With real sockets, `curl` and `appliance run` in network namespaces. Takes root, and the simulator beside this program.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    #[arg(long)]
    netns: bool,
}

/// Where evidence is kept, below the folder of the demonstration.
const EVIDENCE: &str = "evidence";

/// `report` makes a report of the capture and the policy in a folder.
pub(crate) fn run(options: &Options, report: impl Fn(&Path) -> Result<()>) -> Result<()> {
    match &options.scene {
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Scene::Petstore(petstore) if petstore.netns => live::run(&petstore.out),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Scene::Stores(inside) => live::stores(inside),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        Scene::Clients(inside) => live::clients(inside),
        Scene::Petstore(petstore) => {
            in_memory(&petstore.out, &mut std::io::stdout().lock(), report)
        }
    }
}

/// Tells the story in memory, and replays it.
fn in_memory(
    folder: &Path,
    out: &mut impl Write,
    report: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let policy = policy(folder)?;
    let mut world = Memory::new(policy.clone())?;
    let mut expectations = story::tell(&mut world, out)?;
    let record = world.finish()?;
    let packets = record.judged.len();
    let difference = record.first_difference()?;
    let found = match difference {
        None => format!("{packets} packets"),
        Some(number) => format!("packet {number} is not"),
    };
    let what = "the capture, replayed, is judged in the same way";
    expectations.push(Expectation::new(what, difference.is_none(), found));
    leave(folder, &[("capture.pcapng", &record.capture), ("policy.toml", policy.as_bytes())])?;
    report(folder)?;
    let concluded = conclude(out, &expectations);
    let folder = folder.display();
    writeln!(
        out,
        "\nIn {folder} are the capture, which Wireshark opens, a report of it, the evidence, and the policy; the last two scenes have \
         another one.\nThe same, packet by packet: appliance replay {folder}/capture.pcapng --config {folder}/policy.toml --verdicts"
    )?;
    concluded
}

/// The policy that the story begins with, which keeps evidence in a folder.
fn policy(folder: &Path) -> Result<String> {
    let evidence = folder.join(EVIDENCE);
    // That of the last time, and nothing else that may be there.
    for file in std::fs::read_dir(&evidence).into_iter().flatten() {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("evidence-") && name.ends_with(".pcapng") {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let directory = serde_json::to_string(&evidence)?;
    let tap = format!("\n[tap]\ndirectory = {directory}\nalerts = \"warning\"\n");
    Ok(POLICY.replace("SECRET", &token::secret()) + &tap)
}

fn leave(folder: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What was expected and whether it came so; an error where not.
fn conclude(out: &mut impl Write, expectations: &[Expectation]) -> Result<()> {
    writeln!(out, "\n== What was expected")?;
    let width = expectations.iter().map(|it| it.what.chars().count()).max().unwrap_or(0);
    for Expectation { what, is_met, found } in expectations {
        let mark = if *is_met { "met    " } else { "NOT MET" };
        writeln!(out, "{mark}  {what:width$}  {found}")?;
    }
    match expectations.iter().filter(|expectation| !expectation.is_met).count() {
        0 => Ok(()),
        unmet => bail!("{unmet} of {} expectations are not met", expectations.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every scene ends as it should, and is in the capture.
    #[test]
    fn every_expectation_is_met() {
        let folder = std::env::temp_dir().join(format!("petstore-{}", std::process::id()));
        let mut told = Vec::new();
        in_memory(&folder, &mut told, |_| Ok(())).unwrap();
        let told = String::from_utf8(told).unwrap();
        assert!(told.matches("\nmet ").count() > 20, "{told}");
        for name in ["capture.pcapng", "policy.toml"] {
            assert!(folder.join(name).metadata().unwrap().len() > 0);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// Would catch: a story that ends well whatever happens.
    #[test]
    fn without_a_policy_the_expectations_are_not_met() {
        let mut world = Memory::new(String::new()).unwrap();
        let expectations = story::tell(&mut world, &mut std::io::sink()).unwrap();
        let unmet = expectations.iter().filter(|expectation| !expectation.is_met).count();
        assert!(unmet * 2 > expectations.len(), "{expectations:?}");
        assert!(conclude(&mut std::io::sink(), &expectations).is_err());
    }
}
