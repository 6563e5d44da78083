use super::types::*;

/// Makes the library take all its memory from *allocator*, which is copied: for the whole process and for ever.
///
/// Before any other call of the library, from one thread. Blocks on nothing. Errors: VALTRON_E_NULL_CONFIG, _STRUCT_SIZE,
/// _NULL_CALLBACK, _TOO_LATE after any other call, _UNSUPPORTED without VALTRON_FEATURE_ALLOCATOR.
#[no_mangle]
pub unsafe extern "C" fn valtron_set_allocator(allocator: *const valtron_allocator) -> valtron_status {
    todo!()
}
