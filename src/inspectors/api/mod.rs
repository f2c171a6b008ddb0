//! Rules about HTTP requests: who may ask what of whom.
//!
//! Everyone may GET; only requests with a token may PUT, and only from the API gateway's subnets (feature `config`):
//!
#![cfg_attr(feature = "config", doc = "```")]
#![cfg_attr(not(feature = "config"), doc = "```ignore")]
//! use gwlb_geneve::config::Config;
//!
//! let config = Config::parse(r#"
//! [api]
//! rule = [
//!     { methods = "GET" },
//!     { methods = "PUT", token = true, from = ["10.0.64.0/24", "10.0.65.0/24"] }]
//! "#)?;
//! assert_eq!(config.api_rules().map(|rules| rules.rules().len()), Some(2));
//! # Ok::<(), gwlb_geneve::config::ConfigErrors>(())
//! ```
//!
//! The same in code:
//!
//! ```
//! use gwlb_geneve::inspectors::access::Action;
//! use gwlb_geneve::inspectors::api::{ApiInspector, ApiRule, ApiRules, TokenRule};
//!
//! let reading = ApiRule::new(Action::Allow).method("GET");
//! let writing = ApiRule::new(Action::Allow)
//!     .method("PUT")
//!     .token(TokenRule::new())
//!     .from("10.0.64.0/24".parse()?)
//!     .from("10.0.65.0/24".parse()?);
//! let inspector = ApiInspector::new(ApiRules::new([reading, writing]));
//! # let _ = inspector;
//! # Ok::<(), gwlb_geneve::inspectors::access::NetworkError>(())
//! ```
//!
//! # What is refused, whatever the rules say
//!
//! In flows of TCP to the [ports](ApiRules::ports) and [networks](ApiRules::to) that the rules are for, all of them unless some are
//! named:
//!
//! * what is no HTTP/1, TLS and HTTP/2 among it, and what is not understood for whatever reason, under every [exception
//!   policy](crate::inspect::ExceptionPolicy);
//! * requests that two servers may take for different ones, or of which they may not agree where they end, as proxies and servers
//!   do that are fooled by request smuggling;
//! * CONNECT, and whatever wants to switch to another protocol: Upgrade, h2c, a WebSocket.
//!
//! Each request of a connection is judged by itself, pipelined ones too. Connections that are first seen in their middle, after a
//! restart say, are refused unless a request begins there. What the engine passes without asking any inspector, as its policy says, is
//! not seen here: keep `flow-table-full`, `inspector-panic`, `inspector-budget` and `overload` strict where that matters.
//!
//! # Signatures of tokens
//!
//! A token's signature is verified where there is a key to do it with: a [secret](TokenRule::secret) that is shared with the issuer,
//! for HS256; or, with the feature `jwt-keys`, public keys of the issuer (`PublicKeys`), for RS256 and ES256. What a key is says by
//! which algorithm it verifies, and what a token says only which of the keys: a public key is never taken for a secret.
//!
//! Keys are read when a configuration is; nothing is fetched. Issuers publish their next keys some time before they use them: fetch the
//! JWK Set every few hours, put it in the place of the file, and have the configuration read again.
//!
//! ES256 takes about 55 µs of a processor, RS256 22 µs with keys of 2,048 bits and 80 µs with 4,096; the HMAC of HS256 1 µs. So each worker
//! remembers tokens that were signed, 8,192 of them, by SHA-256 of keys and token: one that comes again costs a hash. Its claims, when
//! it expires among them, are looked at each time.
//!
//! A token that is wrong costs that as often as there are keys that it may be signed by: up to 8 (`PublicKeys::TRIED`) for each rule
//! that lacks nothing but the token. So 256 wrong ones are remembered besides, which push no right ones out: where several issuers have
//! rules, tokens of one are not verified by the keys of the others each time. A request with a wrong token goes on where a later rule
//! takes it; but the fourth token of a flow that was verified in vain ends its connection, [whatever rules
//! say](ApiInspector::WRONG_TOKENS), and the next ones need a new flow. Limit how many of these a source may have a second, by
//! [`rate`](super::rate), and name `from` where clients are known, since a rule looks at tokens last.
//!
//! Tokens of an issuer whose keys are not in the rules are wrong, too, for a rule with keys that have no ID: give that rule the paths or
//! hosts that it is for, so that it does not look at them.
//!
//! What verifies is [`ring`](https://docs.rs/ring/0.17): maintained, widely used, under Apache-2.0 and ISC; it brings five small crates
//! along. It has parts in C and assembly, so that it needs a C compiler to build, which for Linux is there where Rust can link; only
//! for another target than the machine's own it has to be installed. Weighed and left: `p256` and `rsa`, in Rust alone, are some forty
//! crates, slower, and of `rsa` the version for the oldest compiler that is promised here has an advisory without a fix (RUSTSEC-2023-0071,
//! about private keys). `aws-lc-rs` needs more to build, and `graviola` a newer compiler.

mod base64url;
#[cfg(feature = "config")]
pub(crate) mod config;
mod hmac;
mod inspector;
#[cfg(feature = "jwt-keys")]
mod keys;
mod path;
mod rule;
mod shadow;
mod token;

pub use inspector::{ApiFlow, ApiInspector};
#[cfg(feature = "jwt-keys")]
use keys::Verified;
#[cfg(feature = "jwt-keys")]
pub use keys::{PublicKeyProblem, PublicKeyProblems, PublicKeys, PublicKeysError};
pub use path::{PathError, PathPattern};
pub use rule::{ApiRule, ApiRules, Decision, HeaderRule};
pub use token::{SecretError, TokenError, TokenRule};

/// HMAC is verified again: that costs no more than to look it up.
#[cfg(not(feature = "jwt-keys"))]
#[derive(Clone, Debug, Default)]
struct Verified {}

#[cfg(not(feature = "jwt-keys"))]
impl Verified {
    const fn was_in_vain(&mut self) -> bool {
        false
    }
}
