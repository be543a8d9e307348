//! What the API server is asked about callers: whose token this is, what somebody may do, and whose
//! certificates the cluster trusts. Remembering is the business of `auth`.
//!
//! A review that the API server could not answer just now is asked again, as Go does
//! (`k8s.io/apiserver/pkg/util/webhook`, `DefaultShouldRetry` and `DefaultRetryBackoff`), but all
//! tries together have the deadline of one request: somebody waits for the answer, and a caller who
//! hears nothing for longer asks again himself. A server that nobody can connect to is not asked
//! again, as in Go: it is seldom back within seconds, and meanwhile each caller would wait.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{
    SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::api::core::v1::ConfigMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::client::{Client, DEADLINE, Error, JSON};
use crate::pace;

/// Where kube-apiserver publishes whom it trusts.
const TRUST: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

/// The watch of that one object; the Role extension-apiserver-authentication-reader allows it by
/// its name. Which one and for how long stands in the query.
const CONFIG_MAPS: &str = "/api/v1/namespaces/kube-system/configmaps";

/// After that long the server ends the watch.
const WATCHED: Duration = Duration::from_secs(60);

/// How often one review is asked, at most.
const TRIES: u32 = 5;

/// After the first try; each later pause is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Client {
    /// Whose token this is, for the API server's own audience.
    pub async fn review_token(&self, token: &str) -> Result<TokenReviewStatus, Error> {
        let spec = TokenReviewSpec {
            token: token.to_owned(),
            ..TokenReviewSpec::default()
        };
        let review = TokenReview {
            spec,
            ..TokenReview::default()
        };
        let path = review_path("authentication.k8s.io", "tokenreviews");
        let reviewed = self.review(&path, &review).await?;
        Ok(reviewed.status.unwrap_or_default())
    }

    /// Whether somebody may do something. No status means no.
    pub async fn review_access(
        &self,
        spec: SubjectAccessReviewSpec,
    ) -> Result<SubjectAccessReviewStatus, Error> {
        let review = SubjectAccessReview {
            spec,
            ..SubjectAccessReview::default()
        };
        let path = review_path("authorization.k8s.io", "subjectaccessreviews");
        let reviewed = self.review(&path, &review).await?;
        Ok(reviewed.status.unwrap_or_default())
    }

    async fn review<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        review: &T,
    ) -> Result<T, Error> {
        insist(|| self.create(path, review)).await
    }

    /// The ConfigMap `kube-system/extension-apiserver-authentication`.
    pub async fn trust(&self) -> Result<ConfigMap, Error> {
        self.get(TRUST, JSON).await
    }

    /// Waits until that ConfigMap is another one than `version`, where an empty version is that of
    /// one that does not exist. True: it may be; false: the server has ended the watch. What the
    /// event says is not looked at. Over in about a minute; to drop it costs a connection.
    pub async fn trust_changed(&self, version: &str) -> Result<bool, Error> {
        let seconds = WATCHED.as_secs();
        let path = format!(
            "{CONFIG_MAPS}?fieldSelector=metadata.name%3Dextension-apiserver-authentication\
             &watch=true&timeoutSeconds={seconds}&resourceVersion={version}"
        );
        let mut events = self.stream(&path, JSON).await?;
        // A server that is gone does not end it.
        let first = timeout(WATCHED + DEADLINE, events.next()).await;
        Ok(first.unwrap_or(Err(Error::Timeout))?.is_some())
    }
}

/// Tries until there is an answer or an error that stays, at most [`TRIES`] times within
/// [`DEADLINE`]; then the last error.
async fn insist<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut last = Error::Timeout;
    let tries = async {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match attempt().await {
                Err(error) if is_passing(&error) => last = error,
                outcome => return outcome,
            }
            sleep(pace::jittered(pause)).await;
            pause = pause * 3 / 2;
        }
        attempt().await
    };
    match timeout(DEADLINE, tries).await {
        Ok(outcome) => outcome,
        Err(_) => Err(last),
    }
}

/// Whether the next try may go better: the connection broke, or the server has trouble of its own.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Unreachable(error) => !error.is_connect(),
        Error::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
        _ => false,
    }
}

fn review_path(group: &str, plural: &str) -> String {
    format!("/apis/{group}/v1/{plural}?timeout={}s", DEADLINE.as_secs())
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn refused(status: u16) -> Result<u32, Error> {
        Err(Error::Refused {
            status,
            message: String::new(),
        })
    }

    /// The outcome, the number of tries and the time they took.
    async fn tried(
        mut answer: impl FnMut(u32) -> Result<u32, Error>,
    ) -> (Result<u32, Error>, u32, Duration) {
        let (mut tries, started) = (0, Instant::now());
        let outcome = insist(|| {
            tries += 1;
            std::future::ready(answer(tries))
        });
        let outcome = outcome.await;
        (outcome, tries, started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_that_passes_is_waited_for_and_no_longer_than_gos_back_off() {
        for status in [429, 500, 503, 504] {
            let passing = |tries| if tries < 3 { refused(status) } else { Ok(7) };
            let (outcome, tries, took) = tried(passing).await;
            assert_eq!((outcome.unwrap(), tries), (7, 3), "{status}");
            assert!(took <= Duration::from_millis(1_252), "{took:?}");
            let (outcome, tries, took) = tried(|_| refused(status)).await;
            assert_eq!((outcome.is_err(), tries), (true, TRIES), "{status}");
            assert!(took < Duration::from_secs(5), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_stays_is_told_at_once() {
        for status in [400, 401, 403, 404, 422] {
            let (outcome, tries, took) = tried(|_| refused(status)).await;
            assert_eq!((outcome.is_err(), tries, took), (true, 1, Duration::ZERO));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_tries_together_have_one_deadline_and_the_last_error_is_told() {
        let started = Instant::now();
        let slow = insist(async || -> Result<u32, Error> {
            sleep(Duration::from_secs(4)).await;
            Err(Error::Refused {
                status: 503,
                message: "starting".to_owned(),
            })
        });
        let error = slow.await.unwrap_err();
        assert_eq!(started.elapsed(), DEADLINE);
        assert!(error.to_string().contains("503: starting"), "{error}");
        let hangs = insist(std::future::pending::<Result<u32, Error>>);
        let hangs = hangs.await.unwrap_err();
        assert!(hangs.is_timeout());
    }
}
