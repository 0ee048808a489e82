//! Log-linear buckets for durations: two for each power of two, in microseconds.
//!
//! A bucket holds what is above the bound of the one before it and at most its own bound, so that the bounds are exact
//! `le` values of Prometheus: nothing is interpolated when a histogram is shown.

/// Bounds from 2^5 µs (32 µs) to 2^29 µs (537 s), two for each power of two.
const POWER_FIRST: u32 = 5;
const POWER_LAST: u32 = 29;

/// Buckets with a finite bound.
pub const BOUNDED: usize = ((POWER_LAST - POWER_FIRST) * 2 + 1) as usize;
/// All buckets: the last one holds what is above every bound.
pub const COUNT: usize = BOUNDED + 1;

/// The bucket of a duration in microseconds: `0..COUNT`.
pub fn index(micros: u64) -> usize {
    // The bound belongs to its bucket, hence one less.
    let value = micros.saturating_sub(1);
    if value < 1 << POWER_FIRST {
        return 0;
    }
    let power = value.ilog2();
    if power >= POWER_LAST {
        return BOUNDED;
    }
    let half = (value >> (power - 1)) & 1;
    ((power - POWER_FIRST) as usize) * 2 + half as usize + 1
}

/// The bound of a bucket in microseconds; `None` for the last one and beyond.
pub fn bound(index: usize) -> Option<u64> {
    if index >= BOUNDED {
        return None;
    }
    let base = 1_u64 << (POWER_FIRST as usize + index / 2);
    Some(if index.is_multiple_of(2) { base } else { base + base / 2 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_grow_by_at_most_half() {
        let bounds: Vec<u64> = (0..BOUNDED).filter_map(bound).collect();
        assert_eq!(bounds.len(), BOUNDED);
        assert_eq!((bounds[0], bounds[1], bounds[2], bounds[BOUNDED - 1]), (32, 48, 64, 1 << 29));
        assert!(bounds.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= pair[0] + pair[0] / 2));
        assert_eq!(bound(BOUNDED), None);
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for at in 0..BOUNDED {
            let micros = bound(at).unwrap();
            assert_eq!(index(micros), at);
            assert_eq!(index(micros + 1), at + 1);
        }
        assert_eq!((index(0), index(u64::MAX)), (0, BOUNDED));
    }

    proptest! {
        #[test]
        fn every_value_lies_between_the_bounds_around_it(shift in 0_u32..64, low in any::<u64>()) {
            let micros = low >> shift;
            let at = index(micros);
            prop_assert!(at < COUNT);
            prop_assert!(bound(at).is_none_or(|most| micros <= most));
            prop_assert!(at == 0 || bound(at - 1).is_some_and(|below| micros > below));
        }
    }
}
