//! Connections as the RFCs have them, segment by segment.

use gwlb_geneve::Side::{self, Client, Server};
use gwlb_geneve::packet::TcpFlags;
use gwlb_geneve::stream::{
    Accepted, Arrival, Connection, Discard, NoRoom, Pool, Share, StreamLimits,
};

use crate::support::streams::{Segment, Watched};

const SYN: u16 = TcpFlags::SYN.0;
const ACK: u16 = TcpFlags::ACK.0;
const FIN: u16 = TcpFlags::FIN.0;
const RST: u16 = TcpFlags::RST.0;
const URG: u16 = TcpFlags::URG.0;

fn segment(flags: u16, sequence_number: u32, acknowledgment_number: u32, data: &[u8]) -> Segment {
    Segment {
        flags: TcpFlags(flags),
        sequence_number,
        acknowledgment_number,
        window: 60_000,
        payload: data.to_vec(),
        ..Segment::default()
    }
}

fn watched(connection: Connection) -> Watched {
    Watched::new(
        connection,
        StreamLimits { bytes: 1 << 20, window: 1 << 16, ..StreamLimits::default() },
    )
}

#[track_caller]
fn pass(watched: &mut Watched, side: Side, segment: &Segment) -> Accepted {
    watched.pass(side, segment).unwrap_or_else(|refused| panic!("{refused:?}: {segment:?}")).0
}

#[track_caller]
fn refused(watched: &mut Watched, side: Side, segment: &Segment) -> Arrival {
    watched.pass(side, segment).expect_err("it is not part of the conversation")
}

/// Client from 1000 on, server from 5000 on.
fn opened() -> Watched {
    let mut watched = watched(Connection::new());
    pass(&mut watched, Client, &segment(SYN, 999, 0, b""));
    pass(&mut watched, Server, &segment(SYN | ACK, 4_999, 1_000, b""));
    assert!(!watched.connection.is_under_way());
    pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b""));
    assert!(watched.connection.is_under_way());
    watched
}

#[test]
fn one_that_was_under_way_begins_with_what_is_seen_of_it() {
    let mut watched = watched(Connection::midstream());
    pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"first"));
    // Below it: nobody knows what was forwarded there, and nobody is told.
    assert!(pass(&mut watched, Client, &segment(ACK, 990, 5_000, b"before")).has_unknown());
    assert!(
        pass(&mut watched, Client, &segment(ACK, 990, 5_000, b"before----first-and-on"))
            .has_unknown()
    );
    pass(&mut watched, Server, &segment(ACK, 5_000, 1_012, b"answer"));
    watched.acknowledged(Client, 12);
    assert_eq!(watched.told, [b"first-and-on".to_vec(), b"answer".to_vec()]);
    assert!(!watched.connection.is_under_way());
    pass(&mut watched, Client, &segment(ACK, 1_012, 5_006, b""));
    assert!(watched.connection.is_under_way());
    watched.close();
}

/// The SYN went by before; its answer tells where both sides begin.
#[test]
fn one_that_is_first_seen_with_the_answer_to_its_syn() {
    let mut watched = watched(Connection::midstream());
    pass(&mut watched, Server, &segment(SYN | ACK, 4_999, 1_000, b""));
    assert_eq!(watched.connection.next_sequence_number(Client), Some(1_000));
    pass(&mut watched, Client, &segment(ACK, 1_003, 5_000, b"lo"));
    pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"hel"));
    pass(&mut watched, Server, &segment(ACK, 5_000, 1_005, b"world"));
    assert_eq!(watched.told, [b"hello".to_vec(), b"world".to_vec()]);
    // Not where the SYN would have been seen.
    let mut seen = watched_new();
    let answer = segment(SYN | ACK, 4_999, 1_000, b"");
    assert_eq!(refused(&mut seen, Server, &answer), Arrival::Discard(Discard::NotOpen));
}

fn watched_new() -> Watched {
    watched(Connection::new())
}

#[test]
fn a_gap_is_one_only_where_bytes_may_have_been_missed() {
    let mut watched = opened();
    pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"hello"));
    let ahead = segment(ACK, 5_000, 1_105, b"");
    assert_eq!(refused(&mut watched, Server, &ahead), Arrival::Discard(Discard::Acknowledgment));
    watched.connection.allow_gaps();
    // Something waits behind the gap, and is counted to it where it is contiguous.
    pass(&mut watched, Client, &segment(ACK, 1_105, 5_000, b"more"));
    let Arrival::Gap(gap) = refused(&mut watched, Server, &ahead) else { panic!() };
    assert_eq!((gap.side, gap.offset, gap.len), (Client, 5, 104));
    assert!(!watched.connection.skip(&mut watched.pool, gap));
    watched.told[0].resize(109, b'?');
    watched.acknowledged(Client, 105);
    pass(&mut watched, Server, &ahead);
    pass(&mut watched, Client, &segment(ACK, 1_109, 5_000, b"end"));
    assert_eq!(&watched.told[0][109..], b"end");
    // Nobody far away from where the server stands tells of one.
    let guessed = segment(ACK, 5_000 + (1 << 17), 2_000, b"");
    assert!(matches!(refused(&mut watched, Server, &guessed), Arrival::Discard(_)));
    watched.close();
}

#[test]
fn urgent_data_stays_in_line() {
    let mut watched = opened();
    let urgent = |number, pointer, data: &[u8]| Segment {
        urgent_pointer: pointer,
        ..segment(ACK | URG, number, 5_000, data)
    };
    assert_eq!(pass(&mut watched, Client, &urgent(1_000, 3, b"abc")).urgent(), Some(2));
    // Announced before it comes, and pointing at what was told.
    assert_eq!(pass(&mut watched, Client, &urgent(1_003, 100, b"de")).urgent(), Some(102));
    assert_eq!(pass(&mut watched, Client, &urgent(1_005, 0, b"f")).urgent(), Some(4));
    // A pointer without the flag is none.
    let plain = Segment { urgent_pointer: 3, ..segment(ACK, 1_006, 5_000, b"g") };
    assert_eq!(pass(&mut watched, Client, &plain).urgent(), None);
    assert_eq!(watched.told[0], b"abcdefg");
    watched.close();
}

/// Where the next byte in order goes is known from the one before, unless others came before their time, or all were
/// acknowledged: each byte that comes again is then still compared with itself.
#[test]
fn bytes_go_on_where_they_belong() {
    let text: Vec<u8> = (0..12_000_u32).map(|n| (n / 7 % 251) as u8).collect();
    let mut watched = opened();
    let say = |watched: &mut Watched, from: u16, to: u16| {
        let bytes = &text[usize::from(from)..usize::from(to)];
        pass(watched, Client, &segment(ACK, 1_000 + u32::from(from), 5_000, bytes))
    };
    let acknowledge = |watched: &mut Watched, to: u16| {
        pass(watched, Server, &segment(ACK, 5_000, 1_000 + u32::from(to), b""));
        watched.acknowledged(Client, u64::from(to));
    };
    // Over the end of a block, and after one out of order.
    say(&mut watched, 0, 1_400);
    say(&mut watched, 1_400, 2_800);
    assert!(say(&mut watched, 3_000, 3_700).is_out_of_order());
    say(&mut watched, 2_800, 3_000);
    say(&mut watched, 3_700, 4_000);
    say(&mut watched, 4_000, 5_000);
    for from in (0..5_000).step_by(500) {
        assert!(!say(&mut watched, from, from + 500).is_edited(), "{from}");
    }
    // In another memory, which begins with few bytes, grows, and ends where a block does.
    acknowledge(&mut watched, 5_000);
    say(&mut watched, 5_000, 5_100);
    say(&mut watched, 5_100, 7_048);
    say(&mut watched, 7_048, 8_500);
    acknowledge(&mut watched, 7_100);
    say(&mut watched, 8_500, 12_000);
    for from in (7_100..12_000).step_by(700) {
        assert!(!say(&mut watched, from, from + 700).is_edited(), "{from}");
    }
    assert_eq!(watched.told[0], text);
    watched.close();
}

/// Nine gaps of 1 GiB less a little: numbers wrap twice, offsets never.
#[test]
fn a_stream_of_many_gib() {
    const GAP: u64 = (1 << 30) - 7;

    let mut connection = Connection::midstream();
    let mut pool = Pool::new(StreamLimits { bytes: 1 << 20, ..StreamLimits::default() }).unwrap();
    let mut consider = |connection: &mut Connection, side, segment: &Segment| {
        let bytes = segment.bytes();
        let view = gwlb_geneve::packet::TcpSegment::parse(&bytes).unwrap();
        let arrival = connection.consider(&pool, side, &view, gwlb_geneve::Timestamp::EPOCH);
        match &arrival {
            Arrival::Accept(accepted) => {
                let told = connection.chunks(&pool, accepted, &segment.payload);
                let told: Vec<_> = told.map(|chunk| (chunk.offset, chunk.data.to_vec())).collect();
                let edits: Vec<_> = connection
                    .edits(&pool, accepted, &segment.payload)
                    .map(|edit| (edit.at, edit.bytes.to_vec()))
                    .collect();
                assert!(connection.commit(&mut pool, accepted, &segment.payload));
                (arrival, told, edits)
            }
            Arrival::Gap(gap) => {
                connection.skip(&mut pool, *gap);
                (arrival, Vec::new(), Vec::new())
            }
            _ => (arrival, Vec::new(), Vec::new()),
        }
    };
    let number = |offset: u64| (offset as u32).wrapping_add(0xffff_0000);
    let mut at = 0;
    for round in 0..9 {
        let data = segment(ACK, number(at), 5_000, format!("round {round}").as_bytes());
        let (arrival, told, _) = consider(&mut connection, Client, &data);
        assert!(matches!(arrival, Arrival::Accept(_)), "{arrival:?} in round {round}");
        assert_eq!(told, [(at, data.payload.clone())], "in round {round}");
        // Out of order behind it, and then other bytes for the first.
        let ahead = segment(ACK, number(at + 10), 5_000, b"ahead");
        consider(&mut connection, Client, &ahead);
        let other = segment(ACK, number(at), 5_000, b"Round 0 --ahead");
        let (_, told, edits) = consider(&mut connection, Client, &other);
        assert_eq!(told.iter().map(|(_, data)| data.len()).sum::<usize>(), 8, "in round {round}");
        assert_eq!(edits[0], (0, data.payload.clone()), "in round {round}");
        at += 15;
        assert_eq!(connection.next_offset(Client), at);
        assert_eq!(connection.next_sequence_number(Client), Some(number(at)));
        at += GAP;
        let beyond = segment(ACK, 5_000, number(at), b"");
        if round > 0 {
            let (arrival, ..) = consider(&mut connection, Server, &beyond);
            assert!(matches!(arrival, Arrival::Gap(_)), "{arrival:?} in round {round}");
        } else {
            consider(&mut connection, Server, &segment(ACK, 5_000, number(15), b""));
            consider(&mut connection, Server, &beyond);
        }
        consider(&mut connection, Server, &beyond);
        assert_eq!(connection.next_offset(Client), at, "in round {round}");
    }
    assert!(at > 2 << 32);
    connection.close(&mut pool);
    assert_eq!(pool.used(), 0);
}

#[test]
fn data_of_a_syn() {
    // Taken by the server, or not: then it comes again, and is what it was.
    for taken in [true, false] {
        let mut watched = watched_new();
        let syn = segment(SYN, 999, 0, b"hello");
        assert_eq!(pass(&mut watched, Client, &syn).fresh(), 0..5);
        let acknowledged = if taken { 1_005 } else { 1_000 };
        pass(&mut watched, Server, &segment(SYN | ACK, 4_999, acknowledged, b""));
        watched.acknowledged(Client, u64::from(acknowledged) - 1_000);
        let again = segment(ACK, 1_000, 5_000, b"HELLO world");
        let (accepted, forwarded) = watched.pass(Client, &again).unwrap();
        assert_eq!(accepted.is_edited(), !taken);
        let expected: &[u8] = if taken { b"HELLO world" } else { b"hello world" };
        assert_eq!((&forwarded[..], &watched.told[0][..]), (expected, b"hello world".as_slice()));
        watched.close();
    }
    // Another SYN behind one with data would leave open where the stream begins.
    let mut watched = watched_new();
    pass(&mut watched, Client, &segment(SYN, 999, 0, b"hello"));
    let other = segment(SYN, 1_004, 0, b"");
    assert_eq!(refused(&mut watched, Client, &other), Arrival::Discard(Discard::Syn));
}

#[test]
fn one_side_closes_and_the_other_goes_on() {
    let mut watched = opened();
    assert!(pass(&mut watched, Client, &segment(ACK | FIN, 1_000, 5_000, b"last")).ends());
    let more = segment(ACK, 1_004, 5_000, b"x");
    assert_eq!(refused(&mut watched, Client, &more), Arrival::Discard(Discard::AfterFin));
    let moved = segment(ACK | FIN, 1_002, 5_000, b"");
    assert_eq!(refused(&mut watched, Client, &moved), Arrival::Discard(Discard::AfterFin));
    for n in 0..100 {
        pass(&mut watched, Server, &segment(ACK, 5_000 + n * 5, 1_005, b"still"));
        watched.acknowledged(Client, 4);
        pass(&mut watched, Client, &segment(ACK, 1_005, 5_005 + n * 5, b""));
        watched.acknowledged(Server, u64::from(n) * 5 + 5);
    }
    assert!(!watched.connection.is_over() && watched.connection.is_under_way());
    pass(&mut watched, Server, &segment(ACK | FIN, 5_500, 1_005, b""));
    assert!(!watched.connection.is_over());
    pass(&mut watched, Client, &segment(ACK, 1_005, 5_501, b""));
    assert!(watched.connection.is_over() && !watched.connection.is_under_way());
    assert_eq!(watched.told[1].len(), 500);
    watched.close();
}

#[test]
fn the_same_ports_again() {
    for is_over in [true, false] {
        let mut watched = opened();
        pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"old"));
        if is_over {
            pass(&mut watched, Server, &segment(ACK | FIN, 5_000, 1_003, b""));
            watched.acknowledged(Client, 3);
            pass(&mut watched, Client, &segment(ACK | FIN, 1_003, 5_001, b""));
            pass(&mut watched, Server, &segment(ACK, 5_001, 1_004, b""));
            assert!(watched.connection.is_over());
        }
        let offer = pass(&mut watched, Client, &segment(SYN, 70_000, 0, b""));
        assert!(!offer.reopens());
        // Of the connection before, as long as nobody has answered.
        assert_eq!(watched.connection.next_offset(Client), 3);
        let wrong = segment(SYN | ACK, 90_000, 70_000, b"");
        assert!(matches!(refused(&mut watched, Server, &wrong), Arrival::Discard(_)));
        let answer = pass(&mut watched, Server, &segment(SYN | ACK, 90_000, 70_001, b""));
        assert!(answer.reopens());
        pass(&mut watched, Client, &segment(ACK, 70_001, 90_001, b"new"));
        assert_eq!(watched.told[0], b"new");
        let old = segment(ACK, 1_003, 5_001, b"old");
        assert!(matches!(refused(&mut watched, Client, &old), Arrival::Discard(_)));
        watched.close();
    }
}

/// Who refuses the offer of another connection leaves the one that there is as it is.
#[test]
fn an_offer_that_is_refused() {
    let mut watched = opened();
    pass(&mut watched, Client, &segment(SYN, 70_000, 0, b""));
    let challenge = segment(ACK, 5_000, 1_000, b"");
    pass(&mut watched, Server, &challenge);
    assert!(!pass(&mut watched, Server, &segment(RST | ACK, 0, 70_001, b"")).resets());
    pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"on"));
    assert_eq!(watched.told[0], b"on");
    watched.close();
}

#[test]
fn which_resets_are_believed() {
    // At exactly the next byte; elsewhere in the window it passes, for the receiver to challenge it.
    for (number, expected) in [
        (1_005, Some(true)),
        (1_004, Some(false)),
        (1_006, Some(false)),
        (1_005 + 50_000, Some(false)),
        (1_005 + 200_000, None),
        (999, None),
    ] {
        let mut watched = opened();
        pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"hello"));
        pass(&mut watched, Server, &segment(ACK, 5_000, 1_000, b""));
        let found = watched.pass(Client, &segment(RST, number, 0, b""));
        assert_eq!(found.map(|(accepted, _)| accepted.resets()).ok(), expected, "{number}");
        assert_eq!(watched.connection.is_over(), expected == Some(true), "{number}");
        let more = segment(ACK, 1_005, 5_000, b"x");
        assert_eq!(watched.pass(Client, &more).is_err(), expected == Some(true), "{number}");
        watched.close();
    }
    // With other control bits it is none.
    for flags in [RST | SYN, RST | FIN] {
        let mut watched = opened();
        let odd = segment(flags, 1_000, 0, b"");
        assert_eq!(refused(&mut watched, Client, &odd), Arrival::Discard(Discard::Flags));
    }
    // The answer to a SYN has to acknowledge it.
    for (acknowledged, is_believed) in [(1_000, true), (999, false), (1_001, false)] {
        let mut watched = watched_new();
        pass(&mut watched, Client, &segment(SYN, 999, 0, b""));
        let found = watched.pass(Server, &segment(RST | ACK, 0, acknowledged, b""));
        assert_eq!(found.is_ok_and(|(accepted, _)| accepted.resets()), is_believed);
    }
    // One below what was missed does not end what was not seen to arrive.
    let mut watched = opened();
    pass(&mut watched, Client, &segment(ACK, 1_010, 5_000, b"ahead"));
    assert!(!pass(&mut watched, Client, &segment(RST, 1_015, 0, b"")).resets());
    assert!(pass(&mut watched, Client, &segment(RST, 1_000, 0, b"")).resets());
    watched.close();
}

/// At whichever step of the handshake a connection is forgotten, it goes on as if it had not been.
#[test]
fn one_that_was_forgotten_before_anybody_spoke() {
    let syn = Segment { scale: Some(7), ..segment(SYN, 999, 0, b"") };
    let handshake = [
        (Client, syn),
        (Server, Segment { scale: Some(7), ..segment(SYN | ACK, 4_999, 1_000, b"") }),
        (Client, segment(ACK, 1_000, 5_000, b"")),
    ];
    for forgotten in 0..3 {
        let mut watched = watched_new();
        for (step, (side, segment)) in handshake.iter().enumerate() {
            pass(&mut watched, *side, segment);
            if step < 2 && forgotten & (1 << step) == 0 {
                let (client, server) = watched.connection.beginnings().expect("nothing was said");
                assert_eq!((client, server), (Some(1_000), (step > 0).then_some(5_000)));
                watched.connection.close(&mut watched.pool);
                watched.connection = Connection::resumed(client, server);
                assert!(!watched.connection.is_under_way());
                // Its SYN may come again.
                pass(&mut watched, Client, &handshake[0].1);
            }
        }
        assert!(watched.connection.is_under_way());
        // A window of 60,000 × 2^7.
        let far = segment(ACK, 1_000 + 65_000, 5_000, b"far");
        pass(&mut watched, Client, &far);
        let stray = segment(ACK, 1_000, 4_000_000, b"stray");
        assert!(matches!(refused(&mut watched, Client, &stray), Arrival::Discard(_)));
        pass(&mut watched, Client, &segment(ACK, 1_000, 5_000, b"hello"));
        pass(&mut watched, Server, &segment(ACK, 5_000, 1_005, b"world"));
        assert_eq!(watched.told, [b"hello".to_vec(), b"world".to_vec()]);
        assert_eq!(watched.connection.beginnings(), None);
        watched.close();
    }
}

/// Nobody has more of the pool than the share, and who has room of his own is not held up by others.
#[test]
fn shares_of_a_pool() {
    let limits =
        StreamLimits { bytes: 256 << 10, bytes_per_endpoint: 64 << 10, ..StreamLimits::default() };
    let mut first = Watched::new(Connection::new(), limits);
    let mut share = Share::new();
    let fill = |watched: &mut Watched| {
        pass(watched, Client, &segment(SYN, 999, 0, b""));
        pass(watched, Server, &segment(SYN | ACK, 4_999, 1_000, b""));
        pass(watched, Client, &segment(ACK, 1_000, 5_000, b""));
        let mut at = 1_000;
        loop {
            match watched.pass(Client, &segment(ACK, at, 5_000, &[b'x'; 1_400])) {
                Ok(_) => at += 1_400,
                Err(why) => break (at - 1_000, why),
            }
        }
    };
    let (most, why) = fill(&mut first);
    assert_eq!(why, Arrival::NoRoom(NoRoom::InOrder));
    assert!((30_000..64 << 10).contains(&most), "{most}");
    // Another connection of another one, in the same pool.
    let pool = std::mem::replace(&mut first.pool, Pool::new(limits).unwrap());
    let mut second = Watched::new(Connection::new(), limits);
    second.pool = pool;
    second.pool.exchange(&mut share);
    assert_eq!(fill(&mut second).0, most);
    assert!(second.pool.used() <= 128 << 10);
    second.connection.close(&mut second.pool);
    second.pool.exchange(&mut share);
    first.connection.close(&mut second.pool);
    assert_eq!(second.pool.used(), 0);
}

/// Data of SYNs has no more than half: what is next in order in connections that are answered finds room.
#[test]
fn syns_with_data_leave_room_to_others() {
    let limits = StreamLimits { bytes: 256 << 10, ..StreamLimits::default() };
    let mut watched = Watched::new(Connection::new(), limits);
    let syn = segment(SYN, 999, 0, &[b'x'; 1_000]);
    let mut others = Vec::new();
    let why = loop {
        watched.connection = Connection::new();
        let bytes = syn.bytes();
        let view = gwlb_geneve::packet::TcpSegment::parse(&bytes).unwrap();
        match watched.connection.consider(&watched.pool, Client, &view, watched.now) {
            Arrival::Accept(accepted) => {
                assert!(watched.connection.commit(&mut watched.pool, &accepted, &syn.payload));
                others.push(std::mem::take(&mut watched.connection));
            }
            refused => break refused,
        }
    };
    assert_eq!(why, Arrival::NoRoom(NoRoom::OutOfOrder));
    assert!((100 << 10..=128 << 10).contains(&watched.pool.used()), "{}", watched.pool.used());
    let mut other = opened();
    std::mem::swap(&mut other.pool, &mut watched.pool);
    pass(&mut other, Client, &segment(ACK, 1_000, 5_000, &[b'x'; 1_400]));
    other.connection.close(&mut other.pool);
    for connection in &mut others {
        connection.close(&mut other.pool);
    }
    assert_eq!(other.pool.used(), 0);
}
