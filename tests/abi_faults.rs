//! A panic inside the library, seen from C. In a process of its own: the order to panic is process-wide.
#![cfg(feature = "faults")]

use std::mem::size_of;
use std::ptr::{null, null_mut};

use valtron_http::ffi::*;

/// Goal: a panic in a call answers INTERNAL and poisons that client alone, which still hands out events, shuts down and
/// goes away.
/// Method: order one for each kind of call.
#[test]
fn a_panic_poisons_its_client_alone() {
    let (mut other, mut request, mut count) = (null_mut(), 0, 99);
    // SAFETY: every pointer is NULL or good for its type; event and info may be zero.
    unsafe {
        let mut event: valtron_event = std::mem::zeroed();
        let config = valtron_request_config {
            struct_size: size_of::<valtron_request_config>(),
            url: c"http://127.0.0.1:1/".as_ptr(),
            url_len: 19,
            ..std::mem::zeroed()
        };
        assert_ne!(valtron_features() & VALTRON_FEATURE_FAULTS, 0);
        assert_eq!(valtron_client_create(null(), &mut other), VALTRON_OK);
        let calls: [&dyn Fn(*mut valtron_client) -> valtron_status; 3] = [
            &|client| valtron_client_poll(client, 0, null_mut()),
            &|client| valtron_client_wakeup(client),
            &|client| valtron_client_stats(client, null_mut()),
        ];
        for call in calls {
            let mut client = null_mut();
            assert_eq!(valtron_client_create(null(), &mut client), VALTRON_OK);
            assert_eq!(valtron_request_create(client, &config, &mut request), VALTRON_OK);
            valtron_test_panic(1);
            assert_eq!(call(client), VALTRON_E_INTERNAL);
            assert_eq!(valtron_client_poll(client, 0, null_mut()), VALTRON_E_POISONED);
            assert_eq!(valtron_request_create(client, &config, &mut request), VALTRON_E_POISONED);
            let size = size_of::<valtron_event>();
            assert_eq!(valtron_client_next_events(client, &mut event, size, 1, &mut count), VALTRON_OK);
            assert_eq!(valtron_client_shutdown(client, 10_000), VALTRON_OK);
            valtron_client_free(client);
            assert_eq!(valtron_client_poll(other, 0, null_mut()), VALTRON_OK);
        }
        valtron_client_free(other);
    }
}
