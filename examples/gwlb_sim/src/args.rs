//! The command line.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gwlb_geneve::geneve::UDP_PORT;

/// Plays an AWS gateway load balancer for an appliance: sends traffic in its envelopes and checks every answer.
///
/// Ends with status 1 where an answer is wrong, doubled or out of order, where something was answered that must
/// not be, or where more is lost than --max-loss allows; with 2 where it cannot run. It needs root.
#[derive(Debug, Parser)]
#[command(name = "gwlb_sim", args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Carries the packets of real programs through the appliance, between two namespaces with a TUN device each.
    Bridge(Bridge),
    /// Answers as an appliance that passes everything, or with a mistake: what the simulator is tested with.
    Reflect(Reflect),
}

/// Which appliance, and how it is reached.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The appliance's address, with a port where it is not 6081.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = appliance,
        conflicts_with = "self_contained", required_unless_present = "self_contained")]
    pub(crate) appliance: Option<SocketAddrV4>,
    /// Make two network namespaces with a cable between them, run the appliance in one (10.66.0.2) and the load
    /// balancer in the other (10.66.0.1). Nothing of it outlives the simulator.
    #[arg(long)]
    pub(crate) self_contained: bool,
    /// The load balancer's own address; may be repeated, flows are then spread over them. By default the one
    /// that leads to the appliance.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "self_contained")]
    pub(crate) gateway: Vec<Ipv4Addr>,
    /// How long to wait for the appliance's first answer.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// How long the appliance may take to end after SIGTERM, before it is killed (with --self-contained). It is told a
    /// second time after half a second, so that it does not wait for its flows.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// The appliance to run with --self-contained; by default `appliance run`, with the example appliance that
    /// was built beside this program.
    #[arg(last = true, value_name = "COMMAND", requires = "self_contained")]
    pub(crate) command: Vec<String>,
}

/// Load: which traffic, how much of it, and what is expected.
#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) target: Target,

    /// Synthetic traffic; may be repeated, packets then take turns. `small` unless there is a capture.
    #[arg(long, value_enum, help_heading = "Traffic")]
    pub(crate) profile: Vec<Profile>,
    /// The packets of a pcap or pcapng file, of GENEVE ones the inner packets; may be repeated. Each time through
    /// the file all addresses are moved, so that new flows come.
    #[arg(long, value_name = "FILE", help_heading = "Traffic")]
    pub(crate) capture: Vec<PathBuf>,
    /// IP version of synthetic inner packets.
    #[arg(long, value_enum, default_value = "both", help_heading = "Traffic")]
    pub(crate) ip: IpVersion,
    /// Endpoints that the flows of synthetic traffic are spread over.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Traffic",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) endpoints: u32,
    /// Seed of all that is random: the same one makes the same run.
    #[arg(long, default_value_t = 1, help_heading = "Traffic")]
    pub(crate) seed: u64,

    /// Open loop: this many packets a second, whatever comes back.
    #[arg(long, value_name = "PPS", help_heading = "Pace", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Closed loop (the default): this many packets without an answer at most.
    #[arg(long, value_name = "N", default_value_t = 256, conflicts_with_all = ["rate", "search"],
        help_heading = "Pace", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) window: u32,
    /// Search the highest rate at which no more than --max-loss is lost; each try takes --seconds.
    #[arg(long, conflicts_with = "rate", help_heading = "Pace")]
    pub(crate) search: bool,
    /// Stop after so many packets. A capture alone is played once unless this or --seconds says otherwise.
    #[arg(long, value_name = "N", conflicts_with = "search", help_heading = "Pace")]
    pub(crate) packets: Option<u64>,
    /// Stop after so many seconds; 5 by default, 1 for each try of --search.
    #[arg(long, value_name = "S", value_parser = seconds, help_heading = "Pace")]
    pub(crate) seconds: Option<Duration>,
    /// A packet that had no answer for so many milliseconds is lost.
    #[arg(long, value_name = "MS", default_value_t = 1000, help_heading = "Pace",
        value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) patience: u64,

    /// Loss that is tolerated, in percent of the packets sent; 0 by default, but with --rate any.
    #[arg(long, value_name = "PERCENT", help_heading = "Expectations", value_parser = percent)]
    pub(crate) max_loss: Option<f64>,
    /// The appliance may refuse: packets without an answer count as dropped, and resets and ICMP errors that it
    /// makes up in a flow's envelope as injected.
    #[arg(long, help_heading = "Expectations")]
    pub(crate) allow_drops: bool,
    /// Print the report as JSON.
    #[arg(long, help_heading = "Expectations")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) faults: Faults,
}

/// What goes wrong on purpose, each as a share of the packets, from 0 to 1.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Faults, each a share of the packets from 0 to 1")]
pub(crate) struct Faults {
    /// A malformed datagram beside the packet: truncated, of another version, without an option, random bytes,
    /// and more kinds in turn. None may be answered.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) malformed: f64,
    /// A whole datagram from an address that is no load balancer (--stranger). None may be answered.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) foreign: f64,
    /// The address that --foreign sends from, one of this machine's; 192.0.2.3 with --self-contained.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "self_contained")]
    pub(crate) stranger: Option<Ipv4Addr>,
    /// The flow gets a new cookie from this packet on.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) new_cookie: f64,
    /// The packet is sent twice (and two answers are due).
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) duplicate: f64,
    /// The packet is sent after the next one of its flow.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) reorder: f64,
    /// A UDP packet of 8,500 bytes in the same envelope beside the packet.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) jumbo: f64,
    /// The outer UDP checksum is zero.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) zero_checksum: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// 64 bytes, 256 flows of UDP.
    Small,
    /// Seven packets of 64 bytes to four of 576 and one of 1,500; 256 flows.
    Imix,
    /// 1,500 bytes, 256 flows.
    Mtu,
    /// 1,500 bytes in trains of 16 packets of one flow, which a kernel may merge; 64 flows.
    Bulk,
    /// 8,500 bytes, 64 flows.
    Jumbo,
    /// 64 bytes, 1,000 flows, one packet of each in turn.
    #[value(name = "flows-1k")]
    Flows1k,
    /// The same with 100,000 flows.
    #[value(name = "flows-100k")]
    Flows100k,
    /// The same with a million flows.
    #[value(name = "flows-1m")]
    Flows1m,
    /// 1,500 bytes in trains of 16 packets, all of one flow.
    Elephant,
    /// 64 bytes of UDP, each packet of a flow that was never seen: a flood.
    UdpFlood,
    /// The same with segments that begin TCP connections, and nothing after them.
    SynFlood,
    /// Whole TCP conversations, both directions: handshake, an HTTP request and its answer, and the end.
    Tcp,
    /// `imix`, `tcp`, `flows-1k` and `jumbo` in turn.
    Mixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IpVersion {
    #[value(name = "4")]
    V4,
    #[value(name = "6")]
    V6,
    /// Half of the flows each.
    Both,
}

#[derive(Debug, Args)]
pub(crate) struct Bridge {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A shell command to run in the client's namespace (10.77.1.2, `fd77:1::2`); its status becomes the
    /// simulator's. Without it the bridge stands until Ctrl-C.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) client: Option<String>,
    /// A shell command to run in the server's namespace (10.77.2.2, `fd77:2::2`) until the client's has ended.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) server: Option<String>,
    /// Another IPv4 address of the client's; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client_address: Vec<Ipv4Addr>,
    /// Another IPv4 address of the server's; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) server_address: Vec<Ipv4Addr>,
    /// So many zones, each a client and a server with these addresses and an endpoint of their own. The server's command runs in each,
    /// told by `GWLB_ZONE` which it is; the client's runs in the first, told by `GWLB_CLIENT_2` and so on how to enter the others.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=8))]
    pub(crate) zones: u64,
    /// A TCP port of the server's that must accept a connection (made inside its namespace) before the client's
    /// command starts; 0 waits for nothing.
    #[arg(long, value_name = "PORT", default_value_t = 80, requires = "server")]
    pub(crate) server_port: u16,
    /// MTU of the two TUN devices.
    #[arg(long, value_name = "BYTES", default_value_t = 1500, value_parser = clap::value_parser!(u16).range(1280..=8500))]
    pub(crate) mtu: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Reflect {
    /// The address to answer at, with a port where it is not 6081.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = appliance, default_value = "10.66.0.2")]
    pub(crate) listen: SocketAddrV4,
    /// Answer nobody but these addresses; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) allow: Vec<Ipv4Addr>,
    /// What to do wrong.
    #[arg(long, value_enum)]
    pub(crate) mistake: Option<Mistake>,
    /// With every so manieth datagram.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mistake {
    /// Flip a bit of the inner packet's last byte.
    CorruptInner,
    /// Flip a bit of the cookie.
    CorruptCookie,
    /// Clear a reserved bit that was set, or set one that was clear, in the GENEVE header.
    CorruptGeneve,
    /// Leave the second option out.
    DropOption,
    /// Swap the UDP ports as the addresses.
    SwapPorts,
    /// Answer from another UDP port than the flow's.
    WrongPort,
    /// A UDP checksum that is neither right nor zero.
    WrongChecksum,
    /// Leave the last four bytes out, with right outer lengths.
    Truncate,
    /// Answer twice.
    Duplicate,
    /// Answer after the next one.
    Reorder,
    /// Do not answer.
    Lose,
    /// Answer also what is malformed.
    AnswerMalformed,
    /// Answer in IPv4 fragments.
    Fragment,
    /// Inject a reset into the flow instead of the packet, as an appliance that rejects it.
    Reset,
}

/// An address with or without a port.
fn appliance(text: &str) -> Result<SocketAddrV4, String> {
    let address = match text.contains(':') {
        true => text.parse().ok(),
        false => text.parse().ok().map(|address| SocketAddrV4::new(address, UDP_PORT)),
    };
    address.ok_or_else(|| "expected an IPv4 address such as 10.66.0.2 or 10.66.0.2:6081".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    parsed.filter(|parsed| !parsed.is_zero()).ok_or_else(|| "expected seconds above 0".into())
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 1.0)
}

fn percent(text: &str) -> Result<f64, String> {
    within(text, 100.0)
}

fn within(text: &str, most: f64) -> Result<f64, String> {
    let parsed = text.parse().ok().filter(|parsed| (0.0..=most).contains(parsed));
    parsed.ok_or_else(|| format!("expected a number from 0 to {most}"))
}
