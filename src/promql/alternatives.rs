//! A regular expression for a list of texts.
//!
//! The Go adapter joins names with `|`. Names of pods begin alike, and hundreds of them make
//! queries that servers and proxies refuse for their length, so in long lists what they share is
//! written once: `web-6d4cf56db6-(2xkpq|7hwtz|…)`. Prometheus takes both forms for the same: its
//! regular expressions are parsed by Go's `regexp/syntax`, which factors prefixes itself.

use super::escape_regex;

/// A list that is shorter than this is written as Go writes it.
const SHORT: usize = 1000;

/// Groups stand in each other so deep at most. (Go's parser takes 1000.)
const LEVELS_MAX: usize = 8;

/// A regular expression that matches these texts and, as Prometheus anchors it, no others.
pub fn alternatives(texts: &[String]) -> String {
    let plain = joined(texts.iter().map(String::as_str));
    if plain.len() < SHORT {
        return plain;
    }
    let mut sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let factored = factored(&sorted, LEVELS_MAX);
    if factored.len() < plain.len() {
        factored
    } else {
        plain
    }
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(escape_regex).collect();
    texts.join("|")
}

/// What begins with the same character stands together, for the texts are sorted.
fn factored(sorted: &[&str], levels: usize) -> String {
    let groups = sorted.chunk_by(|a, b| a.chars().next() == b.chars().next());
    let groups: Vec<String> = groups.map(|group| factored_group(group, levels)).collect();
    groups.join("|")
}

fn factored_group(sorted: &[&str], levels: usize) -> String {
    let plain = joined(sorted.iter().copied());
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return plain;
    };
    let prefix = shared_prefix(first, last);
    if sorted.len() == 1 || levels == 0 || prefix.is_empty() {
        return plain;
    }
    let rests: Vec<&str> = sorted.iter().map(|text| &text[prefix.len()..]).collect();
    let factored = format!("{}({})", escape_regex(prefix), factored(&rests, levels - 1));
    if factored.len() < plain.len() {
        factored
    } else {
        plain
    }
}

fn shared_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b);
    let bytes = same.map(|(c, _)| c.len_utf8()).sum();
    &a[..bytes]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_short_list_is_written_as_go_writes_it() {
        assert_eq!(alternatives(&owned(&["web-1", "web-2"])), "web-1|web-2");
        assert_eq!(alternatives(&owned(&["b", "a.b", "b"])), r"b|a\.b|b");
        assert_eq!(alternatives(&[]), "");
    }

    #[test]
    fn what_names_share_is_written_once() {
        assert_eq!(
            factored(&["a-x-1", "a-x-2", "a-y", "b"], 8),
            "a-(x-1|x-2|y)|b"
        );
        // Where it would not be shorter it is left.
        assert_eq!(factored(&["a1", "a2"], 8), "a1|a2");
        // One name may begin another.
        assert_eq!(factored(&["web", "web-1", "web-2"], 8), "web(|-1|-2)");
    }

    #[test]
    fn the_names_of_a_thousand_pods_take_a_third() {
        let names: Vec<String> = (0..1000)
            .map(|i| format!("checkout-6d4cf56db6-{:05}", i * 7919 % 100_000))
            .collect();
        let plain: usize = names.iter().map(|name| name.len() + 1).sum();
        let factored = alternatives(&names);
        assert!(
            factored.len() * 3 < plain,
            "{} of {plain} bytes",
            factored.len()
        );
    }

    proptest! {
        #[test]
        fn a_text_is_matched_if_and_only_if_it_is_in_the_list(
            texts in prop::collection::btree_set("[ab.|()é-]{0,6}", 1..30),
            others in prop::collection::vec("[ab.|()é-]{0,6}", 20),
            levels in 0..9_usize,
        ) {
            let sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
            let pattern = factored(&sorted, levels);
            let regex = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            for text in texts.iter().chain(&others) {
                prop_assert_eq!(regex.is_match(text), texts.contains(text), "{}", pattern);
            }
            prop_assert!(pattern.len() <= joined(sorted.iter().copied()).len());
        }

        #[test]
        fn a_long_list_is_matched_as_a_short_one_is(
            texts in prop::collection::vec("[ab]{2}-[ab.]{10,40}", 60..90),
        ) {
            let pattern = alternatives(&texts);
            let regex = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            for text in &texts {
                prop_assert!(regex.is_match(text));
                let other = text.replacen('-', "+", 1);
                prop_assert!(!regex.is_match(&other));
            }
        }
    }
}
