//! Rust values to the C structs that answer a call.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::types::*;
use crate::client::{
    ClientStats, Event, HeadRecord, HitchReport, HttpClientError, PollInfo, RequestInfo, SpawnInfo, Status, TraceEntry,
};
use crate::proto::{Field, Span};

fn micros(time: Option<Duration>) -> i64 {
    time.map_or(-1, |time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

fn user_data(value: usize) -> *mut c_void {
    value as *mut c_void
}

pub(super) fn poll_info(info: &PollInfo) -> valtron_poll_info {
    valtron_poll_info {
        struct_size: size_of::<valtron_poll_info>(),
        work_left: info.work_left.into(),
        reserved: 0,
        next_deadline_us: micros(info.next_deadline),
        events_ready: info.events_ready,
        spawns_ready: info.spawns_ready,
        requests_live: info.requests_live,
        reserved2: 0,
    }
}

pub(super) fn event(event: &Event) -> valtron_event {
    valtron_event {
        struct_size: size_of::<valtron_event>(),
        request: event.request,
        user_data: user_data(event.user_data),
        flags: event.flags,
        state: event.state,
        status: event.status as i32,
        http_status: event.http_status,
    }
}

pub(super) fn spawn(spawn: &SpawnInfo) -> valtron_spawn {
    valtron_spawn {
        struct_size: size_of::<valtron_spawn>(),
        spawn_id: spawn.spawn_id,
        request: spawn.request,
        user_data: user_data(spawn.user_data),
        kind: spawn.kind as i32,
        step: spawn.step,
        http_status: spawn.http_status,
        port: spawn.port,
        text: spawn.text.as_ptr().cast(),
        text_len: spawn.text.len(),
    }
}

pub(super) fn request_info(info: &RequestInfo) -> valtron_request_info {
    let [queued, resolved, connected, tls, sent, first_byte, head, done] = info.times.map(micros);
    valtron_request_info {
        struct_size: size_of::<valtron_request_info>(),
        user_data: user_data(info.user_data),
        state: info.state,
        status: info.status as i32,
        http_status: info.http_status,
        flags: info.flags,
        terminal: info.terminal.into(),
        hops: info.hops,
        interim_count: info.interim_count,
        http_minor: info.http_minor,
        connection_reused: info.connection_reused.into(),
        tls_resumed: info.tls_resumed.into(),
        body_received: info.body_received,
        body_buffered: info.body_buffered,
        body_sent: info.body_sent,
        body_total: info.body_total.map_or(-1, |total| i64::try_from(total).unwrap_or(i64::MAX)),
        task_polls: info.task_polls,
        time_queued_us: queued,
        time_resolved_us: resolved,
        time_connected_us: connected,
        time_tls_us: tls,
        time_sent_us: sent,
        time_first_byte_us: first_byte,
        time_head_us: head,
        time_done_us: done,
    }
}

// The fields of a block are handed out where they lie: the two layouts are one.
const _: () =
    assert!(size_of::<Field>() == size_of::<valtron_field>() && align_of::<Field>() == align_of::<valtron_field>());
const _: () = assert!(std::mem::offset_of!(Field, name) == 0 && std::mem::offset_of!(Span, start) == 0);
const _: () = assert!(std::mem::offset_of!(Field, value) == std::mem::offset_of!(valtron_field, value_offset));

/// The record outlives the answer: the request keeps it.
pub(super) fn head(record: &HeadRecord) -> valtron_head {
    valtron_head {
        struct_size: size_of::<valtron_head>(),
        http_status: record.status.into(),
        http_minor: record.version_minor.into(),
        bytes: record.block.bytes().as_ptr(),
        bytes_len: record.block.bytes().len(),
        fields: record.block.fields().as_ptr().cast(),
        fields_count: record.block.fields().len(),
        field_stride: size_of::<valtron_field>(),
        url: record.url.as_ptr().cast(),
        url_len: record.url.len(),
        reason_offset: record.reason.start,
        reason_len: record.reason.len,
    }
}

pub(super) fn trace_entry(entry: &TraceEntry) -> valtron_trace_entry {
    valtron_trace_entry { at_us: micros(Some(entry.at)), state: entry.state, hop: entry.hop }
}

pub(super) fn stats(stats: &ClientStats) -> valtron_stats {
    valtron_stats {
        struct_size: size_of::<valtron_stats>(),
        task_polls: stats.task_polls,
        turns: stats.turns,
        wakes: stats.wakes,
        empty_waits: stats.empty_waits,
        hitches: stats.hitches,
        connections_opened: stats.connections_opened,
        connections_reused: stats.connections_reused,
        lookups_started: stats.lookups_started,
        lookups_abandoned: stats.lookups_abandoned,
        jobs_taken: stats.jobs_taken,
        jobs_expired: stats.jobs_expired,
        requests_created: stats.requests_created,
        requests_live: stats.requests_live,
        events_lost: stats.events_lost,
        longest_poll_us: stats.longest_poll_us,
    }
}

pub(super) fn hitches(report: &HitchReport) -> valtron_hitches {
    valtron_hitches {
        struct_size: size_of::<valtron_hitches>(),
        polls: report.polls,
        longest_poll_ns: report.longest_poll.as_nanos() as u64,
        poll_counts: report.poll_classes,
        longest_step_ns: report.longest_step.as_nanos() as u64,
        longest_step_kind: report.longest_step_kind as i32,
        reserved: 0,
    }
}

pub(super) fn error_detail(error: &HttpClientError) -> valtron_error_detail {
    let text = match error.status {
        Status::Ok => String::new(),
        _ => error.to_string(),
    };
    let (text, text_len) = fixed_text(&text);
    valtron_error_detail {
        struct_size: size_of::<valtron_error_detail>(),
        status: error.status as i32,
        phase: error.phase as i32,
        argument: error.argument as i32,
        argument_index: error.argument_index.map_or(-1, |index| i32::try_from(index).unwrap_or(i32::MAX)),
        os_errno: error.os_errno,
        tls_alert: error.tls_alert.map_or(-1, i32::from),
        received: error.received.unwrap_or(u64::MAX),
        expected: error.expected.unwrap_or(u64::MAX),
        text_len,
        text,
    }
}

/// As much of `text` as leaves room for a NUL, cut at a character. A NUL inside would end it early: it becomes a
/// question mark.
fn fixed_text<const N: usize>(text: &str) -> ([c_char; N], usize) {
    let mut len = text.len().min(N - 1);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    let mut fixed = [0; N];
    for (to, from) in fixed.iter_mut().zip(&text.as_bytes()[..len]) {
        *to = if *from == 0 { b'?' as c_char } else { *from as c_char };
    }
    (fixed, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an error's text is cut at a character and always ends with NUL. Method: lengths around the room, with
    /// two-byte characters.
    #[test]
    fn texts_are_cut_at_a_character() {
        let cut = |text: &str| {
            let (fixed, len) = fixed_text::<8>(text);
            assert_eq!(fixed[len], 0);
            String::from_utf8(fixed[..len].iter().map(|c| *c as u8).collect()).unwrap()
        };
        assert_eq!(cut(""), "");
        assert_eq!(cut("1234567"), "1234567");
        assert_eq!(cut("12345678"), "1234567");
        assert_eq!(cut("123456\u{e9}"), "123456");
        assert_eq!(cut("12345\u{e9}"), "12345\u{e9}");
        assert_eq!(cut("a\0b"), "a?b");
    }
}
