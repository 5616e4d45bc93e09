// Trigonometric functions in single precision, one definition for scalars and vectors: polynomials on an
// eighth of a turn behind a reduction by multiples of pi / 2 (Cody and Waite, Software Manual for the
// Elementary Functions, 1980).
#pragma once

#include "single.hpp"

namespace seqc {
namespace single {

// Beyond this angle the parts of pi / 2 are too short, and the C library takes over.
constexpr float farthest = SEQC_FUSED ? 100000.0f : 800.0f;

// x = n pi / 2 + r with |r| <= pi / 4: r and, in the low bits of `quarter`, n.
template <class X> struct Angle {
  X rest;
  typename Of<X>::words quarter;
};
template <class X> SEQC_INLINE Angle<X> reduce_angle(X x) {
  const X shifted = fma(x, whole<X>(0.636619772f), whole<X>(rounder));
  const X n = shifted - rounder;
#if SEQC_FUSED
  X r = fma(n, whole<X>(-1.57079637f), x);
  r = fma(n, whole<X>(4.37113883e-08f), r);
  r = fma(n, whole<X>(1.71512451e-15f), r);
#else // parts of 12 bits: n times each is exact
  X r = x - n * whole<X>(1.57080078125f);
  r = r + n * whole<X>(4.453584551811218e-06f);
  r = r + n * whole<X>(8.706138032721356e-10f);
  r = r - n * whole<X>(6.223371969669989e-14f);
#endif
  return {r, bits_as<typename Of<X>::words>(shifted)};
}

// sin r and cos r for |r| <= pi / 4.
template <class X> SEQC_INLINE X sine_near(X r) {
  const X y = r * r;
  X p = whole<X>(-0.00019517235f);
  p = fma(p, y, whole<X>(0.008332178f));
  p = fma(p, y, whole<X>(-0.16666655f));
  return fma(p, y * r, r);
}
template <class X> SEQC_INLINE X cosine_near(X r) {
  const X y = r * r;
  X p = whole<X>(2.443838e-05f);
  p = fma(p, y, whole<X>(-0.0013887367f));
  p = fma(p, y, whole<X>(0.041666646f));
  return fma(p, y * y, fma(y, whole<X>(-0.5f), whole<X>(1.0f)));
}

// sin(n pi / 2 + r), n counted from `ahead` on.
template <class X> SEQC_INLINE X wave(X x, uint32_t ahead) {
  typedef typename Of<X>::words Words;
  const Angle<X> angle = reduce_angle(x);
  const Words n = angle.quarter + ahead;
  const X value = select((n & 1u) == 1u, cosine_near(angle.rest), sine_near(angle.rest));
  return bits_as<X>(bits_as<Words>(value) ^ ((n & 2u) << 30));
}

// A function of angles, near(x) where |x| is not too large, else far(x) of the C library.
template <class Near, class Far> SEQC_INLINE float of_angle(float x, Near near, Far far) {
  return magnitude(x) > farthest ? far(x) : near(x);
}
template <class Near, class Far> SEQC_KERNEL static Vec<float> some_far(Vec<float> x, Near near, Far far) {
  return each_lane(x, [&](float lane) { return of_angle(lane, near, far); });
}
template <class Near, class Far> SEQC_INLINE Vec<float> of_angle(Vec<float> x, Near near, Far far) {
  if (__builtin_expect(any(magnitude(x) > farthest), 0))
    return some_far(x, near, far);
  return near(x);
}

template <class X> SEQC_INLINE X sin(X x) {
  const auto near = [](auto v) SEQC_INLINED { return select(v == 0.0f, v, wave(v, 0)); }; // -0 stays
  return of_angle(x, near, [](float far) SEQC_INLINED { return __builtin_sinf(far); });
}
template <class X> SEQC_INLINE X cos(X x) {
  return of_angle(
      x, [](auto v) SEQC_INLINED { return wave(v, 1); },
      [](float far) SEQC_INLINED { return __builtin_cosf(far); });
}
template <class X> SEQC_INLINE X tan(X x) {
  const auto near = [](auto v) SEQC_INLINED {
    const auto angle = reduce_angle(v);
    const auto sine = sine_near(angle.rest), cosine = cosine_near(angle.rest);
    const auto odd = (angle.quarter & 1u) == 1u;
    return select(odd, -cosine, sine) / select(odd, sine, cosine);
  };
  return of_angle(x, near, [](float far) SEQC_INLINED { return __builtin_tanf(far); });
}

// atan z for z <= 1, of 1 / |x| where that is smaller.
template <class X> SEQC_INLINE X atan(X x) {
  const X size = magnitude(x);
  const auto steep = size > 1.0f;
  const X z = select(steep, 1.0f / size, size), y = z * z;
  X p = whole<X>(0.0029745898f);
  p = fma(p, y, whole<X>(-0.016581181f));
  p = fma(p, y, whole<X>(0.043553535f));
  p = fma(p, y, whole<X>(-0.075805776f));
  p = fma(p, y, whole<X>(0.1067894f));
  p = fma(p, y, whole<X>(-0.14214209f));
  p = fma(p, y, whole<X>(0.19994137f));
  p = fma(p, y, whole<X>(-0.33333167f));
  const X flat = fma(p, y * z, z);
  return with_sign_of(select(steep, (1.57079637f - flat) - 4.37113883e-08f, flat), x);
}

} // namespace single
} // namespace seqc
