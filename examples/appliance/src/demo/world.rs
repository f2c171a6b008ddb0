//! What the story needs of a world to be played in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use gwlb_geneve::Timestamp;
use gwlb_geneve::capture::Reader;
use serde::{Deserialize, Serialize};

pub(super) const PET_STORE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 10), 8080);
pub(super) const FOOD_STORE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 20), 8080);

/// One of the two zones: an endpoint of the load balancer with services behind it, at the same addresses in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    A,
    B,
}

/// Clients, services that can be reached, and an appliance between them.
pub(super) trait World {
    fn now(&self) -> Timestamp;

    /// What the appliance has said since this was asked last.
    fn take_alerts(&mut self) -> Result<Vec<String>>;

    /// A store, as it is.
    fn store(&mut self, zone: Zone, at: SocketAddrV4) -> Result<Store>;

    /// A request on a connection of its own.
    fn ask(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        request: &[u8],
    ) -> Result<Heard>;

    /// Connects to a store. Whether that worked, [`hear`](Self::hear) says.
    fn connect(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        by: Means,
    ) -> Result<Client>;

    /// A client says something next, in segments of at most `size` bytes.
    fn say(&mut self, client: Client, data: &[u8], size: usize) -> Result<()>;

    /// A client by [`Means::Crafted`] says something out of turn: `ahead` bytes further than it has come.
    fn say_ahead(&mut self, client: Client, ahead: usize, data: &[u8]) -> Result<()>;

    /// A client by [`Means::Crafted`] says something next, in IP fragments with `size` bytes, a multiple of eight.
    fn say_in_fragments(&mut self, client: Client, data: &[u8], size: usize) -> Result<()>;

    /// What a client has heard so far.
    fn hear(&mut self, client: Client) -> Result<Heard>;

    /// SYNs from made-up addresses to the pet store, whose answers come to nobody.
    fn flood(&mut self, zone: Zone, count: u32) -> Result<()>;

    /// How many packets the appliance has kept as evidence; waits a little for the first.
    fn evidence(&mut self) -> Result<usize>;

    /// Gives the appliance another policy, for new flows.
    fn reload(&mut self, policy: &'static str) -> Result<()>;

    /// Kills the appliance and starts it again.
    fn restart(&mut self) -> Result<()>;
}

/// How a client's packets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// As its system makes them.
    Plain,
    /// Each by hand.
    Crafted,
}

/// A client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) usize);

/// What a client has heard.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) answer: Vec<u8>,
    pub(super) end: End,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Reset,
    /// It did not come about.
    Missing,
}

/// What a store has, and all that it was ever asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Store {
    pub(super) name: String,
    pub(super) table: BTreeMap<String, String>,
    /// `METHOD path`, in the order in which they came.
    pub(super) log: Vec<String>,
}

impl Store {
    fn new(name: &str, rows: &[(&str, &str)]) -> Self {
        let table = rows.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Self { name: name.to_owned(), table, log: Vec::new() }
    }

    /// Those of a zone, as they are at first.
    pub(super) fn all() -> [(SocketAddrV4, Self); 2] {
        [
            (PET_STORE, Self::new("pet store", &[("1", "Rex"), ("2", "Tom")])),
            (FOOD_STORE, Self::new("food store", &[("1", "bones"), ("2", "fish")])),
        ]
    }
}

/// How many packets there are in the files of evidence in a folder, as soon as there are any, or after a while.
pub(super) fn packets_of_evidence(folder: &Path) -> Result<usize> {
    let begin = Instant::now();
    loop {
        let mut packets = 0;
        for file in std::fs::read_dir(folder).into_iter().flatten() {
            // One that was only just begun is none yet.
            let Ok(mut reader) = Reader::open(file?.path()) else { continue };
            while let Some(Ok(_)) = reader.next_packet() {
                packets += 1;
            }
        }
        if packets > 0 || begin.elapsed() > Duration::from_secs(3) {
            return Ok(packets);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
