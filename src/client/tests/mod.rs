//! The request task over a scripted network and a virtual clock. Every run holds each task to the simulator's rule:
//! no more polls than things that happened.

mod connections;
mod contention;
mod frames;
mod harness;
mod last_answer;
mod questions;
mod redirects;
mod sending;
mod states;
mod steps;
mod tls;
mod traces;
