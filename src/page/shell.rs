//! What every document has around it: head, skip link, brand, main, footer.

use std::sync::LazyLock;

use super::health::State;
use super::html::Html;

/// The only script there is, on a page that its reader wants anew time after time. Without it the
/// browser loads the whole page.
const RENEW: &str = include_str!("renew.js");

/// The only style there is; no attribute has one.
const STYLE: &str = include_str!("style.css");

/// What stands around the content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shell<'a> {
    /// In the title of the window.
    pub(super) title: &'a str,
    /// In the colour of the icon.
    pub(super) state: Option<State>,
    /// Seconds until the browser loads it anew.
    pub(super) refresh: Option<u32>,
    pub(super) version: &'static str,
}

impl Shell<'_> {
    /// The document: `nav` beside the brand, `main`, and `foot` below.
    pub(super) fn document(
        &self,
        nav: impl FnOnce(&mut Html),
        main: impl FnOnce(&mut Html),
        foot: impl FnOnce(&mut Html),
    ) -> String {
        let mut h = Html::default();
        h.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        h.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        h.raw("<meta name=\"color-scheme\" content=\"light dark\">");
        if let Some(seconds) = self.refresh {
            h.raw("<noscript><meta http-equiv=\"refresh\"");
            h.attribute("content", seconds).raw("></noscript>");
        }
        h.raw("<title>")
            .text(self.title)
            .raw(" · Tidegauge</title>");
        h.raw("<link rel=\"icon\"")
            .attribute("href", icon(self.state));
        h.raw("><style>").raw(STYLE).raw("</style></head>\n<body>");
        h.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n");
        h.raw("<header><p class=\"brand\"><a href=\"/\">Tidegauge</a> <span class=\"soft\">");
        h.text(self.version).raw("</span></p>");
        nav(&mut h);
        h.raw("</header>\n");
        if self.refresh.is_some() {
            h.raw("<p class=\"error\" id=\"renewal\" role=\"status\"></p>\n");
        }
        h.raw("<main id=\"main\" tabindex=\"-1\">\n");
        main(&mut h);
        h.raw("</main>\n<footer>");
        foot(&mut h);
        h.raw("</footer>");
        if let Some(seconds) = self.refresh {
            h.raw("\n<script")
                .attribute("data-seconds", seconds)
                .raw(">");
            h.raw(RENEW).raw("</script>");
        }
        h.raw("</body></html>\n");
        h.finish()
    }
}

/// A dot, in the colour of the state; in the address itself, so that nothing is loaded.
fn icon(state: Option<State>) -> &'static str {
    macro_rules! dot {
        ($colour:literal) => {
            concat!(
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'",
                "%3E%3Ccircle cx='8' cy='8' r='7' fill='%23",
                $colour,
                "'/%3E%3C/svg%3E"
            )
        };
    }
    match state {
        Some(State::Well) => dot!("2e9e5b"),
        Some(State::Impaired) => dot!("e0a100"),
        Some(State::Bad) => dot!("d43d34"),
        None => dot!("7d9cc4"),
    }
}

/// `Content-Security-Policy`: our one style, by its digest, the icon, and nothing else from
/// anywhere; forms go to us alone, and nobody puts the page into a frame. A page that `renews`
/// itself has its script, by its digest too, which may ask us.
pub(super) fn policy(renews: bool) -> &'static str {
    static POLICIES: LazyLock<[String; 2]> = LazyLock::new(|| {
        let plain = format!(
            "default-src 'none'; style-src {}; img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
            source(STYLE)
        );
        let renewing = format!("{plain}; script-src {}; connect-src 'self'", source(RENEW));
        [plain, renewing]
    });
    &POLICIES[usize::from(renews)]
}

/// A text that stands in the document, as CSP names it.
fn source(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format!("'sha256-{}'", base64(digest.as_ref()))
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or_default();
            match place <= chunk.len() {
                true => text.push(char::from(ALPHABET[index])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_written_as_rfc_4648_says() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xFB, 0xFF], "+/8="),
        ] {
            assert_eq!(base64(bytes), text);
        }
    }

    #[test]
    fn nothing_may_be_loaded_but_the_one_style_and_the_icon() {
        for renews in [false, true] {
            let policy = policy(renews);
            assert!(
                policy.starts_with("default-src 'none'; style-src 'sha256-"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(policy.contains("script-src 'sha256-"), renews, "{policy}");
            assert_eq!(policy.contains("connect-src 'self'"), renews, "{policy}");
        }
    }
}
