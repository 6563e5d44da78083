//! Tables over literal bytes.
