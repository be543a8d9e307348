//! Rust text as far as the rules of `tidy` need it: without comments, literals and tests; its functions.
//!
//! Every function here keeps the line breaks, so that a line's number stays true.

use regex::Regex;

/// The text with comments, and the insides of strings and characters, as blanks.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let after_name = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment_end(&chars, at),
            'r' if !after_name => raw_string_end(&chars, at).unwrap_or(at),
            // `br"…"` and `cr"…"`: the letter before is part of the literal, not of a name.
            'b' | 'c' if !after_name && chars.get(at + 1) == Some(&'r') => {
                raw_string_end(&chars, at + 1).unwrap_or(at)
            }
            '"' => quoted_end(&chars, at, '"'),
            '\'' if is_character(&chars, at) => quoted_end(&chars, at, '\''),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(
                chars[at..end]
                    .iter()
                    .map(|&c| if c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// A lifetime has no closing quote right behind its first character; a character literal has.
fn is_character(chars: &[char], at: usize) -> bool {
    chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..]
        .iter()
        .position(|&c| c == '\n')
        .map_or(chars.len(), |length| at + length)
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut next = at;
    while next < chars.len() {
        match (chars[next], chars.get(next + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                next += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                next += 2;
                if depth == 0 {
                    return next;
                }
            }
            _ => next += 1,
        }
    }
    chars.len()
}

fn quoted_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut next = at + 1;
    while next < chars.len() {
        match chars[next] {
            '\\' => next += 2,
            c if c == quote => return next + 1,
            _ => next += 1,
        }
    }
    chars.len()
}

/// The end of the raw string that begins with the `r` at `at`, if one does.
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |quote: usize| {
        chars[quote] == '"'
            && chars[quote + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes
    };
    let end = (open + 1..chars.len()).find(|&quote| closes(quote));
    Some(end.map_or(chars.len(), |quote| quote + 1 + hashes))
}

/// Code (see [`code_only`]) with every item under `#[cfg(test)]` as blanks.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = item_end(&out, start);
        let blank: String = out[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        out.replace_range(start..end, &blank);
    }
    out
}

/// How many lines of code (see [`code_only`]) stand under `#[cfg(test)]`, the attribute's included.
pub fn lines_of_tests(code: &str) -> usize {
    let marks = code.match_indices("#[cfg(test)]");
    marks
        .map(|(start, _)| code[start..item_end(code, start)].matches('\n').count() + 1)
        .sum()
}

/// Behind the item that begins at or after `start`: its `;`, or the brace that closes its body.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in code[start..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return start + offset + 1;
                }
            }
            ';' if depth == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// Each function with a body in code (see [`code_only`]): its line (from 0), name, and number of lines.
pub fn functions(code: &str) -> Vec<(usize, String, usize)> {
    let head = Regex::new(r"\bfn (\w+)").expect("the pattern must compile");
    let found = head.captures_iter(code).map(|found| {
        let start = found.get(0).expect("a match must have a whole").start();
        let body = &code[start..item_end(code, start)];
        let line = code[..start].matches('\n').count();
        (line, found[1].to_owned(), body.matches('\n').count() + 1)
    });
    found.collect()
}

#[test]
fn comments_and_literals_are_blanked_and_lines_kept() {
    let text =
        "a /* { /* } */ \n */ b // {\nc \"}\\\"{\" d '{' 'x' '\\'' &'a str r#\"}\"#; e br\"{\" f";
    let code = code_only(text);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "b", "c", "d", "&'a", "str", ";", "e", "f"]);
}

#[test]
fn tests_are_blanked_and_functions_measured() {
    let code = "fn a(x: [u8; 3]) -> u8 {\n  if y {\n  }\n}\n#[cfg(test)]\nmod tests;\n\
                #[cfg(test)]\nmod t {\n  fn b() {}\n}\ntrait T { fn c(&self); }\nfn d() {}\n";
    assert_eq!(lines_of_tests(code), 6);
    let code = without_tests(code);
    assert_eq!(
        functions(&code),
        [
            (0, "a".to_owned(), 4),
            (10, "c".to_owned(), 1),
            (11, "d".to_owned(), 1)
        ]
    );
}
