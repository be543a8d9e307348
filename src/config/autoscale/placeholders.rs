//! Placeholders in the commands of the user. Pure.

/// The place of the number in `--exec`.
pub const REPLICAS: &str = "{replicas}";

/// The variable with the number, in the environment of `--exec`.
const VARIABLE: &str = "REPLICAS";

/// A command's text with `words`, each of a place such as `{name}` and what comes there.
/// `${name}` is the shell's and `{{name}}` a template's; both stay.
pub fn fill(command: &str, words: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), command);
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let is_others = filled.ends_with(['$', '{']);
        let word = words.iter().find(|(place, _)| rest.starts_with(place));
        match word.filter(|_| !is_others) {
            Some((place, word)) => {
                filled.push_str(word);
                rest = &rest[place.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Whether a command has the place of the number, where a number would come.
pub(in crate::config) fn has_replicas(command: &str) -> bool {
    fill(command, &[(REPLICAS, "1")]) != fill(command, &[(REPLICAS, "2")])
}

/// Whether a command is told the number: by its place, or by the variable (which is not
/// `CURRENT_REPLICAS`).
pub(in crate::config) fn is_told_replicas(command: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    has_replicas(command) || command.split(|c| !is_part(c)).any(|it| it == VARIABLE)
}
