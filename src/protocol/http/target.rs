use alloc::vec::Vec;

use memchr::{memchr, memchr2};

use super::super::Text;
use super::anomalies::Anomalies;
use super::anomaly::Anomaly;

/// The target of a request in its parts (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target<'a> {
    /// Host and port, where the target names them.
    pub(super) authority: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    pub(super) fn parse(target: &'a [u8], is_connect: bool, anomalies: &mut Anomalies) -> Self {
        let is_odd = |byte: &u8| !(0x21..0x7f).contains(byte) || *byte == b'#';
        anomalies.add_if(target.iter().any(is_odd), Anomaly::TargetInvalid);
        if is_connect {
            return Self { authority: Some(target), ..Self::default() };
        }
        let (authority, rest) = match target.first() {
            Some(b'/') => (None, target),
            Some(b'*') if target.len() == 1 => (None, target),
            _ => match after_scheme(target) {
                Some(rest) => {
                    let end =
                        rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
                    let (authority, rest) =
                        rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
                    (Some(authority), rest)
                }
                None => {
                    anomalies.add(Anomaly::TargetInvalid);
                    (None, target)
                }
            },
        };
        let rest = memchr(b'#', rest).and_then(|at| rest.get(..at)).unwrap_or(rest);
        let (path, query) = match memchr(b'?', rest).and_then(|at| rest.split_at_checked(at)) {
            Some((path, query)) => (path, query.get(1..)),
            None => (rest, None),
        };
        check_path(path, anomalies);
        Self { authority, path, query }
    }
}

/// What follows `http://`, with whatever scheme.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_at_checked(memchr(b':', target)?)?;
    let is_scheme = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    rest.strip_prefix(b"://").filter(|_| is_scheme && !scheme.is_empty())
}

fn check_path(path: &[u8], anomalies: &mut Anomalies) {
    if memchr2(b'%', b'\\', path).is_some() {
        anomalies.add_if(memchr(b'\\', path).is_some(), Anomaly::PathEncodedSeparator);
        let mut rest = path;
        while let Some(after) = memchr(b'%', rest).and_then(|at| rest.get(at..)) {
            rest = after.get(1..).unwrap_or(&[]);
            match escaped(rest) {
                None => anomalies.add(Anomaly::PathEscapeInvalid),
                Some(b'%') if begins_with_digits(decoded(rest.get(2..).unwrap_or(&[]))) => {
                    anomalies.add(Anomaly::PathDoubleEncoded);
                }
                Some(b'/' | b'\\') => anomalies.add(Anomaly::PathEncodedSeparator),
                Some(0) => anomalies.add(Anomaly::PathEncodedNul),
                Some(0xc0 | 0xc1) => anomalies.add(Anomaly::PathOverlong),
                Some(_) => {}
            }
        }
    }
    let mut segments = path.split(|byte| matches!(byte, b'/' | b'\\')).skip(1).peekable();
    while let Some(segment) = segments.next() {
        anomalies.add_if(is_dots(segment), Anomaly::PathDotSegment);
        let is_last = segments.peek().is_none();
        anomalies.add_if(segment.is_empty() && !is_last, Anomaly::PathEmptySegment);
    }
}

/// Whether a segment is `.` or `..`, also encoded, also between encoded separators, also with a parameter behind it.
fn is_dots(segment: &[u8]) -> bool {
    let (mut dots, mut is_other, mut is_parameter) = (0_u32, false, false);
    for byte in decoded(segment).chain([b'/']) {
        match byte {
            b'/' | b'\\' if !is_other && matches!(dots, 1 | 2) => return true,
            b'/' | b'\\' => (dots, is_other, is_parameter) = (0, false, false),
            _ if is_parameter => {}
            b';' => is_parameter = true,
            b'.' => dots = dots.saturating_add(1),
            _ => is_other = true,
        }
    }
    false
}

/// The byte that the two hexadecimal digits at the beginning are for.
fn escaped(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*high)?.wrapping_shl(4) | digit(*low)?)
}

/// Whether what follows a `%` that is decoded makes it an escape again: two hexadecimal digits, themselves encoded or not.
fn begins_with_digits(mut decoded: impl Iterator<Item = u8>) -> bool {
    let mut is_digit = || decoded.next().is_some_and(|byte| byte.is_ascii_hexdigit());
    is_digit() && is_digit()
}

/// Percent-decoded once; what is no escape stays as it is.
fn decoded(path: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = path;
    core::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let escape = escaped(after).filter(|_| *first == b'%');
        rest = if escape.is_some() { after.get(2..).unwrap_or(&[]) } else { after };
        Some(escape.unwrap_or(*first))
    })
}

/// Percent-decoded once, then without `.` and `..` (RFC 3986 §5.2.4).
pub(super) fn normal_path(path: &[u8]) -> Text<'_> {
    if path.is_empty() {
        return Text::borrowed(b"/");
    }
    let is_plain = memchr(b'%', path).is_none()
        && !path.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."));
    if is_plain {
        return Text::borrowed(path);
    }
    let decoded: Vec<u8> = decoded(path).collect();
    let mut normal: Vec<u8> = Vec::with_capacity(decoded.len());
    let mut segments = decoded.split(|byte| *byte == b'/').peekable();
    // Before the first slash there is nothing in a path that is one.
    if let Some(first) = segments.next() {
        normal.extend_from_slice(first);
    }
    while let Some(segment) = segments.next() {
        match segment {
            b"." => {}
            b".." => normal.truncate(memchr::memrchr(b'/', &normal).unwrap_or(0)),
            _ => {
                normal.push(b'/');
                normal.extend_from_slice(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            normal.push(b'/');
        }
    }
    if normal.is_empty() {
        normal.push(b'/');
    }
    Text::owned(normal)
}

/// A host without port and user name, and whether it is one.
pub(super) fn host_name(authority: &[u8]) -> (&[u8], bool) {
    let (user, host) = match memchr::memrchr(b'@', authority) {
        Some(at) => (true, authority.get(at.saturating_add(1)..).unwrap_or(&[])),
        None => (false, authority),
    };
    let is_literal = host.starts_with(b"[");
    let name_end = if is_literal {
        memchr(b']', host).map_or(host.len(), |at| at.saturating_add(1))
    } else {
        memchr(b':', host).unwrap_or(host.len())
    };
    let (name, port) = host.split_at_checked(name_end).unwrap_or((host, &[]));
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    let is_name = match name {
        [b'[', inside @ .., b']'] => {
            inside.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
                && !inside.is_empty()
        }
        _ => {
            name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte))
                && !name.split(|byte| *byte == b'.').any(<[u8]>::is_empty)
        }
    };
    (name, is_name && is_port && !user)
}

/// A host name in lower case.
pub(super) fn normal_host(authority: &[u8]) -> Text<'_> {
    let (name, _) = host_name(authority);
    if name.iter().any(u8::is_ascii_uppercase) {
        Text::owned(name.to_ascii_lowercase())
    } else {
        Text::borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_then_resolved() {
        for (path, normal) in [
            ("", "/"),
            ("/", "/"),
            ("*", "*"),
            ("/a/b/", "/a/b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/..", "/"),
            ("/%2e%2E/x", "/x"),
            ("/a/%2e%2e%2fb", "/b"),
            ("/%61dmin", "/admin"),
            ("/%2561dmin", "/%61dmin"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%zz%41", "/%zzA"),
            ("/...", "/..."),
            ("//a", "//a"),
            ("/a//../b", "/a/b"),
        ] {
            assert_eq!(normal_path(path.as_bytes()), normal, "{path}");
        }
    }

    #[test]
    fn a_host_is_lower_case_without_port_and_trailing_dot() {
        for (authority, name, is_valid) in [
            ("Example.COM", "example.com", true),
            ("example.com.:443", "example.com", true),
            ("example.com:", "example.com", true),
            ("[2001:DB8::1]:80", "[2001:db8::1]", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("good.example@evil.example", "evil.example", false),
            ("evil.example:80@good.example", "good.example", false),
            ("a:b", "a", false),
            ("a:1:2", "a", false),
            ("a:123456", "a", false),
            ("a..", "a.", false),
            ("", "", false),
            ("a b", "a b", false),
            ("a/b", "a/b", false),
            ("a,b", "a,b", false),
            ("[::1", "[::1", false),
            ("[::1]x", "[::1]", false),
            ("[]", "[]", false),
        ] {
            assert_eq!(normal_host(authority.as_bytes()), name, "{authority}");
            assert_eq!(host_name(authority.as_bytes()).1, is_valid, "{authority}");
        }
    }
}
