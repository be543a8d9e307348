//! What the API server is asked about callers: whose token this is, what somebody may do, and whose
//! certificates the cluster trusts. One request each; remembering is the business of `auth`.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{
    SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::api::core::v1::ConfigMap;

use super::client::{Client, DEADLINE, Error, JSON};

/// Where kube-apiserver publishes whom it trusts.
const TRUST: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

impl Client {
    /// Whose token this is, for the API server's own audience.
    pub async fn review_token(&self, token: &str) -> Result<TokenReviewStatus, Error> {
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            ..TokenReviewSpec::default()
        };
        let review = TokenReview {
            spec,
            ..TokenReview::default()
        };
        let path = review_path("authentication.k8s.io", "tokenreviews");
        let reviewed = self.create(&path, &review).await?;
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
        let reviewed = self.create(&path, &review).await?;
        Ok(reviewed.status.unwrap_or_default())
    }

    /// The ConfigMap `kube-system/extension-apiserver-authentication`.
    pub async fn trust(&self) -> Result<ConfigMap, Error> {
        self.get(TRUST, JSON).await
    }
}

fn review_path(group: &str, plural: &str) -> String {
    format!("/apis/{group}/v1/{plural}?timeout={}s", DEADLINE.as_secs())
}
