use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use gwlb_geneve::config::{self, Config, EveFile, LogFormat, Run, TransportKind};
use gwlb_geneve::engine::Settings;
use gwlb_geneve::inspect::{Chain, ExceptionPolicy};
use gwlb_geneve::inspectors::access::IpNetwork;
use gwlb_geneve::inspectors::api::ApiRules;
use gwlb_geneve::inspectors::signatures::Signatures;
use gwlb_geneve::observe::eve::Eve;
use gwlb_geneve::observe::evidence::EvidenceSettings;
use gwlb_geneve::runtime::ManagementSettings;
use gwlb_geneve::transport::udp::{self, Origins, UdpSettings};
use tracing::{info, warn};

use super::shadow::ShadowFile;
use crate::{arguments, setup, token};

/// What is said here wins over the configuration.
#[derive(Args)]
pub(crate) struct Options {
    /// What is to be judged and how, and all that can be said here, in TOML. SIGHUP reads it again.
    #[arg(long, value_name = "CONFIG.toml")]
    pub(super) config: Option<PathBuf>,
    /// The address that load balancers send to; by default every one of this machine.
    #[arg(long, value_name = "ADDRESS", value_parser = arguments::ipv4)]
    bind: Option<Ipv4Addr>,
    /// The UDP port that they send to; by default 6081.
    #[arg(long, value_parser = arguments::port)]
    port: Option<u16>,
    /// Threads that judge; by default as many as there are processors.
    #[arg(long, value_name = "N", value_parser = arguments::count)]
    workers: Option<NonZeroUsize>,
    /// Keep each worker on a processor of its own.
    #[arg(long)]
    pin: bool,
    /// A network that load balancers are in, as 10.0.0.0/16; give it again for more. By default all private networks.
    #[arg(long = "allow-origin", value_name = "CIDR", value_parser = ipv4_network)]
    allow_origins: Vec<IpNetwork>,
    /// Where it is looked after, with a page and metrics, or `off`; by default 127.0.0.1:9090.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = door)]
    manage: Option<Door>,
    /// A file that has the token for the management port; else the environment has it as `GWLB_MANAGE_TOKEN`, or the
    /// configuration. At any other address than that of this machine one is needed.
    #[arg(long, value_name = "FILE")]
    manage_token_file: Option<PathBuf>,
    /// Where health checks are answered, or `off`; by default 0.0.0.0:8080.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = door)]
    health: Option<Door>,
    /// What becomes of traffic that cannot be judged, in place of the configuration's policy; by default `available`.
    #[arg(long)]
    policy: Option<Policy>,
    /// How datagrams come and go; by default `udp`.
    #[arg(long)]
    transport: Option<Transport>,
    /// The way out; by default the best that there is.
    #[arg(long)]
    way: Option<Way>,
    /// The form of the log, on standard error; by default `text`.
    #[arg(long)]
    log: Option<Log>,
    /// A second configuration, which is evaluated beside the first without effect: what it would do otherwise is told. SIGHUP
    /// reads it again, too.
    #[arg(long, value_name = "SHADOW.toml")]
    shadow: Option<PathBuf>,
}

impl Options {
    fn policy(&self) -> Option<ExceptionPolicy> {
        self.policy.map(|policy| match policy {
            Policy::Strict => ExceptionPolicy::STRICT,
            Policy::Available => ExceptionPolicy::AVAILABLE,
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Policy {
    /// Rather not let it pass.
    Strict,
    /// Rather let it pass.
    Available,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// UDP sockets.
    Udp,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    /// A packet socket where there can be one, else a raw socket.
    Auto,
    /// A packet socket.
    Packet,
    /// A raw IP socket.
    Raw,
}

#[derive(Clone, Copy, ValueEnum)]
enum Log {
    /// Lines for a person.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy)]
struct Door(Option<SocketAddr>);

fn door(text: &str) -> Result<Door, String> {
    match text {
        "off" => Ok(Door(None)),
        text => text.parse().map(|at| Door(Some(at))).map_err(|_| {
            "expected an address with a port, as 127.0.0.1:9090, or `off`".to_string()
        }),
    }
}

fn ipv4_network(text: &str) -> Result<IpNetwork, String> {
    let network: IpNetwork = text.parse().map_err(|error| format!("{error}"))?;
    if network.address().is_ipv6() {
        return Err("expected an IPv4 network: load balancers send over IPv4".into());
    }
    Ok(network)
}

/// What is to be done: the configuration, and what the command line says otherwise.
pub(crate) struct Plan {
    pub(super) run: Run,
    config: Config,
    /// What the configuration's file says.
    pub(super) text: String,
    policy: Option<ExceptionPolicy>,
    records: Option<Eve>,
    /// The second configuration.
    pub(super) shadow: Option<ShadowFile>,
}

/// What an appliance was started with, and what stays so until it is started again.
pub(super) struct Started {
    pub(super) run: Run,
    pub(super) eve: Option<EveFile>,
    pub(super) evidence: Option<EvidenceSettings>,
    records: Option<Eve>,
}

impl Plan {
    pub(super) fn read(options: &Options) -> Result<Self, Vec<String>> {
        let (text, config) = match &options.config {
            Some(file) => {
                let text = setup::text(file)?;
                let config = Config::parse(&text).map_err(|errors| setup::lines(file, &errors))?;
                (text, config)
            }
            None => (String::new(), Config::default()),
        };
        let mut run = config.run().clone();
        options.bind.inspect(|bind| run.bind = *bind);
        options.port.inspect(|port| run.port = *port);
        run.workers = options.workers.or(run.workers);
        run.pin |= options.pin;
        if !options.allow_origins.is_empty() {
            run.allow_origin.clone_from(&options.allow_origins);
        }
        options.manage.inspect(|door| run.manage = door.0);
        options.health.inspect(|door| run.health = door.0);
        options.transport.inspect(|Transport::Udp| run.transport = TransportKind::Udp);
        options.way.inspect(|way| {
            run.way = match way {
                Way::Auto => config::Way::Auto,
                Way::Packet => config::Way::Packet,
                Way::Raw => config::Way::Raw,
            }
        });
        options.log.inspect(|log| {
            run.log = match log {
                Log::Text => LogFormat::Text,
                Log::Json => LogFormat::Json,
            }
        });
        let find =
            |file: Option<&Path>| token::find(file).map_err(|error| vec![format!("{error:#}")]);
        // The flag, else the environment, else the configuration.
        let mut told = find(options.manage_token_file.as_deref())?;
        if let (None, Some(file)) = (&told, &run.manage_token_file) {
            told = find(Some(Path::new(file)))?;
        }
        run.manage_token = told.or(run.manage_token);
        let shadow = options.shadow.clone().or_else(|| run.shadow.as_ref().map(PathBuf::from));
        let shadow = shadow.map(ShadowFile::read).transpose()?;
        let plan = Self { run, config, text, policy: options.policy(), records: None, shadow };
        plan.doors().check().map_err(|error| vec![error.to_string()])?;
        Ok(plan)
    }

    /// Where it is asked over HTTP.
    pub(super) fn doors(&self) -> ManagementSettings {
        let run = &self.run;
        ManagementSettings {
            health: run.health,
            manage: run.manage,
            token: run.manage_token.clone(),
            hosts: run.manage_hosts.clone(),
            ..ManagementSettings::default()
        }
    }

    /// The signatures that are looked for, if any are.
    pub(super) fn signatures(&self) -> Option<Arc<Signatures>> {
        self.config.signatures().cloned()
    }

    /// Says which signatures are not looked for, and why: the first so many.
    pub(super) fn tell_signatures(&self) {
        const MOST: usize = 20;

        let errors = self.config.signature_report().map_or(&[][..], |report| report.errors());
        let problems = self.config.signatures().map_or(&[][..], |set| set.problems());
        let told = errors.iter().map(ToString::to_string);
        let unready = problems.iter().map(|(id, problem)| format!("sid {}: {problem}", id.sid));
        for problem in told.chain(unready).take(MOST) {
            warn!("signatures: {problem}");
        }
        let more = (errors.len() + problems.len()).saturating_sub(MOST);
        if more > 0 {
            warn!("signatures: and {more} more; `appliance rules check` tells them all");
        }
    }

    /// Says how many public keys rules verify tokens by, and which there is no use for: of the first so many rules.
    pub(super) fn tell_keys(&self) {
        const MOST: usize = 20;

        let rules = self.config.api_rules().map_or(&[][..], ApiRules::rules);
        let keyed = rules.iter().zip(1..).filter_map(|(rule, number)| {
            let keys = rule.public_keys()?;
            Some((number, keys.len(), keys.skipped()))
        });
        let mut keyed = keyed.collect::<Vec<(usize, _, _)>>().into_iter();
        for (number, count, skipped) in keyed.by_ref().take(MOST) {
            let keys = if count == 1 { "public key" } else { "public keys" };
            match skipped.count() {
                0 => info!("api: rule {number}: {count} {keys}"),
                more => warn!("api: rule {number}: {count} {keys}, {more} not taken: {skipped}"),
            }
        }
        if keyed.len() > 0 {
            info!("api: and {} more rules with public keys", keyed.len());
        }
    }

    /// What reloads are compared with. The rules are not kept with it: many take much memory.
    pub(super) fn started(self) -> Started {
        let (eve, evidence) = (self.eve().cloned(), self.evidence().cloned());
        Started { run: self.run, eve, evidence, records: self.records }
    }

    pub(super) fn eve(&self) -> Option<&EveFile> {
        self.config.eve()
    }

    pub(super) fn evidence(&self) -> Option<&EvidenceSettings> {
        self.config.evidence()
    }

    /// Has the inspectors begin with one that records.
    pub(super) fn record_to(&mut self, eve: Eve) {
        self.config.record_to(eve.clone());
        self.records = Some(eve);
    }

    /// Goes on with the records that it was started with, whatever is said of them now.
    pub(super) fn record_as(&mut self, before: &Started) {
        if let Some(eve) = &before.records {
            self.record_to(eve.clone());
        }
    }

    /// Has records go on in a file of the same name, should it have been moved.
    pub(super) fn reopen(&self) {
        if let Some(eve) = &self.records {
            eve.reopen();
        }
    }

    pub(super) fn settings(&self) -> Settings {
        let settings = self.config.settings();
        Settings { policy: self.policy.unwrap_or(settings.policy), ..settings }
    }

    pub(super) fn inspectors(&self) -> impl FnMut() -> Chain + Clone + Send + 'static {
        self.config.inspectors()
    }

    pub(super) fn udp(&self) -> Result<UdpSettings> {
        let run = &self.run;
        let mut settings = UdpSettings {
            address: run.bind,
            port: run.port,
            way: match run.way {
                config::Way::Packet => Some(udp::Way::Packet),
                config::Way::Raw => Some(udp::Way::Raw),
                _ => None,
            },
            ..UdpSettings::default()
        };
        if !run.allow_origin.is_empty() {
            let networks: Vec<_> = run.allow_origin.iter().map(ToString::to_string).collect();
            settings.origins = Origins::parse(networks.iter().map(String::as_str))?;
        }
        run.receive_buffer.inspect(|bytes| settings.receive_buffer = *bytes);
        run.busy_poll.inspect(|time| settings.busy_poll = *time);
        Ok(settings)
    }
}
