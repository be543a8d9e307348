//! The first word of a command line that names no command.

use super::Stop;

/// What the program does besides serving, each by the first of its arguments.
const COMMANDS: [&str; 5] = ["check", "test", "explain", "autoscale", "demo"];

/// What is wrong with arguments, the program's name first, that begin with a mistyped command: then
/// the others are meant for it.
pub(super) fn mistyped(args: &[&str]) -> Option<Stop> {
    let word = word(args)?;
    let is_begun = |command: &str| word.len() > 2 && command.starts_with(word);
    let is_near = |command: &str| {
        let allowed = (command.len() / 3).max(1);
        strsim::damerau_levenshtein(word, command) <= allowed
    };
    let mut commands = COMMANDS.into_iter();
    let meant = commands.find(|command| is_begun(command) || is_near(command))?;
    Some(Stop::Wrong(format!(
        "unknown command: {word}\nDid you mean {meant}?\nRun 'tidegauge --help' for all.\n"
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
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    let is_word =
        |it: &&str| it.starts_with(|c: char| c.is_ascii_lowercase()) && it.bytes().all(is_letter);
    args.get(1).copied().filter(is_word)
}
