//! exp, 2^x, tanh, the logistic function and erfc on vectors. Bounds are tested against f64 on every tier.

use super::Tier;

/// Below this e^x is under the smallest normal f32; [`exp`] gives 0.
const EXP_LOWEST: f32 = -87.336_54;
/// Above this [`exp`] stays at about 2.4·10³⁸ instead of becoming infinite.
const EXP_HIGHEST: f32 = 88.376_26;

/// e^x: relative error at most 2⁻²² for −87.3 ≤ x ≤ 88.3. Below, 0 (also for −∞); above, the value at 88.376.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, where ln 2 is taken in two parts so that r is exact enough; e^r by the
/// polynomial of the Cephes library (Moshier 1989), then times 2ⁿ.
#[inline(always)]
pub(crate) fn exp<T: Tier>(tier: T, x: T::Vector) -> T::Vector {
    let t = tier;
    let lowest = t.splat(EXP_LOWEST);
    let inside = t.min(t.splat(EXP_HIGHEST), t.max(lowest, x));
    let n = t.round(t.mul(inside, t.splat(std::f32::consts::LOG2_E)));
    let r = t.fma(n, t.splat(-0.693_359_4), inside);
    let r = t.fma(n, t.splat(2.121_944_4e-4), r);
    let mut p = t.splat(1.987_569_1e-4);
    p = t.fma(p, r, t.splat(1.398_199_9e-3));
    p = t.fma(p, r, t.splat(8.333_452e-3));
    p = t.fma(p, r, t.splat(4.166_579_6e-2));
    p = t.fma(p, r, t.splat(1.666_666_5e-1));
    p = t.fma(p, r, t.splat(0.5));
    let value = t.add(t.fma(t.mul(r, r), p, r), t.splat(1.0));
    t.zero_below(t.mul(value, t.power_of_two(n)), x, lowest)
}

/// 2^x of several vectors where −∞ ≤ x ≤ 0: relative error at most 2⁻²² down to −125, and 2⁻¹²⁵ below. Vectors take each
/// step together, because one's steps wait for each other longer than a core looks ahead.
///
/// x = n + r with |r| ≤ ½, both exact; 2^r by the polynomial that meets it at the Chebyshev nodes of that interval.
#[inline(always)]
pub(crate) fn exp2_falling<T: Tier, const N: usize>(tier: T, x: [T::Vector; N]) -> [T::Vector; N] {
    const COEFFICIENTS: [f32; 6] =
        [1.339_086_3e-3, 9.618_083e-3, 5.550_357e-2, 2.402_265e-1, std::f32::consts::LN_2, 1.0];
    let lowest = tier.splat(-125.0);
    let (mut n, mut r, mut p) = (x, x, [tier.splat(1.545_316_3e-4); N]);
    for i in 0..N {
        r[i] = tier.max(lowest, x[i]);
    }
    for i in 0..N {
        n[i] = tier.round(r[i]);
    }
    for i in 0..N {
        r[i] = tier.sub(r[i], n[i]);
    }
    for coefficient in COEFFICIENTS {
        for i in 0..N {
            p[i] = tier.fma(p[i], r[i], tier.splat(coefficient));
            // Else the compiler would take one vector's steps after the other's.
            tier.settle(&mut p[i]);
        }
    }
    for i in 0..N {
        p[i] = tier.times_power_of_two(p[i], n[i]);
    }
    p
}

/// 1 / (1 + e^−x): relative error at most 2⁻²¹ for x ≥ −87, absolute error at most 2⁻¹²⁵ below.
#[inline(always)]
pub(crate) fn sigmoid<T: Tier>(tier: T, x: T::Vector) -> T::Vector {
    let one = tier.splat(1.0);
    tier.div(one, tier.add(one, exp(tier, tier.sub(tier.splat(0.0), x))))
}

/// tanh x: absolute error at most 2⁻²².
#[inline(always)]
pub(crate) fn tanh<T: Tier>(tier: T, x: T::Vector) -> T::Vector {
    let two = tier.splat(2.0);
    tier.sub(tier.mul(two, sigmoid(tier, tier.mul(two, x))), tier.splat(1.0))
}

/// erfc x = 1 − erf x for x ≥ 0: relative error at most 2⁻¹⁹ up to x = 3, 2⁻¹⁷ up to 8.
///
/// t·e^(−x² + P(t)) with t = 1 / (1 + x/2), the Chebyshev fit of Press et al. (Numerical Recipes, 6.2).
#[inline(always)]
pub(crate) fn erfc<T: Tier>(tier: T, x: T::Vector) -> T::Vector {
    let t = tier;
    let u = t.div(t.splat(1.0), t.fma(x, t.splat(0.5), t.splat(1.0)));
    let mut p = t.splat(0.170_872_77);
    p = t.fma(p, u, t.splat(-0.822_152_23));
    p = t.fma(p, u, t.splat(1.488_515_9));
    p = t.fma(p, u, t.splat(-1.135_204));
    p = t.fma(p, u, t.splat(0.278_868_07));
    p = t.fma(p, u, t.splat(-0.186_288_06));
    p = t.fma(p, u, t.splat(0.096_784_18));
    p = t.fma(p, u, t.splat(0.374_091_96));
    p = t.fma(p, u, t.splat(1.000_023_7));
    p = t.fma(p, u, t.splat(-1.265_512_2));
    t.mul(u, exp(t, t.sub(p, t.mul(x, x))))
}
