//! Questions, jobs and callbacks.

use super::*;

unsafe extern "C" fn free_the_client(
    user: *mut c_void,
    _: *const valtron_spawn,
    _: *mut *mut valtron_job,
) -> valtron_decision {
    // SAFETY: the test below passes a pointer to its client.
    unsafe { valtron_client_free(*user.cast::<*mut valtron_client>()) };
    VALTRON_DECISION_RUN
}

/// Goal: a callback may free its own client. Method: do it while the client is polled; then nothing but that poll's
/// answer matters.
#[test]
fn a_callback_frees_its_client() {
    let mut client: *mut valtron_client = null_mut();
    let config = valtron_client_config {
        spawn_ask: VALTRON_SPAWN_RESOLVE,
        spawn_callback: Some(free_the_client),
        spawn_user: (&raw mut client).cast(),
        ..init!(valtron_client_config)
    };
    let mut request = 0;
    // SAFETY: see above; after the callback ran, the client is not used.
    unsafe {
        assert_eq!(valtron_client_create(&config, &mut client), VALTRON_OK);
        assert_eq!(valtron_request_create(client, &get("http://localhost:1/"), &mut request), VALTRON_OK);
        let mut stats = init!(valtron_stats);
        valtron_client_stats(client, &mut stats);
        valtron_client_poll(client, 1_000_000, null_mut());
    }
}

/// Goal: each poll is counted in exactly one class, and a reset begins anew.
#[test]
fn hitches() {
    let client = TestClient::new();
    let look = |reset| {
        let mut hitches = init!(valtron_hitches);
        // SAFETY: see above.
        assert_eq!(unsafe { valtron_client_hitches(client.0, reset, &mut hitches) }, VALTRON_OK);
        hitches
    };
    assert_eq!((look(0).polls, look(0).longest_step_ns), (0, 0));
    for _ in 0..3 {
        // SAFETY: see above.
        assert_eq!(unsafe { valtron_client_poll(client.0, 100, null_mut()) }, VALTRON_OK);
    }
    let seen = look(1);
    assert_eq!((seen.polls, seen.poll_counts.iter().sum::<u64>()), (3, 3));
    assert!(seen.longest_poll_ns > 0);
    assert_eq!((look(0).polls, look(0).poll_counts.iter().sum::<u64>(), look(0).longest_poll_ns), (0, 0, 0));
}

static ASKED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn deny(_: *mut c_void, spawn: *const valtron_spawn, job: *mut *mut valtron_job) -> valtron_decision {
    // SAFETY: as the header promises.
    assert!(unsafe { !(*job).is_null() && (*spawn).kind == VALTRON_SPAWN_RESOLVE as i32 });
    ASKED.fetch_add(1, Ordering::SeqCst);
    VALTRON_DECISION_DENY
}

/// Goal: a denied look-up fails its request, and the events tell it exactly once. Method: a callback that denies.
#[test]
fn denied_by_callback() {
    let client = TestClient::with(valtron_client_config {
        spawn_ask: VALTRON_SPAWN_RESOLVE,
        spawn_callback: Some(deny),
        ..init!(valtron_client_config)
    });
    let (status, request) = client.create(&get("http://localhost:1/"));
    assert_eq!(status, VALTRON_OK);
    let mut done = 0;
    while done == 0 {
        let (mut events, mut count) = ([zeroed::<valtron_event>(); 4], 0);
        let size = size_of::<valtron_event>();
        // SAFETY: see above.
        unsafe {
            assert_eq!(valtron_client_wait(client.0, 10_000, null_mut()), VALTRON_OK);
            assert_eq!(valtron_client_next_events(client.0, events.as_mut_ptr(), size, 4, &mut count), VALTRON_OK);
        }
        for event in &events[..count] {
            assert_eq!((event.request, event.struct_size), (request, size));
            if event.flags & VALTRON_EVENT_DONE != 0 {
                assert_eq!((event.status, event.state), (VALTRON_E_DENIED, VALTRON_STATE_ERROR));
                done += 1;
            }
        }
    }
    assert_eq!((done, ASKED.load(Ordering::SeqCst)), (1, 1));
    let mut detail = init!(valtron_error_detail);
    // SAFETY: see above.
    assert_eq!(unsafe { valtron_request_error(client.0, request, &mut detail) }, VALTRON_OK);
    assert_eq!((detail.status, detail.phase), (VALTRON_E_DENIED, VALTRON_PHASE_RESOLVE));
    assert!(text(&detail).contains("localhost"), "{}", text(&detail));
}

/// Goal: the pull form with a job on another thread; a job run twice, and one that outlives its client. Method:
/// look-ups of localhost, taken.
#[test]
fn taken_by_pull() {
    let url = server(b"HTTP/1.1 204 No\r\n\r\n").replace("127.0.0.1", "localhost");
    let client = TestClient::with(valtron_client_config {
        spawn_ask: VALTRON_SPAWN_RESOLVE,
        spawn_timeout_ms: -1,
        job_timeout_ms: -1,
        ..init!(valtron_client_config)
    });
    let take = |request: valtron_request| {
        let (mut spawn, mut count, mut job) = (zeroed::<valtron_spawn>(), 0, null_mut());
        let size = size_of::<valtron_spawn>();
        while count == 0 {
            let (mut events, mut taken) = ([zeroed::<valtron_event>(); 4], 0);
            let event_size = size_of::<valtron_event>();
            // SAFETY: see above; the text is good until the decision.
            unsafe {
                let status = valtron_client_next_events(client.0, events.as_mut_ptr(), event_size, 4, &mut taken);
                assert_eq!(status, VALTRON_OK);
                assert_eq!(valtron_client_wait(client.0, 10_000, null_mut()), VALTRON_OK);
                assert_eq!(valtron_client_next_spawns(client.0, &mut spawn, size, 1, &mut count), VALTRON_OK);
            }
        }
        // SAFETY: see above.
        unsafe {
            assert_eq!(std::slice::from_raw_parts(spawn.text.cast::<u8>(), spawn.text_len), b"localhost");
            assert_eq!((spawn.request, spawn.struct_size), (request, size));
            let status = valtron_action_decide(client.0, spawn.spawn_id, VALTRON_DECISION_TAKE, &mut job);
            assert_eq!(status, VALTRON_OK);
            assert_eq!(valtron_action_decide(client.0, spawn.spawn_id, 0, null_mut()), VALTRON_E_NO_SPAWN);
        }
        job
    };
    let (_, request) = client.create(&get(&url));
    let job = take(request) as usize;
    let mut info = init!(valtron_request_info);
    // SAFETY: see above; the thread is the only user of the job.
    unsafe {
        let runner = std::thread::spawn(move || {
            let job = job as *mut valtron_job;
            let answers = (valtron_job_run(job), valtron_job_run(job));
            valtron_job_free(job);
            answers
        });
        assert_eq!(valtron_request_wait(client.0, request, 0, 10_000, &mut info), VALTRON_OK);
        assert_eq!((info.status, info.http_status), (VALTRON_OK, 204));
        assert_eq!(runner.join().unwrap(), (VALTRON_OK, VALTRON_E_JOB_ALREADY_RUN));
        // Another port: a kept connection would need no look-up.
        let url = server(b"HTTP/1.1 204 No\r\n\r\n").replace("127.0.0.1", "localhost");
        let (_, request) = client.create(&get(&url));
        let job = take(request);
        assert_eq!(valtron_client_shutdown(client.0, 10_000), VALTRON_OK);
        drop(client);
        assert_eq!(valtron_job_run(job), VALTRON_E_JOB_CANCELLED);
        valtron_job_free(job);
    }
}

unsafe extern "C" fn free_the_request(
    user: *mut c_void,
    spawn: *const valtron_spawn,
    _: *mut *mut valtron_job,
) -> valtron_decision {
    // SAFETY: the test below passes a pointer to its client; the rest is as the header promises.
    unsafe { valtron_request_free(*user.cast::<*mut valtron_client>(), (*spawn).request) };
    VALTRON_DECISION_RUN
}

static RELEASED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn release(_: *mut c_void, _: *const u8, _: usize) {
    RELEASED.fetch_add(1, Ordering::SeqCst);
}

/// Goal: `perform` writes no handle of a request that is gone. Method: a callback frees it; then nothing is written,
/// and the borrowed body is released.
#[test]
fn a_callback_frees_what_is_performed() {
    let mut client: *mut valtron_client = null_mut();
    let config = valtron_client_config {
        spawn_ask: VALTRON_SPAWN_RESOLVE,
        spawn_callback: Some(free_the_request),
        spawn_user: (&raw mut client).cast(),
        ..init!(valtron_client_config)
    };
    let (mut request, mut info) = (77, valtron_request_info { state: 77, ..init!(valtron_request_info) });
    let body = *b"body";
    let borrowed = valtron_request_config {
        body: body.as_ptr(),
        body_len: body.len(),
        body_release: Some(release),
        ..get("http://localhost:1/")
    };
    // SAFETY: see above.
    unsafe {
        assert_eq!(valtron_client_create(&config, &mut client), VALTRON_OK);
        let status = valtron_client_perform(client, &borrowed, 0, 10_000, &mut request, &mut info);
        assert_eq!((status, request, info.state), (VALTRON_E_HANDLE_STALE, 77, 77));
        valtron_client_free(client);
    }
    assert_eq!(RELEASED.load(Ordering::SeqCst), 1);
}
