use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use super::{PathPattern, TokenError, TokenRule, Verified};
use crate::Timestamp;
use crate::inspectors::access::{Action, IpNetwork, PortRange};
use crate::inspectors::domains::DomainPattern;
use crate::protocol::Text;
use crate::protocol::http::Request;

/// What becomes of requests that are like this. What is not named may be anything.
///
/// ```
/// use gwlb_geneve::inspectors::access::Action;
/// use gwlb_geneve::inspectors::api::{ApiRule, TokenRule};
///
/// let writing = ApiRule::new(Action::Allow)
///     .method("PUT")
///     .path("/v1/orders/*".parse()?)
///     .from("10.0.1.0/24".parse()?)
///     .token(TokenRule::new().audience("orders"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ApiRule {
    pub(super) action: Action,
    pub(super) name: String,
    pub(super) methods: Vec<String>,
    pub(super) hosts: Vec<DomainPattern>,
    pub(super) paths: Vec<PathPattern>,
    pub(super) headers: Vec<(String, HeaderRule)>,
    pub(super) from: Vec<IpNetwork>,
    pub(super) token: Option<TokenRule>,
}

/// What a header has to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderRule {
    /// There is one, whatever its value.
    Present,
    /// There is none.
    Absent,
    /// There is one, and all that there are have this value.
    Is(String),
}

impl ApiRule {
    /// A rule that takes every request.
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            name: String::new(),
            methods: Vec::new(),
            hosts: Vec::new(),
            paths: Vec::new(),
            headers: Vec::new(),
            from: Vec::new(),
            token: None,
        }
    }

    /// A name for alerts.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Its name, empty where it has none.
    #[cfg(feature = "config")]
    pub(crate) fn called(&self) -> &str {
        &self.name
    }

    /// With this method, or another that is named. Case matters (RFC 9110 §9.1).
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.methods.push(method.into());
        self
    }

    /// For this host, or another that is named.
    #[must_use]
    pub fn host(mut self, host: DomainPattern) -> Self {
        self.hosts.push(host);
        self
    }

    /// For this path, or another that is named.
    #[must_use]
    pub fn path(mut self, path: PathPattern) -> Self {
        self.paths.push(path);
        self
    }

    /// With this header, and with all others that are named, whatever the case of their names.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, rule: HeaderRule) -> Self {
        self.headers.push((name.into(), rule));
        self
    }

    /// From this network, or another that is named.
    #[must_use]
    pub fn from(mut self, network: IpNetwork) -> Self {
        self.from.push(network);
        self
    }

    /// With a token like this.
    #[must_use]
    pub fn token(self, token: TokenRule) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The public keys that its token is verified by, if there are any.
    #[cfg(feature = "jwt-keys")]
    pub fn public_keys(&self) -> Option<&super::PublicKeys> {
        self.token.as_ref()?.verified_by()
    }

    /// Whether it takes a request. An error says that it would with a token that is right.
    fn takes(
        &self,
        request: &Request<'_>,
        client: IpAddr,
        now: Timestamp,
        verified: &mut Verified,
    ) -> Result<bool, TokenError> {
        let method = request.method();
        if !self.methods.is_empty() && !self.methods.iter().any(|it| method == it.as_str())
            || !self.from.is_empty() && !self.from.iter().any(|network| network.contains(client))
            || !self.takes_target(request)
            || !self.headers.iter().all(|(name, rule)| rule.takes(name, request))
        {
            return Ok(false);
        }
        match &self.token {
            None => Ok(true),
            Some(rule) => rule.check_again(&bearer(request)?, now, verified).map(|()| true),
        }
    }

    fn takes_target(&self, request: &Request<'_>) -> bool {
        let is_host = self.hosts.is_empty() || {
            let host = request.host();
            let host = host.as_ref().and_then(Text::to_str).unwrap_or_default();
            self.hosts.iter().any(|pattern| !host.is_empty() && pattern.matches(host))
        };
        is_host
            && (self.paths.is_empty() || {
                let path = request.path();
                self.paths.iter().any(|pattern| pattern.matches(&path))
            })
    }
}

impl HeaderRule {
    fn takes(&self, name: &str, request: &Request<'_>) -> bool {
        let mut values =
            request.headers().filter(|header| header.name.eq_ignore_ascii_case(name)).peekable();
        match self {
            Self::Present => values.peek().is_some(),
            Self::Absent => values.peek().is_none(),
            Self::Is(value) => {
                values.peek().is_some() && values.all(|header| header.value == value.as_str())
            }
        }
    }
}

/// The bearer token of a request (RFC 6750 §2.1).
fn bearer(request: &Request<'_>) -> Result<Vec<u8>, TokenError> {
    let name = "authorization";
    let mut values = request.headers().filter(|header| header.name.eq_ignore_ascii_case(name));
    let (Some(only), None) = (values.next(), values.next()) else {
        return Err(TokenError::Missing);
    };
    let (scheme, token) = only.value.split_at_checked(7).ok_or(TokenError::Missing)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(TokenError::Missing);
    }
    let spaces = token.iter().take_while(|byte| **byte == b' ').count();
    Ok(token.get(spaces..).unwrap_or_default().to_vec())
}

/// Rules about HTTP requests in their order, and the flows that they are for. The first rule that takes a request counts;
/// a request that none takes is refused.
///
/// ```
/// use gwlb_geneve::inspectors::access::Action;
/// use gwlb_geneve::inspectors::api::{ApiRule, ApiRules};
///
/// let rules = ApiRules::new([ApiRule::new(Action::Allow).method("GET")]).ports([80.into()]);
/// assert_eq!(rules.rules().len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct ApiRules {
    rules: Vec<ApiRule>,
    refusal: Action,
    to: Vec<IpNetwork>,
    ports: Vec<PortRange>,
    is_strict: bool,
}

impl ApiRules {
    /// For all flows of TCP; what no rule takes is rejected.
    pub fn new(rules: impl IntoIterator<Item = ApiRule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
            refusal: Action::Reject,
            to: Vec::new(),
            ports: Vec::new(),
            is_strict: true,
        }
    }

    /// What no rule takes is dropped, and nobody is told.
    #[must_use]
    pub fn dropping(self) -> Self {
        Self { refusal: Action::Drop, ..self }
    }

    /// Only for flows to servers in these networks.
    #[must_use]
    pub fn to(self, networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        Self { to: networks.into_iter().collect(), ..self }
    }

    /// Only for flows to these ports.
    #[must_use]
    pub fn ports(self, ports: impl IntoIterator<Item = PortRange>) -> Self {
        Self { ports: ports.into_iter().collect(), ..self }
    }

    /// Also requests of which two servers might disagree [what is asked for](crate::protocol::http::Anomaly::is_misleading) are
    /// judged, by what is understood here. Those of which they might disagree [where they
    /// end](crate::protocol::http::Anomaly::is_ambiguous) never are.
    #[must_use]
    pub fn judging_misleading(self) -> Self {
        Self { is_strict: false, ..self }
    }

    /// The rules.
    pub fn rules(&self) -> &[ApiRule] {
        &self.rules
    }

    /// What becomes of a request from a client at a moment.
    pub fn decide(&self, request: &Request<'_>, client: IpAddr, now: Timestamp) -> Decision<'_> {
        self.decide_again(request, client, now, &mut Verified::default())
    }

    /// As [`decide`](Self::decide), without the same signature verified twice.
    pub(super) fn decide_again(
        &self,
        request: &Request<'_>,
        client: IpAddr,
        now: Timestamp,
        verified: &mut Verified,
    ) -> Decision<'_> {
        let anomalies = request.anomalies();
        let refused = |why: String| Decision { action: self.refusal, rule: None, why };
        if anomalies.is_ambiguous() || self.is_strict && anomalies.is_misleading() {
            return refused(anomalies.to_string());
        }
        if request.method() == "CONNECT" || request.header("upgrade").is_some() {
            return refused("a switch to another protocol".into());
        }
        let mut first_error = None;
        for rule in &self.rules {
            match rule.takes(request, client, now, verified) {
                Ok(true) => {
                    let why = String::new();
                    return Decision { action: rule.action, rule: Some(rule), why };
                }
                Ok(false) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let error = first_error.map(|error| error.to_string());
        refused(error.unwrap_or_else(|| "no rule allows it".into()))
    }

    /// Whether a server is one that the rules are for.
    pub(super) fn are_for(&self, server: IpAddr, port: u16) -> bool {
        (self.to.is_empty() || self.to.iter().any(|network| network.contains(server)))
            && (self.ports.is_empty() || self.ports.iter().any(|ports| ports.contains(port)))
    }

    pub(super) const fn refusal(&self) -> Action {
        self.refusal
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Decision<'a> {
    /// What.
    pub action: Action,
    /// The rule that says so; `None` where none takes the request.
    pub rule: Option<&'a ApiRule>,
    /// Why no rule takes it: the first one that lacks nothing but a token says what is wrong with that.
    pub why: String,
}
