//! Gives the shared library its name and its load-time promises.
//!
//! - *SONAME* `libvaltron_http.so.0` (an install name on macOS): a program linked against this major version finds
//!   it.
//! - *nodelete*: `dlclose` keeps the code mapped. Thread-local destructors of the standard library may run after the
//!   last `dlclose`; unmapping the code under them would crash the host.
//! - *defs*: an undefined symbol fails our link rather than the host's `dlopen`. Not under a sanitizer, whose runtime
//!   the host program brings.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let sanitized = std::env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("sanitizer"));
    match target("OS").as_str() {
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd" => {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libvaltron_http.so.0");
            println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
            if target("OS") == "linux" && !sanitized {
                println!("cargo::rustc-cdylib-link-arg=-Wl,-z,defs");
            }
        }
        "macos" => println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libvaltron_http.0.dylib"),
        _ => {}
    }
}
