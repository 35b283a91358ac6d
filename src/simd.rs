//! The same function compiled twice, for any processor and for those with AVX2, where LLVM makes better of it.

/// Makes `fn name` from an `#[inline(always)]` function of the same signature, choosing at run time.
macro_rules! also_for_avx2 {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty = $any:path) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $type),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) -> $result {
                    $any($($argument),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature has just been detected.
                    return unsafe { avx2($($argument),*) };
                }
            }
            $any($($argument),*)
        }
    };
}

pub(crate) use also_for_avx2;
