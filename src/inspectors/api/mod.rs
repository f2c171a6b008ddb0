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
//! A token's signature is verified by HS256 alone, and where there is a [key](TokenRule::key); see [`TokenRule`].
//!
//! Weighed and left: RS256 and ES256. What verifies them is either built from C and assembly, or brings a dozen crates of big numbers and
//! curves along, for something that the server behind does in any case.

mod base64url;
#[cfg(feature = "config")]
pub(crate) mod config;
mod hmac;
mod inspector;
mod path;
mod rule;
mod shadow;
mod token;

pub use inspector::{ApiFlow, ApiInspector};
pub use path::{PathError, PathPattern};
pub use rule::{ApiRule, ApiRules, Decision, HeaderRule};
pub use token::{KeyError, TokenError, TokenRule};
