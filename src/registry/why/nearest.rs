//! Names that are like another one.
//!
//! Each ask for a metric that is not there looks at all names, and autoscalers go on asking: a
//! distance is computed for those alone that may be near enough.

/// Names that are told because they are like the one that is asked for.
const SIMILAR_MAX: usize = 3;

/// Letters that may be wrong: one in so many, and one in any case.
const LETTERS_FOR_ONE_WRONG: usize = 4;

/// Letters are counted in so many classes.
const CLASSES: usize = 32;

/// A name without its capitals, and how many letters of each class it has.
struct Letters {
    lower: String,
    count: usize,
    of_class: [i32; CLASSES],
}

impl Letters {
    fn of(name: &str) -> Letters {
        let mut letters = Letters {
            lower: name.to_lowercase(),
            count: 0,
            of_class: [0; CLASSES],
        };
        for letter in letters.lower.chars() {
            let class = usize::try_from(u32::from(letter)).unwrap_or(0) % CLASSES;
            letters.count += 1;
            if let Some(of_class) = letters.of_class.get_mut(class) {
                *of_class += 1;
            }
        }
        letters
    }

    /// The distance to another one, where it is near.
    fn wrong(&self, other: &Letters) -> Option<usize> {
        let (short, long) = (self.count.min(other.count), self.count.max(other.count));
        let within = other.lower.contains(&self.lower) || self.lower.contains(&other.lower);
        if short >= 4 && within {
            // All that one has more.
            return Some(long - short);
        }
        let most = (long / LETTERS_FOR_ONE_WRONG).max(1);
        if short < 3 || long - short > most || self.differing(other) > 2 * most {
            return None;
        }
        let wrong = strsim::damerau_levenshtein(&self.lower, &other.lower);
        (wrong <= most).then_some(wrong)
    }

    /// How many letters one of the two has more, in all classes: a wrong one makes two at most.
    fn differing(&self, other: &Letters) -> usize {
        let both = self.of_class.iter().zip(&other.of_class);
        let differing = both.map(|(a, b)| a.abs_diff(*b)).sum::<u32>();
        usize::try_from(differing).unwrap_or(usize::MAX)
    }
}

/// Those of `names` that are like `name`, the nearest first. Equal ones are none of them.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let letters = Letters::of(name);
    let found = names.filter(|other| *other != name);
    let found = found.filter_map(|other| Some((letters.wrong(&Letters::of(other))?, other)));
    let mut found: Vec<(usize, &str)> = found.collect();
    found.sort_unstable();
    let nearest = found.into_iter().take(SIMILAR_MAX);
    nearest.map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the distance alone.
    fn plainly(name: &str, other: &str) -> Option<usize> {
        let (a, b) = (name.to_lowercase(), other.to_lowercase());
        let (x, y) = (a.chars().count(), b.chars().count());
        let wrong = strsim::damerau_levenshtein(&a, &b);
        let contains = x.min(y) >= 4 && (a.contains(&b) || b.contains(&a));
        let most = (x.max(y) / LETTERS_FOR_ONE_WRONG).max(1);
        (contains || x.min(y) >= 3 && wrong <= most).then_some(wrong)
    }

    proptest! {
        #[test]
        fn what_is_left_out_early_is_not_near(
            name in "[a-cA-Bä_]{0,12}",
            other in "[a-cA-Bä_]{0,12}",
        ) {
            let found = Letters::of(&name).wrong(&Letters::of(&other));
            prop_assert_eq!(found, plainly(&name, &other));
        }
    }

    #[test]
    fn nothing_near_is_missed_among_names_as_they_are() {
        for (name, other) in [
            ("http_requests_per_second", "http_request_per_second"),
            ("queue_lenght", "queue_length"),
            ("dpth", "depth"),
            ("CPU_usage", "cpu_usage"),
            ("http_requests", "http_requests_per_second"),
        ] {
            assert_eq!(nearest(name, std::iter::once(other)), [other]);
        }
        assert_eq!(
            nearest("memory", ["queue_length", "memory"].into_iter()),
            [""; 0]
        );
    }
}
