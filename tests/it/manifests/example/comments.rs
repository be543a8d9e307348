//! What the files say of one another.

use regex::Regex;

use super::super::render::{files, manifests};

/// What is made where it is needed, by a command that a comment gives.
const MADE: [&str; 2] = ["alerts.yaml", "passwords.env"];

#[test]
fn the_comments_name_files_that_are_there() {
    let folder = manifests().join("example");
    let name = Regex::new(r"[\w./-]+\.(?:yaml|json|conf|env)\b").unwrap();
    let mut named = 0;
    for file in files(&folder) {
        let text = std::fs::read_to_string(&file).unwrap();
        let comments = text
            .lines()
            .filter(|line| line.trim_start().starts_with('#'));
        for found in comments.flat_map(|line| name.find_iter(line)) {
            // As seen from beside a checkout.
            let word = found.as_str();
            let word = word
                .strip_prefix("tidegauge/manifests/example/")
                .unwrap_or(word);
            let beside = file.parent().unwrap().join(word);
            let is_there = beside.exists() || folder.join(word).exists();
            assert!(
                is_there || MADE.contains(&word),
                "{}: {word}",
                file.display()
            );
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}
