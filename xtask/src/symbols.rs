//! What the shared library shows to the world: its name, and `valtron_` symbols only.

use std::path::Path;

use crate::util::{failed, output, Step};

pub const SONAME: &str = "libvaltron_http.so.0";

pub fn run(args: &[&str]) -> Result<(), String> {
    let default = crate::util::root().join("target/debug/libvaltron_http.so");
    let file = args.first().map_or(default.as_path(), Path::new);
    let exported = exported(&nm(file)?);
    println!("{}", exported.join("\n"));
    check(file).map_err(String::from)
}

pub fn check(file: &Path) -> Step {
    let exported = exported(&nm(file)?);
    let strange: Vec<&String> = exported.iter().filter(|name| !name.starts_with("valtron_")).collect();
    if !strange.is_empty() {
        return failed(format!("exported, but not ours: {strange:?}"));
    }
    if exported.is_empty() {
        return failed("nothing is exported");
    }
    Ok(())
}

pub fn check_soname(file: &Path) -> Step {
    let dynamic = output(crate::util::words("readelf -d").arg(file))?;
    for wanted in [&format!("Library soname: [{SONAME}]"), "NODELETE"] {
        if !dynamic.contains(wanted) {
            return failed(format!("readelf -d does not show {wanted}"));
        }
    }
    Ok(())
}

fn nm(file: &Path) -> Result<String, crate::util::Stop> {
    output(crate::util::words("nm -D --defined-only").arg(file))
}

fn exported(nm: &str) -> Vec<String> {
    nm.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn third_column_is_the_name() {
        assert_eq!(super::exported("0001 T valtron_a\n0002 R other\n"), ["valtron_a", "other"]);
    }
}
