//! Sessions and carts: in Redis, so that every replica knows every customer.
//!
//! A replica that keeps a session in its own memory loses it when it is scaled in, and no other
//! replica has it. That is the one thing that keeps most services from being elastic.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::TryFutureExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::dependency::{Dependency, Unavailable};
use crate::id;
use crate::metrics::Metrics;

/// What a customer may put into a cart.
pub(crate) const MOST_SKUS: usize = 50;
pub(crate) const MOST_OF_ONE: u32 = 999;

/// How many sessions this process keeps itself.
const MOST_HERE: usize = 10_000;

/// Redis answers in less than a millisecond, or something is wrong.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Quantities by SKU.
pub(crate) type Items = BTreeMap<String, u32>;

/// What a customer has chosen, and the name that the order of it will have. Two requests that read
/// one cart so place one order; and what an order has taken, it cannot take a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cart {
    pub order: String,
    pub items: Items,
}

/// Why there is no cart.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("no such session: POST /session begins one")]
    UnknownSession,
    #[error("the cart is full: at most {MOST_SKUS} SKUs, and {MOST_OF_ONE} of each")]
    Full,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Where they are.
pub(crate) enum Sessions {
    /// In this process: for one replica, on a laptop.
    Here(Here),
    /// In Redis.
    Redis(Box<InRedis>),
}

impl Sessions {
    /// In Redis, if there is one. Connects when first used: a replica starts without it as well.
    ///
    /// # Errors
    /// When the client cannot be made of its settings.
    pub(crate) fn new(
        redis: Option<redis::Client>,
        ttl: Duration,
        metrics: &Arc<Metrics>,
    ) -> redis::RedisResult<Sessions> {
        let Some(client) = redis else {
            let sessions = Mutex::default();
            return Ok(Sessions::Here(Here { sessions, ttl }));
        };
        // One connection that carries everybody's commands, and comes back by itself. It does not
        // retry: who waits for a retry holds a request, and the next request tries anyway.
        Ok(Sessions::Redis(Box::new(InRedis {
            connection: ArcSwap::from_pointee(connection(&client)?),
            client,
            dependency: Dependency::new("redis", ANSWER_WITHIN, metrics),
            ttl: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
        })))
    }

    /// Begins a session, and gives its name.
    pub(crate) async fn begin(&self) -> Result<String, Trouble> {
        let session = id::random();
        match self {
            Sessions::Here(here) => here.begin(&session)?,
            Sessions::Redis(redis) => redis.begin(&session).await?,
        }
        Ok(session)
    }

    pub(crate) async fn cart(&self, session: &str) -> Result<Cart, Trouble> {
        match self {
            Sessions::Here(here) => here.cart(session),
            Sessions::Redis(redis) => redis.cart(session).await,
        }
    }

    /// Puts `quantity` more of `sku` into the cart, and gives what is in it then.
    pub(crate) async fn add(
        &self,
        session: &str,
        sku: &str,
        quantity: u32,
    ) -> Result<Items, Trouble> {
        match self {
            Sessions::Here(here) => here.add(session, sku, quantity),
            Sessions::Redis(redis) => redis.add(session, sku, quantity).await,
        }
    }

    /// Takes what was ordered out of the cart, and leaves what was put there meanwhile. Nothing
    /// when that order has done so before.
    pub(crate) async fn take(&self, session: &str, ordered: &Cart) -> Result<(), Trouble> {
        match self {
            Sessions::Here(here) => here.take(session, ordered),
            Sessions::Redis(redis) => redis.take(session, ordered).await,
        }
    }
}

/// In this process.
pub(crate) struct Here {
    sessions: Mutex<HashMap<String, (Instant, Cart)>>,
    ttl: Duration,
}

impl Here {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, (Instant, Cart)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, session: &str) -> Result<(), Trouble> {
        let mut sessions = self.sessions();
        if sessions.len() >= MOST_HERE {
            sessions.retain(|_, (used, _)| used.elapsed() < self.ttl);
        }
        if sessions.len() >= MOST_HERE {
            return Err(Trouble::Unavailable(Unavailable {
                dependency: "memory",
                reason: format!("{MOST_HERE} sessions are all that this process keeps"),
            }));
        }
        let cart = Cart {
            order: id::random(),
            items: Items::new(),
        };
        sessions.insert(session.to_owned(), (Instant::now(), cart));
        Ok(())
    }

    /// Does `what` to a cart that is there.
    fn with<T>(
        &self,
        session: &str,
        what: impl FnOnce(&mut Cart) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        match self.sessions().get_mut(session) {
            Some((used, cart)) if used.elapsed() < self.ttl => {
                *used = Instant::now();
                what(cart)
            }
            _ => Err(Trouble::UnknownSession),
        }
    }

    fn cart(&self, session: &str) -> Result<Cart, Trouble> {
        self.with(session, |cart| Ok(cart.clone()))
    }

    fn add(&self, session: &str, sku: &str, quantity: u32) -> Result<Items, Trouble> {
        self.with(session, |Cart { items, .. }| {
            let now = (items.get(sku).copied().unwrap_or(0)).saturating_add(quantity);
            if now > MOST_OF_ONE || (!items.contains_key(sku) && items.len() >= MOST_SKUS) {
                return Err(Trouble::Full);
            }
            items.insert(sku.to_owned(), now);
            Ok(items.clone())
        })
    }

    fn take(&self, session: &str, ordered: &Cart) -> Result<(), Trouble> {
        self.with(session, |cart| {
            if cart.order == ordered.order {
                for (sku, quantity) in &ordered.items {
                    if let Some(there) = cart.items.get_mut(sku) {
                        *there = there.saturating_sub(*quantity);
                    }
                }
                cart.items.retain(|_, quantity| *quantity > 0);
                cart.order = id::random();
            }
            Ok(())
        })
    }
}

/// A session is a hash: `order`, and one field `sku:NAME` for each SKU. It ends by Redis' own
/// clock. What takes more than one step is a script, for another replica may be at the same cart.
pub(crate) struct InRedis {
    client: redis::Client,
    connection: ArcSwap<ConnectionManager>,
    dependency: Dependency,
    /// In seconds.
    ttl: i64,
}

const ORDER: &str = "order";

/// Gives the hash, and lets it live on; an empty one is none.
const READ: &str = "
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    return redis.call('HGETALL', KEYS[1])";

/// -1: there is no such session; 0: the cart is full; 1: done. With it comes the hash: to ask for
/// it in a second step is to fail, now and then, after the first is done.
const ADD: &str = "
    local ttl, sku, more = ARGV[1], ARGV[2], tonumber(ARGV[3])
    local most, skus = tonumber(ARGV[4]), tonumber(ARGV[5])
    if redis.call('EXPIRE', KEYS[1], ttl) == 0 then return {-1, {}} end
    local there = redis.call('HGET', KEYS[1], sku)
    if not there and redis.call('HLEN', KEYS[1]) > skus then return {0, {}} end
    if (tonumber(there) or 0) + more > most then return {0, {}} end
    redis.call('HINCRBY', KEYS[1], sku, more)
    return {1, redis.call('HGETALL', KEYS[1])}";

/// The order and the name of the next one, then pairs of SKU and quantity.
const TAKE: &str = "
    if redis.call('HGET', KEYS[1], 'order') ~= ARGV[1] then return 0 end
    redis.call('HSET', KEYS[1], 'order', ARGV[2])
    for i = 3, #ARGV, 2 do
      local there = tonumber(redis.call('HGET', KEYS[1], ARGV[i]))
      if there and there <= tonumber(ARGV[i + 1]) then
        redis.call('HDEL', KEYS[1], ARGV[i])
      elseif there then
        redis.call('HINCRBY', KEYS[1], ARGV[i], -tonumber(ARGV[i + 1]))
      end
    end
    return 1";

fn connection(client: &redis::Client) -> redis::RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(Some(ANSWER_WITHIN));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

impl InRedis {
    /// The connection that comes back by itself does not where the password was wrong: it keeps
    /// that answer for ever, though passwords change. The next request begins another one.
    fn renew(&self, error: &redis::RedisError) {
        if error.kind() == redis::ErrorKind::AuthenticationFailed
            && let Ok(connection) = connection(&self.client)
        {
            self.connection.store(Arc::new(connection));
        }
    }

    fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.connection.load())
    }

    /// Asks for nothing but an answer, within `dependency`'s time.
    pub(crate) async fn ping(&self, dependency: &Dependency) -> Result<(), Unavailable> {
        let mut connection = self.connection();
        let ping = redis::cmd("PING");
        let answer = ping.exec_async(&mut connection);
        let answer = answer.inspect_err(|error| self.renew(error));
        dependency.call("ping", answer).await
    }

    async fn script<T: redis::FromRedisValue>(
        &self,
        operation: &'static str,
        script: &str,
        session: &str,
        arguments: &[String],
    ) -> Result<T, Unavailable> {
        let mut connection = self.connection();
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(key(session)).arg(arguments);
        let answer = command.query_async(&mut connection);
        let answer = answer.inspect_err(|error| self.renew(error));
        self.dependency.call(operation, answer).await
    }

    async fn begin(&self, session: &str) -> Result<(), Unavailable> {
        let mut connection = self.connection();
        let mut both = redis::pipe();
        both.atomic()
            .hset(key(session), ORDER, id::random())
            .expire(key(session), self.ttl);
        let done = both.exec_async(&mut connection);
        let done = done.inspect_err(|error| self.renew(error));
        self.dependency.call("begin", done).await
    }

    async fn cart(&self, session: &str) -> Result<Cart, Trouble> {
        let arguments = [self.ttl.to_string()];
        let hash: Hash = self.script("read", READ, session, &arguments).await?;
        match hash.get(ORDER) {
            None => Err(Trouble::UnknownSession),
            Some(order) => Ok(Cart {
                order: order.clone(),
                items: items(&hash),
            }),
        }
    }

    async fn add(&self, session: &str, sku: &str, quantity: u32) -> Result<Items, Trouble> {
        let arguments = [
            self.ttl.to_string(),
            field(sku),
            quantity.to_string(),
            MOST_OF_ONE.to_string(),
            MOST_SKUS.to_string(),
        ];
        let answer: (i32, Hash) = self.script("add", ADD, session, &arguments).await?;
        match answer {
            (-1, _) => Err(Trouble::UnknownSession),
            (0, _) => Err(Trouble::Full),
            (_, hash) => Ok(items(&hash)),
        }
    }

    async fn take(&self, session: &str, ordered: &Cart) -> Result<(), Trouble> {
        let mut arguments = vec![ordered.order.clone(), id::random()];
        for (sku, quantity) in &ordered.items {
            arguments.extend([field(sku), quantity.to_string()]);
        }
        let _: i32 = self.script("take", TAKE, session, &arguments).await?;
        Ok(())
    }
}

/// A session as Redis has it.
type Hash = HashMap<String, String>;

fn items(hash: &Hash) -> Items {
    let skus = hash.iter().filter_map(|(field, quantity)| {
        let sku = field.strip_prefix("sku:")?;
        Some((sku.to_owned(), quantity.parse().ok()?))
    });
    skus.collect()
}

fn key(session: &str) -> String {
    format!("shop:session:{session}")
}

fn field(sku: &str) -> String {
    format!("sku:{sku}")
}
