//! `appliance demo`: what an appliance is for, told by one that works.
//!
//! Two container services behind an API gateway check nothing themselves, and the appliance stands before them. The scenes are
//! played against the real engine under a real [policy](POLICY); only the network is in memory.

mod service;
mod story;
mod tcp;
mod token;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};

use story::Expectation;
use world::World;

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
}

#[derive(Args)]
struct Petstore {
    /// Where to leave the capture and the policy.
    #[arg(long, value_name = "DIR", default_value = "petstore-demo")]
    out: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Scene::Petstore(petstore) = &options.scene;
    let mut out = std::io::stdout().lock();
    let policy = POLICY.replace("KEY", &token::key());
    let mut world = World::new(policy.clone())?;
    let mut expectations = story::tell(&mut world, &mut out)?;
    let record = world.finish()?;
    let packets = record.judged.len();
    let difference = record.first_difference()?;
    expectations.push(Expectation::new(
        "the capture, replayed, is judged in the same way",
        difference.is_none(),
        difference.map_or_else(
            || format!("{packets} packets"),
            |number| format!("packet {number} is not"),
        ),
    ));
    leave(
        &petstore.out,
        &[("capture.pcapng", &record.capture), ("policy.toml", policy.as_bytes())],
    )?;
    table(&mut out, &expectations)?;
    let dir = petstore.out.display();
    writeln!(
        out,
        "\nIn {dir} are the capture, which Wireshark opens, and the policy. The same again, packet by packet:"
    )?;
    writeln!(out, "  appliance replay {dir}/capture.pcapng --config {dir}/policy.toml --verdicts")?;
    match expectations.iter().filter(|expectation| !expectation.is_met).count() {
        0 => Ok(()),
        unmet => bail!("{unmet} of {} expectations are not met", expectations.len()),
    }
}

fn leave(dir: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn table(out: &mut impl Write, expectations: &[Expectation]) -> Result<()> {
    writeln!(out, "\n== What was expected")?;
    let width = expectations.iter().map(|it| it.what.chars().count()).max().unwrap_or(0);
    for Expectation { what, is_met, found } in expectations {
        let mark = if *is_met { "met    " } else { "NOT MET" };
        writeln!(out, "{mark}  {what:width$}  {found}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every scene ends as it should, and each is in the capture.
    #[test]
    fn every_expectation_is_met() {
        let dir = std::env::temp_dir().join(format!("petstore-{}", std::process::id()));
        let petstore = Petstore { out: dir.clone() };
        run(&Options { scene: Scene::Petstore(petstore) }).unwrap();
        for name in ["capture.pcapng", "policy.toml"] {
            assert!(dir.join(name).metadata().unwrap().len() > 0);
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// Would catch: a story that is told whatever happens.
    #[test]
    fn without_a_policy_the_expectations_are_not_met() {
        let mut world = World::new(String::new()).unwrap();
        let told = story::tell(&mut world, &mut std::io::sink()).unwrap();
        let unmet = told.iter().filter(|expectation| !expectation.is_met).count();
        assert!(unmet * 2 > told.len(), "{told:?}");
    }
}
