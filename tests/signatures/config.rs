//! Signatures in the configuration.

use gwlb_geneve::config::Config;
use gwlb_geneve::engine::{Engine, Settings};

use crate::support::traffic::*;
use crate::{NONE, told};

#[test]
fn rules_variables_and_those_of_an_endpoint() {
    let text = r#"
        [signatures]
        addresses = { HOME_NET = "[10.1.0.0/16]" }
        rules = '''
            drop udp $HOME_NET any -> any any (content:"x"; sid:1;)
            alert udp any any -> any any (content:"x"; filemagic:"PE32"; sid:2;)
        '''
        [signatures.endpoints."vpce-00000000000000002"]
        addresses = { HOME_NET = "10.9.0.0/16" }
    "#;
    let config = Config::parse(text).unwrap();
    assert_eq!(config.signatures().map(|it| it.len()), Some(1));
    let report = config.signature_report().unwrap();
    assert_eq!(report.errors().iter().map(|it| it.sid).collect::<Vec<_>>(), [Some(2)]);
    let mut engine = Engine::new(Settings { ..settings() }, config.inspectors()).unwrap();
    let (client, _) = pair();
    let sent = send(&mut engine, at(1), &client, &client.udp(b"x"));
    sent.assert_refused("signatures");
    assert_eq!(told(&sent), [1]);
    let elsewhere = Side { endpoint: 2, ..client };
    let sent = send(&mut engine, at(1), &elsewhere, &elsewhere.udp(b"x"));
    sent.assert_forwarded();
    assert_eq!(told(&sent), NONE);
}

#[test]
fn files_that_say_what_becomes_of_rules() {
    let folder = std::env::temp_dir().join(format!("signatures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let rules = write(
        "a.rules",
        "alert udp any any -> any any (msg:\"one\"; content:\"x\"; sid:1;)\n\
         alert udp any any -> any any (msg:\"two\"; content:\"x\"; sid:2;)\n\
         alert udp any any -> any any (msg:\"three\"; content:\"x\"; sid:3;)\n",
    );
    let disable = write("disable.conf", "1:2\n");
    let drop = write("drop.conf", "1:3\n");
    let thresholds =
        write("threshold.config", "suppress gen_id 1, sig_id 1, track by_src, ip 10.1.0.10\n");
    let text = format!(
        "[signatures]\nfiles = [{rules:?}]\ndisable = {disable:?}\ndrop = {drop:?}\nthresholds = {thresholds:?}"
    );
    let config = Config::parse(&text).unwrap();
    let mut engine = Engine::new(settings(), config.inspectors()).unwrap();
    let (client, _) = pair();
    let sent = send(&mut engine, at(1), &client, &client.udp(b"x"));
    sent.assert_refused("signatures");
    assert_eq!(told(&sent), [3]);
    std::fs::remove_dir_all(&folder).unwrap();

    let errors = Config::parse(&text).unwrap_err();
    assert_eq!(errors.errors().len(), 4, "{errors}");
}

#[test]
fn mistakes() {
    for (text, expected) in [
        ("[signatures]\naddresses = { 'HOME NET' = 'any' }", "a name of letters, digits and `_`"),
        ("[signatures]\nrules = 7", "expected a string"),
        (
            "[signatures]\nrules = ''\naddresses = { HOME_NET = '10.0.0.0/99' }",
            "what a rule may have there",
        ),
        (
            "[signatures]\nrules = ''\naddresses = { A = '$B' }",
            "variables that make sense together",
        ),
        ("[signatures]\nrules = ''\nsteps = 0", "a number from 1"),
        ("[signatures]\nrules = ''\nunanswered = 'reject'", "expected `pass` or `drop`"),
        ("[signatures]\nrules = ''\nstep = 1", "did you mean `steps`?"),
    ] {
        let errors = Config::parse(text).unwrap_err().to_string();
        assert!(errors.contains(expected), "{text}: {errors}");
    }
}

#[test]
fn what_becomes_of_rules_that_are_not_answered() {
    for (said, drops) in
        [("", false), ("unanswered = 'pass'", false), ("unanswered = 'drop'", true)]
    {
        let config = Config::parse(&format!("[signatures]\nrules = ''\n{said}")).unwrap();
        assert_eq!(config.signatures().unwrap().limits().refuses_unanswered, drops, "{said}");
    }
}

#[test]
fn what_an_endpoint_has_of_all() {
    for (said, bytes, remembered) in [
        ("", 48 << 20, 49_152),
        ("bytes = 4000\nremembered = 100", 3_000, 75),
        ("bytes-per-endpoint = 7\nremembered-per-endpoint = 9", 7, 9),
        ("bytes = 5\nbytes-per-endpoint = 5\nremembered = 1\nremembered-per-endpoint = 1", 5, 1),
    ] {
        let config = Config::parse(&format!("[signatures]\nrules = ''\n{said}")).unwrap();
        let limits = config.signatures().unwrap().limits();
        let found = (limits.bytes_per_endpoint, limits.remembered_per_endpoint);
        assert_eq!(found, (bytes, remembered), "{said}");
    }
}
