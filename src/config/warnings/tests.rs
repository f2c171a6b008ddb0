use alloc::string::ToString;

use super::*;

fn told(text: &str) -> Vec<String> {
    let (_, warnings) = Config::check(text).unwrap_or_else(|errors| panic!("{text}: {errors}"));
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn what_never_comes_to_its_turn_is_told() {
    for (text, expected) in [
        (
            "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"drop\"\nports = 80\n[[access.rule]]\nname = \"late\"\naction = \"allow\"\nports = 80",
            "line 6, column 1: rule 2 (`late`) never applies: rule 1 takes every flow before it",
        ),
        (
            "[access]\ndefault = \"allow\"",
            "line 1, column 1: refuses nothing: there is no rule, and the default allows",
        ),
        (
            "[access]\ndefault = \"drop\"",
            "line 1, column 1: nothing can pass: `access` refuses everything",
        ),
        (
            "[endpoints.\"vpce-1a2b3c4d\"]\n[access]\ndefault = \"drop\"",
            "line 1, column 1: nothing that comes from this endpoint can pass: `access` refuses all of it",
        ),
        (
            "[policy]\nunknown-endpoint = \"drop\"\n[endpoints.\"vpce-1a2b3c4d\"]\n[access]\ndefault = \"allow\"\n\
             [[access.rule]]\naction = \"drop\"\nendpoint = \"vpce-99999999\"",
            "line 6, column 1: never applies: none of its endpoints is in `endpoints`, and the policy drops what comes from others",
        ),
        (
            "[endpoints.\"vpce-1a2b3c4d\"]\nmonitor = true\n[access]\ndefault = \"allow\"\n\
             [[access.rule]]\naction = \"drop\"\nports = 23\nendpoint = \"vpce-1a2b3c4d\"",
            "line 5, column 1: refuses nothing: its endpoints only monitor, so it only tells",
        ),
        (
            "monitor = true\n[access]\ndefault = \"drop\"\n[[rate.rule]]\nper = \"source\"\nlimit = \"syns\"\nrate = 1",
            "line 1, column 11: what `access`, `rate` would refuse is forwarded all the same, and only told",
        ),
        (
            "[policy]\nunknown-endpoint = \"drop\"",
            "line 2, column 20: `unknown-endpoint` never comes about: no `endpoints` are listed",
        ),
        (
            "[policy]\nover-budget = \"drop\"",
            "line 2, column 15: `over-budget` never comes about: inspectors have no budget of time here",
        ),
        (
            "[policy]\nprotocol-unparsable = \"drop\"",
            "line 2, column 23: `protocol-unparsable` never comes about: nothing looks into streams or messages",
        ),
        (
            "[endpoints.\"vpce-1a2b3c4d\"]\npolicy = { unknown-endpoint = \"drop\" }",
            "line 2, column 31: `unknown-endpoint` never comes about here: this endpoint is listed",
        ),
        (
            "[run]\nallow-origin = []",
            "line 2, column 16: the list is empty, which is as if it were not there: private networks may send",
        ),
        (
            "[limits]\nflows = 100\nflows-per-endpoint = 100",
            "line 3, column 22: can never be reached: `flows` is 100 and is reached before",
        ),
        (
            "[limits]\nmessage-size = 1000\nmessage-bytes = 999",
            "line 2, column 16: can never be reached: `message-bytes` is 999 and is reached before",
        ),
        (
            "[limits]\nendpoints = 1\n[endpoints.\"vpce-1a2b3c4d\"]\n[endpoints.\"vpce-1a2b3c4e\"]",
            "line 3, column 2: 2 are listed, of which no more than 1 can have flows at a time: see `limits.endpoints`",
        ),
        ("[rate]\nrule = []", "line 1, column 1: the list of rules is empty: nothing is limited"),
        (
            "[[rate.rule]]\nper = \"source\"\nlimit = \"syns\"\nrate = 10\n\
             [[rate.rule]]\nper = \"source\"\nlimit = \"syns\"\nrate = 20",
            "line 5, column 1: rule 2 can never be reached: rule 1 refuses what is beyond less",
        ),
        (
            "[anomaly]\ndefault = \"ignore\"\nhttp = { default = \"ignore\" }\ntls = { default = \"ignore\" }",
            "line 1, column 1: looks for nothing: all that it knows is ignored",
        ),
        ("[anomaly]\nttl-tolerance = 2", "line 2, column 17: of no use: `ttl-changed` is ignored"),
        (
            "[anomaly]\nnot-tls = \"drop\"\ntls-ports = []",
            "line 2, column 11: never comes about: `tls-ports` is empty",
        ),
    ] {
        assert_eq!(told(text), [expected], "{text}");
    }
}

#[cfg(feature = "protocols")]
#[test]
fn of_domains() {
    for (text, expected) in [
        (
            "[domains]\ndefault = \"allow\"",
            "line 1, column 1: decides nothing: all that it knows is to allow",
        ),
        (
            "[domains]\ndefault = \"drop\"\ndiscover-until = 2001-01-31",
            "line 3, column 18: of no use: this time is over",
        ),
        (
            "[domains]\ndefault = \"drop\"\n[[domains.list]]\naction = \"allow\"\nnames = [\"*.a.example\", \"b.example\"]\n\
             [[domains.list]]\naction = \"alert\"\nnames = [\"a.example\", \"c.A.example\", \"*.b.a.example\", \"*.b.example\"]",
            "line 8, column 23: `c.a.example` never applies: an earlier list takes it\n\
             line 8, column 38: `*.b.a.example` never applies: an earlier list takes it",
        ),
        (
            "[domains]\ndefault = \"drop\"\n[[domains.list]]\naction = \"allow\"\nover = \"dns\"\nnames = \"*\"\n\
             [[domains.list]]\naction = \"alert\"\nover = [\"dns\"]\nnames = \"a.example\"\n\
             [[domains.list]]\naction = \"alert\"\nnames = \"a.example\"",
            "line 7, column 1: the list never applies: earlier ones take all of its names",
        ),
    ] {
        assert_eq!(told(text).join("\n"), expected, "{text}");
    }
}

#[cfg(feature = "api")]
#[test]
fn of_requests() {
    for (text, expected) in [
        (
            "[api]\nrule = []",
            "line 2, column 8: the list of rules is empty: every request is refused",
        ),
        (
            "[[api.rule]]\nmethods = \"GET\"\nfrom = \"10.0.0.0/8\"\n\
             [[api.rule]]\nname = \"late\"\nmethods = \"GET\"\nfrom = [\"10.1.0.0/16\", \"10.2.0.1\"]\ntoken = true\n\
             [[api.rule]]\nmethods = [\"GET\", \"PUT\"]\nfrom = \"10.1.0.0/16\"",
            "line 4, column 1: rule 2 (`late`) never applies: rule 1 takes every request before it",
        ),
        (
            "[[api.rule]]\ntoken = true\n[[api.rule]]\nmethods = \"GET\"\nheaders = { X-A = true }\n[[api.rule]]\nmethods = \"GET\"",
            "",
        ),
    ] {
        assert_eq!(told(text).join("\n"), expected, "{text}");
    }
}

#[cfg(feature = "jwt-keys")]
#[test]
fn of_public_keys() {
    let text = "[[api.rule]]\n[[api.rule]]\nmethods = \"PUT\"\ntoken = { public-keys = \"tests/keys/jwks.json\" }";
    let expected = "line 4, column 25: public keys that are not taken: tests/keys/jwks.json: key 3 (`ed-1`): \
                    expected `kty` `RSA` or `EC`, found `OKP`";
    assert!(told(text).iter().any(|it| it == expected), "{:?}", told(text));
}

#[cfg(feature = "eve")]
#[test]
fn of_records() {
    for (text, expected) in [
        ("types = []", "line 3, column 9: the list is empty: nothing is recorded"),
        ("types = \"dns\"\nja4 = true", "line 4, column 7: of no use: `types` is without `tls`"),
        ("types = \"dns\"\nstats = 5", "line 4, column 9: of no use: `types` is without `stats`"),
        (
            "types = \"alert\"",
            "line 3, column 9: nothing is recorded: there is nothing that alerts",
        ),
        ("types = \"alert\"\n[anomaly]", ""),
        ("keep = 3", "line 3, column 8: of no use: only files are put aside"),
    ] {
        let text = ["[eve]\nfile = \"-\"\n", text].concat();
        assert_eq!(told(&text).join("\n"), expected, "{text}");
    }
}

#[test]
fn nothing_is_told_of_what_is_meant() {
    for text in ["", "[access]\ndefault = \"drop\"\nrule = [{ action = \"allow\", ports = 80 }]"] {
        assert_eq!(told(text), [""; 0], "{text}");
    }
}
