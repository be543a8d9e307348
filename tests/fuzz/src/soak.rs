//! The fuzz targets without libFuzzer: feeds them the seeds, changed at random, on any compiler.
//!
//! ```text
//! soak SECONDS SEEDS               each target for so long, from the seeds below that directory
//! soak SECONDS SEEDS TARGET        one target
//! soak replay TARGET FILE...       exactly these inputs
//! ```
//!
//! It sees no coverage, so it finds less than libFuzzer, and everybody can run it. Its random
//! numbers always begin alike: a run repeats, and a longer one goes further. What makes a target
//! panic, or keeps it busy for long, is written to `artifacts/TARGET/` below the working directory.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidegauge_fuzz::TARGETS;

/// Longer inputs only take longer.
const LENGTH_MAX: usize = 8 << 10;
/// Changes to one seed at a time.
const CHANGES_MAX: usize = 6;
/// An input that takes longer than this is a finding.
const PATIENCE: Duration = Duration::from_secs(10);
/// What parsers take special care of.
const SPECIAL: &[u8] =
    b"\0\t\n\r \"'`\\{}[]()<>=!~,.:;|&*?+-#%$@/0189eEnNaA_\x7f\x80\xc3\xe2\xf0\xff";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["replay", target, files @ ..] => replay(target, files),
        [seconds, seeds, target @ ..] if target.len() <= 1 => {
            let seconds = seconds
                .parse()
                .expect("the first argument must be a number of seconds");
            soak(
                Duration::from_secs(seconds),
                Path::new(seeds),
                target.first().copied(),
            )
        }
        _ => {
            eprintln!("usage: soak SECONDS SEEDS [TARGET] | soak replay TARGET FILE...");
            ExitCode::from(2)
        }
    }
}

fn replay(target: &str, files: &[&str]) -> ExitCode {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, run) = found.unwrap_or_else(|| panic!("there is no target {target}"));
    for file in files {
        println!("{file}");
        run(&std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}")));
    }
    ExitCode::SUCCESS
}

fn soak(time: Duration, seeds: &Path, only: Option<&str>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (name, run) in TARGETS {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let seeds = read_seeds(&seeds.join(name));
        let started = Instant::now();
        match soak_one(name, run, &seeds, time) {
            Ok(executions) => {
                let rate = executions as f64 / started.elapsed().as_secs_f64();
                println!("{name}: {executions} executions, {rate:.0} a second, nothing found");
            }
            Err(artifact) => {
                println!("{name}: FOUND, see {}", artifact.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn read_seeds(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // The order of a directory is no order.
    paths.sort();
    let seeds: Vec<_> = paths.iter().flat_map(std::fs::read).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", directory.display());
    seeds
}

/// Executions, or where the input is that made the target panic.
fn soak_one(
    name: &'static str,
    run: fn(&[u8]),
    seeds: &[Vec<u8>],
    time: Duration,
) -> Result<u64, PathBuf> {
    let current = Arc::new(Mutex::new((0, Vec::new())));
    let watched = Arc::downgrade(&current);
    std::thread::spawn(move || {
        let mut before = u64::MAX;
        loop {
            std::thread::sleep(PATIENCE);
            let Some(current) = watched.upgrade() else {
                return;
            };
            let (number, input) = current
                .lock()
                .expect("nothing panics with this lock")
                .clone();
            if number == before {
                println!(
                    "{name}: TOO SLOW, see {}",
                    keep(name, "slow", &input).display()
                );
                std::process::exit(1);
            }
            before = number;
        }
    });
    let started = Instant::now();
    let mut random = Random(0x7469_6465);
    let mut executions = 0;
    while started.elapsed() < time {
        let input = match seeds.get(usize::try_from(executions).unwrap_or(usize::MAX)) {
            Some(seed) => seed.clone(),
            None => random.changed(seeds),
        };
        *current.lock().expect("nothing panics with this lock") = (executions, input.clone());
        if catch_unwind(|| run(&input)).is_err() {
            return Err(keep(name, "crash", &input));
        }
        executions += 1;
    }
    Ok(executions)
}

fn keep(target: &str, kind: &str, input: &[u8]) -> PathBuf {
    let directory = Path::new("artifacts").join(target);
    std::fs::create_dir_all(&directory).expect("the working directory must be writable");
    // FNV-1a: the same input is the same file.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = directory.join(format!("{kind}-{hash:016x}"));
    std::fs::write(&path, input).expect("the working directory must be writable");
    path
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        match self.below(4) {
            0 => self.next().to_le_bytes()[0],
            _ => SPECIAL[self.below(SPECIAL.len())],
        }
    }

    /// A piece of `text`, of any length; mostly a short one.
    fn piece(&mut self, text: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(text.len() + 1);
        let left = text.len() - start;
        let most = if self.below(4) == 0 {
            left
        } else {
            left.min(12)
        };
        start..start + self.below(most + 1)
    }

    fn changed(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(CHANGES_MAX) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 => input.insert(at, self.byte()),
                1 => {
                    let byte = self.byte();
                    input.get_mut(at).into_iter().for_each(|it| *it = byte);
                }
                2 => {
                    let bit = 1 << self.below(8);
                    input.get_mut(at).into_iter().for_each(|it| *it ^= bit);
                }
                3 => {
                    let piece = self.piece(&input);
                    input.drain(piece);
                }
                4 => {
                    let piece = self.piece(&input);
                    let piece = input[piece].repeat(1 + self.below(3));
                    input.splice(at..at, piece);
                }
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let piece = self.piece(other);
                    input.splice(at..at, other[piece].iter().copied());
                }
            }
            input.truncate(LENGTH_MAX);
        }
        input
    }
}
