//! Just enough of Rust's grammar to tell code from comments and strings.

/// The text with comments and the insides of strings blanked; lines stay where they are.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => blank(&chars, at, line_end(&chars, at), &mut out),
            '/' if chars.get(at + 1) == Some(&'*') => blank(&chars, at, block_end(&chars, at), &mut out),
            '"' => string(&chars, at, 0, &mut out),
            'r' if raw_hashes(&chars, at).is_some() => {
                let hashes = raw_hashes(&chars, at).unwrap_or(0);
                out.push('r');
                string(&chars, at + 1 + hashes, hashes + 1, &mut out)
            }
            '\'' if char_end(&chars, at).is_some() => {
                blank(&chars, at, char_end(&chars, at).unwrap_or(at + 1), &mut out)
            }
            other => {
                out.push(other);
                at + 1
            }
        };
        at = end;
    }
    out
}

/// Every module named right after `crate::`, with its line; groups in braces are opened one level.
pub fn crate_imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(is_word) || before == Some('$') {
            continue;
        }
        let line = code[..at].matches('\n').count();
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push((line, word(rest))),
            Some(group) => found.extend(group_heads(group).into_iter().map(|name| (line, name))),
        }
    }
    found
}

/// Whether `wanted` stands in the line as a word of its own.
pub fn has_word(line: &str, wanted: &str) -> bool {
    line.match_indices(wanted).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = line[at + wanted.len()..].chars().next().is_some_and(is_word);
        !before && (!after || wanted.ends_with('!'))
    })
}

fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => heads.push(word(std::mem::take(&mut item).trim_start())),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    heads.push(word(item.trim_start()));
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank(chars: &[char], from: usize, to: usize, out: &mut String) -> usize {
    out.extend(chars[from..to].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    to
}

/// A string from its opening quote; `raw` is 0 for an ordinary one, else its hashes plus one.
fn string(chars: &[char], quote: usize, raw: usize, out: &mut String) -> usize {
    let mut at = quote + 1;
    while at < chars.len() {
        if raw == 0 && chars[at] == '\\' {
            at += 2;
            continue;
        }
        let hashes = raw.saturating_sub(1);
        let closed = chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        if closed {
            break;
        }
        at += 1;
    }
    let at = at.min(chars.len());
    out.push('"');
    blank(chars, (quote + 1).min(at), at, out);
    out.push('"');
    (at + 1 + raw.saturating_sub(1)).min(chars.len())
}

fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    if at > 0 && is_word(chars[at - 1]) && chars[at - 1] != 'b' {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

/// The end of a character literal; `None` for a lifetime.
fn char_end(chars: &[char], at: usize) -> Option<usize> {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars.iter().skip(at + 3).position(|c| *c == '\'')?;
        return Some(at + 3 + close + 1);
    }
    (chars.get(at + 2) == Some(&'\'')).then_some(at + 3)
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| at + length)
}

fn block_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only code survives, on its own lines. Method: each kind of literal around a word to look for.
    #[test]
    fn strings_and_comments_vanish() {
        for text in [
            "// w",
            "/* w /* w */ w */",
            "\"w\"",
            "\"\\\"w\"",
            "r#\"w\"w\"#",
            "b\"w\"",
            "'w'",
            "'\\'' // w",
            "'\"' // w",
        ] {
            assert!(!code_only(text).contains('w'), "{text} -> {}", code_only(text));
        }
        assert_eq!(code_only("a\n\"b\nc\"d"), "a\n\" \n \"d");
        assert!(code_only("fn a<'w>(b: &'w str) {}").contains("'w"));
    }

    #[test]
    fn imports_of_groups() {
        let code = "use crate::{a::{b, c}, d as e};\nuse $crate::f;\ncrate::g::h()";
        let names: Vec<String> = crate_imports(code).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["a", "d", "g"]);
    }
}
