//! Where the requests of an HTTP/2 connection run.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use hyper::rt::Executor;

/// So many at most are answered before what is answered is written.
const BATCH: usize = 16;

/// Before that, only this part of the requests that wait is answered: the client reads the first
/// answers, and asks on, while the others are made. All at once, and server and client wait for
/// each other by turns; one by one, and a hundred that wait cost a hundred writes.
const SHARE: usize = 3;

type Request = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs requests in their connection's own task as far as they go without waiting, and gives them
/// tasks of their own from there.
///
/// Nearly all answers are in memory. A task for each costs more than the answer: it wakes another
/// thread, which then wakes the connection, which writes one answer at a time. So requests that
/// come together are answered together.
#[derive(Clone, Default)]
pub(super) struct Eager {
    queue: Arc<Mutex<VecDeque<Request>>>,
    bell: Arc<Bell>,
}

impl<F> Executor<F> for Eager
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        self.queue().push_back(Box::pin(request));
    }
}

impl Eager {
    /// Polls a connection whose requests come here, and them.
    pub(super) fn poll<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        let bell = &self.bell;
        bell.task.register(context.waker());
        let waker = Waker::from(Arc::clone(bell));
        let mut inner = Context::from_waker(&waker);
        bell.listening.store(true, Ordering::SeqCst);
        loop {
            bell.rung.store(false, Ordering::SeqCst);
            let ended = connection.as_mut().poll(&mut inner);
            let batch: Vec<Request> = {
                let mut queue = self.queue();
                let batch = batch(queue.len());
                queue.drain(..batch).collect()
            };
            if ended.is_ready() || batch.is_empty() {
                bell.leave();
                return ended;
            }
            batch.into_iter().for_each(run);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a connection's task, but not while that is being polled and looks again anyway.
///
/// Each answer wakes its connection, and a task that is woken while it runs is put at the end of
/// its queue, for which the runtime wakes another thread: that takes it over, with cold caches.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    /// Whether it is being polled.
    listening: AtomicBool,
    /// Whether it was to be woken since it began to look.
    rung: AtomicBool,
}

impl Bell {
    /// The poll is over: whoever rang since its last look, and whoever does from now on, wakes it.
    fn leave(&self) {
        self.listening.store(false, Ordering::SeqCst);
        if self.rung.swap(false, Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order, as `leave` does it in the other: one of both sees the other.
        self.rung.store(true, Ordering::SeqCst);
        if !self.listening.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

/// How many of those that wait are answered before that is written.
fn batch(waiting: usize) -> usize {
    waiting.div_ceil(SHARE).min(BATCH)
}

fn run(mut request: Request) {
    // Whatever it waits for is told anew whom to wake when its task begins.
    let mut context = Context::from_waker(Waker::noop());
    if request.as_mut().poll(&mut context).is_pending() {
        tokio::spawn(request);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_need_not_wait_is_done_at_once_and_what_waits_keeps_nobody() {
        let requests = Eager::default();
        let done = Arc::new(AtomicUsize::new(0));
        let count = || {
            let done = Arc::clone(&done);
            move || done.fetch_add(1, Ordering::Relaxed)
        };
        let (go_on, waits) = oneshot::channel::<()>();
        let (ended, end) = oneshot::channel();
        let counted = count();
        requests.execute(async move {
            waits.await.unwrap();
            counted();
            ended.send(()).unwrap();
        });
        for _ in 0..2 * BATCH {
            let counted = count();
            requests.execute(async move {
                counted();
            });
        }
        let polled = AtomicUsize::new(0);
        let mut connection = std::pin::pin!(std::future::poll_fn(|_| {
            polled.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        }));
        let mut context = Context::from_waker(Waker::noop());
        assert!(
            requests
                .poll(connection.as_mut(), &mut context)
                .is_pending()
        );
        assert_eq!(done.load(Ordering::Relaxed), 2 * BATCH);
        let polls = polled.load(Ordering::Relaxed);
        assert_eq!(polls, 9, "before all, and after each batch, to write it");
        go_on.send(()).unwrap();
        end.await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 2 * BATCH + 1);
    }

    #[test]
    fn a_few_are_answered_by_and_by_and_many_in_batches() {
        let batches = [0, 1, 2, 3, 5, 8, 64, 1000].map(batch);
        assert_eq!(batches, [0, 1, 1, 1, 2, 3, BATCH, BATCH]);
    }

    #[tokio::test]
    async fn a_connection_that_looks_again_is_not_woken_for_it_and_else_is() {
        let (requests, woken) = (Eager::default(), Arc::new(Count::default()));
        let (queue, mut looks) = (requests.clone(), 0);
        let connection = std::future::poll_fn(move |context: &mut Context<'_>| {
            let waker = context.waker().clone();
            match looks {
                0 => queue.execute(async move { waker.wake() }),
                2 => waker.wake(),
                _ => {}
            }
            looks += 1;
            Poll::<()>::Pending
        });
        let mut connection = std::pin::pin!(connection);
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut poll = || {
            assert!(
                requests
                    .poll(connection.as_mut(), &mut context)
                    .is_pending()
            );
            woken.0.swap(0, Ordering::Relaxed)
        };
        assert_eq!(
            poll(),
            0,
            "the request rang while the connection was to be polled again"
        );
        assert_eq!(
            poll(),
            1,
            "it rang in its last look, as one that gives way does"
        );
        assert_eq!(poll(), 0, "nobody rings");
        Waker::from(Arc::clone(&requests.bell)).wake();
        assert_eq!(
            woken.0.load(Ordering::Relaxed),
            1,
            "somebody rings while nobody looks"
        );
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn what_has_not_begun_when_the_connection_ends_never_does() {
        let requests = Eager::default();
        requests.execute(async { panic!("nobody is there to be answered") });
        let mut context = Context::from_waker(Waker::noop());
        let connection = std::pin::pin!(std::future::ready(()));
        assert!(requests.poll(connection, &mut context).is_ready());
    }
}
