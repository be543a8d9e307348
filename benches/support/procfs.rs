//! What Linux says of a process: the time it used, and the memory it holds and held.

use std::fs;
use std::time::Duration;

/// Linux shows a hundred ticks a second to programs, whatever it counts in (`USER_HZ`).
const TICK_MILLISECONDS: u64 = 10;

/// A process, by its number.
pub struct Process(u32);

impl Process {
    /// This one.
    pub fn own() -> Process {
        Process(std::process::id())
    }

    /// The one with this number.
    pub fn of(id: u32) -> Process {
        Process(id)
    }

    /// The one child with this name.
    pub fn child(name: &str) -> Process {
        let own = std::process::id();
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name();
            name.to_str()?.parse::<u32>().ok()
        });
        let mut found = processes.filter(|&process| {
            // `12 (a name) S 1 …`; a process may end between the two looks.
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let (head, tail) = stat.rsplit_once(") ").unwrap_or_default();
            let parent = tail.split(' ').nth(1);
            head.ends_with(&format!("({name}")) && parent == Some(&own.to_string())
        });
        match (found.next(), found.next()) {
            (Some(one), None) => Process(one),
            _ => panic!("there must be exactly one child named {name}"),
        }
    }

    /// Time on a CPU, of all its threads that still run, in user and kernel.
    ///
    /// The scheduler's own count, in nanoseconds: a relist costs less than one tick of `utime`.
    pub fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0)).unwrap();
        let nanoseconds = threads.map(|thread| {
            let path = thread.unwrap().path().join("schedstat");
            let text = fs::read_to_string(path).unwrap_or_default();
            let used = text.split(' ').next().unwrap_or_default();
            used.parse::<u64>().unwrap_or_default()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Time on a CPU, of all its threads, also of those that have ended.
    ///
    /// In ticks: for what lasts long, while threads come and go.
    pub fn cpu_ever(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        let (_, tail) = stat.rsplit_once(") ").unwrap_or_default();
        // `utime` and `stime` are the 14th and 15th of all, the 12th and 13th after the name.
        let ticks = tail.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * TICK_MILLISECONDS)
    }

    /// The memory it holds now, in bytes (`VmRSS`).
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory it held since its start or [`forget_peak`](Self::forget_peak), in bytes
    /// (`VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Begins to look for the most memory anew.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }

    fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.and_then(|text| text.parse().ok()).unwrap();
        kilobytes * 1024
    }
}

/// The load average of the last minute, as it stands.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The version of the kernel.
pub fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    text.trim().to_owned()
}
