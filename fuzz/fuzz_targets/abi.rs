//! The C interface, called in any order with anything that a C program may pass: no panic, no internal error, outputs
//! written by success alone, one end for each request, borrowed bodies released once, no wait in vain, and nothing left
//! open. The server is a listener of this process, and no other address is ever connected to.
#![no_main]

#[path = "../abi/calls.rs"]
mod calls;
#[path = "../abi/place.rs"]
mod place;
#[path = "../abi/server.rs"]
mod server;
#[path = "../abi/specs.rs"]
mod specs;
#[path = "../abi/world.rs"]
mod world;

use std::ptr::{null, null_mut};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use valtron_http::ffi::*;

use calls::Operation;
use server::Server;
use specs::ClientSpec;
use world::World;

#[derive(Arbitrary, Debug)]
struct Input {
    client: ClientSpec,
    answers: [u8; 8],
    ending: u8,
    operations: Vec<Operation>,
}

const OPERATIONS_MAX: usize = 100;

thread_local! {
    static SERVER: &'static Server = Box::leak(Box::new(start()));
}

fuzz_target!(|input: Input| {
    let server = SERVER.with(|server| *server);
    let before = descriptors();
    run(&input, server);
    server.clear();
    let after = descriptors();
    assert_eq!(after, before, "descriptors were left open");
});

/// The library's panic hook is silent and its calls answer a code: here a panic is the finding itself.
fn start() -> Server {
    let mut client = null_mut();
    // SAFETY: good pointers.
    unsafe {
        assert_eq!(valtron_client_create(null(), &mut client), VALTRON_OK);
        valtron_client_free(client);
    }
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
        std::process::abort();
    }));
    Server::new()
}

fn run(input: &Input, server: &'static Server) {
    let world = World::new(server, &input.answers);
    world.create_client(&input.client);
    for operation in input.operations.iter().take(OPERATIONS_MAX) {
        world.apply(operation);
    }
    for which in 0..world::CLIENTS_MAX {
        // Freed ones are not counted, so the first is another one each time.
        let Some(slot) = world.slot(0) else { break };
        end(&world, slot, input.ending >> (2 * which));
        if !slot.pointer.get().is_null() {
            slot.check_stats();
            slot.free_client();
        }
    }
    world.check_lent();
    // Jobs outlive their clients, and know it.
    for taken in world.jobs.take() {
        // SAFETY: it is freed once, here.
        unsafe {
            if taken.local {
                let over = [VALTRON_E_JOB_CANCELLED, VALTRON_E_JOB_ALREADY_RUN, VALTRON_E_JOB_EXPIRED];
                assert!(over.contains(&valtron_job_run(taken.job)), "a job of a client that is gone was run");
            }
            valtron_job_free(taken.job);
        }
    }
}

/// By cancelling all, by a shutdown, or not at all.
fn end(world: &World, slot: &world::Slot, how: u8) {
    match how % 4 {
        0 => {
            let requests: Vec<_> = slot.requests.borrow().keys().copied().collect();
            for request in requests {
                // SAFETY: the client is not freed.
                world::expect(unsafe { valtron_request_cancel(slot.pointer.get(), request) }, &[], "cancel");
            }
            slot.check_ended(world);
        }
        1 => {
            let client = slot.pointer.get();
            for _ in 0..10 {
                // SAFETY: as above.
                let status = world.driving(|| unsafe { valtron_client_shutdown(client, 0) });
                if slot.pointer.get().is_null() {
                    return;
                }
                world::expect(status, &[VALTRON_E_WAIT_TIMEOUT], "shutdown");
                if status == VALTRON_OK {
                    break;
                }
            }
            slot.check_ended(world);
        }
        _ => {}
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
