//! Words of a command line that are no flags: commands, mistyped commands, and others.

use super::Stop;

/// What the program does besides serving, each by the first of its arguments.
const COMMANDS: [&str; 5] = ["check", "test", "explain", "autoscale", "demo"];

/// Longest argument that the log repeats, in bytes.
const SHOWN_MAX: usize = 20;

/// What is wrong with arguments, the program's name first, that begin with a mistyped command: then
/// the others are meant for it.
pub(super) fn mistyped(args: &[&str]) -> Option<Stop> {
    let given = word(args)?;
    let word = given.to_ascii_lowercase();
    let word = word.as_str();
    let is_begun = |command: &str| word.len() > 2 && command.starts_with(word);
    let is_near = |command: &str| {
        let allowed = (command.len() / 3).max(1);
        strsim::damerau_levenshtein(word, command) <= allowed
    };
    let mut commands = COMMANDS.into_iter();
    let meant = commands.find(|command| is_begun(command) || is_near(command))?;
    Some(Stop::Wrong(format!(
        "unknown command: {given}\nDid you mean {meant}?\nRun 'tidegauge --help' for all.\n"
    )))
}

/// What is wrong with a command line of the server, and that it may have been meant for a command.
/// With all that the server needs it starts, as the Go adapter does, whatever the word.
pub(super) fn told_of_unknown(args: &[&str], stop: Stop) -> Stop {
    match (stop, word(args)) {
        (Stop::Wrong(text), Some(word)) => Stop::Wrong(format!(
            "unknown command: {word} (there are {}; the server runs without one)\n{text}",
            COMMANDS.join(", ")
        )),
        (stop, _) => stop,
    }
}

/// The first argument, if it may be meant as a command: it is no flag and no path.
fn word<'a>(args: &[&'a str]) -> Option<&'a str> {
    args.get(1).copied().filter(|it| is_word(it))
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_part)
}

/// How the log names arguments that are no flags. The program's own path may be the first: the
/// Helm chart passes it. What is not a mere word may be a secret, such as a URL.
pub(super) fn strays<'a>(arguments: impl Iterator<Item = &'a String>) -> Vec<String> {
    let is_program = |(at, it): &(usize, &String)| *at == 0 && it.starts_with('/');
    let strays = arguments.enumerate().filter(|it| !is_program(it));
    strays
        .map(|(_, it)| match is_word(it) && it.len() <= SHOWN_MAX {
            true => it.clone(),
            false => "…".to_owned(),
        })
        .collect()
}
