//! Where the requests of an HTTP/2 connection run.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;

/// So many are answered before what is answered is written: enough for one write, and few enough
/// that the client reads the first ones while the next are answered.
const BATCH: usize = 16;

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
        loop {
            let ended = connection.as_mut().poll(context);
            let batch: Vec<Request> = {
                let mut queue = self.queue();
                let length = queue.len().min(BATCH);
                queue.drain(..length).collect()
            };
            if ended.is_ready() || batch.is_empty() {
                return ended;
            }
            batch.into_iter().for_each(run);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        assert_eq!(polls, 4, "before all, and after each batch, to write it");
        go_on.send(()).unwrap();
        end.await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 2 * BATCH + 1);
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
