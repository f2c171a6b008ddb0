use alloc::vec::Vec;

use smallvec::SmallVec;

use super::header::{Header, Way};
use super::http::{self, Pending};
use super::icmp::IcmpKind;
use super::json::Json;
use super::{Eve, EveTypes, dns, tls};
use crate::flow::{CommunityId, Direction, FlowKey, Relation};
use crate::inspect::{CloseReason, Context, Inspector, Interest, Message, Packet, Verdict};
use crate::packet::Transport;
use crate::protocol::tls::Version;
use crate::protocol::{self, Opaque, Protocol, Why};
use crate::{Side, Timestamp};

/// An inspector that lets everything pass and records HTTP, TLS, DNS and flows. It stands before all others.
///
/// What waits to be recorded, as a request for its response, is held in at most [`MOST_HELD`](Self::MOST_HELD) bytes; beyond, it
/// is recorded as far as it is known.
#[derive(Debug)]
pub struct Recorder {
    eve: Eve,
    interest: Interest,
    /// The record under way.
    line: Vec<u8>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    held: usize,
}

/// What is remembered of a flow until it is recorded.
#[derive(Debug)]
pub struct FlowRecord {
    key: FlowKey,
    opener: Direction,
    way: Way,
    life: Life,
    /// Of its first packet, and of the first answer, where it is a flow of ICMP.
    icmp: [Option<IcmpKind>; 2],
    app: Protocol,
    is_unknown: bool,
    community: Option<CommunityId>,
    requests: SmallVec<[Pending; 1]>,
    handshake: Option<Vec<u8>>,
    /// Whether no more messages are wanted.
    is_done: bool,
    /// DNS queries so far, and the identifiers of the latest.
    queries: u64,
    ids: [u16; 8],
}

/// When something is recorded, and the datagram that brought it about, where one did.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now: Timestamp,
    datagram: Option<usize>,
}

impl Moment {
    fn of(cx: &Context<'_>) -> Self {
        // Who asks without a burst has a packet all the same.
        Self { now: cx.now(), datagram: cx.datagram().or(Some(usize::MAX)) }
    }
}

/// When there was how much of a flow.
#[derive(Clone, Copy, Debug)]
struct Life {
    start: Timestamp,
    last: Timestamp,
    /// Those of the client, and of the server.
    packets: [u64; 2],
    bytes: [u64; 2],
}

impl Recorder {
    /// Bytes that one recorder holds of records that are not whole.
    pub const MOST_HELD: usize = 16 << 20;

    /// Requests of a connection that wait for their responses.
    const MOST_PENDING: usize = 32;

    /// One that records to `eve` what its settings say.
    pub fn new(eve: Eve) -> Self {
        let types = eve.settings().types;
        let mut interest = Interest::END;
        for (wanted, hooks) in [
            (EveTypes::FLOW, Interest::PACKETS.and(Interest::MESSAGES)),
            (EveTypes::HTTP, Interest::HTTP),
            (EveTypes::TLS, Interest::TLS),
            (EveTypes::DNS, Interest::DNS),
            (EveTypes::ANOMALY, Interest::HTTP.and(Interest::TLS)),
        ] {
            if types.contains(wanted) {
                interest = interest | hooks;
            }
        }
        Self { eve, interest, line: Vec::new(), spare: Vec::new(), held: 0 }
    }

    fn records(&self, event_type: EveTypes) -> bool {
        self.eve.settings().types.contains(event_type)
    }

    /// Records something about a flow, its client first.
    fn record(
        &mut self,
        flow: &mut FlowRecord,
        event: (&'static str, Moment),
        tx_id: Option<u64>,
        write: impl FnOnce(&mut Json<'_>),
    ) {
        self.record_of(Side::Client, flow, event, tx_id, write);
    }

    /// The same, with the side first whose packet it is.
    fn record_of(
        &mut self,
        sender: Side,
        flow: &mut FlowRecord,
        (event_type, moment): (&'static str, Moment),
        tx_id: Option<u64>,
        write: impl FnOnce(&mut Json<'_>),
    ) {
        let direction = match sender {
            Side::Client => flow.opener,
            Side::Server => flow.opener.reversed(),
        };
        self.line.clear();
        let mut json = Json::new(&mut self.line);
        let header = Header {
            time: moment.now,
            event_type,
            flow: Some((&flow.key, flow.key.five_tuple(direction))),
            way: Some(flow.way),
            name: self.eve.name_of(flow.way.endpoint),
            frame: self.eve.frame(moment.datagram),
            has_packet: moment.datagram.is_some(),
            tx_id,
        };
        header.write(&mut json, self.eve.settings(), &mut flow.community);
        if flow.app != Protocol::Unknown {
            json.word("app_proto", flow.app.name());
        } else if flow.is_unknown {
            json.word("app_proto", "failed");
        }
        write(&mut json);
        json.end_record();
        self.eve.give(&self.line);
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(512))
    }

    /// A buffer whose members are recorded.
    fn release(&mut self, mut buffer: Vec<u8>) {
        self.held = self.held.saturating_sub(buffer.len());
        if self.spare.len() < 256 && buffer.capacity() <= 16 << 10 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    fn hold(&mut self, bytes: usize) {
        self.held = self.held.saturating_add(bytes);
    }

    fn http(&mut self, flow: &mut FlowRecord, message: &Message<'_>, now: Moment) {
        match message.what {
            protocol::Message::HttpRequest(request) => {
                self.oddities(flow, now, request.anomalies().iter().map(|one| one.name()));
                if !self.records(EveTypes::HTTP) {
                    return;
                }
                let is_full = self.held > Self::MOST_HELD;
                if is_full || flow.requests.len() >= Self::MOST_PENDING {
                    self.end_request(flow, 0, now);
                }
                let mut members = self.buffer();
                http::request(request, &mut members);
                self.hold(members.len());
                flow.requests.push(Pending { number: request.number(), members, length: 0 });
            }
            protocol::Message::HttpResponse(response) => {
                self.oddities(flow, now, response.anomalies().iter().map(|one| one.name()));
                if response.is_interim() || !self.records(EveTypes::HTTP) {
                    return;
                }
                // One to a request that was not seen has a record of its own.
                let number = response.number().unwrap_or(u64::MAX);
                if response.number().is_none() {
                    let members = self.buffer();
                    flow.requests.push(Pending { number, members, length: 0 });
                }
                let Some(place) = flow.place(number) else { return };
                if let Some(pending) = flow.requests.get_mut(place) {
                    let before = pending.members.len();
                    http::response(response, &mut pending.members);
                    let more = pending.members.len().saturating_sub(before);
                    self.hold(more);
                }
                if response.framing() == protocol::http::Framing::None {
                    self.end_request(flow, place, now);
                }
            }
            protocol::Message::HttpBody(body) => {
                self.oddities(flow, now, body.anomalies().iter().map(|one| one.name()));
                if message.side == Side::Client {
                    return;
                }
                let Some(place) = flow.place(body.number().unwrap_or(u64::MAX)) else { return };
                if let Some(pending) = flow.requests.get_mut(place) {
                    let len = u64::try_from(body.data().len()).unwrap_or(u64::MAX);
                    pending.length = pending.length.saturating_add(len);
                }
                if body.is_last() {
                    self.end_request(flow, place, now);
                }
            }
            _ => {}
        }
    }

    fn end_request(&mut self, flow: &mut FlowRecord, place: usize, now: Moment) {
        if place >= flow.requests.len() {
            return;
        }
        let Pending { number, members, length } = flow.requests.remove(place);
        let tx_id = Some(number).filter(|number| *number != u64::MAX);
        self.record(flow, ("http", now), tx_id, |json| {
            json.object("http");
            json.members(&members);
            json.number("length", length);
            json.end_object();
        });
        self.release(members);
    }

    fn tls(&mut self, flow: &mut FlowRecord, what: &protocol::Message<'_>, now: Moment) {
        match what {
            protocol::Message::TlsClientHello(hello) => {
                self.oddities(flow, now, hello.anomalies().names());
                if !self.records(EveTypes::TLS) {
                    return;
                }
                // A second one, which answers a HelloRetryRequest, is the one that counts.
                if let Some(before) = flow.handshake.take() {
                    self.release(before);
                }
                let mut members = self.buffer();
                tls::client(hello, self.eve.settings(), &mut members);
                self.hold(members.len());
                flow.handshake = Some(members);
            }
            protocol::Message::TlsServerHello(hello) => {
                self.oddities(flow, now, hello.anomalies().names());
                if hello.is_hello_retry_request() || !self.records(EveTypes::TLS) {
                    return;
                }
                let mut members = flow.handshake.take().unwrap_or_else(|| self.buffer());
                let before = members.len();
                tls::server(hello, self.eve.settings(), &mut members);
                self.hold(members.len().saturating_sub(before));
                flow.handshake = Some(members);
                // Of later versions nothing more is in clear.
                if hello.version() > Version::TLS_1_2 || self.held > Self::MOST_HELD {
                    self.end_handshake(flow, now);
                }
            }
            protocol::Message::TlsCertificates(certificates) => {
                let (Some(Ok(leaf)), Some(members)) = (certificates.leaf(), &mut flow.handshake)
                else {
                    return;
                };
                let before = members.len();
                tls::certificate(&leaf, members);
                let more = members.len().saturating_sub(before);
                self.hold(more);
                self.end_handshake(flow, now);
            }
            _ => {}
        }
    }

    fn end_handshake(&mut self, flow: &mut FlowRecord, now: Moment) {
        let Some(members) = flow.handshake.take() else { return };
        self.record(flow, ("tls", now), None, |json| {
            json.object("tls");
            json.members(&members);
            json.end_object();
        });
        self.release(members);
        flow.is_done = true;
    }

    /// Version 3 of these records has the addresses of the packet, and the transaction among its members.
    fn dns(
        &mut self,
        flow: &mut FlowRecord,
        (sender, message): (Side, &protocol::dns::Message<'_>),
        now: Moment,
    ) {
        if self.records(EveTypes::DNS) {
            let tx_id = flow.transaction(message.id(), message.is_response());
            self.record_of(sender, flow, ("dns", now), None, |json| {
                dns::message(message, tx_id, json);
            });
        }
    }

    fn opaque(&mut self, flow: &mut FlowRecord, opaque: &Opaque<'_>, now: Moment) {
        flow.is_unknown = true;
        if matches!(opaque.why, Why::Unparsable | Why::TooLarge | Why::Switched) {
            self.oddities(flow, now, core::iter::once(opaque.reason));
        }
    }

    fn oddities(
        &mut self,
        flow: &mut FlowRecord,
        now: Moment,
        names: impl Iterator<Item = &'static str>,
    ) {
        if !self.records(EveTypes::ANOMALY) {
            return;
        }
        for name in names {
            self.record(flow, ("anomaly", now), None, |json| {
                json.object("anomaly");
                json.word("type", "applayer");
                json.text("event", name);
                json.word("layer", "proto_parser");
                json.end_object();
            });
        }
    }
}

impl FlowRecord {
    fn new(first: &Packet<'_>, now: Timestamp) -> Self {
        let direction = first.direction();
        Self {
            key: *first.flow(),
            opener: if first.is_from_opener() { direction } else { direction.reversed() },
            way: Way::of(first.envelope()),
            life: Life { start: now, last: now, packets: [0; 2], bytes: [0; 2] },
            icmp: [None; 2],
            app: Protocol::Unknown,
            is_unknown: false,
            community: None,
            requests: SmallVec::new(),
            handshake: None,
            is_done: false,
            queries: 0,
            ids: [0; 8],
        }
    }

    /// Notes what a flow of ICMP is about. An ICMP error about another flow says nothing of that.
    #[cold]
    fn note_icmp(&mut self, packet: &Packet<'_>) {
        if packet.relation() == Relation::IcmpError {
            return;
        }
        let [opener, answer] = &mut self.icmp;
        let kind = if packet.is_from_opener() { opener } else { answer };
        *kind = kind.or_else(|| IcmpKind::of(packet.transport()));
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.requests.iter().position(|pending| pending.number == number)
    }

    /// The number of a query, or of the one that an answer is to.
    fn transaction(&mut self, id: u16, is_response: bool) -> u64 {
        let most = u64::try_from(self.ids.len()).unwrap_or(u64::MAX);
        let slot = |number: u64| usize::try_from(number & 7).unwrap_or(0);
        if is_response {
            let latest = self.queries.min(most);
            let numbers = (1..=latest).map(|back| self.queries.saturating_sub(back));
            let asked = |number: &u64| self.ids.get(slot(*number)) == Some(&id);
            return numbers.into_iter().find(asked).unwrap_or(self.queries);
        }
        let number = self.queries;
        if let Some(place) = self.ids.get_mut(slot(number)) {
            *place = id;
        }
        self.queries = number.saturating_add(1);
        number
    }
}

impl Life {
    fn write(&self, why: CloseReason, is_alerted: bool, json: &mut Json<'_>) {
        let [to_server, to_client] = self.packets;
        let state = match why {
            CloseReason::Closed => "closed",
            _ if to_server > 0 && to_client > 0 => "established",
            _ => "new",
        };
        let reason = match why {
            CloseReason::Closed | CloseReason::Idle => "timeout",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Replaced => "tcp_reuse",
            _ => "forced",
        };
        json.object("flow");
        json.number("pkts_toserver", to_server);
        json.number("pkts_toclient", to_client);
        let [to_server, to_client] = self.bytes;
        json.number("bytes_toserver", to_server);
        json.number("bytes_toclient", to_client);
        json.stamp("start", self.start);
        json.stamp("end", self.last);
        json.number("age", self.last.saturating_since(self.start).as_secs());
        json.word("state", state);
        json.word("reason", reason);
        json.truth("alerted", is_alerted);
        if why == CloseReason::Refused {
            json.word("action", "drop");
        }
        json.end_object();
    }
}

impl Inspector for Recorder {
    type Flow = FlowRecord;
    const INTEREST: Interest = Interest::PACKETS.and(Interest::MESSAGES).and(Interest::END);

    fn interest(&self) -> Interest {
        self.interest
    }

    fn wants(&self, flow: &FlowRecord) -> Interest {
        if flow.is_done { self.interest.without(Interest::MESSAGES) } else { self.interest }
    }

    fn name(&self) -> &str {
        "eve"
    }

    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<FlowRecord> {
        (self.interest != Interest::END).then(|| FlowRecord::new(first, cx.now()))
    }

    fn packet(
        &mut self,
        flow: &mut FlowRecord,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let Life { last, packets: [client, server], bytes, .. } = &mut flow.life;
        let [client_bytes, server_bytes] = bytes;
        let (packets, bytes) = match packet.is_from_opener() {
            true => (client, client_bytes),
            false => (server, server_bytes),
        };
        let len = u64::try_from(packet.envelope().inner().len()).unwrap_or(u64::MAX);
        *packets = packets.saturating_add(1);
        *bytes = bytes.saturating_add(len);
        *last = (*last).max(cx.now());
        if let Transport::Icmp(_) | Transport::Icmpv6(_) = packet.transport() {
            flow.note_icmp(packet);
        }
        Verdict::PASS
    }

    fn message(
        &mut self,
        flow: &mut FlowRecord,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let (now, what) = (Moment::of(cx), message.what);
        if flow.app == Protocol::Unknown {
            flow.app = what.protocol();
        }
        match what {
            protocol::Message::Opaque(opaque) => self.opaque(flow, opaque, now),
            protocol::Message::Dns(found) => self.dns(flow, (message.side, found), now),
            _ if what.protocol() == Protocol::Http => self.http(flow, message, now),
            _ => self.tls(flow, what, now),
        }
        Verdict::PASS
    }

    fn close(&mut self, mut flow: FlowRecord, why: CloseReason, cx: &mut Context<'_>) {
        let now = Moment { now: cx.now(), datagram: None };
        while !flow.requests.is_empty() {
            self.end_request(&mut flow, 0, now);
        }
        self.end_handshake(&mut flow, now);
        if self.records(EveTypes::FLOW) {
            let (life, [icmp, response]) = (flow.life, flow.icmp);
            let is_alerted = cx.is_alerted();
            self.record(&mut flow, ("flow", now), None, |json| {
                IcmpKind::write(icmp, json);
                IcmpKind::write_response(response, json);
                life.write(why, is_alerted, json);
            });
        }
    }

    fn recover(&mut self, fresh: Self) {
        // Flows that are open hold what they held.
        let held = self.held;
        *self = fresh;
        self.held = held;
    }
}
