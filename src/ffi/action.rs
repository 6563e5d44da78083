//! The host's part in what requests spawn: decisions, and jobs on threads of its own.

use super::callbacks::Pending;
use super::convert;
use super::pointers::optional_out;
use super::types::*;

/// Answers the question *spawn_id*: one from valtron_client_next_spawns, or one that a callback left with
/// VALTRON_DECISION_LATER.
///
/// With VALTRON_DECISION_TAKE *job* gets a job that the caller owns: run it with valtron_job_run on any thread, free
/// it with valtron_job_free; that of a redirect has nothing to do. With any other decision *job* may be NULL and is
/// left as it was. Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _ENUM_RANGE, _DECISION (TAKE without
/// *job*; LATER), _NO_SPAWN (unknown, answered, or too late), _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_action_decide(
    client: *mut valtron_client,
    spawn_id: u64,
    decision: valtron_decision,
    job: *mut *mut valtron_job,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that it is NULL or good for a pointer.
        let place = unsafe { optional_out(job) };
        let decision = convert::decision(decision, place.is_some())?;
        // Before the answer: after it the next step's question may be pulled under the same id.
        held.texts.forget_spawn(spawn_id);
        let taken = held.client.decide(spawn_id, decision)?;
        if let (Some(job), Some(place)) = (taken, place) {
            place.put(Pending::hand_out(job));
        }
        Ok(())
    })
}

/// Does the job's work on the calling thread: a look-up asks the name service and takes as long as that does; a
/// handshake step computes, some milliseconds at most. The client is told; no need to wake it.
///
/// Any thread, also while the client is driven elsewhere or after it was freed. Blocks on nothing but that work.
/// Errors: VALTRON_E_NULL_JOB, _JOB_ALREADY_RUN, _JOB_EXPIRED (the library did it), _JOB_CANCELLED (request or client
/// are gone), _FORKED, _INTERNAL.
#[no_mangle]
pub unsafe extern "C" fn valtron_job_run(job: *mut valtron_job) -> valtron_status {
    ffi_fn!(status {
        // SAFETY: the caller promises that it is NULL or a job not freed yet.
        let job = unsafe { Pending::usable(job)? };
        convert::answer(job.run())
    })
}

/// Gives the job back. NULL does nothing. A job not run expires in time, as if it were kept.
///
/// Any thread, but not while valtron_job_run is inside it. Blocks on nothing. After it the pointer is dead.
#[no_mangle]
pub unsafe extern "C" fn valtron_job_free(job: *mut valtron_job) {
    ffi_fn!(value {
        // SAFETY: the caller promises that it is NULL or a job not freed yet and not used any more.
        unsafe { Pending::free(job) }
    })
}
