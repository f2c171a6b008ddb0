use alloc::vec::Vec;

use memchr::memchr;

/// Appends a target as `http.uri` has it: without scheme and host, the path decoded once and normalised, the query as it was sent.
///
/// What is done to the path is what Suricata does unless told otherwise: `%41` and `%u0041` are decoded once, also where they are
/// separators, backslashes are slashes, of several separators in a row one is left, and `.` and `..` are resolved.
pub(super) fn write_normal(target: &[u8], to: &mut Vec<u8>) {
    let rest = without_authority(target);
    let path_end = rest.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(rest.len());
    let (path, rest) = rest.split_at_checked(path_end).unwrap_or((rest, &[]));
    let is_plain = !path.iter().any(|byte| matches!(byte, b'%' | b'\\'))
        && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/." | b"./"))
        && !path.starts_with(b".");
    if is_plain {
        to.extend_from_slice(path);
    } else {
        write_segments(&decoded(path), to);
    }
    to.extend_from_slice(rest);
}

/// What follows `http://host`.
fn without_authority(target: &[u8]) -> &[u8] {
    if target.first().is_none_or(|first| matches!(first, b'/' | b'*' | b'\\')) {
        return target;
    }
    let Some((scheme, rest)) = memchr(b':', target).and_then(|at| target.split_at_checked(at))
    else {
        return target;
    };
    let is_scheme = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    match rest.strip_prefix(b"://") {
        Some(rest) if is_scheme => {
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
            rest.get(end.unwrap_or(rest.len())..).unwrap_or(&[])
        }
        _ => target,
    }
}

/// Decoded once, with one slash for any number of separators.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match first {
            b'%' => escaped(after).unwrap_or((b'%', after)),
            _ => (*first, after),
        };
        rest = after;
        let byte = if byte == b'\\' { b'/' } else { byte };
        if byte != b'/' || decoded.last() != Some(&b'/') {
            decoded.push(byte);
        }
    }
    decoded
}

/// The byte that an escape stands for, and what follows it. Of a character beyond Latin-1 that is the one that looks like it, for
/// the full-width forms of ASCII, and `?` for others.
fn escaped(rest: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'u' | b'U', a, b, c, d, after @ ..] = rest {
        let (high, low) = (byte_of(*a, *b), byte_of(*c, *d));
        if let (Some(high), Some(low)) = (high, low) {
            let byte = match (high, low) {
                (0, low) => low,
                (0xff, 0x01..=0x5e) => low.wrapping_add(0x20),
                _ => b'?',
            };
            return Some((byte, after));
        }
    }
    match rest {
        [high, low, after @ ..] => Some((byte_of(*high, *low)?, after)),
        _ => None,
    }
}

fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)?.wrapping_shl(4) | digit(low)?)
}

/// Appends a path without `.` and `..` (RFC 3986 §5.2.4).
fn write_segments(path: &[u8], to: &mut Vec<u8>) {
    let start = to.len();
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    // Before the first slash there is nothing in a path that is one.
    if let Some(first) = segments.next().filter(|first| !matches!(*first, b"." | b"..")) {
        to.extend_from_slice(first);
    }
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => {
                let written = to.get(start..).unwrap_or(&[]);
                let kept = memchr::memrchr(b'/', written).unwrap_or(0);
                to.truncate(start.saturating_add(kept));
            }
            _ => {
                to.push(b'/');
                to.extend_from_slice(segment);
                continue;
            }
        }
        if is_last {
            to.push(b'/');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_normalised_and_the_query_is_not() {
        for (target, normal) in [
            ("/", "/"),
            ("/a/b?c=%41", "/a/b?c=%41"),
            ("/%61/%62", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a//b///c", "/a/b/c"),
            ("/a\\b", "/a/b"),
            ("/a%2fb%5Cc", "/a/b/c"),
            ("/a/%2e%2e/b", "/b"),
            ("/%u0061dmin", "/admin"),
            ("/%uff41dmin", "/admin"),
            ("/%u4141", "/?"),
            ("/%2541", "/%41"),
            ("/%4", "/%4"),
            ("/%zz", "/%zz"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("http://Host.example/a/../b?c//d", "/b?c//d"),
            ("http://host", ""),
            ("*", "*"),
            ("/A?b#c", "/A?b#c"),
            ("?a=../b", "?a=../b"),
        ] {
            let mut written = Vec::new();
            write_normal(target.as_bytes(), &mut written);
            assert_eq!(String::from_utf8_lossy(&written), normal, "{target}");
        }
    }
}
