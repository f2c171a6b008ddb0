use super::sys::Instruction;
use crate::flow::{Owners, StableHash};

/// A classic BPF program (`linux/filter.h`) that picks the socket of a group by the owner of the flow: what
/// [`Owners::peek`] says, or, where that says nothing, a number beyond all sockets, upon which the kernel chooses.
///
/// It sees the UDP payload from offset 0 on. A load beyond its end would make it answer 0, so lengths are checked first.
pub(super) fn program(workers: u32) -> Vec<Instruction> {
    let mut prefix = vec![op(LD_LEN, 0)];
    prefix.extend(unless(JGE, 64));
    for (at, header) in Owners::OPTIONS {
        prefix.push(op(LD_WORD, at));
        prefix.extend(unless(JEQ, header));
    }
    let [ipv4, ipv6] = [ipv4(workers), ipv6(workers)];
    let [_, around_ipv6] = Owners::GENEVE;
    prefix.extend([
        op(LD_WORD, 0),
        Instruction { code: JEQ, jt: 0, jf: 1, k: around_ipv6 },
        op(JA, u32::try_from(ipv4.len()).unwrap_or(u32::MAX)),
    ]);
    [prefix, ipv4, ipv6].concat()
}

/// The inner IP header begins here.
const IP: u32 = 40;

// Places of the scratch memory: two addresses of up to four words come first.
const LOWER: u32 = 0;
const HIGHER: u32 = 4;
const PORTS: u32 = 8;
const PROTOCOL: u32 = 9;

fn ipv4(workers: u32) -> Vec<Instruction> {
    let [around_ipv4, _] = Owners::GENEVE;
    let mut code = vec![op(LD_WORD, 0)];
    code.extend(unless(JEQ, around_ipv4));
    code.extend([op(LD_BYTE, IP), op(AND, 0xf0)]);
    code.extend(unless(JEQ, 0x40));
    code.extend([op(LD_BYTE, IP), op(AND, 0xf)]);
    code.extend(unless(JGE, 5));
    code.extend([op(LD_HALF, IP + 6), op(AND, 0x3fff)]);
    code.extend(unless(JEQ, 0));
    // X = bytes of the header.
    code.extend([op(LDX_HEADER_LEN, IP), op(LD_LEN, 0), op(SUB_X, 0)]);
    code.extend(unless(JGE, IP + 4));
    code.extend([op(LD_WORD_X, IP), op(ST, PORTS), op(LD_BYTE, IP + 9), op(ST, PROTOCOL)]);
    code.extend(known_protocol());
    code.extend(put_in_order(IP + 12, IP + 16, 1));
    code.extend(owner(workers, 4, 1));
    code
}

fn ipv6(workers: u32) -> Vec<Instruction> {
    let mut code = vec![op(LD_LEN, 0)];
    code.extend(unless(JGE, IP + 44));
    code.extend([op(LD_BYTE, IP), op(AND, 0xf0)]);
    code.extend(unless(JEQ, 0x60));
    code.extend([op(LD_WORD, IP + 40), op(ST, PORTS), op(LD_BYTE, IP + 6), op(ST, PROTOCOL)]);
    code.extend(known_protocol());
    code.extend(put_in_order(IP + 8, IP + 24, 4));
    code.extend(owner(workers, 6, 4));
    code
}

/// Goes on with TCP, and with UDP that is not VXLAN.
fn known_protocol() -> [Instruction; 8] {
    let [is_udp, else_not] = unless(JEQ, 17);
    [
        op(LD_SCRATCH, PROTOCOL),
        Instruction { code: JEQ, jt: 6, jf: 0, k: 6 },
        is_udp,
        else_not,
        op(LD_SCRATCH, PORTS),
        op(AND, 0xffff),
        Instruction { code: JEQ, jt: 0, jf: 1, k: Owners::VXLAN as u32 },
        op(RET, NOBODY),
    ]
}

/// The two addresses, each of so many words, go to the scratch memory in the order of a flow key, and the ports turn with
/// them.
fn put_in_order(source: u32, destination: u32, words: u32) -> Vec<Instruction> {
    let copy = |from: u32, to: u32| {
        let words = (0..words).zip((from..).step_by(4)).zip(to..);
        words.flat_map(|((_, from), to)| [op(LD_WORD, from), op(ST, to)])
    };
    let in_order: Vec<_> = copy(source, LOWER).chain(copy(destination, HIGHER)).collect();
    let mut swapped =
        vec![op(LD_SCRATCH, PORTS), op(LSH, 16), op(TAX, 0), op(LD_SCRATCH, PORTS), op(RSH, 16)];
    swapped.extend([op(OR_X, 0), op(ST, PORTS)]);
    swapped.extend(copy(source, HIGHER).chain(copy(destination, LOWER)));
    swapped.push(op(JA, u32::try_from(in_order.len()).unwrap_or(u32::MAX)));
    let past_swapped = distance(swapped.len());
    // Addresses are equal: by ports.
    let equal = [
        op(LD_SCRATCH, PORTS),
        op(RSH, 16),
        op(TAX, 0),
        op(LD_SCRATCH, PORTS),
        op(AND, 0xffff),
        Instruction { code: JGE_X, jt: past_swapped, jf: 0, k: 0 },
    ];
    let mut code = Vec::new();
    let places = (source..).step_by(4).zip((destination..).step_by(4));
    // After these five instructions there are as many for each further word, and then the other parts.
    for (further, (source, destination)) in (0..words).rev().zip(places) {
        let further = usize::try_from(further).unwrap_or(usize::MAX).saturating_mul(5);
        let to_swapped = further.saturating_add(equal.len());
        let to_in_order = to_swapped.saturating_add(swapped.len()).saturating_add(1);
        code.extend([
            op(LD_WORD, source),
            op(TAX, 0),
            op(LD_WORD, destination),
            Instruction { code: JGT_X, jt: distance(to_in_order), jf: 0, k: 0 },
            Instruction { code: JEQ_X, jt: 0, jf: distance(to_swapped), k: 0 },
        ]);
    }
    code.extend(equal);
    code.extend(swapped);
    code.extend(in_order);
    code
}

/// [`FlowKey::owner`](crate::flow::FlowKey::owner) of what is in the scratch memory.
fn owner(workers: u32, version: u32, words: u32) -> Vec<Instruction> {
    let mut code = vec![op(LDX_IMMEDIATE, 0)];
    let mut add = |load: &[Instruction]| {
        let (factor, shift) = StableHash::ROUND;
        code.extend(load);
        code.extend([op(XOR_X, 0), op(MUL, factor), op(TAX, 0), op(RSH, shift), op(XOR_X, 0)]);
        code.push(op(TAX, 0));
    };
    add(&[op(LD_WORD, 12)]);
    add(&[op(LD_WORD, 16)]);
    add(&[op(LD_SCRATCH, PORTS)]);
    add(&[op(LD_SCRATCH, PROTOCOL), op(LSH, 16), op(OR, 1 << 8 | version)]);
    for first in [LOWER, HIGHER] {
        (0..words).zip(first..).for_each(|(_, place)| add(&[op(LD_SCRATCH, place)]));
    }
    let (factor, shift) = StableHash::FINISH;
    code.extend([op(TXA, 0), op(MUL, factor), op(TAX, 0), op(RSH, shift), op(XOR_X, 0)]);
    code.extend([op(AND, 0xffff), op(MUL, workers), op(RSH, 16), op(RET_A, 0)]);
    code
}

/// No group has as many sockets.
const NOBODY: u32 = u32::MAX;

/// Leaves it to the kernel unless the accumulator compares like this.
const fn unless(jump: u16, k: u32) -> [Instruction; 2] {
    [Instruction { code: jump, jt: 1, jf: 0, k }, op(RET, NOBODY)]
}

const fn op(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// Of a jump. One that is too far makes the kernel refuse the program, as it leads beyond its end.
fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).unwrap_or(u8::MAX)
}

// Class, size or operation, mode or source (`linux/bpf_common.h`).
const LD_WORD: u16 = 0x20;
const LD_HALF: u16 = 0x28;
const LD_BYTE: u16 = 0x30;
const LD_WORD_X: u16 = 0x40;
const LD_LEN: u16 = 0x80;
const LD_SCRATCH: u16 = 0x60;
const LDX_IMMEDIATE: u16 = 0x01;
/// Four times the lower half of a byte.
const LDX_HEADER_LEN: u16 = 0xb1;
const ST: u16 = 0x02;
const SUB_X: u16 = 0x1c;
const MUL: u16 = 0x24;
const OR: u16 = 0x44;
const OR_X: u16 = 0x4c;
const AND: u16 = 0x54;
const LSH: u16 = 0x64;
const RSH: u16 = 0x74;
const XOR_X: u16 = 0xac;
const JA: u16 = 0x05;
const JEQ: u16 = 0x15;
const JEQ_X: u16 = 0x1d;
const JGT_X: u16 = 0x2d;
const JGE: u16 = 0x35;
const JGE_X: u16 = 0x3d;
const RET: u16 = 0x06;
const RET_A: u16 = 0x16;
const TAX: u16 = 0x07;
const TXA: u16 = 0x87;
