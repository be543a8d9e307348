//! Names that cannot be guessed, for sessions and orders.

/// 128 random bits in hexadecimal. Any replica can make one without asking another.
pub(crate) fn random() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system must have random numbers");
    hex(&bytes)
}

/// Whether `text` can be a name of ours at all. What cannot is not even looked up.
pub(crate) fn is_ours(text: &str) -> bool {
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 32 && text.bytes().all(digit)
}

/// A digest of a name that is as good as a password.
pub(crate) fn digest(name: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    hex(digest.as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
