use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use smallvec::SmallVec;

use crate::Timestamp;
use crate::gwlb::EndpointId;
use crate::protocol::dns::{Message, RecordData, RecordType, ResponseCode};

/// The addresses that DNS gave for names: so many names, and so many addresses of each.
#[derive(Debug)]
pub(super) struct Answers {
    most: usize,
    names: BTreeMap<Key, Answer>,
    /// In the order in which they came.
    oldest: VecDeque<Key>,
}

type Key = (EndpointId, Arc<str>);

#[derive(Debug)]
struct Answer {
    addresses: SmallVec<[IpAddr; 4]>,
    /// There were more than are kept.
    is_incomplete: bool,
    until: Timestamp,
}

/// Addresses kept of a name.
const ADDRESSES: usize = 16;
/// Clients go on with an answer for longer than they should.
const AT_LEAST: Duration = Duration::from_secs(600);

impl Answers {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, names: BTreeMap::new(), oldest: VecDeque::new() }
    }

    /// Remembers what an answer says. Aliases are followed: the addresses count for the name that was asked for.
    pub(super) fn note(&mut self, endpoint: EndpointId, message: &Message<'_>, now: Timestamp) {
        if !message.is_response() || message.response_code() != ResponseCode::NO_ERROR {
            return;
        }
        let Some(question) = message.question() else { return };
        if !matches!(question.record_type, RecordType::A | RecordType::AAAA) || self.most == 0 {
            return;
        }
        let mut ttl = 0;
        let mut addresses = SmallVec::<[IpAddr; ADDRESSES]>::new();
        let mut is_incomplete = message.is_truncated();
        for record in message.answers() {
            let address = match record.data() {
                RecordData::A(address) => IpAddr::V4(address),
                RecordData::Aaaa(address) => IpAddr::V6(address),
                _ => continue,
            };
            ttl = ttl.max(record.ttl);
            if addresses.len() < ADDRESSES {
                addresses.push(address);
            } else {
                is_incomplete = true;
            }
        }
        if addresses.is_empty() {
            return;
        }
        let key = (endpoint, Arc::from(question.name.to_string()));
        let until = now.saturating_add(Duration::from_secs(ttl.into()).max(AT_LEAST));
        self.make_room(&key);
        let answer = self.names.entry(key).or_insert_with(|| Answer {
            addresses: SmallVec::new(),
            is_incomplete: false,
            until,
        });
        if answer.until < now {
            answer.addresses.clear();
            answer.is_incomplete = false;
        }
        answer.until = answer.until.max(until);
        answer.is_incomplete |= is_incomplete;
        for address in addresses {
            if answer.addresses.contains(&address) {
                continue;
            }
            if answer.addresses.len() < ADDRESSES {
                answer.addresses.push(address);
            } else {
                answer.is_incomplete = true;
            }
        }
    }

    /// Forgets the oldest name if the one to come is new and has no room.
    fn make_room(&mut self, key: &Key) {
        if self.names.contains_key(key) {
            return;
        }
        if self.names.len() >= self.most {
            if let Some(oldest) = self.oldest.pop_front() {
                self.names.remove(&oldest);
            }
        }
        self.oldest.push_back(key.clone());
    }

    /// Whether a name was answered lately, and with other addresses than this one alone. Of an IP version of which no address was
    /// given nothing is known.
    pub(super) fn contradict(
        &self,
        endpoint: EndpointId,
        name: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> bool {
        self.names.get(&(endpoint, Arc::from(name))).is_some_and(|answer| {
            let mut alike =
                answer.addresses.iter().filter(|it| it.is_ipv4() == address.is_ipv4()).peekable();
            now <= answer.until
                && !answer.is_incomplete
                && alike.peek().is_some()
                && !alike.any(|it| *it == address)
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const HERE: EndpointId = EndpointId(1);

    /// An answer to a question for the addresses of a name, each behind an alias.
    fn answer(name: &str, addresses: &[[u8; 4]], ttl: u32) -> Vec<u8> {
        let mut bytes = alloc::vec![0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes[7] = addresses.len() as u8;
        for label in name.split('.') {
            bytes.push(label.len() as u8);
            bytes.extend(label.bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        for address in addresses {
            bytes.extend(*b"\x05alias\0\0\x01\0\x01");
            bytes.extend(ttl.to_be_bytes());
            bytes.extend([0, 4]);
            bytes.extend(address);
        }
        bytes
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(Duration::from_secs(seconds))
    }

    fn note(answers: &mut Answers, name: &str, addresses: &[[u8; 4]], seconds: u64) {
        let bytes = answer(name, addresses, 1_000);
        answers.note(HERE, &Message::parse(&bytes).unwrap(), at(seconds));
    }

    #[test]
    fn other_addresses_than_the_answers_contradict() {
        let mut answers = Answers::new(10);
        let is_odd = |answers: &Answers, name: &str, last: u8, seconds| {
            answers.contradict(HERE, name, [192, 0, 2, last].into(), at(seconds))
        };
        assert!(!is_odd(&answers, "a.example", 1, 0), "nothing is known");
        note(&mut answers, "A.example", &[[192, 0, 2, 1]], 0);
        assert!(!is_odd(&answers, "a.example", 1, 0) && is_odd(&answers, "a.example", 2, 0));
        assert!(!is_odd(&answers, "b.example", 2, 0));
        assert!(!answers.contradict(EndpointId(2), "a.example", [192, 0, 2, 2].into(), at(0)));
        let v6 = "2001:db8::1".parse().unwrap();
        assert!(!answers.contradict(HERE, "a.example", v6, at(0)));
        // Answers that rotate count together.
        note(&mut answers, "a.example", &[[192, 0, 2, 2]], 500);
        assert!(!is_odd(&answers, "a.example", 1, 500) && !is_odd(&answers, "a.example", 2, 500));
        assert!(is_odd(&answers, "a.example", 3, 1_500));
        assert!(!is_odd(&answers, "a.example", 3, 1_501), "too old");
        note(&mut answers, "a.example", &[[192, 0, 2, 4]], 2_000);
        assert!(is_odd(&answers, "a.example", 1, 2_000), "an old answer does not come back");
    }

    #[test]
    fn more_addresses_than_are_kept_say_nothing() {
        let mut answers = Answers::new(10);
        for last in 0..17 {
            note(&mut answers, "a.example", &[[192, 0, 2, last]], 0);
        }
        assert!(!answers.contradict(HERE, "a.example", [10, 0, 0, 1].into(), at(0)));
    }

    #[test]
    fn the_oldest_names_make_room() {
        let mut answers = Answers::new(3);
        for name in ["a", "b", "a", "c", "d", "e"] {
            note(&mut answers, name, &[[192, 0, 2, 1]], 0);
            assert!(answers.names.len() <= 3 && answers.oldest.len() == answers.names.len());
        }
        let known = |name| answers.contradict(HERE, name, [10, 0, 0, 1].into(), at(0));
        assert_eq!(["a", "b", "c", "d", "e"].map(known), [false, false, true, true, true]);
        let mut none = Answers::new(0);
        note(&mut none, "a", &[[192, 0, 2, 1]], 0);
        assert!(none.names.is_empty() && none.oldest.is_empty());
    }
}
