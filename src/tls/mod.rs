//! rustls behind one door: no type of rustls leaves this folder.
