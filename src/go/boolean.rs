//! Go's `strconv.ParseBool`: flags and query parameters are written in it.

/// `1 t T true TRUE True`, `0 f F false FALSE False`; `None` for anything else.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
