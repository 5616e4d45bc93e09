// Elementary functions in single precision, one definition for scalars and vectors (X is float or
// Vec<float>): branch-free polynomials for what cells and losses use.
#pragma once

#include "lanes.hpp"

namespace seqc {

// each_lane(x, f): f applied to every lane, for functions that have no vector form.
template <class X, class F> SEQC_INLINE X each_lane(X x, F f) {
  typedef typename Of<X>::real R;
  R lane[lanes<R>];
  store(lane, x);
  for (int i = 0; i < lanes<R>; ++i)
    lane[i] = f(lane[i]);
  return load(lane);
}

// whole<X>(c): the constant c as X, a scalar or all lanes of a vector.
template <class X> SEQC_INLINE X whole(typename Of<X>::real c) { return c - X{}; }

namespace single {

constexpr float log2_e = 1.44269504088896341f;
constexpr float ln2_high = 0.693359375f; // nine bits: n * ln2_high is exact
constexpr float ln2_low = -2.12194440054690583e-4f;
constexpr float rounder = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer

// Bounds that let NaN through. GCC does not find the machine's minimum by itself (constant first: NaN stays).
SEQC_INLINE float at_least(float x, float low) { return x < low ? low : x; }
SEQC_INLINE float at_most(float x, float high) { return x > high ? high : x; }
#if defined(__clang__) || !defined(__SSE__) || SEQC_VECTOR_BYTES < 16
SEQC_INLINE Vec<float> at_least(Vec<float> x, float low) { return select(x < low, low, x); }
SEQC_INLINE Vec<float> at_most(Vec<float> x, float high) { return select(x > high, high, x); }
#elif SEQC_VECTOR_BYTES == 64 && defined(__AVX512F__)
SEQC_INLINE Vec<float> at_least(Vec<float> x, float low) {
  return __builtin_ia32_maxps512_mask(broadcast(low), x, x, static_cast<short>(-1), 4);
}
SEQC_INLINE Vec<float> at_most(Vec<float> x, float high) {
  return __builtin_ia32_minps512_mask(broadcast(high), x, x, static_cast<short>(-1), 4);
}
#elif SEQC_VECTOR_BYTES == 32 && defined(__AVX__)
SEQC_INLINE Vec<float> at_least(Vec<float> x, float low) {
  return __builtin_ia32_maxps256(broadcast(low), x);
}
SEQC_INLINE Vec<float> at_most(Vec<float> x, float high) {
  return __builtin_ia32_minps256(broadcast(high), x);
}
#elif SEQC_VECTOR_BYTES == 16
SEQC_INLINE Vec<float> at_least(Vec<float> x, float low) { return __builtin_ia32_maxps(broadcast(low), x); }
SEQC_INLINE Vec<float> at_most(Vec<float> x, float high) { return __builtin_ia32_minps(broadcast(high), x); }
#else
SEQC_INLINE Vec<float> at_least(Vec<float> x, float low) { return select(x < low, low, x); }
SEQC_INLINE Vec<float> at_most(Vec<float> x, float high) { return select(x > high, high, x); }
#endif

template <class X> SEQC_INLINE X magnitude(X x) {
  return bits_as<X>(bits_as<typename Of<X>::words>(x) & 0x7fffffffu);
}
template <class X> SEQC_INLINE X with_sign_of(X x, X sign) {
  typedef typename Of<X>::words Words;
  return bits_as<X>(bits_as<Words>(x) | (bits_as<Words>(sign) & 0x80000000u));
}

// x = n ln 2 + r: r and, in the low bits of `shifted`, n.
template <class X> struct Reduced {
  X shifted, count, rest;
};
template <class X> SEQC_INLINE Reduced<X> reduce_exponent(X x) {
  const X shifted = fma(x, whole<X>(log2_e), whole<X>(rounder));
  const X count = shifted - rounder;
  const X rest = fma(count, whole<X>(-ln2_low), fma(count, whole<X>(-ln2_high), x));
  return {shifted, count, rest};
}

// e^r - 1 for |r| <= ln 2 / 2.
template <class X> SEQC_INLINE X exp_minus_one(X r) {
  X p = whole<X>(0.001381432f);
  p = fma(p, r, whole<X>(0.008368852f));
  p = fma(p, r, whole<X>(0.0416684f));
  p = fma(p, r, whole<X>(0.1666652f));
  p = fma(p, r, whole<X>(0.49999994f));
  return fma(p, r * r, r);
}

// 2^(n + offset) from `shifted`, the sum in -126 … 127 (in -127: 0).
template <class X> SEQC_INLINE X power_of_two(X shifted, uint32_t offset) {
  typedef typename Of<X>::words Words;
  return bits_as<X>((bits_as<Words>(shifted) + (127u + offset)) << 23);
}

template <class X> SEQC_INLINE X exp(X x) {
  const X bounded = at_most(at_least(x, -104.0f), 89.0f);
  const Reduced<X> part = reduce_exponent(bounded);
  const X value = exp_minus_one(part.rest) + 1.0f;
  // Two factors, 2^(n+64) or 2^(n-1), then what is left: the range ends overflow and underflow by themselves.
  const auto low = part.count < -64.0f;
  typedef typename Of<X>::words Words;
  const X down = bits_as<X>((bits_as<Words>(part.shifted) + (127u + 64u)) << 23);
  const X up = bits_as<X>((bits_as<Words>(part.shifted) + (127u - 1u)) << 23);
  return value * select(low, down, up) * select(low, whole<X>(5.421010862427522e-20f), whole<X>(2.0f));
}

// 1 / (1 + e^-x): half of e^-x fits the range, and tiny halves may become 0 beside the 1.
template <class X> SEQC_INLINE X sigmoid(X x) {
  const X bounded = at_most(at_least(-x, -87.0f), 89.0f);
  const Reduced<X> part = reduce_exponent(bounded);
  const X half = (exp_minus_one(part.rest) + 1.0f) * power_of_two(part.shifted, ~0u);
  return 1.0f / fma(whole<X>(2.0f), half, whole<X>(1.0f));
}

// With u = tanh(x/2) = m / d this is 2u / (1 + u^2) = 2 m d / (d^2 + m^2): where u is near 1 its error
// vanishes, so small polynomials do (error 8e-9). The common factor 1.875 keeps what is rounded near the top
// of its binade. From 9.011 on tanh rounds to 1.
template <class X> SEQC_INLINE X tanh(X x) {
  const X bounded = at_most(at_least(x, -9.011f), 9.011f);
  const X y = bounded * bounded;
  X p = fma(y, whole<X>(0.000107142092f), whole<X>(0.0279140864f));
  p = fma(y, p, whole<X>(0.9375f));
  X d = fma(y, whole<X>(2.30581577e-06f), whole<X>(0.00226253062f));
  d = fma(y, d, whole<X>(0.212078109f));
  d = fma(y, d, whole<X>(1.875f));
  const X m = bounded * p;
  const X value = (m + m) * d / fma(m, m, d * d);
  return at_most(at_least(value, -1.0f), 1.0f);
}

// The same by a shorter way, for loops that wait for it: what lies beyond the range is found out beside the
// polynomials, and put in at the end. Within 2.2e-7, over every float.
template <class X> SEQC_INLINE X quick_tanh(X x) {
  const X y = x * x;
  const X p = fma(y, fma(y, whole<X>(0.000107142092f), whole<X>(0.0279140864f)), whole<X>(0.9375f));
  const X d = fma(y * y, fma(y, whole<X>(2.30581577e-06f), whole<X>(0.00226253062f)),
                  fma(y, whole<X>(0.212078109f), whole<X>(1.875f)));
  const X m = x * p;
  const X inside = m * (d + d) / fma(m, m, d * d);
  const X value =
      SEQC_FUSED ? inside : at_most(at_least(inside, -1.0f), 1.0f); // rounded twice it may be above 1
  return select(y > 9.011f * 9.011f, with_sign_of(whole<X>(1.0f), x), value);
}

// 1/2 + tanh(x/2)/2, the half angle in the coefficients: within 1.3e-7, more than 0, and 1 from 17 on.
template <class X> SEQC_INLINE X quick_sigmoid(X x) {
  const X y = x * x;
  const X p = fma(y, fma(y, whole<X>(0.000107142092f / 32.0f), whole<X>(0.0279140864f / 8.0f)),
                  whole<X>(0.9375f / 2.0f));
  const X d = fma(y * y, fma(y, whole<X>(2.30581577e-06f / 64.0f), whole<X>(0.00226253062f / 16.0f)),
                  fma(y, whole<X>(0.212078109f / 4.0f), whole<X>(1.875f)));
  const X m = x * p;
  const X inside = m * d / fma(m, m, d * d);
  return select(y > 289.0f, with_sign_of(whole<X>(0.49999997f), x), inside) + 0.5f;
}

// Cubic polynomials, each for one of sixteen pieces of 0 … top: piece i has round(scale x) = i, and p(x) =
// factor[0][i] + factor[1][i] x + … From top on p is p(top).
struct Cubics {
  float scale, top, factor[4][16];
};

// tanh, each piece with the least largest error that leaves p(0) = 0 and p(top) = 1.
constexpr Cubics tangent = {
    2.7192807f,
    5.7f,
    {{0.0f, -0.00205984549f, -0.03751003f, -0.0870788917f, -0.0408374481f, 0.119397417f, 0.327455908f,
      0.522928536f, 0.678903759f, 0.792042255f, 0.869220376f, 0.919659495f, 0.951587677f, 0.971298456f,
      0.983220935f, 0.339340746f},
     {1.00005972f, 1.02481103f, 1.21539009f, 1.38622046f, 1.2842325f, 0.99430275f, 0.684309006f, 0.437538832f,
      0.266872287f, 0.15767321f, 0.0910490006f, 0.0516690128f, 0.028916847f, 0.0159985535f, 0.00876543112f,
      0.360624999f},
     {-0.0017110972f, -0.101648025f, -0.449225694f, -0.646359205f, -0.57143414f, -0.396220028f, -0.242052794f,
      -0.138108492f, -0.0758160427f, -0.040664006f, -0.0214842167f, -0.0112319142f, -0.00582583481f,
      -0.00300292158f, -0.00153987168f, -0.0656203777f},
     {-0.321443558f, -0.182345182f, 0.0326927118f, 0.108812205f, 0.0904790163f, 0.0551129505f, 0.0295214914f,
      0.01491307f, 0.00732883811f, 0.00355484174f, 0.00171353307f, 0.000823506329f, 0.000395202747f,
      0.000189528815f, 9.086317e-05f, 0.00398018723f}}};

// p(x / 2) / 2: all but rounding of the scale is exact.
constexpr Cubics half_angle(const Cubics &of) {
  Cubics half = {of.scale / 2.0f, of.top * 2.0f, {}};
  float factor = 0.5f;
  for (int k = 0; k < 4; ++k, factor /= 2.0f)
    for (int i = 0; i < 16; ++i)
      half.factor[k][i] = of.factor[k][i] * factor;
  return half;
}
constexpr Cubics gate = half_angle(tangent);

// p(|x|) with the sign of x.
template <class X> SEQC_INLINE X odd_cubics(const Cubics &by, X x) {
  const X size = at_most(magnitude(x), by.top);
  const auto piece = bits_as<typename Of<X>::words>(fma(size, whole<X>(by.scale), whole<X>(8388608.0f)));
  X p = pick(by.factor[3], piece);
  p = fma(p, size, pick(by.factor[2], piece));
  p = fma(p, size, pick(by.factor[1], piece));
  p = fma(p, size, pick(by.factor[0], piece));
  return with_sign_of(p, x);
}

// For loops whose results are rounded to bfloat16: by a table where the machine picks from registers, within
// 2.4e-5 and 1.2e-5 over every float, elsewhere the forms above.
#if SEQC_PICKS
template <class X> SEQC_INLINE X coarse_tanh(X x) { return odd_cubics(tangent, x); }
template <class X> SEQC_INLINE X coarse_sigmoid(X x) { return odd_cubics(gate, x) + 0.5f; }
#else
template <class X> SEQC_INLINE X coarse_tanh(X x) { return single::quick_tanh(x); }
template <class X> SEQC_INLINE X coarse_sigmoid(X x) { return single::quick_sigmoid(x); }
#endif

// log(1 + f) for 1 + f in sqrt(1/2) … sqrt(2), with n ln 2 added from small to large.
template <class X> SEQC_INLINE X log_of_reduced(X f, X n) {
  X p = whole<X>(0.06747734f);
  p = fma(p, f, whole<X>(-0.11677521f));
  p = fma(p, f, whole<X>(0.118886985f));
  p = fma(p, f, whole<X>(-0.1240534f));
  p = fma(p, f, whole<X>(0.14219452f));
  p = fma(p, f, whole<X>(-0.16668005f));
  p = fma(p, f, whole<X>(0.20002124f));
  p = fma(p, f, whole<X>(-0.2500001f));
  p = fma(p, f, whole<X>(0.33333313f));
  p = fma(p, f, whole<X>(-0.5f));
  return fma(n, whole<X>(ln2_high), fma(n, whole<X>(ln2_low), fma(f * f, p, f)));
}

template <class X> SEQC_INLINE X log(X x) {
  typedef typename Of<X>::words Words;
  const auto tiny = x < 1.17549435e-38f;
  const X scaled = select(tiny, x * 8388608.0f, x);
  // Subtracting the bits of sqrt(1/2) puts the split of the exponent there.
  const Words moved = bits_as<Words>(scaled) - 0x3f3504f3u;
  const Words fraction = (moved & 0x007fffffu) + 0x3f3504f3u;
  // Arithmetic on the biased exponent kept positive, made a real by the bits of 2^23.
  const Words exponent = ((moved + 0x40000000u) >> 23) | 0x4b000000u;
  const X n =
      bits_as<X>(exponent) - select(tiny, whole<X>(8388608.0f + 151.0f), whole<X>(8388608.0f + 128.0f));
  const X value = log_of_reduced(bits_as<X>(fraction) - 1.0f, n);
  const X inside = select(x < __builtin_inff(), value, x); // +inf and NaN stay
  const X at_zero = select(x == 0.0f, whole<X>(-__builtin_inff()), whole<X>(__builtin_nanf("")));
  return select(x <= 0.0f, at_zero, inside);
}

// log(u) + c / u, where u = 1 + x was rounded and c is what the rounding lost.
template <class X> SEQC_INLINE X log1p(X x) {
  const X u = x + 1.0f;
  const X lost = select(magnitude(x) < 1.0f, x - (u - 1.0f), (1.0f - u) + x);
  const X value = single::log(u) + lost / u;
  const auto special = either(either(u <= 0.0f, u != u), u == __builtin_inff());
  return select(special, single::log(u), select(magnitude(x) < 1e-8f, x, value));
}

template <class X> SEQC_INLINE X expm1(X x) {
  const X bounded = at_most(at_least(x, -30.0f), 89.0f);
  const Reduced<X> part = reduce_exponent(bounded);
  const X half = power_of_two(part.shifted, ~0u); // 2^(n-1), so that n = 128 fits
  const X value = fma(exp_minus_one(part.rest), half, half - 0.5f);
  return select(magnitude(x) < 1e-8f, x, value + value);
}

template <class X> SEQC_INLINE X softplus(X x) {
  return max(x, whole<X>(0.0f)) + single::log1p(single::exp(-magnitude(x)));
}

// Near 0 a polynomial in x^2, from 1 on 1 - e^g(|x|); from 4 on erf rounds to 1.
template <class X> SEQC_INLINE X erf(X x) {
  const X size = at_most(magnitude(x), 4.0f), y = size * size;
  X p = whole<X>(7.8538615e-05f);
  p = fma(p, y, whole<X>(-0.00080101937f));
  p = fma(p, y, whole<X>(0.0051883277f));
  p = fma(p, y, whole<X>(-0.026853813f));
  p = fma(p, y, whole<X>(0.112835854f));
  p = fma(p, y, whole<X>(-0.37612626f));
  p = fma(p, y, whole<X>(0.12837917f));
  X g = whole<X>(0.00018557401f);
  g = fma(g, size, whole<X>(-0.0029396072f));
  g = fma(g, size, whole<X>(0.021805318f));
  g = fma(g, size, whole<X>(-0.10303737f));
  g = fma(g, size, whole<X>(-0.6382257f));
  g = fma(g, size, whole<X>(-1.12704f));
  g = fma(g, size, whole<X>(-0.00035371952f));
  return select(size < 1.0f, fma(p, x, x), with_sign_of(1.0f - exp(g), x));
}

// Rounds to the nearest integer by a large number, then steps down where that went up.
template <class X> SEQC_INLINE X floor(X x) {
  const X size = magnitude(x);
  const X nearest = with_sign_of((size + 8388608.0f) - 8388608.0f, x);
  const X down = nearest - select(nearest > x, whole<X>(1.0f), whole<X>(0.0f));
  return select(size < 8388608.0f, with_sign_of(down, x), x);
}

} // namespace single

} // namespace seqc
