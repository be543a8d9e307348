//! A customer: has a session, fills a cart, orders, and tries again when told to.

use std::time::Duration;

use crate::poll;
use crate::service::{Answer, SOON, client};

/// One customer, whose shop may be at several addresses.
#[derive(Clone)]
pub struct Customer {
    pub client: reqwest::Client,
    pub shop: String,
    pub session: String,
}

impl Customer {
    /// Begins a session at `shop`.
    pub async fn new(shop: &str) -> Customer {
        let client = client();
        let answer = Answer::of(client.post(format!("{shop}/session"))).await;
        let answer = answer.unwrap();
        assert_eq!(answer.code, 201, "{answer:?}");
        Customer {
            client,
            shop: shop.to_owned(),
            session: answer.json()["session"].as_str().unwrap().to_owned(),
        }
    }

    /// The same customer at another replica.
    pub fn at(&self, shop: &str) -> Customer {
        let shop = shop.to_owned();
        Customer {
            shop,
            ..self.clone()
        }
    }

    fn with_session(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.header("cookie", format!("theme=dark; session={}", self.session))
    }

    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        let url = format!("{}{path}", self.shop);
        Answer::of(self.with_session(self.client.get(url))).await
    }

    /// Puts so many of a SKU into the cart.
    pub async fn add(&self, sku: &str, quantity: u32) -> Result<Answer, String> {
        let item = serde_json::json!({"sku": sku, "quantity": quantity});
        self.add_json(item.to_string()).await
    }

    pub async fn add_json(&self, json: String) -> Result<Answer, String> {
        let request = self.client.post(format!("{}/cart/items", self.shop));
        let request = request.header("content-type", "application/json");
        Answer::of(self.with_session(request.body(json))).await
    }

    pub async fn order(&self, key: Option<&str>) -> Result<Answer, String> {
        let mut request = self.client.post(format!("{}/orders", self.shop));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Answer::of(self.with_session(request)).await
    }

    /// Sends one thing until it is answered with `code`, as a client does that is told 503; gives
    /// that answer. Any other answer than those two is wrong.
    pub async fn insist(
        &self,
        code: u16,
        send: impl AsyncFn(&Customer) -> Result<Answer, String>,
    ) -> Answer {
        let what = format!("an answer {code}");
        poll::until(&what, SOON + Duration::from_secs(30), async || {
            let answer = send(self).await?;
            match answer.code {
                503 => Err(answer.text),
                other => {
                    assert_eq!(other, code, "{answer:?}");
                    Ok(answer)
                }
            }
        })
        .await
    }
}
