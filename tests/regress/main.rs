//! One file for each bug that was found: named after the symptom, as small as it gets.

mod body_with_the_head_overfills_the_buffer;
mod early_answer_makes_the_sender_spin;
mod interim_response_ends_an_upload;
mod large_reads_hang_behind_the_head;
mod reset_before_a_byte_loses_a_post;
mod taken_redirect_waits_for_its_job;
mod world;
