//! Tests of the feature `polars`; see `tests/`.
