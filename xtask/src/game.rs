//! The example with a window: `examples/c/game_loop.c`, over this library or over another one.

use std::path::Path;

use serde_json::Value;

use crate::build::{library, Executor, Library};
use crate::site::Site;
use crate::tools;
use crate::util::{out_dir, words, Log, Step, Stop};

/// The step `game-loop`: a bounded number of frames in a window that nobody sees, in each mode.
pub fn run(log: &mut Log, site: &Site) -> Step {
    for program in ["gcc", "sdl2-config", "xvfb-run", "xauth"] {
        tools::require(program)?;
    }
    let out = out_dir().join("game");
    std::fs::create_dir_all(&out)?;
    let url = format!("{}/bytes/65536", site.value("VALTRON_SITE_HTTPS"));
    let cases = [
        // Build, mode, keys that are pressed, and the mode they lead to.
        (Executor::Single, "inline", "", "inline"),
        (Executor::Single, "taken", "", "taken"),
        (Executor::Single, "taken", "imt+-i", "inline"),
        (Executor::Multi, "workers", "", "workers"),
        (Executor::Multi, "inline", "tmim", "workers"),
    ];
    for (executor, mode, keys, last) in cases {
        let program = out.join(format!("game_loop-{}", executor.name()));
        let library = library(log, executor, "dev")?;
        compile(log, "examples/c/game_downloads.c", &program, Some(&library))?;
        let picture = out.join(format!("{}-{mode}{keys}.bmp", executor.name()));
        let _ = std::fs::remove_file(&picture);
        let mut command = words("xvfb-run --auto-servernum");
        command.arg(program).arg(&url).arg(site.value("VALTRON_SITE_CA"));
        command.args(["--frames", FRAMES, "--downloads", DOWNLOADS, "--mode", mode, "--json", "--screenshot"]);
        command.arg(&picture);
        if !keys.is_empty() {
            command.args(["--keys", keys]);
        }
        // What the machine has for pictures must not matter.
        command.env("SDL_RENDER_DRIVER", "software");
        let text = crate::util::output(&mut command)?;
        log.line(&text);
        // The dynamic linker's and the screen's own lines may come before.
        let line = text.lines().find(|line| line.starts_with('{')).unwrap_or_default();
        check(line, executor, last).map_err(Stop::Failed)?;
        look_at(&std::fs::read(&picture)?).map_err(Stop::Failed)?;
    }
    Ok(())
}

/// The game loop with its downloads by `downloads`, a source file; `library` if that is this project's.
pub fn compile(log: &mut Log, downloads: &str, program: &Path, library: Option<&Library>) -> Step {
    let sdl = crate::util::output(&mut words("sdl2-config --cflags --libs"))?;
    let mut command =
        words("gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror -Iinclude -Iexamples/c examples/c/game_loop.c");
    command.arg(downloads).arg("-o").arg(program);
    if let Some(library) = library {
        crate::c_tests::link(&mut command, library);
    } else {
        command.arg("-lcurl");
    }
    log.run(command.args(sdl.split_whitespace()).arg("-lm"))
}

fn check(line: &str, executor: Executor, mode: &str) -> Result<(), String> {
    let told: Value = serde_json::from_str(line).map_err(|error| format!("{mode}: {error} in {line:?}"))?;
    let number = |name: &str| told[name].as_f64().unwrap_or(-1.0);
    let as_asked =
        told["build"] == executor.name() && told["mode"] == mode && told["frames"].as_u64() == FRAMES.parse().ok();
    let measured = told["poll_cpu_us"]["max"].as_f64().is_some_and(|max| max > 0.0);
    if as_asked && measured && number("done") > 0.0 && number("failed") == 0.0 && number("longest_step_us") > 0.0 {
        return Ok(());
    }
    Err(format!("{} {mode}: {line}", executor.name()))
}

/// The picture has the window's size and is no empty one.
pub fn look_at(bitmap: &[u8]) -> Result<(), String> {
    let field =
        |at: usize| bitmap.get(at..at + 4).map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    // BITMAPFILEHEADER and BITMAPINFOHEADER: where the pixels begin, width, height.
    let (pixels, width, height) = (field(10) as usize, field(18), field(22));
    let colours: std::collections::HashSet<_> = bitmap.get(pixels..).unwrap_or_default().chunks_exact(4).collect();
    if bitmap.starts_with(b"BM") && (width, height) == (960, 600) && colours.len() > 60 {
        return Ok(());
    }
    Err(format!("the screenshot is {width} x {height} with {} colours", colours.len()))
}

const FRAMES: &str = "200";
const DOWNLOADS: &str = "16";

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an empty picture is none. Method: a bitmap of one colour.
    #[test]
    fn one_colour_is_no_picture() {
        let mut bitmap = b"BM".to_vec();
        bitmap.resize(54, 0);
        bitmap[10] = 54;
        bitmap[18..26].copy_from_slice(&[192, 3, 0, 0, 88, 2, 0, 0]);
        bitmap.resize(54 + 960 * 600 * 4, 7);
        assert!(look_at(&bitmap).unwrap_err().ends_with("960 x 600 with 1 colours"));
        for (at, byte) in bitmap[54..].iter_mut().enumerate() {
            *byte = (at % 251) as u8;
        }
        assert_eq!(look_at(&bitmap), Ok(()));
    }
}
