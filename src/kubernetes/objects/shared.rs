//! Lists under way, shared by those who ask the same at the same time.
//!
//! A list of its own for each would be hundreds of pages at once just when the API server has come
//! back and every autoscaler asks again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use tokio::time::Instant;

use super::feed::STALE;
use crate::kubernetes::Object;
use crate::kubernetes::client::Error;

/// What a list comes to.
pub(super) type Found = Result<Arc<Vec<Arc<Object>>>, Arc<Error>>;

/// Lists by their path. One that nobody waits for any longer is not gone on with.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<BTreeMap<String, UnderWay>>);

#[derive(Debug)]
struct UnderWay {
    began: Instant,
    list: WeakShared<BoxFuture<'static, Found>>,
}

impl Lists {
    /// The list at `path` that is under way, else the one that `begin` makes. No answer is of a
    /// time longer ago than that of a watch that is away.
    pub(super) fn join(
        &self,
        path: &str,
        begin: impl FnOnce() -> BoxFuture<'static, Found>,
    ) -> Shared<BoxFuture<'static, Found>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|_, it| it.list().is_some());
        if let Some(list) = lists.get(path).and_then(UnderWay::list) {
            return list;
        }
        let list = begin().shared();
        // Only one that has been waited for to its end has nothing to share.
        if let Some(weak) = list.downgrade() {
            let began = Instant::now();
            lists.insert(path.to_owned(), UnderWay { began, list: weak });
        }
        list
    }
}

impl UnderWay {
    /// While somebody waits for it, and it is not too old to wait for.
    fn list(&self) -> Option<Shared<BoxFuture<'static, Found>>> {
        let list = self.list.upgrade()?;
        (list.peek().is_none() && self.began.elapsed() < STALE).then_some(list)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;
    use tokio::time::advance;

    use super::*;

    /// Lists that end when they are told to, and how many were begun.
    #[derive(Default)]
    struct World {
        lists: Lists,
        begun: AtomicU32,
        gate: Arc<Notify>,
    }

    impl World {
        fn ask(&self, path: &str) -> Shared<BoxFuture<'static, Found>> {
            self.lists.join(path, || {
                self.begun.fetch_add(1, Ordering::Relaxed);
                let gate = Arc::clone(&self.gate);
                let list = async move {
                    gate.notified().await;
                    Err(Arc::new(Error::Timeout))
                };
                list.boxed()
            })
        }

        fn begun(&self) -> u32 {
            self.begun.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_asks_at_one_time_are_one_list_even_if_the_first_goes_away() {
        let world = World::default();
        let mut first = world.ask("/pods");
        assert!(futures_util::poll!(&mut first).is_pending());
        let (second, other) = (world.ask("/pods"), world.ask("/nodes"));
        assert_eq!(world.begun(), 2);
        drop((first, other));
        world.gate.notify_one();
        assert!(second.clone().await.unwrap_err().is_timeout());
        let _later = world.ask("/pods");
        assert_eq!(
            world.begun(),
            3,
            "what has ended is not the answer of later"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_nobody_waits_for_or_that_is_old_is_not_joined() {
        let world = World::default();
        drop(world.ask("/pods"));
        let _second = world.ask("/pods");
        assert_eq!(world.begun(), 2);
        advance(STALE).await;
        let _third = world.ask("/pods");
        assert_eq!(world.begun(), 3);
        let _fourth = world.ask("/pods");
        assert_eq!(world.begun(), 3);
    }
}
