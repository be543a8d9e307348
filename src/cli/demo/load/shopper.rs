//! One shopper: a session, a cart, and what it remembers to have put there.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::Shop;

/// How long an answer may take, on a machine that has other things to do.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// How long who is told to come back later does so, at most at a time, and in all.
const COME_BACK: Duration = Duration::from_secs(1);
const COME_BACK_WITHIN: Duration = Duration::from_secs(60);

/// How long what nobody has confirmed may still get into a cart. A shop gives up on Redis after
/// half a second, and the command may yet be on its way: the next look may come before it.
const LANDS_WITHIN: Duration = Duration::from_secs(60);

/// How many different things it buys.
const SKUS: u32 = 12;

/// After so many steps a session ends and another begins.
const STEPS: u32 = 300;

/// What is asked of a shop now and then, beside carts: two thousandths of a second of a processor.
const DEAR: &str = "/burn?cpu=2ms";

pub(super) struct Shopper {
    number: u32,
    shop: Shop,
    session: Option<String>,
    /// Quantities by SKU, as they should be there.
    cart: BTreeMap<String, u32>,
    /// What was asked to be put there, and nobody said whether it was; and when it was asked.
    doubts: Vec<(String, Instant)>,
    steps: u32,
}

/// What came of a request, where it is not what was wanted.
enum Trouble {
    /// Counted already.
    Failed,
    /// Counted already: 503 with `Retry-After`, which says that nothing is wrong with the request.
    Later,
    /// Counted already: 401, the replica does not know the session.
    Unknown,
}

/// Whether this is answered from the cart of a session: 401 says that it is unknown.
fn is_of_a_cart(path: &str) -> bool {
    path == "/cart" || path.starts_with("/cart/")
}

/// Whether this cannot be answered without Redis, so that who asks may be told to come back.
fn needs_redis(path: &str) -> bool {
    path == "/session" || is_of_a_cart(path)
}

impl Shopper {
    pub(super) fn new(number: u32, shop: Shop) -> Shopper {
        Shopper {
            number,
            shop,
            session: None,
            cart: BTreeMap::new(),
            doubts: Vec::new(),
            steps: 0,
        }
    }

    /// When its steps are, as a part of the time of a step: spread evenly, whoever comes.
    pub(super) fn offset(&self) -> f64 {
        (f64::from(self.number) * 0.618_034).fract()
    }

    /// Does something, then looks into the cart.
    pub(super) async fn step(&mut self) {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS) {
            self.last_look().await;
        }
        if self.session.is_none() {
            return self.begin().await;
        }
        if self.steps.is_multiple_of(3) {
            // Failures are counted where they are seen.
            let _ = self.insist(Method::GET, DEAR).await;
        } else {
            self.buy().await;
        }
        self.look().await;
    }

    /// Looks into the cart, and leaves it there.
    pub(super) async fn last_look(&mut self) {
        self.look().await;
        self.session = None;
    }

    async fn begin(&mut self) {
        (self.cart, self.doubts) = (BTreeMap::new(), Vec::new());
        let Ok(answer) = self.insist(Method::POST, "/session").await else {
            return;
        };
        let answer: Option<Value> = serde_json::from_str(&answer).ok();
        self.session = answer.and_then(|it| it["session"].as_str().map(str::to_owned));
        match self.session {
            Some(_) => self.shop.tally.began(),
            None => self.shop.tally.failed("POST /session: no session".into()),
        }
    }

    /// Puts one more thing into the cart. It is not sent twice: where nobody confirms it, the next
    /// looks say whether it is there.
    async fn buy(&mut self) {
        let sku = format!("sku-{}", (self.number + self.steps) % SKUS);
        let item = json!({"sku": sku, "quantity": 1});
        match self.ask(Method::POST, "/cart/items", Some(item)).await {
            Ok(text) => {
                *self.cart.entry(sku).or_default() += 1;
                self.compare(&text);
            }
            Err(Trouble::Unknown) => self.lose("unknown where something was put into its cart"),
            Err(Trouble::Failed | Trouble::Later) => self.doubts.push((sku, Instant::now())),
        }
    }

    async fn look(&mut self) {
        if self.session.is_none() {
            return;
        }
        match self.insist(Method::GET, "/cart").await {
            Ok(text) => self.compare(&text),
            Err(Trouble::Unknown) => self.lose("unknown where its cart was read"),
            Err(Trouble::Failed | Trouble::Later) => {}
        }
    }

    /// Compares a cart that a replica has shown with what it should be.
    fn compare(&mut self, shown: &str) {
        let Ok(Shown { items }) = serde_json::from_str(shown) else {
            return self.lose("shown no cart");
        };
        self.shop.tally.compared();
        // Both are right: it was put there, and it was not. From then on it stays so.
        let cart = &mut self.cart;
        self.doubts.retain(|(sku, asked)| {
            let known = cart.get(sku).copied().unwrap_or_default();
            let is_there = items.get(sku).is_some_and(|shown| *shown > known);
            if is_there {
                *cart.entry(sku.clone()).or_default() += 1;
            }
            !is_there && asked.elapsed() < LANDS_WITHIN
        });
        if items != self.cart {
            let (is, should) = (items.values().sum::<u32>(), self.cart.values().sum::<u32>());
            self.lose(&format!(
                "shown a cart of {is} items that should have {should}"
            ));
        }
    }

    fn lose(&mut self, how: &str) {
        let number = self.number;
        let reason = format!("the session of shopper {number} was {how}");
        self.shop.tally.lost(reason);
        self.session = None;
    }

    /// Asks for what may be asked for twice, and comes back where it is told to.
    async fn insist(&self, method: Method, path: &str) -> Result<String, Trouble> {
        let began = Instant::now();
        loop {
            match self.ask(method.clone(), path, None).await {
                Err(Trouble::Later) if began.elapsed() < COME_BACK_WITHIN => sleep(COME_BACK).await,
                Err(Trouble::Later) => {
                    return Err(self.failed(&format!("{method} {path}: later, and later again")));
                }
                other => return other,
            }
        }
    }

    /// Asks a replica, the next one each time.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<String, Trouble> {
        let what = format!("{method} {path}");
        let Some(url) = self.shop.rotation.next() else {
            return Err(self.failed(&format!("{what}: no replica is ready")));
        };
        let mut request = self.shop.http.client().request(method, url + path);
        if let Some(session) = &self.session {
            request = request.header(header::COOKIE, format!("session={session}"));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json");
            request = request.body(body.to_string());
        }
        let sent = Instant::now();
        let answer = async {
            let answer = request.send().await?;
            let status = answer.status();
            let later = answer.headers().contains_key(header::RETRY_AFTER);
            Ok::<_, reqwest::Error>((status, later, answer.text().await?))
        };
        let (status, later, text) = match timeout(ANSWER_TIME, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let causes = crate::telemetry::with_causes(&error);
                return Err(self.failed(&format!("{what}: {causes}")));
            }
            Err(_) => {
                return Err(self.failed(&format!("{what}: no answer within {ANSWER_TIME:?}")));
            }
        };
        match status {
            status if status.is_success() => {
                self.shop.tally.answered(sent.elapsed());
                Ok(text)
            }
            StatusCode::UNAUTHORIZED if is_of_a_cart(path) => {
                self.shop.tally.unknown();
                Err(Trouble::Unknown)
            }
            StatusCode::SERVICE_UNAVAILABLE if later && needs_redis(path) => {
                self.shop.tally.put_off();
                Err(Trouble::Later)
            }
            status => Err(self.failed(&format!("{what}: {status}: {}", text.trim()))),
        }
    }

    fn failed(&self, why: &str) -> Trouble {
        self.shop.tally.failed(why.to_owned());
        Trouble::Failed
    }
}

/// A cart as a replica shows it: quantities by SKU.
#[derive(Deserialize)]
struct Shown {
    items: BTreeMap<String, u32>,
}

#[cfg(test)]
mod tests;
