//! Bridge.
use crate::args::Bridge;
use crate::stop::Stop;
use anyhow::Result;
use std::process::ExitCode;
pub(crate) fn run(_: &Bridge, _: &Stop) -> Result<ExitCode> {
    anyhow::bail!("not yet")
}
