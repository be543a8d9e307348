//! The way out: not ready at once, serving on for a moment, then no more, then the end.
//!
//! When Kubernetes ends a pod, it sends SIGTERM and takes the pod out of the Service at the same
//! time, and the second takes a moment to reach every node. Who stops to listen at once fails the
//! requests of that moment, at every scale-in.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the way out is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not begun.
    Serving,
    /// Not ready any more, and still serving.
    Leaving,
    /// Takes no new requests, and ends those that it has.
    Draining,
    /// Never reached: the process ends first.
    Gone,
}

/// Who wants to know how far it is.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<Phase>);

impl Stop {
    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Comes back when `phase` is reached.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut phases = self.0.clone();
        // An error says that the sender is gone, which is the end as well.
        let _ = phases.wait_for(|now| *now >= phase).await;
    }
}

/// Who decides how far it is: `main` alone.
pub(crate) struct Stopper {
    phase: watch::Sender<Phase>,
    terminate: Signal,
    interrupt: Signal,
}

impl Stopper {
    /// # Errors
    /// When the system lets nobody wait for signals.
    pub(crate) fn new() -> std::io::Result<(Stopper, Stop)> {
        let (phase, phases) = watch::channel(Phase::Serving);
        let stopper = Stopper {
            phase,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok((stopper, Stop(phases)))
    }

    /// Comes back at SIGTERM, or at Ctrl-C.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Goes all the way within `grace`: a third of it still serving, the rest until `done`. Says
    /// whether all was done. Who asks a second time does not want to wait.
    pub(crate) async fn leave(&mut self, grace: Duration, done: impl Future<Output = ()>) -> bool {
        self.phase.send_replace(Phase::Leaving);
        let lag = grace / 3;
        tracing::info!("stopping: not ready, serving on for {lag:?}");
        tokio::select! {
            () = tokio::time::sleep(lag) => {}
            () = self.asked() => return false,
        }
        self.phase.send_replace(Phase::Draining);
        tracing::info!("stopping: no new requests, ending those that are open");
        // Some of the grace is left for the end itself, before SIGKILL.
        let rest = grace.saturating_sub(lag).mul_f64(0.9);
        tokio::select! {
            () = done => true,
            () = tokio::time::sleep(rest) => false,
            () = self.asked() => false,
        }
    }
}
