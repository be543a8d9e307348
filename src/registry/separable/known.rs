//! The functions and aggregations that are known to keep objects apart.

/// Aggregations that make one row of each group, whatever other groups there are.
pub const AGGREGATIONS: &[&str] = &[
    "avg", "count", "group", "max", "min", "quantile", "stddev", "stdvar", "sum",
];

/// Functions that make a row of each series by itself, with its labels but for the name.
pub const PER_SERIES: &[&str] = &[
    "abs",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "delta",
    "deriv",
    "exp",
    "floor",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "sgn",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
    "timestamp",
];

/// Those whose rows have no name, whoever the server is. (VictoriaMetrics keeps it where it finds
/// that the value still means the same.)
pub(super) const NAMELESS: &[&str] = &[
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "idelta",
    "increase",
    "irate",
    "rate",
    "resets",
];

/// A function that makes a row of all buckets of a histogram, whose other labels it keeps.
pub(super) const QUANTILE_OF_BUCKETS: &str = "histogram_quantile";

/// The label that tells them apart.
pub(super) const BUCKET: &str = "le";
