//! From a response's body to a decoded answer, without holding it.
//!
//! A small body is decoded where it is read. A larger one is decoded on a blocking thread, fed
//! through a short channel: the network waits for the decoder and the decoder for the network, and
//! no more than a few chunks exist at a time. When the caller goes away, the channel closes and
//! both end.

use std::io::Read;

use bytes::{Buf, Bytes, BytesMut};
use reqwest::Response;
use tokio::sync::mpsc;

use super::decode::Body;
use super::error::Error;

/// Up to this size decoding takes about a millisecond, and a thread is not worth it.
const IN_PLACE_BYTES_MAX: usize = 256 << 10;

/// Chunks between network and decoder, of some 8 to 64 KiB each.
const CHUNKS_AHEAD: usize = 4;

/// What a body is held to.
pub(super) struct Limits<'a> {
    /// After decompression.
    pub(super) bytes: u64,
    /// Scheme, host and port, for error texts.
    pub(super) server: &'a str,
}

/// Reads and decodes the whole body.
pub(super) async fn read<T, D>(
    mut response: Response,
    limits: &Limits<'_>,
    decode: D,
) -> Result<T, Error>
where
    T: Send + 'static,
    D: FnOnce(Body) -> Result<T, Error> + Send + 'static,
{
    if response
        .content_length()
        .is_some_and(|length| length > limits.bytes)
    {
        return Err(Error::TooLarge(limits.bytes));
    }
    let mut meter = Meter { limits, read: 0 };
    let mut head = BytesMut::new();
    while head.len() <= IN_PLACE_BYTES_MAX {
        let Some(chunk) = meter.chunk(&mut response).await? else {
            let head = head.freeze();
            refuse_html(&head)?;
            return decode(Body::Whole(head));
        };
        head.extend_from_slice(&chunk);
    }
    refuse_html(&head)?;

    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let reader = Chunks {
        current: head.freeze(),
        next: receiver,
    };
    let decoder = tokio::task::spawn_blocking(move || decode(Body::Streamed(Box::new(reader))));
    while let Some(chunk) = meter.chunk(&mut response).await? {
        if sender.send(chunk).await.is_err() {
            // The decoder has given up; it says why below.
            break;
        }
    }
    drop(sender);
    decoder
        .await
        .unwrap_or_else(|error| match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            // The runtime is being shut down and never started it.
            Err(_) => Err(Error::Truncated(None)),
        })
}

/// Reads what a failure says, as far as it is worth reading.
pub(super) async fn head(mut response: Response, limits: &Limits<'_>) -> Result<Bytes, Error> {
    let mut meter = Meter { limits, read: 0 };
    let mut head = BytesMut::new();
    while head.len() <= IN_PLACE_BYTES_MAX {
        match meter.chunk(&mut response).await? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(head.freeze())
}

fn refuse_html(head: &[u8]) -> Result<(), Error> {
    match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'<') => Err(Error::Html),
        _ => Ok(()),
    }
}

struct Meter<'a> {
    limits: &'a Limits<'a>,
    read: u64,
}

impl Meter<'_> {
    async fn chunk(&mut self, response: &mut Response) -> Result<Option<Bytes>, Error> {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| Error::from_http(error, self.limits.server))?;
        let length = chunk
            .as_ref()
            .map_or(0, |chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.read = self.read.saturating_add(length);
        if self.read > self.limits.bytes {
            return Err(Error::TooLarge(self.limits.bytes));
        }
        Ok(chunk)
    }
}

/// The receiving end, as a reader for a thread that may block.
struct Chunks {
    current: Bytes,
    next: mpsc::Receiver<Bytes>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.next.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
