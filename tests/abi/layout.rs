//! The library's side of `tests/c/layout.h`.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

use super::*;

const TABLE: &str = include_str!("../c/layout.h");
const HEADER: &str = include_str!("../../include/valtron_http.h");
const CODES: &str = include_str!("../../src/ffi/codes.rs");

/// The arguments of each row of this kind.
fn rows(kind: &str) -> Vec<Vec<&'static str>> {
    let row = |line: &'static str| line.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    TABLE.lines().filter_map(row).map(|arguments| arguments.split(", ").collect()).collect()
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

type Layouts = BTreeMap<String, i64>;

macro_rules! layouts {
    ($($name:ident { $($field:ident)* })*) => {{
        let mut layouts = Layouts::new();
        $(
            layouts.insert(stringify!($name).to_owned(), size_of::<$name>() as i64);
            $(layouts.insert(
                concat!(stringify!($name), ".", stringify!($field)).to_owned(), offset_of!($name, $field) as i64);)*
            // Fails to compile when a field is missing here.
            let $name { $($field: _),* } = zeroed::<$name>();
        )*
        layouts
    }};
}

/// Goal: the library lays out its structs as the table says, which C programs were compiled against. Method: compare
/// sizes and offsets both ways, so that a new field wants its row.
#[test]
#[cfg(target_arch = "x86_64")]
fn structs_are_those_of_the_table() {
    let library = layouts! {
        valtron_allocator { struct_size user allocate reallocate deallocate }
        valtron_spawn { struct_size spawn_id request user_data kind step http_status port text text_len }
        valtron_client_config {
            struct_size worker_threads spawn_ask spawn_callback spawn_user spawn_timeout_ms job_timeout_ms trust
            tls_verify_off ca_pem ca_pem_len resolver_threads requests_max connections_max connections_per_origin_max
            idle_connections_max idle_timeout_ms user_agent user_agent_len error
        }
        valtron_poll_info {
            struct_size work_left reserved next_deadline_us events_ready spawns_ready requests_live reserved2
        }
        valtron_event { struct_size request user_data flags state status http_status }
        valtron_stats {
            struct_size task_polls turns wakes empty_waits hitches connections_opened connections_reused lookups_started
            lookups_abandoned jobs_taken jobs_expired requests_created requests_live events_lost longest_poll_us
        }
        valtron_hitches {
            struct_size polls longest_poll_ns poll_counts longest_step_ns longest_step_kind reserved
        }
        valtron_header { name name_len value value_len }
        valtron_error_detail {
            struct_size status phase argument argument_index os_errno tls_alert received expected text_len text
        }
        valtron_request_config {
            struct_size user_data method method_len url url_len headers headers_count headers_stride body body_len
            body_release body_release_user priority idempotent redirects_max redirect_downgrade_allowed queue_timeout_ms
            resolve_timeout_ms connect_timeout_ms tls_timeout_ms send_timeout_ms first_byte_timeout_ms idle_timeout_ms
            total_timeout_ms head_bytes_max headers_max interim_max body_buffer_bytes upgrade upgrade_len error
        }
        valtron_request_info {
            struct_size user_data state status http_status flags terminal hops interim_count http_minor
            connection_reused tls_resumed body_received body_buffered body_sent body_total task_polls time_queued_us
            time_resolved_us time_connected_us time_tls_us time_sent_us time_first_byte_us time_head_us time_done_us
        }
        valtron_field { name_offset name_len value_offset value_len }
        valtron_head {
            struct_size http_status http_minor bytes bytes_len fields fields_count field_stride url url_len
            reason_offset reason_len
        }
        valtron_trace_entry { at_us state hop }
    };
    let mut table = Layouts::new();
    for row in rows("STRUCT") {
        assert!(number(row[2]) <= number(row[1]), "{}: the first version was no larger", row[0]);
        table.insert(row[0].to_owned(), number(row[1]));
    }
    for row in rows("FIELD") {
        table.insert(format!("{}.{}", row[0], row[1]), number(row[2]));
    }
    assert_eq!(library, table);
}

/// Goal: what is shorter than a struct's first version is refused, for ever at the same size. Method: the table's
/// first sizes, one byte less and exact, where a call takes the size; tests/c/growth.c tries all the others.
#[test]
fn first_sizes_are_those_of_the_table() {
    let client = TestClient::new();
    let first = |name: &str| {
        let row = rows("STRUCT").into_iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        number(row[2]) as usize
    };
    for (less, expected) in [(1, VALTRON_E_STRUCT_SIZE), (0, VALTRON_OK)] {
        let mut info = valtron_poll_info { struct_size: first("valtron_poll_info") - less, ..zeroed() };
        let mut stats = valtron_stats { struct_size: first("valtron_stats") - less, ..zeroed() };
        let size = first("valtron_request_config") - less;
        let config = valtron_request_config { struct_size: size, ..get("http://127.0.0.1:1/") };
        // SAFETY: see above.
        unsafe {
            assert_eq!(valtron_client_poll(client.0, 0, &mut info), expected);
            assert_eq!(valtron_client_stats(client.0, &mut stats), expected);
        }
        assert_eq!(client.create(&config).0, expected);
    }
}

/// Goal: every number of the header is in the table, and the library means the same by it. Method: read the header,
/// the table and codes.rs as text.
#[test]
fn values_are_those_of_the_table() {
    let table: BTreeMap<String, i64> =
        rows("VALUE").into_iter().map(|row| (row[0].to_owned(), number(row[1]))).collect();
    let mut header = BTreeMap::new();
    for line in HEADER.lines().filter_map(|line| line.strip_prefix("#define VALTRON_")) {
        let Some((name, value)) = line.split_once(' ') else { continue };
        if let (false, Ok(value)) = (name.starts_with("VERSION"), value.parse()) {
            header.insert(format!("VALTRON_{name}"), value);
        }
    }
    assert_eq!(header, table);
    let mut library = BTreeMap::new();
    for line in CODES.lines().filter_map(|line| line.strip_prefix("pub const ")) {
        let (name, rest) = line.split_once(": ").unwrap();
        let (_, value) = rest.split_once(" = ").unwrap();
        library.insert(name.to_owned(), number(value.trim_end_matches(';')));
    }
    // SAFETY: it takes nothing.
    library.insert("VALTRON_ABI_VERSION".to_owned(), unsafe { valtron_abi_version() }.into());
    assert_eq!(library, table);
}

/// Goal: no struct of the header lacks a row. Method: read the header as text.
#[test]
fn every_struct_has_its_rows() {
    let known: BTreeSet<&str> = rows("STRUCT").into_iter().map(|row| row[0]).collect();
    let closed = |line: &'static str| line.strip_prefix("} valtron_")?.strip_suffix(';');
    let defined: Vec<String> = HEADER.lines().filter_map(closed).map(|name| format!("valtron_{name}")).collect();
    assert_eq!(known, defined.iter().map(String::as_str).collect());
}
