use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};
use gwlb_geneve::runtime::Token;

const VARIABLE: &str = "GWLB_MANAGE_TOKEN";

/// The token for the management port: of a file, if one is named, else of the environment.
pub(crate) fn find(file: Option<&Path>) -> Result<Option<Token>> {
    Ok(read(file)?.map(|(token, _)| token))
}

/// The same, with its text, for who has to say it.
pub(crate) fn read(file: Option<&Path>) -> Result<Option<(Token, String)>> {
    let (text, place) = match (file, env::var(VARIABLE)) {
        (Some(file), _) => {
            let place = file.display().to_string();
            (fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?, place)
        }
        (None, Ok(text)) => (text, VARIABLE.to_string()),
        (None, Err(env::VarError::NotUnicode(_))) => {
            (String::from("\u{fffd}"), VARIABLE.to_string())
        }
        (None, Err(env::VarError::NotPresent)) => return Ok(None),
    };
    let text = text.trim().to_string();
    let token = text.parse().with_context(|| format!("{place} has no token"))?;
    Ok(Some((token, text)))
}
