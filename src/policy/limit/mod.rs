//! How often and how many at once: rates (GCRA), requests in flight, by key. See docs/limits.md.
//!
//! Owns the arithmetic, the process-wide table of keys and a core's leases from it. Reads no clock, waits for nothing.
