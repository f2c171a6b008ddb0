use super::super::parser::Guess;
use super::headers::{is_space, is_token_byte};
use crate::Side;

/// Ports where a line that begins like a request is taken for one, whatever its target looks like.
const PORTS: [u16; 2] = [80, 8080];

/// Methods that are enough of a sign; PRI is what HTTP/2 begins with.
const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
];

/// Whether the first bytes of a side are HTTP.
pub(in super::super) fn guess(side: Side, start: &[u8], hint: Option<u16>) -> Guess {
    match side {
        Side::Client => request(start, hint),
        Side::Server => prefix(start, b"HTTP/"),
    }
}

fn request(start: &[u8], hint: Option<u16>) -> Guess {
    // Servers pass over empty lines, so they must not hide what follows.
    if matches!(start.first(), Some(b'\r' | b'\n')) {
        return Guess::Yes;
    }
    let end = start.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(start.len());
    let (method, rest) = start.split_at_checked(end).unwrap_or((start, &[]));
    let Some((space, target)) = rest.split_first() else { return Guess::More };
    if method.is_empty() || !is_space(*space) || *space == b'\n' {
        return Guess::No;
    }
    if METHODS.contains(&method) || hint.is_some_and(|port| PORTS.contains(&port)) {
        return Guess::Yes;
    }
    match target.first() {
        None => Guess::More,
        Some(b'/' | b'*') => Guess::Yes,
        // `EHLO httpd.example` is none.
        Some(_) => prefix(target, b"http:"),
    }
}

/// In whatever case.
pub(super) fn prefix(start: &[u8], sign: &[u8]) -> Guess {
    let is_same = start.iter().zip(sign).all(|(byte, sign)| byte.eq_ignore_ascii_case(sign));
    match is_same {
        true if start.len() >= sign.len() => Guess::Yes,
        true => Guess::More,
        false => Guess::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_other_first_lines() {
        for (start, hint, expected) in [
            (&b"GET / HTTP/1.1"[..], None, Guess::Yes),
            (b"G", None, Guess::More),
            (b"GET", None, Guess::More),
            (b"GETS ", None, Guess::More),
            (b"get /", None, Guess::Yes),
            (b"PROPFIND /dav", None, Guess::Yes),
            (b"PROPFIND http://a/", None, Guess::Yes),
            (b"PROPFIND HTT", None, Guess::More),
            (b"GET\t/", None, Guess::Yes),
            (b"\r\nGET /", None, Guess::Yes),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None, Guess::Yes),
            (b"EHLO mail.example\r\n", None, Guess::No),
            (b"EHLO httpd.example\r\n", None, Guess::No),
            (b"EHLO mail.example\r\n", Some(80), Guess::Yes),
            (b"SSH-2.0-OpenSSH_9.6\r\n", None, Guess::No),
            (b"\x16\x03\x01", Some(80), Guess::No),
            (b" GET /", None, Guess::No),
            (b"QUIT\r\n", None, Guess::No),
        ] {
            assert_eq!(guess(Side::Client, start, hint), expected, "{}", start.escape_ascii());
        }
        assert_eq!(guess(Side::Server, b"HTTP/1.1", None), Guess::Yes);
        assert_eq!(guess(Side::Server, b"HT", None), Guess::More);
        assert_eq!(guess(Side::Server, b"220 mail", Some(80)), Guess::No);
    }
}
