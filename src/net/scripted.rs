//! A network out of a script.
