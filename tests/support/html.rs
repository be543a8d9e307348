//! Reads HTML strictly, and says what keeps a person from using it: rules of WCAG 2.2 that can be
//! read off the text, and of ours about what a page may load.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

/// One tag, or the text between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// `<name a="b">`; attributes unescaped.
    Open(String, BTreeMap<String, String>),
    /// `</name>`
    Close(String),
    /// Unescaped.
    Text(String),
}

const VOID: [&str; 6] = ["meta", "link", "input", "br", "path", "rect"];

static TAG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^<(/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z-]+(?:="[^"<>]*")?)*)\s*/?>"#).unwrap()
});
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"([a-zA-Z-]+)(?:="([^"]*)")?"#).unwrap());

/// The tokens of a document.
///
/// # Panics
/// Where it is not written as strictly as we write it: tags closed, attributes in double quotes.
pub fn tokens(html: &str) -> Vec<Token> {
    let mut rest = html
        .strip_prefix("<!doctype html>")
        .expect("a document must have a doctype");
    let mut tokens = Vec::new();
    let mut open: Vec<String> = Vec::new();
    while !rest.is_empty() {
        if !rest.starts_with('<') {
            let end = rest.find('<').unwrap_or(rest.len());
            tokens.push(Token::Text(unescaped(&rest[..end])));
            rest = &rest[end..];
            continue;
        }
        let near: String = rest.chars().take(80).collect();
        let found = TAG
            .captures(rest)
            .unwrap_or_else(|| panic!("no tag of ours: {near}"));
        let (name, attributes) = (&found[2], &found[3]);
        rest = &rest[found[0].len()..];
        if &found[1] == "/" {
            assert_eq!(open.pop().as_deref(), Some(name), "closed before {near}");
            tokens.push(Token::Close(name.to_owned()));
            continue;
        }
        let pairs: Vec<(String, String)> = ATTRIBUTE
            .captures_iter(attributes)
            .map(|it| {
                (
                    it[1].to_owned(),
                    unescaped(it.get(2).map_or("", |it| it.as_str())),
                )
            })
            .collect();
        let count = pairs.len();
        let attributes: BTreeMap<String, String> = pairs.into_iter().collect();
        assert_eq!(attributes.len(), count, "an attribute twice: {near}");
        tokens.push(Token::Open(name.to_owned(), attributes));
        if matches!(name, "style" | "script") {
            let end = rest.find(&format!("</{name}>"));
            let end = end.expect("a style or script must end");
            tokens.push(Token::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        if !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    tokens
}

fn unescaped(text: &str) -> String {
    let known = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    known
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// What a reader sees.
pub fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut is_hidden = false;
    for token in tokens(html) {
        match token {
            Token::Open(name, _) => {
                is_hidden = matches!(name.as_str(), "style" | "script");
                text.push(' ');
            }
            Token::Close(_) => {
                is_hidden = false;
                text.push(' ');
            }
            Token::Text(part) if !is_hidden => text.push_str(&part),
            Token::Text(_) => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is wrong with a document, one sentence each.
pub fn faults(html: &str) -> Vec<String> {
    let tokens = tokens(html);
    let mut faults = Vec::new();
    faults.extend(structure(&tokens));
    faults.extend(names(&tokens));
    faults.extend(references(&tokens));
    faults.extend(loads(&tokens));
    faults
}

fn opened(tokens: &[Token]) -> impl Iterator<Item = (usize, &str, &BTreeMap<String, String>)> {
    tokens
        .iter()
        .enumerate()
        .filter_map(|(at, token)| match token {
            Token::Open(name, attributes) => Some((at, name.as_str(), attributes)),
            _ => None,
        })
}

/// The text inside of the element that opens at `at`.
fn inside(tokens: &[Token], at: usize) -> String {
    let mut depth = 0_usize;
    let mut text = String::new();
    for token in &tokens[at..] {
        match token {
            Token::Open(name, _) if !VOID.contains(&name.as_str()) => depth += 1,
            Token::Open(..) => {}
            Token::Close(_) => depth -= 1,
            Token::Text(part) => text.push_str(part),
        }
        if depth == 0 {
            break;
        }
    }
    text.trim().to_owned()
}

/// Language, landmarks, headings in order, tables with captions and scopes.
fn structure(tokens: &[Token]) -> Vec<String> {
    let mut faults = Vec::new();
    let count = |wanted: &str| {
        opened(tokens)
            .filter(|(_, name, _)| *name == wanted)
            .count()
    };
    for once in ["html", "title", "main", "h1", "header", "footer"] {
        if count(once) != 1 {
            faults.push(format!("{} of <{once}>, not one", count(once)));
        }
    }
    let mut level = 0;
    for (at, name, attributes) in opened(tokens) {
        let has = |attribute: &str| attributes.get(attribute).is_some_and(|it| !it.is_empty());
        match name {
            "html" if !has("lang") => faults.push("no language".to_owned()),
            "h1" | "h2" | "h3" | "h4" => {
                let this = usize::from(name.as_bytes()[1] - b'0');
                if this > level + 1 {
                    faults.push(format!("<{name}> after a heading of level {level}"));
                }
                level = this;
            }
            "table" => match tokens.get(at + 1) {
                Some(Token::Open(first, _)) if first == "caption" => {}
                _ => faults.push("a table without a caption".to_owned()),
            },
            "th" if !has("scope") => faults.push(format!("no scope: {}", inside(tokens, at))),
            "nav" if !has("aria-label") => faults.push("a nav without a name".to_owned()),
            "section" if !has("aria-labelledby") => {
                faults.push("a section without a name".to_owned());
            }
            _ => {}
        }
    }
    let skip = opened(tokens).find(|(_, name, _)| *name == "a");
    if skip.is_none_or(|(_, _, it)| it.get("href").is_none_or(|to| to != "#main")) {
        faults.push("the first link does not skip to the content".to_owned());
    }
    faults
}

/// Everything that can be used or seen has a name.
fn names(tokens: &[Token]) -> Vec<String> {
    let labels: BTreeSet<&String> = opened(tokens)
        .filter(|(_, name, _)| *name == "label")
        .filter_map(|(_, _, attributes)| attributes.get("for"))
        .collect();
    let mut faults = Vec::new();
    for (at, name, attributes) in opened(tokens) {
        let nameless = match name {
            "a" | "button" | "summary" | "caption" | "h1" | "h2" | "h3" | "th" | "title" => {
                inside(tokens, at).is_empty()
            }
            "svg" => {
                attributes.get("role").is_none_or(|it| it != "img")
                    || attributes.get("aria-label").is_none_or(String::is_empty)
            }
            "input" if attributes.get("type").is_none_or(|it| it != "hidden") => {
                attributes.get("id").is_none_or(|id| !labels.contains(id))
            }
            "td" => attributes.get("data-label").is_none_or(String::is_empty),
            _ => false,
        };
        if nameless {
            faults.push(format!("a <{name}> without a name: {attributes:?}"));
        }
    }
    faults
}

/// Ids are unique, and whatever refers to one finds it.
fn references(tokens: &[Token]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for (_, _, attributes) in opened(tokens) {
        if let Some(id) = attributes.get("id")
            && !ids.insert(id.as_str())
        {
            faults.push(format!("the id {id} twice"));
        }
    }
    for (_, name, attributes) in opened(tokens) {
        let labelled = attributes.get("aria-labelledby").map(String::as_str);
        let labelled = labelled.or(attributes.get("for").map(String::as_str));
        let fragment = attributes.get("href").and_then(|it| it.strip_prefix('#'));
        for id in labelled.into_iter().chain(fragment) {
            if !ids.contains(id) {
                faults.push(format!("<{name}> refers to {id}, which is not there"));
            }
        }
    }
    faults
}

/// The one script that a page may have.
const SCRIPT: &str = include_str!("../../src/page/renew.js");

/// Nothing comes from elsewhere, nothing runs but the one script, and no attribute has a style.
fn loads(tokens: &[Token]) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, name, attributes) in opened(tokens) {
        let is_ours = name == "script" && tokens.get(at + 1) == Some(&Token::Text(SCRIPT.into()));
        let is_active = matches!(
            name,
            "script" | "iframe" | "object" | "embed" | "img" | "base"
        );
        if is_active && !is_ours {
            faults.push(format!("a <{name}>"));
        }
        for (attribute, value) in attributes {
            let is_address = matches!(attribute.as_str(), "href" | "src" | "action");
            let is_ours = value.starts_with(['/', '#']) && !value.starts_with("//");
            let is_icon = name == "link" && value.starts_with("data:image/svg+xml,");
            if is_address && !is_ours && !is_icon {
                faults.push(format!("{attribute}={value}"));
            }
            if attribute.starts_with("on") || attribute == "style" || attribute == "srcdoc" {
                faults.push(format!("an attribute {attribute}"));
            }
        }
    }
    faults
}
