//! The tables of the header against those of the library, and what only shows from inside.

use std::ffi::CStr;

use super::*;
use crate::client::{Argument, Phase};
use crate::valtron::time::Instant;

/// Goal: codes.rs has every status once, by name and number. Method: read codes.rs as text.
#[test]
fn codes_are_the_statuses() {
    let source = include_str!("codes.rs");
    let mut codes: Vec<(String, i32)> = Vec::new();
    for line in source.lines() {
        let Some(rest) = line.strip_prefix("pub const ") else { continue };
        let (name, rest) = rest.split_once(": ").unwrap();
        if let Some(value) = rest.strip_prefix("valtron_status = ") {
            codes.push((name.to_owned(), value.trim_end_matches(';').parse().unwrap()));
        }
    }
    let statuses: Vec<_> = Status::ALL.iter().map(|status| (status.name().to_owned(), *status as i32)).collect();
    assert_eq!(codes, statuses);
}

/// Goal: the preamble's macros tell this version. Method: read them as text; compare with the run-time answers.
#[test]
fn versions_agree() {
    let preamble = include_str!("preamble.h");
    let value = |name: &str| {
        let define = format!("#define {name} ");
        preamble.lines().find_map(|line| line.strip_prefix(define.as_str())).unwrap_or_else(|| panic!("{name}"))
    };
    // SAFETY: these take nothing and answer static strings.
    let (version, abi) = unsafe { (CStr::from_ptr(valtron_version()), valtron_abi_version()) };
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    assert_eq!(value("VALTRON_VERSION"), format!("{:?}", env!("CARGO_PKG_VERSION")));
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| value(&format!("VALTRON_VERSION_{part}")).to_owned());
    assert_eq!(parts.join("."), env!("CARGO_PKG_VERSION"));
    assert_eq!(value("VALTRON_ABI_VERSION"), abi.to_string());
}

/// Goal: numbers that two places write down are the same. Method: compare them.
#[test]
fn shared_numbers_agree() {
    use crate::client::{event_flags, until_flags, SpawnKind, StepKind};
    assert_eq!(
        [event_flags::HEAD, event_flags::BODY, event_flags::DONE, event_flags::SPAWN, event_flags::HOP],
        [VALTRON_EVENT_HEAD, VALTRON_EVENT_BODY, VALTRON_EVENT_DONE, VALTRON_EVENT_SPAWN, VALTRON_EVENT_HOP]
    );
    assert_eq!(event_flags::INTERIM | event_flags::TRAILERS, VALTRON_EVENT_INTERIM | VALTRON_EVENT_TRAILERS);
    assert_eq!(until_flags::HEAD, VALTRON_UNTIL_HEAD);
    assert_eq!(until_flags::BODY, VALTRON_UNTIL_BODY);
    assert_eq!(until_flags::SPAWN, VALTRON_UNTIL_SPAWN);
    assert_eq!(SpawnKind::Redirect as u32, VALTRON_SPAWN_REDIRECT);
    assert_eq!(SpawnKind::TlsUpgrade as u32, VALTRON_SPAWN_TLS_UPGRADE);
    assert_eq!(SpawnKind::Resolve as u32, VALTRON_SPAWN_RESOLVE);
    assert_eq!(StepKind::TlsHandshake as i32, VALTRON_STEP_TLS_HANDSHAKE);
    assert_eq!(StepKind::Idle as i32, VALTRON_STEP_IDLE);
    assert_eq!(Phase::Redirect as i32, VALTRON_PHASE_REDIRECT);
    assert_eq!(Phase::FirstByte as i32, VALTRON_PHASE_FIRST_BYTE);
    assert_eq!(Argument::CaPem as i32, VALTRON_ARGUMENT_CA_PEM);
    assert_eq!(Argument::UserAgent as i32, VALTRON_ARGUMENT_USER_AGENT);
    assert_eq!(Argument::Output as i32, VALTRON_ARGUMENT_OUTPUT);
}

/// Goal: a panic crosses nothing and prints nothing. Method: panic in an entry and look at the answer; the hook's
/// counter is even afterwards.
#[test]
fn a_panic_is_an_answer() {
    process::set_up();
    assert_eq!(status_entry(|| panic!("not to be seen")), VALTRON_E_INTERNAL);
    assert_eq!(value_entry(|| -> u32 { panic!("not to be seen") }), 0);
    value_entry(|| -> () { std::panic::panic_any(Instant::default()) });
}

/// Goal: every exported function is known here. Method: count them in the sources.
#[test]
fn every_function_has_documentation() {
    let sources = [
        include_str!("action.rs"),
        include_str!("allocator.rs"),
        include_str!("client.rs"),
        include_str!("request.rs"),
        include_str!("version.rs"),
    ];
    let mut functions = 0;
    for source in sources {
        let lines: Vec<_> = source.lines().collect();
        for at in (0..lines.len()).filter(|at| lines[*at].starts_with("pub unsafe extern \"C\" fn")) {
            functions += 1;
            assert_eq!(lines[at - 1], "#[no_mangle]", "{}", lines[at]);
            assert!(lines[at - 2].starts_with("/// "), "{}", lines[at]);
            let comment: Vec<_> =
                lines[..at - 1].iter().rev().take_while(|line| line.starts_with("///")).copied().collect();
            let comment = comment.join(" ");
            assert!(comment.contains("hread") && comment.contains("locks"), "threads, blocking: {}", lines[at]);
        }
    }
    assert_eq!(functions, 34);
}
