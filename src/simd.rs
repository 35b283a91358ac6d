//! Which instruction set the kernels use: the best that the processor has, or what `QUESTFRAME_SIMD` says.
//!
//! Every variant of a kernel gives the same bytes, and all of them are tested wherever they can run. `QUESTFRAME_SIMD`
//! (`scalar`, `avx2`, `avx512`), read once, holds them to at most that; what the processor lacks is never used.

use std::sync::OnceLock;

/// An instruction set that kernels are written for; a greater one includes the smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the target has.
    Scalar,
    /// AVX2, FMA, BMI1, BMI2 and LZCNT: processors since 2013 (Intel Haswell, AMD Zen).
    Avx2,
    /// AVX-512 with F, BW, CD, DQ, VL, IFMA, VBMI, VBMI2 and VPOPCNTDQ: Intel Ice Lake, AMD Zen 4, and newer.
    Avx512,
}

impl Level {
    /// Whether the processor has it. Asked by every kernel, which small batches feel: found out once.
    pub(crate) fn is_available(self) -> bool {
        static BEST: OnceLock<Level> = OnceLock::new();
        let levels = [Self::Avx512, Self::Avx2];
        self <= *BEST.get_or_init(|| levels.into_iter().find(|level| level.is_detected()).unwrap_or(Self::Scalar))
    }

    fn is_detected(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_detected()
                    && is_x86_feature_detected!("popcnt")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512ifma")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
                    && is_x86_feature_detected!("avx512cd")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// What `QUESTFRAME_SIMD` may say.
    fn parse(word: &str) -> Option<Self> {
        match word {
            "scalar" => Some(Self::Scalar),
            "avx2" => Some(Self::Avx2),
            "avx512" => Some(Self::Avx512),
            _ => None,
        }
    }

    /// The best that is available and at most `most`.
    fn best(most: Self) -> Self {
        let levels = [Self::Avx512, Self::Avx2, Self::Scalar];
        levels.into_iter().find(|level| *level <= most && level.is_available()).unwrap_or(Self::Scalar)
    }
}

/// What kernels are to use in this process.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let most = std::env::var("QUESTFRAME_SIMD").ok().and_then(|word| Level::parse(&word));
        Level::best(most.unwrap_or(Level::Avx512))
    })
}

/// How far ahead [`prefetch_ahead`] asks for memory, in bytes.
const AHEAD: usize = 2048;

/// Asks for the memory some cache lines behind the value at `i`, for loops that walk a column for the first time: the
/// processor itself looks ahead only within a page, and the pages of a block's columns are begun one after the other.
#[inline(always)]
pub(crate) fn prefetch_ahead<T>(values: &[T], i: usize) {
    prefetch_line(values.as_ptr().wrapping_add(i).cast::<u8>().wrapping_add(AHEAD));
}

/// Asks for the cache line of a value, to be read soon.
#[inline(always)]
pub(crate) fn prefetch_line<T>(value: *const T) {
    prefetch::<T, { Cache::First as i32 }>(value);
}

/// As [`prefetch_line`], of what is read later: into the second cache level, and not in the way of what the first holds.
#[inline(always)]
pub(crate) fn prefetch_later<T>(value: *const T) {
    prefetch::<T, { Cache::Second as i32 }>(value);
}

/// Asks for a value's own memory.
#[inline]
pub(crate) fn prefetch_value<T: ?Sized>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for line in (0..size_of_val(value)).step_by(64) {
        prefetch_line(start.wrapping_add(line));
    }
}

/// Where memory that is asked for goes, as processors number it (`_MM_HINT_T0`, `_MM_HINT_T1`).
enum Cache {
    First = 3,
    Second = 2,
}

#[inline(always)]
fn prefetch<T, const CACHE: i32>(value: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which does nothing where there is no memory.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<CACHE>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Makes `fn name` from an `#[inline(always)]` function of the same signature, compiled twice: for any processor and for
/// those with AVX2, where LLVM makes better of it.
macro_rules! also_for_avx2 {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty = $any:path) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $type),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
                fn avx2($($argument: $type),*) -> $result {
                    $any($($argument),*)
                }
                if $crate::simd::level() >= $crate::simd::Level::Avx2 {
                    // SAFETY: the level is available.
                    return unsafe { avx2($($argument),*) };
                }
            }
            $any($($argument),*)
        }
    };
}

/// As [`also_for_avx2`], and compiled a third time, for processors with AVX-512.
macro_rules! also_for_avx512 {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty = $any:path) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $type),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,bmi1,bmi2,avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($argument: $type),*) -> $result {
                    $any($($argument),*)
                }
                #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
                fn avx2($($argument: $type),*) -> $result {
                    $any($($argument),*)
                }
                match $crate::simd::level() {
                    // SAFETY: the level is available.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: the level is available.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::simd::Level::Scalar => {}
                }
            }
            $any($($argument),*)
        }
    };
}

pub(crate) use also_for_avx2;
pub(crate) use also_for_avx512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_level_is_at_most_what_was_asked_for() {
        for most in [Level::Scalar, Level::Avx2, Level::Avx512] {
            let best = Level::best(most);
            assert!(best <= most && best.is_available());
        }
        assert_eq!(Level::best(Level::Scalar), Level::Scalar);
    }

    #[test]
    fn words_of_the_variable() {
        assert_eq!(Level::parse("avx2"), Some(Level::Avx2));
        assert_eq!(Level::parse("AVX2"), None);
        if let Ok(word) = std::env::var("QUESTFRAME_SIMD") {
            assert!(level() <= Level::parse(&word).expect("a word of ours"));
        }
    }
}
