use std::sync::{Arc, Mutex};

use gwlb_geneve::Side as End;
use gwlb_geneve::engine::{Engine, Settings};
use gwlb_geneve::inspect::*;

use crate::support::traffic::*;

/// What inspectors have seen, in order.
pub(crate) type Seen = Arc<Mutex<Vec<u8>>>;

pub(crate) const FORBIDDEN: Reason = Reason::new("forbidden-path");

/// Rejects requests for what is under `/admin`.
pub(crate) fn no_admin() -> impl Inspector {
    http_fn("no-admin", |request, _| {
        if request.path().starts_with(b"/admin") {
            return Verdict::reject(FORBIDDEN);
        }
        Verdict::PASS
    })
}

pub(crate) fn guarded() -> Engine<impl Inspector> {
    Engine::new(settings(), no_admin).unwrap()
}

/// Writes down what each side says.
pub(crate) fn recorder(client: &Seen, server: &Seen) -> impl Inspector + use<> {
    let (client, server) = (client.clone(), server.clone());
    stream_fn("recorder", move |chunk, _| {
        let seen = match chunk.side {
            End::Client => &client,
            End::Server => &server,
        };
        let mut seen = seen.lock().unwrap();
        assert_eq!(chunk.offset, seen.len() as u64, "no byte twice, none left out");
        seen.extend(chunk.data);
        Verdict::PASS
    })
}

pub(crate) fn recording(settings: Settings) -> (Engine<impl Inspector>, Seen, Seen) {
    let (client, server) = (Seen::default(), Seen::default());
    let make = {
        let (client, server) = (client.clone(), server.clone());
        move || recorder(&client, &server)
    };
    (Engine::new(settings, make).unwrap(), client, server)
}

/// A conversation through an engine whose handshake is over, and where its two sides are.
pub(crate) struct Talk<I: Inspector> {
    pub(crate) engine: Engine<I>,
    pub(crate) client: Side,
    pub(crate) server: Side,
    /// The next numbers of client and server.
    pub(crate) next: [u32; 2],
    pub(crate) millis: u64,
}

impl<I: Inspector> Talk<I> {
    pub(crate) fn new(engine: Engine<I>) -> Self {
        Self::between(engine, pair())
    }

    pub(crate) fn between(mut engine: Engine<I>, (client, server): (Side, Side)) -> Self {
        handshake(&mut engine, at(0), &(client, server));
        Self { engine, client, server, next: [1_000, 5_000], millis: 1 }
    }

    /// The client says something next.
    pub(crate) fn ask(&mut self, data: &[u8]) -> Sent {
        let sent = self.ask_at(self.next[0], data);
        if sent.is_forwarded() {
            self.next[0] += data.len() as u32;
        }
        sent
    }

    /// The client says something at a place.
    pub(crate) fn ask_at(&mut self, number: u32, data: &[u8]) -> Sent {
        let segment = self.client.tcp(ACK, number, self.next[1], data);
        self.send(true, &segment)
    }

    /// The server says something next, and acknowledges all that was asked.
    pub(crate) fn answer(&mut self, data: &[u8]) -> Sent {
        let segment = self.server.tcp(ACK, self.next[1], self.next[0], data);
        let sent = self.send(false, &segment);
        if sent.is_forwarded() {
            self.next[1] += data.len() as u32;
        }
        sent
    }

    pub(crate) fn send(&mut self, is_client: bool, segment: &[u8]) -> Sent {
        self.millis += 1;
        let side = if is_client { self.client } else { self.server };
        send(&mut self.engine, at_millis(self.millis), &side, segment)
    }
}
