//! Rules about HTTP requests as TOML.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use toml::de::{DeTable, DeValue};

#[cfg(feature = "jwt-keys")]
use super::PublicKeys;
use super::{ApiRule, ApiRules, HeaderRule, PathPattern, TokenRule, base64url};
use crate::inspectors::access::config::{many, networks, ports, table};
use crate::inspectors::access::{Action, IpNetwork};
use crate::inspectors::domains::DomainPattern;
use crate::toml_text::{ConfigErrors, ConfigProblem, Reader, Value};

const KEYS: [&str; 5] = ["default", "misleading", "ports", "rule", "to"];
const RULE_KEYS: [&str; 8] =
    ["action", "from", "headers", "hosts", "methods", "name", "paths", "token"];
#[cfg(feature = "jwt-keys")]
const TOKEN_KEYS: [&str; 5] = ["audience", "issuer", "leeway", "public-keys", "secret"];
#[cfg(not(feature = "jwt-keys"))]
const TOKEN_KEYS: [&str; 4] = ["audience", "issuer", "leeway", "secret"];

/// Seconds: a day. Clocks that differ by more are wrong.
const MOST_LEEWAY: u64 = 86_400;

impl ApiRules {
    /// From TOML.
    ///
    /// | key | takes |
    /// |---|---|
    /// | `rule` | rules in their order |
    /// | `default` | `reject`, which is the default, or `drop`: what no rule takes |
    /// | `ports` | the servers' ports that the rules are for, as in access lists; by default all |
    /// | `to` | the servers' networks, one or a list; by default all |
    /// | `misleading` | `refuse`, which is the default, or `judge`: see [`ApiRules::judging_misleading`] |
    ///
    /// | key of a rule | takes |
    /// |---|---|
    /// | `action` | `allow`, which is the default, `drop` or `reject` |
    /// | `name` | any text, for alerts |
    /// | `methods` | a method or a list of them |
    /// | `hosts` | a host or a list of them: see [`DomainPattern`] |
    /// | `paths` | a path or a list of them: see [`PathPattern`] |
    /// | `headers` | a table: for each header its value, or `true` where there has to be one, `false` where none may be |
    /// | `from` | the clients' networks, one or a list |
    /// | `token` | `true`, or a table: see below, and [`TokenRule`] |
    ///
    /// | key of a token | takes |
    /// |---|---|
    /// | `issuer`, `audience` | one or a list |
    /// | `leeway` | seconds: `60` |
    /// | `secret` | the key for HS256 in base64url, as in a JSON Web Key |
    /// | `public-keys` | files of public keys for RS256 and ES256, one or a list: PEM, or a JWK Set, see `PublicKeys`; with the feature `jwt-keys` |
    ///
    /// What is left out may be anything.
    ///
    /// ```
    /// use gwlb_geneve::inspectors::api::ApiRules;
    ///
    /// let rules = ApiRules::from_toml(r#"
    ///     ports = "80,8080"
    ///     [[rule]]
    ///     methods = ["GET", "HEAD"]
    ///     hosts = "api.example.org"
    ///     paths = ["/public/**", "/v1/*/status"]
    ///     headers = { X-Debug = false }
    /// "#)?;
    /// assert_eq!(rules.rules().len(), 1);
    ///
    /// let errors = ApiRules::from_toml("rule = [{ method = \"GET\" }]").unwrap_err();
    /// assert!(errors.to_string().ends_with("found `method`; did you mean `methods`?"));
    /// # Ok::<(), gwlb_geneve::config::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        read(Reader::new(text), None)
    }

    /// From a table in a larger TOML document, to which the keys in `path`, with dots between, lead. What else is in it,
    /// is not looked at.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml), and where the table is not there.
    pub fn from_toml_table(document: &str, path: &str) -> Result<Self, ConfigErrors> {
        read(Reader::new(document), Some(path))
    }
}

fn read(mut reader: Reader<'_>, path: Option<&str>) -> Result<ApiRules, ConfigErrors> {
    let Some(document) = reader.document() else { return Err(reader.finish()) };
    let rules = match table(&mut reader, &document, path) {
        Some((table, at)) => api_rules(&mut reader, table, at),
        None => None,
    };
    rules.ok_or_else(|| reader.finish())
}

/// The rules in a table that begins at `at`, `None` where there is a mistake in it.
pub(crate) fn api_rules(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
) -> Option<ApiRules> {
    let errors_before = reader.errors();
    reader.keys(table, &KEYS);
    let mut rules = Vec::new();
    match table.get("rule").map(|value| (value, value.get_ref().as_array())) {
        None => reader.report(at, ConfigProblem::Missing { key: "rule" }),
        Some((value, None)) => reader.wrong_type(value, "a list of rules"),
        Some((_, Some(array))) => {
            for value in array.iter() {
                match value.get_ref().as_table() {
                    Some(table) => rules.push(rule(reader, table)),
                    None => reader.wrong_type(value, "a table"),
                }
            }
        }
    }
    let mut rules = ApiRules::new(rules)
        .ports(many(reader, table, "ports", ports))
        .to(many(reader, table, "to", networks));
    if let Some(value) = table.get("default") {
        if reader.word(value, [("reject", false), ("drop", true)]) == Some(true) {
            rules = rules.dropping();
        }
    }
    if let Some(value) = table.get("misleading") {
        if reader.word(value, [("refuse", false), ("judge", true)]) == Some(true) {
            rules = rules.judging_misleading();
        }
    }
    (reader.errors() == errors_before).then_some(rules)
}

fn rule(reader: &mut Reader<'_>, table: &DeTable<'_>) -> ApiRule {
    reader.keys(table, &RULE_KEYS);
    let words = [("allow", Action::Allow), ("drop", Action::Drop), ("reject", Action::Reject)];
    let action = table.get("action").and_then(|value| reader.word(value, words));
    let mut rule = ApiRule::new(action.unwrap_or(Action::Allow));
    if let Some(value) = table.get("name") {
        match value.get_ref().as_str() {
            Some(name) => rule = rule.name(name),
            None => reader.wrong_type(value, "a string"),
        }
    }
    rule = many(reader, table, "methods", method).into_iter().fold(rule, ApiRule::method);
    rule = many(reader, table, "hosts", host).into_iter().fold(rule, ApiRule::host);
    rule = many(reader, table, "paths", path).into_iter().fold(rule, ApiRule::path);
    let from: Vec<IpNetwork> = many(reader, table, "from", networks);
    rule = from.into_iter().fold(rule, ApiRule::from);
    if let Some(value) = table.get("headers") {
        rule = headers(reader, value, rule);
    }
    match table.get("token").map(|value| (value, value.get_ref())) {
        None | Some((_, DeValue::Boolean(false))) => rule,
        Some((_, DeValue::Boolean(true))) => rule.token(TokenRule::new()),
        Some((_, DeValue::Table(table))) => rule.token(token(reader, table)),
        Some((value, _)) => {
            reader.wrong_type(value, "`true` or a table");
            rule
        }
    }
}

fn headers(reader: &mut Reader<'_>, value: &Value<'_>, mut rule: ApiRule) -> ApiRule {
    let Some(table) = value.get_ref().as_table() else {
        reader.wrong_type(value, "a table");
        return rule;
    };
    for (name, value) in table {
        if !is_token(name.get_ref()) {
            reader.unexpected(name.span().start, "the name of a header", name.get_ref());
        }
        let header = match value.get_ref() {
            DeValue::Boolean(true) => HeaderRule::Present,
            DeValue::Boolean(false) => HeaderRule::Absent,
            DeValue::String(text) => HeaderRule::Is(text.to_string()),
            _ => {
                reader.wrong_type(value, "a string, `true` or `false`");
                continue;
            }
        };
        rule = rule.header(name.get_ref().to_string(), header);
    }
    rule
}

fn token(reader: &mut Reader<'_>, table: &DeTable<'_>) -> TokenRule {
    match table.get("public-keys") {
        #[cfg(not(feature = "jwt-keys"))]
        Some(value) => reader.unexpected(
            value.span().start,
            "a build with the feature `jwt-keys` for this key",
            "public-keys",
        ),
        _ => reader.keys(table, &TOKEN_KEYS),
    }
    let text = |text: &str| Ok(Vec::from([String::from(text)]));
    let mut rule = TokenRule::new();
    rule = many(reader, table, "issuer", text).into_iter().fold(rule, TokenRule::issuer);
    rule = many(reader, table, "audience", text).into_iter().fold(rule, TokenRule::audience);
    if let Some(value) = table.get("leeway") {
        match value.get_ref() {
            DeValue::Integer(number) => {
                let seconds = u64::from_str_radix(number.as_str(), number.radix());
                match seconds.ok().filter(|seconds| *seconds <= MOST_LEEWAY) {
                    Some(seconds) => rule = rule.leeway(Duration::from_secs(seconds)),
                    None => {
                        let expected = alloc::format!("0 to {MOST_LEEWAY} seconds");
                        reader.unexpected(value.span().start, expected, &number.to_string());
                    }
                }
            }
            _ => reader.wrong_type(value, "a number of seconds"),
        }
    }
    #[cfg(feature = "jwt-keys")]
    many(reader, table, "public-keys", |file| {
        let keys = public_keys(file)?;
        let with_keys = rule.clone().public_keys(keys).map_err(|error| {
            let problem = alloc::format!("{error}, with those of the files before");
            ConfigProblem::File { file: file.into(), problem }
        });
        rule = with_keys?;
        Ok(Vec::<()>::new())
    });
    let Some(value) = table.get("secret") else { return rule };
    let Some(text) = value.get_ref().as_str() else {
        reader.wrong_type(value, "a string");
        return rule;
    };
    let secret = base64url::decode(text.as_bytes()).unwrap_or_default();
    rule.clone().secret(&secret).unwrap_or_else(|_| {
        // Not what was found: it may be nearly the secret.
        let expected = alloc::format!("at least {} bytes in base64url", TokenRule::SECRET_LEN);
        reader.unexpected(value.span().start, expected, "…");
        rule
    })
}

#[cfg(feature = "jwt-keys")]
fn public_keys(file: &str) -> Result<PublicKeys, ConfigProblem> {
    use std::io::Read;

    /// Bytes. Issuers publish a few thousand.
    const MOST: usize = 1 << 20;

    let told = |problem| ConfigProblem::File { file: file.into(), problem };
    let limit = u64::try_from(MOST).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    let read = std::fs::File::open(file).and_then(|it| it.take(limit).read_to_end(&mut text));
    if let Err(error) = read {
        return Err(told(alloc::format!("expected a file that can be read, found: {error}")));
    }
    if text.len() > MOST {
        return Err(told(alloc::format!("expected at most {MOST} bytes, found more")));
    }
    let keys = PublicKeys::parse(&text).map_err(|error| told(error.to_string()))?;
    Ok(keys.of_file(file))
}

fn method(text: &str) -> Result<Vec<String>, ConfigProblem> {
    const USUAL: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"];

    let upper = text.to_ascii_uppercase();
    // Case matters, and these are never meant otherwise.
    if !is_token(text) || upper != text && USUAL.contains(&upper.as_str()) {
        let suggestion = USUAL.contains(&upper.as_str()).then_some(upper);
        return Err(word("a method", text, suggestion));
    }
    Ok(Vec::from([text.into()]))
}

fn host(text: &str) -> Result<Vec<DomainPattern>, ConfigProblem> {
    match text.parse::<DomainPattern>() {
        Ok(host) => Ok(Vec::from([host])),
        Err(error) => Err(word(&error.expected(), text, error.suggestion(text))),
    }
}

fn path(text: &str) -> Result<Vec<PathPattern>, ConfigProblem> {
    match text.parse::<PathPattern>() {
        Ok(path) => Ok(Vec::from([path])),
        Err(error) => {
            let told = error.to_string();
            let told = told.strip_prefix("expected ").unwrap_or(&told);
            let expected = told.split_once(", found").map_or(told, |(expected, _)| expected);
            let with_slash = alloc::format!("/{text}");
            let is_meant = !text.is_empty() && with_slash.parse::<PathPattern>().is_ok();
            Err(word(expected, text, is_meant.then_some(with_slash)))
        }
    }
}

fn word(expected: &str, found: &str, suggestion: Option<String>) -> ConfigProblem {
    ConfigProblem::Word { expected: expected.into(), found: found.into(), suggestion }
}

/// Whether methods and the names of headers may be so (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_at_once() {
        let rules = ApiRules::from_toml(
            r#"
            default = "drop"
            misleading = "judge"
            ports = ["80", "8000-8100"]
            to = "10.0.0.0/8"
            [[rule]]
            name = "orders"
            action = "allow"
            methods = ["PUT", "X-ODD"]
            hosts = ["*.example.org", "example.org"]
            paths = "/v1/*/orders/**"
            headers = { X-Tenant = "a", X-Debug = false, Accept = true }
            from = "192.0.2.0/24"
            token = { issuer = "i", audience = ["a", "b"], leeway = 5, secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
            [[rule]]
            action = "reject"
            token = false
            "#,
        )
        .unwrap();
        assert_eq!(rules.refusal(), Action::Drop);
        assert!(
            rules.are_for([10, 1, 1, 1].into(), 8_050) && !rules.are_for([10, 1, 1, 1].into(), 81)
        );
        assert!(!rules.are_for([11, 1, 1, 1].into(), 80));
        let [first, second] = rules.rules() else { panic!("two") };
        let text = alloc::format!("{first:?}");
        for part in [
            "PUT",
            "X-ODD",
            "X-Tenant",
            "Is(\"a\")",
            "Absent",
            "Present",
            "leeway: 5s",
            "has_secret: true",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!((first.action, second.action), (Action::Allow, Action::Reject));
    }

    #[cfg(feature = "jwt-keys")]
    #[test]
    fn public_keys() {
        let rules = ApiRules::from_toml(
            "rule = [{ token = { public-keys = \"tests/keys/jwks.json\" } },\n\
             { token = { public-keys = [\"tests/keys/rsa.pem\", \"tests/keys/ec.pem\"] } }]",
        )
        .unwrap();
        for (rule, expected) in rules.rules().iter().zip([
            "public_keys: Some([(Some(\"rsa-1\"), \"RS256\"), (Some(\"ec-1\"), \"ES256\")])",
            "public_keys: Some([(None, \"RS256\"), (None, \"ES256\")])",
        ]) {
            assert!(alloc::format!("{rule:?}").contains(expected), "{rule:?}");
        }
    }

    #[cfg(feature = "jwt-keys")]
    #[test]
    fn mistakes_in_files_of_keys_are_told() {
        let folder = std::env::temp_dir().join(alloc::format!("gwlb-keys-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let ed25519 = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"e"}]}"#;
        let few = std::fs::read_to_string("tests/keys/ec.pem").unwrap().repeat(8);
        let few = file("few.pem", &few);
        for (name, text, expected) in [
            ("none.pem", "", "expected `-----BEGIN PUBLIC KEY-----` or a JWK Set, found neither"),
            (
                "secret.pem",
                "-----BEGIN PRIVATE KEY-----",
                "key 1: expected `PUBLIC KEY` in PEM, found `PRIVATE KEY`",
            ),
            (
                "ed25519.json",
                ed25519,
                "expected a key for RS256 or ES256, found none: key 1 (`e`): expected `kty` `RSA` or `EC`, found `OKP`",
            ),
            ("long.pem", &" ".repeat((1 << 20) + 1), "expected at most 1048576 bytes, found more"),
        ] {
            let file = file(name, text);
            let text = alloc::format!("rule = [\n{{ token = {{ public-keys = [\"{file}\"] }} }}]");
            assert_eq!(
                ApiRules::from_toml(&text).unwrap_err().to_string(),
                alloc::format!("line 2, column 28: {file}: {expected}")
            );
        }
        for (keys, column, expected) in [
            (
                "\"no/such/file\"".into(),
                35,
                "no/such/file: expected a file that can be read, found: No such file or directory (os error 2)",
            ),
            (
                "[]".into(),
                35,
                "expected at least one value, found none: leave `public-keys` out to take everything",
            ),
            ("{}".into(), 35, "expected a string or a list of strings, found a table"),
            (
                alloc::format!("[\"{few}\", \"tests/keys/ec.pem\"]"),
                few.len() + 40,
                "tests/keys/ec.pem: expected at most 8 keys for ES256 without an ID, found 9, with those of the files before",
            ),
        ] {
            let text = alloc::format!("rule = [{{ token = {{ public-keys = {keys} }} }}]");
            assert_eq!(
                ApiRules::from_toml(&text).unwrap_err().to_string(),
                alloc::format!("line 1, column {column}: {expected}")
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(feature = "jwt-keys")]
    #[test]
    fn keys_of_tokens_have_names_that_cannot_be_mixed_up() {
        for key in ["key", "keys", "public-key", "secrets"] {
            let error = ApiRules::from_toml(&alloc::format!("rule = [{{ token.{key} = \"a\" }}]"));
            let told = error.unwrap_err().to_string();
            let known = "one of `audience`, `issuer`, `leeway`, `public-keys` or `secret`";
            let expected = alloc::format!("expected {known}, found `{key}`");
            assert!(told.contains(&expected), "{told}");
            let meant = [("public-key", "public-keys"), ("secrets", "secret")];
            let meant = meant.iter().find(|(written, _)| *written == key);
            let suggested = meant.map(|(_, meant)| alloc::format!("; did you mean `{meant}`?"));
            assert!(told.ends_with(&(expected + &suggested.unwrap_or_default())), "{told}");
        }
    }

    #[cfg(not(feature = "jwt-keys"))]
    #[test]
    fn public_keys_need_their_feature() {
        let error = ApiRules::from_toml("rule = [{ token = { public-keys = \"jwks.json\" } }]");
        assert_eq!(
            error.unwrap_err().to_string(),
            "line 1, column 35: expected a build with the feature `jwt-keys` for this key, found `public-keys`"
        );
    }

    #[test]
    fn mistakes_are_told() {
        for (text, expected) in [
            ("", "line 1, column 1: expected `rule` here, found none"),
            ("rule = 1", "line 1, column 8: expected a list of rules, found an integer"),
            (
                "rule = [{ methods = \"get\" }]",
                "line 1, column 21: expected a method, found `get`; did you mean `GET`?",
            ),
            (
                "rule = [{ methods = [] }]",
                "line 1, column 21: expected at least one value, found none: leave `methods` out to take everything",
            ),
            (
                "rule = [{ paths = \"v1/*\" }]",
                "line 1, column 19: expected a path that begins with `/`, found `v1/*`; did you mean `/v1/*`?",
            ),
            (
                "rule = [{ paths = \"/a?b\" }]",
                "line 1, column 19: expected a path as it is once it is decoded, without query, found `/a?b`",
            ),
            (
                "rule = [{ hosts = \".a.example\" }]",
                "line 1, column 19: expected a label before each dot, found `.a.example`; did you mean `*.a.example`?",
            ),
            (
                "rule = [{ from = \"10.0.0.1/8\" }]",
                "line 1, column 18: expected no bits after the prefix: write 10.0.0.0/8, or 10.0.0.1/32 for the host, found `10.0.0.1/8`",
            ),
            (
                "rule = [{ token = \"yes\" }]",
                "line 1, column 19: expected `true` or a table, found a string",
            ),
            (
                "rule = [{ token = { secret = \"c2VjcmV0\" } }]",
                "line 1, column 30: expected at least 32 bytes in base64url, found `…`",
            ),
            (
                "rule = [{ token = { leeway = 100000 } }]",
                "line 1, column 30: expected 0 to 86400 seconds, found `100000`",
            ),
            (
                "rule = [{ headers = { \"a b\" = true } }]",
                "line 1, column 23: expected the name of a header, found `a b`",
            ),
            (
                "rule = [{ action = \"alow\" }]\ndefault = \"allow\"",
                "line 1, column 20: expected `allow`, `drop` or `reject`, found `alow`; did you mean `allow`?\n\
                 line 2, column 11: expected `reject` or `drop`, found `allow`",
            ),
        ] {
            assert_eq!(ApiRules::from_toml(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
