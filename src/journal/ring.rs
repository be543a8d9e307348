//! The last minutes, one bucket for each.

use jiff::Timestamp;

/// `N` minutes that end with the newest one. What is older is forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring<T, const N: usize> {
    /// In minutes since 1970.
    newest: i64,
    /// The bucket of a minute is at its remainder by `N`.
    buckets: [T; N],
}

impl<T: Copy + Default, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Ring {
            newest: i64::MIN / 2,
            buckets: [T::default(); N],
        }
    }
}

impl<T: Copy + Default, const N: usize> Ring<T, N> {
    /// The bucket of now. A clock that goes back goes on in the newest one.
    pub(super) fn at(&mut self, now: Timestamp) -> &mut T {
        let minute = minute(now).max(self.newest);
        let passed = minute - self.newest;
        for ago in 0..passed.min(length::<N>()) {
            self.buckets[place::<N>(minute - ago)] = T::default();
        }
        self.newest = minute;
        &mut self.buckets[place::<N>(minute)]
    }

    /// The minutes until now, the oldest first; nothing was counted where there is a default.
    pub(super) fn until(&self, now: Timestamp) -> [T; N] {
        let last = minute(now).max(self.newest);
        let mut minutes = [T::default(); N];
        for (at, ago) in (0..length::<N>()).rev().enumerate() {
            let minute = last - ago;
            if minute <= self.newest && minute > self.newest - length::<N>() {
                minutes[at] = self.buckets[place::<N>(minute)];
            }
        }
        minutes
    }

    /// How much time the minutes until now are: the last one is not over.
    pub(super) fn window(&self, now: Timestamp) -> jiff::SignedDuration {
        let whole = (length::<N>() - 1) * 60;
        jiff::SignedDuration::from_secs(whole + now.as_second().rem_euclid(60))
    }
}

fn minute(now: Timestamp) -> i64 {
    now.as_second().div_euclid(60)
}

fn length<const N: usize>() -> i64 {
    i64::try_from(N).unwrap_or(i64::MAX)
}

fn place<const N: usize>(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(length::<N>())).unwrap_or_default()
}
