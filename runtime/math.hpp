// Elementary functions, each for a scalar and for a vector of reals with equal results lane by lane.
// Single precision is our own; pow and double precision go lane by lane to the C library.
#pragma once

#include "trig.hpp"

namespace seqc {

// One function for scalars and vectors of both precisions: own form in single, C library in double.
#define SEQC_OWN(name, exact)                                                                                \
  SEQC_INLINE float name(float x) { return single::name(x); }                                                \
  SEQC_INLINE Vec<float> name(Vec<float> x) { return single::name(x); }                                      \
  SEQC_INLINE double name(double x) { return exact; }                                                        \
  SEQC_INLINE Vec<double> name(Vec<double> x) {                                                              \
    return each_lane(x, [](double v) { return name(v); });                                                   \
  }

// exp: 1 ulp; overflows to inf, underflows gradually.
SEQC_OWN(exp, __builtin_exp(x))
// log: 1 ulp; log(0) = -inf, NaN below.
SEQC_OWN(log, __builtin_log(x))
// log1p(x) = log(1 + x), expm1(x) = e^x - 1, accurate near 0.
SEQC_OWN(log1p, __builtin_log1p(x))
SEQC_OWN(expm1, __builtin_expm1(x))
// tanh: 4 ulp everywhere, odd, exactly 1 when saturated.
SEQC_OWN(tanh, __builtin_tanh(x))
// sigmoid(x) = 1 / (1 + e^-x): 3 ulp.
SEQC_OWN(sigmoid, x < 0 ? __builtin_exp(x) / (1 + __builtin_exp(x)) : 1 / (1 + __builtin_exp(-x)))
// quick_tanh, quick_sigmoid: within 2.2e-7 and 1.3e-7 of the value, by the shortest way.
SEQC_OWN(quick_tanh, __builtin_tanh(x))
SEQC_OWN(quick_sigmoid, x < 0 ? __builtin_exp(x) / (1 + __builtin_exp(x)) : 1 / (1 + __builtin_exp(-x)))
// coarse_tanh, coarse_sigmoid: within 2.4e-5 and 1.2e-5, for what bfloat16 rounds anyway.
SEQC_OWN(coarse_tanh, __builtin_tanh(x))
SEQC_OWN(coarse_sigmoid, x < 0 ? __builtin_exp(x) / (1 + __builtin_exp(x)) : 1 / (1 + __builtin_exp(-x)))
// softplus(x) = log(1 + e^x), without overflow.
SEQC_OWN(softplus, (x > 0 || x != x ? x : 0.0) + __builtin_log1p(__builtin_exp(-__builtin_fabs(x))))
// floor: the largest integer not above x.
SEQC_OWN(floor, __builtin_floor(x))

// sin, cos: 2 ulp; tan: 4 ulp; angles far away from 0 go to the C library.
SEQC_OWN(sin, __builtin_sin(x))
SEQC_OWN(cos, __builtin_cos(x))
SEQC_OWN(tan, __builtin_tan(x))
// atan, erf: 3 ulp, odd.
SEQC_OWN(atan, __builtin_atan(x))
SEQC_OWN(erf, __builtin_erf(x))

#undef SEQC_OWN

// sqrt, and root0: the same value, named apart because its derivative at 0 counts as 0.
SEQC_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
SEQC_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
template <class X> SEQC_INLINE X lane_sqrt(X x) {
  X y = {};
  for (int i = 0; i < lanes<typename Of<X>::real>; ++i)
    y[i] = seqc::sqrt(x[i]);
  return y;
}
SEQC_INLINE Vec<float> sqrt(Vec<float> x) { return lane_sqrt(x); }
SEQC_INLINE Vec<double> sqrt(Vec<double> x) { return lane_sqrt(x); }
template <class X> SEQC_INLINE X root0(X x) { return seqc::sqrt(x); }

// pow(x, y): the C library, lane by lane.
SEQC_INLINE float pow(float x, float y) { return __builtin_powf(x, y); }
SEQC_INLINE double pow(double x, double y) { return __builtin_pow(x, y); }
template <class X> SEQC_INLINE X lane_pow(X x, X y) {
  for (int i = 0; i < lanes<typename Of<X>::real>; ++i)
    x[i] = seqc::pow(x[i], y[i]);
  return x;
}
SEQC_INLINE Vec<float> pow(Vec<float> x, Vec<float> y) { return lane_pow(x, y); }
SEQC_INLINE Vec<double> pow(Vec<double> x, Vec<double> y) { return lane_pow(x, y); }
SEQC_INLINE Vec<float> pow(Vec<float> x, float y) { return lane_pow(x, broadcast(y)); }
SEQC_INLINE Vec<double> pow(Vec<double> x, double y) { return lane_pow(x, broadcast(y)); }
SEQC_INLINE Vec<float> pow(float x, Vec<float> y) { return lane_pow(broadcast(x), y); }
SEQC_INLINE Vec<double> pow(double x, Vec<double> y) { return lane_pow(broadcast(x), y); }

// magnitude: the absolute value (not `abs`: system headers have functions of that name).
SEQC_INLINE float magnitude(float x) { return __builtin_fabsf(x); }
SEQC_INLINE double magnitude(double x) { return __builtin_fabs(x); }
SEQC_INLINE int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }
SEQC_INLINE Vec<float> magnitude(Vec<float> x) { return single::magnitude(x); }
SEQC_INLINE Vec<double> magnitude(Vec<double> x) {
  typedef VecOf<double>::words Words;
  return bits_as<Vec<double>>(bits_as<Words>(x) & 0x7fffffffffffffffu);
}

// sign: -1, 0 or 1; NaN and signed zeros stay.
template <class X> SEQC_INLINE X sign_of(X x) {
  return select(x > 0, whole<X>(1), select(x < 0, whole<X>(-1), x));
}
SEQC_INLINE float sign(float x) { return sign_of(x); }
SEQC_INLINE double sign(double x) { return sign_of(x); }
SEQC_INLINE int64_t sign(int64_t x) { return (x > 0) - (x < 0); }
SEQC_INLINE Vec<float> sign(Vec<float> x) { return sign_of(x); }
SEQC_INLINE Vec<double> sign(Vec<double> x) { return sign_of(x); }

// divide_floor, modulo_floor: integer division and remainder that round towards minus infinity; by 0 both are
// 0, and the one quotient that is too large wraps round, as in numpy: the machine would stop the program.
SEQC_INLINE int64_t divide_floor(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  if (b == -1)
    return static_cast<int64_t>(0 - static_cast<uint64_t>(a));
  return a / b - static_cast<int64_t>(a % b != 0 && (a < 0) != (b < 0));
}
SEQC_INLINE int64_t modulo_floor(int64_t a, int64_t b) {
  if (b == 0 || b == -1)
    return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

} // namespace seqc
