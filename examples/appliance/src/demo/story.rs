//! The scenes of the pet store: what is tried, and what has to come of it.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use gwlb_geneve::engine::Disposition;

use super::READ_ONLY;
use super::tcp::SEGMENT;
use super::token::{Claims, issue};
use super::world::{Client, FOOD_STORE, PET_STORE, World, Zone};

/// In the API gateway's subnets.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 64, 7);
const OTHER_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 65, 7);
/// A container that somebody has broken into.
const LATERAL: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 66);

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
pub(super) fn tell(world: &mut World, out: &mut dyn Write) -> Result<Vec<Expectation>> {
    let mut story = Story { world, out, expectations: Vec::new() };
    story.opening()?;
    story.honest()?;
    story.forbidden()?;
    story.disguised()?;
    story.pipelined()?;
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
    world: &'a mut World,
    out: &'a mut dyn Write,
    expectations: Vec<Expectation>,
}

impl Story<'_> {
    fn opening(&mut self) -> Result<()> {
        self.say(
            "A pet store (10.0.1.10) and a food store (10.0.1.20) serve plain HTTP on port 8080 and check nothing. The same two stand in \
             zone A and in zone B, each behind an endpoint of the load balancer. The API gateway's clients are in 10.0.64.0/24 and \
             10.0.65.0/24. The appliance judges every packet between.",
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
        let [a, b] =
            [Zone::A, Zone::B].map(|zone| self.world.service(zone, PET_STORE).table().len());
        let found = format!("{a} pets in zone A, {b} in zone B");
        self.expect("it is in the table, and in that of its zone alone", (a, b) == (3, 2), found)
    }

    fn forbidden(&mut self) -> Result<()> {
        self.scene("What is not")?;
        let (good, other) = (self.token("stores", 300), self.token("billing", 300));
        let expired = self.token("stores", -3_600);
        let forged = format!("{}A", &good[..good.len() - 1]);
        let forged = if forged == good { format!("{}B", &good[..good.len() - 1]) } else { forged };
        for (what, from, token) in [
            ("PUT without a token is rejected", GATEWAY, None),
            ("PUT with an expired token is rejected", GATEWAY, Some(&expired)),
            ("PUT with a token for somebody else is rejected", OTHER_GATEWAY, Some(&other)),
            ("PUT with a forged signature is rejected", OTHER_GATEWAY, Some(&forged)),
            ("PUT with a stolen token from a lateral subnet is rejected", LATERAL, Some(&good)),
        ] {
            self.attack(
                what,
                from,
                &put("/pets/1", "stolen", token.map(String::as_str)),
                Cut::Whole,
            )?;
        }
        let delete = b"DELETE /pets/1 HTTP/1.1\r\nHost: pets.example\r\n\r\n";
        self.attack("DELETE, of which no rule speaks, is rejected", GATEWAY, delete, Cut::Whole)
    }

    fn disguised(&mut self) -> Result<()> {
        self.scene("The same in disguise")?;
        let bad = put("/pets/1", "stolen", None);
        self.attack("PUT in segments of one byte is rejected", GATEWAY, &bad, Cut::Bytes)?;
        self.attack("PUT in IP fragments is rejected", GATEWAY, &bad, Cut::Fragments)?;

        // A harmless request is sent ahead of time, and while it waits a forbidden one for the same place. A receiver may believe either.
        let before = self.tables();
        let client = self.world.connect(Zone::A, GATEWAY, PET_STORE)?;
        let first = get("/pets/1");
        let harmless = format!("{:<width$}", "GET /pets/2 HTTP/1.1\r\nX: ", width = bad.len() - 4)
            + "\r\n\r\n";
        self.world.say_ahead(client, first.len(), harmless.as_bytes())?;
        let second = self.world.say_ahead(client, first.len(), &bad)?;
        self.world.say(client, &first, SEGMENT)?;
        let is_unchanged = self.tables() == before;
        let found = match second.disposition {
            Disposition::ForwardEdited => "its bytes were written over, the table is unchanged",
            _ if is_unchanged => "the table is unchanged",
            _ => "the table is CHANGED",
        };
        let is_met = is_unchanged && second.disposition == Disposition::ForwardEdited;
        self.expect(
            "PUT over a GET that waits, in an overlapping segment, comes to nothing",
            is_met,
            found.into(),
        )
    }

    fn pipelined(&mut self) -> Result<()> {
        self.scene("One behind the other")?;
        let before = self.tables();
        let client = self.world.connect(Zone::A, GATEWAY, PET_STORE)?;
        self.world.say(client, &get("/pets/2"), SEGMENT)?;
        let first = status(self.world.answers(client));
        self.world.say(client, &put("/pets/2", "stolen", None), SEGMENT)?;
        let is_met = first == OK && self.world.is_reset(client) && self.tables() == before;
        let found = format!("{first}, then {}", self.end(client));
        self.expect("of a GET with a PUT behind it, the second is stopped", is_met, found)
    }

    fn flooded(&mut self) -> Result<()> {
        self.scene("A flood of SYNs through the endpoint of zone A")?;
        let zones = [Zone::A, Zone::B];
        let [a, b] = zones.map(|zone| self.world.connect(zone, GATEWAY, PET_STORE));
        let known = [a?, b?];
        self.world.flood(Zone::A, 20_000)?;
        self.say("20,000 connections are begun from made-up addresses; the appliance has room for 8,192 flows, half of it for each endpoint.")?;
        for (client, what) in known
            .into_iter()
            .zip(["a connection from before goes on", "one in the other zone does too"])
        {
            self.world.say(client, &get("/pets"), SEGMENT)?;
            let found = status(self.world.answers(client));
            self.expect(what, found == OK, found)?;
        }
        let found = self.ask(Zone::B, OTHER_GATEWAY, FOOD_STORE, &get("/food"), Cut::Whole)?;
        self.expect("and a new one there is served", found == OK, found)?;
        let bad = put("/pets/1", "stolen", None);
        self.attack("what is forbidden stays so", GATEWAY, &bad, Cut::Whole)
    }

    fn reloaded(&mut self) -> Result<()> {
        self.scene("Another policy, in the middle of a connection")?;
        let client = self.world.connect(Zone::B, GATEWAY, FOOD_STORE)?;
        self.world.say(client, &get("/food/1"), SEGMENT)?;
        self.world.reload(READ_ONLY)?;
        self.say("From now on nobody may write any more.")?;
        let put = put("/food/3", "oats", Some(&self.token("stores", 300)));
        self.world.say(client, &put, SEGMENT)?;
        let fed = self.world.service(Zone::B, FOOD_STORE).table().contains_key("3");
        let found = if fed { "written" } else { "not written" };
        self.expect(
            "a connection from before goes on under the policy that it began under",
            fed,
            found.into(),
        )?;
        let found = self.ask(Zone::B, GATEWAY, FOOD_STORE, &put, Cut::Whole)?;
        self.expect("a new one is judged by the new policy", found == RESET, found)?;
        let found = self.ask(Zone::B, GATEWAY, FOOD_STORE, &get("/food/3"), Cut::Whole)?;
        self.expect("which lets everyone read", found == OK, found)
    }

    fn restarted(&mut self) -> Result<()> {
        self.scene("The appliance is killed, and started again")?;
        let client = self.world.connect(Zone::A, GATEWAY, PET_STORE)?;
        self.world.say(client, &get("/pets/1"), SEGMENT)?;
        self.world.restart()?;
        let before = self.world.answers(client).len();
        self.world.say(client, &get("/pets/2"), SEGMENT)?;
        let found = status(&self.world.answers(client)[before..]);
        self.expect("a connection that it knows nothing of goes on", found == OK, found)?;
        let tables = self.tables();
        self.world.say(client, &put("/pets/1", "stolen", None), SEGMENT)?;
        let found = self.end(client);
        self.expect(
            "and is judged: a PUT in it is rejected",
            found == RESET && self.tables() == tables,
            found,
        )
    }

    /// A request that has to be rejected, and has to change nothing.
    fn attack(
        &mut self,
        what: &'static str,
        from: Ipv4Addr,
        request: &[u8],
        cut: Cut,
    ) -> Result<()> {
        let (tables, logs) = (self.tables(), self.logs());
        let found = self.ask(Zone::A, from, PET_STORE, request, cut)?;
        let is_untouched = self.tables() == tables && self.logs() == logs;
        let seen =
            if is_untouched { "the service has seen nothing" } else { "the service has SEEN it" };
        self.expect(what, found == RESET && is_untouched, format!("{found}, {seen}"))
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
        let client = self.world.connect(zone, from, to)?;
        match cut {
            Cut::Whole => drop(self.world.say(client, request, SEGMENT)?),
            Cut::Bytes => drop(self.world.say(client, request, 1)?),
            Cut::Fragments => drop(self.world.say_in_fragments(client, request, 24)?),
        }
        let from = format!("{from} to the {} in zone {zone:?}", self.world.service(zone, to).name);
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        writeln!(self.out, "  {from}: {}", line.escape_ascii())?;
        Ok(match self.world.answers(client) {
            [] => self.end(client),
            answer => status(answer),
        })
    }

    fn end(&self, client: Client) -> String {
        match (self.world.is_reset(client), self.world.is_alive(client)) {
            (true, _) => RESET.to_string(),
            (_, true) => "no answer".to_string(),
            _ => "no connection".to_string(),
        }
    }

    /// A token that expires in so many seconds.
    fn token(&self, audience: &str, seconds: i64) -> String {
        let (now, span) = (self.world.now(), Duration::from_secs(seconds.unsigned_abs()));
        let expires = match seconds {
            0.. => now.saturating_add(span),
            _ => gwlb_geneve::Timestamp::from_unix(
                Duration::from_nanos(now.as_nanos()).saturating_sub(span),
            ),
        };
        issue(&Claims { audience, expires })
    }

    fn tables(&self) -> String {
        self.stores(|service| format!("{:?}", service.table()))
    }

    fn logs(&self) -> String {
        self.stores(|service| format!("{:?}", service.log))
    }

    fn stores(&self, show: impl Fn(&super::service::Service) -> String) -> String {
        let all = [
            (Zone::A, PET_STORE),
            (Zone::A, FOOD_STORE),
            (Zone::B, PET_STORE),
            (Zone::B, FOOD_STORE),
        ];
        all.map(|(zone, store)| show(self.world.service(zone, store))).join("\n")
    }

    fn scene(&mut self, title: &str) -> Result<()> {
        Ok(writeln!(self.out, "\n== {title}")?)
    }

    fn say(&mut self, text: &str) -> Result<()> {
        let mut width = 0;
        for word in text.split_whitespace() {
            if width + word.len() > 100 {
                writeln!(self.out)?;
                width = 0;
            }
            write!(self.out, "{}{word}", if width == 0 { "  " } else { " " })?;
            width += word.len() + 1;
        }
        Ok(writeln!(self.out)?)
    }

    fn expect(&mut self, what: &'static str, is_met: bool, found: String) -> Result<()> {
        for alert in self.world.take_alerts() {
            writeln!(self.out, "    alert {alert}")?;
        }
        let mark = if is_met { "->" } else { "-> NOT AS EXPECTED:" };
        writeln!(self.out, "    {mark} {what}: {found}")?;
        self.expectations.push(Expectation::new(what, is_met, found));
        Ok(())
    }
}

const OK: &str = "200 OK";
const RESET: &str = "connection reset";

fn status(answer: &[u8]) -> String {
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.strip_prefix(b"HTTP/1.1 ") {
        Some(status) => status.escape_ascii().to_string(),
        None => "no answer".to_string(),
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: stores.example\r\n\r\n").into()
}

fn put(path: &str, value: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let authorization = authorization.unwrap_or_default();
    let len = value.len();
    format!(
        "PUT {path} HTTP/1.1\r\nHost: stores.example\r\n{authorization}Content-Length: {len}\r\n\r\n{value}"
    )
    .into()
}
