//! Compression of large answers for those who take it, as Go's servers do it
//! (`k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`).
//!
//! Promises: what many are sent is compressed once; however many ask at one time, a few threads
//! compress, so that others that must not wait (credentials that are read again) find a thread.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::spawn_blocking;

use super::body::Body;

/// A body is compressed from one byte more.
const COMPRESSED_FROM: usize = 128 * 1024;

/// Bodies that are compressed at one time; the next waits, within the deadline of its request.
const AT_ONCE: usize = 4;

/// Bytes that are sent more than once.
#[derive(Clone, Debug)]
pub(super) struct Kept(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    plain: Bytes,
    /// Made when somebody takes it.
    compressed: OnceCell<Bytes>,
}

impl From<Vec<u8>> for Kept {
    fn from(plain: Vec<u8>) -> Kept {
        Kept(Arc::new(Forms {
            plain: plain.into(),
            compressed: OnceCell::new(),
        }))
    }
}

impl Kept {
    pub(super) fn plain(&self) -> Bytes {
        self.0.plain.clone()
    }
}

/// Compresses.
#[derive(Debug)]
pub(super) struct Compressor {
    slots: Arc<Semaphore>,
}

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Compressor {
    /// The same body, compressed where it is large and the client takes it so.
    pub(super) async fn compressed(&self, mut body: Body, request: &HeaderMap) -> Body {
        if body.bytes.len() <= COMPRESSED_FROM || !takes_gzip(request) {
            return body;
        }
        let compressed = match &body.kept {
            Some(Kept(forms)) => {
                let once = forms
                    .compressed
                    .get_or_try_init(|| self.compress(&body.bytes));
                once.await.cloned()
            }
            None => self.compress(&body.bytes).await,
        };
        if let Ok(compressed) = compressed {
            body.bytes = compressed;
            let gzip = HeaderValue::from_static("gzip");
            body.headers.insert(CONTENT_ENCODING, gzip);
            let vary = HeaderValue::from_static("Accept-Encoding");
            body.headers.append(VARY, vary);
        }
        body
    }

    async fn compress(&self, plain: &Bytes) -> io::Result<Bytes> {
        let plain = plain.clone();
        // The semaphore is never closed: a permit always comes.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        // A megabyte takes some ten milliseconds: too long for a thread that others wait for.
        let compressed = spawn_blocking(move || {
            let _slot = slot;
            gzip(&plain)
        });
        Ok(compressed.await??.into())
    }
}

/// Whether `gzip` is among what the client takes; Go does not look at qualities.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get(ACCEPT_ENCODING).map(HeaderValue::as_bytes);
    let mut codings = given.unwrap_or_default().split(|byte| *byte == b',');
    codings.any(|coding| coding.trim_ascii() == b"gzip")
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use hyper::StatusCode;
    use tokio::time::timeout;

    use super::*;

    fn taking(coding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(coding))])
    }

    async fn answer(length: usize, accept_encoding: Option<&'static str>) -> (HeaderMap, Bytes) {
        let headers = accept_encoding.map(taking).unwrap_or_default();
        let body = Body::text(StatusCode::OK, "a".repeat(length));
        let body = Compressor::default().compressed(body, &headers).await;
        let (parts, body) = body.into_response().into_parts();
        let bytes = http_body_util::BodyExt::collect(body)
            .await
            .unwrap()
            .to_bytes();
        (parts.headers, bytes)
    }

    #[tokio::test]
    async fn what_is_larger_than_128_kib_is_compressed_for_those_who_take_gzip() {
        for accepted in ["gzip", "deflate, gzip", "gzip, br"] {
            let (headers, bytes) = answer(COMPRESSED_FROM + 1, Some(accepted)).await;
            assert_eq!(headers[CONTENT_ENCODING], "gzip");
            assert_eq!(headers[VARY], "Accept-Encoding");
            let mut text = String::new();
            let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
            decoder.read_to_string(&mut text).unwrap();
            assert_eq!(text, "a".repeat(COMPRESSED_FROM + 1));
        }
        for (length, accepted) in [
            (COMPRESSED_FROM, Some("gzip")),
            (COMPRESSED_FROM + 1, None),
            (COMPRESSED_FROM + 1, Some("gzip;q=1")),
            (COMPRESSED_FROM + 1, Some("deflate, br")),
        ] {
            let (headers, bytes) = answer(length, accepted).await;
            assert_eq!(headers.get(CONTENT_ENCODING), None, "{accepted:?}");
            assert_eq!(headers.get(VARY), None, "{accepted:?}");
            assert_eq!(bytes.len(), length, "{accepted:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_many_are_sent_is_compressed_once_and_few_bodies_are_at_one_time() {
        let (compressor, headers) = (Compressor::default(), taking("gzip"));
        let kept = Kept::from(vec![b'a'; COMPRESSED_FROM + 1]);
        let ask = async |kept: &Kept| {
            let body = Body::kept("application/json", kept);
            compressor.compressed(body, &headers).await
        };
        let first = ask(&kept).await;
        assert!(first.bytes.len() < COMPRESSED_FROM);

        let all = u32::try_from(AT_ONCE).unwrap();
        let busy = compressor.slots.acquire_many(all).await.unwrap();
        let second = ask(&kept).await;
        assert_eq!(
            second.bytes.as_ptr(),
            first.bytes.as_ptr(),
            "the same bytes"
        );
        assert_eq!(second.headers[CONTENT_ENCODING], "gzip");

        let other = Kept::from(vec![b'b'; COMPRESSED_FROM + 1]);
        let mut waiting = Box::pin(ask(&other));
        // The clock goes on when no thread works: it waits for a place, not for the bytes.
        let waited = timeout(Duration::from_secs(1), &mut waiting).await;
        assert!(waited.is_err());
        // Whoever began it goes away: the next one does it.
        let mut next = Box::pin(ask(&other));
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(waiting);
        drop(busy);
        assert_eq!(next.await.headers[CONTENT_ENCODING], "gzip");
    }
}
