use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};
use gwlb_geneve::runtime::Token;

const VARIABLE: &str = "GWLB_MANAGE_TOKEN";

/// The token for the management port: of the environment, else of a file, if there is one.
pub(crate) fn find(file: Option<&Path>) -> Result<Option<Token>> {
    Ok(read(file)?.map(|(token, _)| token))
}

/// The same, with its text, for who has to say it.
pub(crate) fn read(file: Option<&Path>) -> Result<Option<(Token, String)>> {
    let (text, place) = match (env::var(VARIABLE), file) {
        (Ok(text), _) => (text, VARIABLE.to_string()),
        (Err(env::VarError::NotUnicode(_)), _) => (String::from("\u{fffd}"), VARIABLE.to_string()),
        (Err(env::VarError::NotPresent), None) => return Ok(None),
        (Err(env::VarError::NotPresent), Some(file)) => {
            let place = file.display().to_string();
            (fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?, place)
        }
    };
    let text = text.trim().to_string();
    let token = text.parse().with_context(|| format!("{place} has no token"))?;
    Ok(Some((token, text)))
}
