// Vectors of reals: types, loads, stores, masks and whole-vector sums, on GCC/Clang vector extensions.
// Takes its width from the instruction set that the file is compiled for, or from SEQC_VECTOR_BYTES
// (0 gives one-lane vectors, plain scalar code). Everything else in the runtime is written on these names.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __FAST_MATH__
#error "seqc needs exact float semantics: compile without -ffast-math"
#endif

#ifndef SEQC_VECTOR_BYTES
#if defined(__AVX512F__)
#define SEQC_VECTOR_BYTES 64
#elif defined(__AVX__)
#define SEQC_VECTOR_BYTES 32
#else
#define SEQC_VECTOR_BYTES 16
#endif
#endif

// Number of architectural vector registers: decides how many accumulators a product keeps.
#if defined(__AVX512F__) || defined(__aarch64__)
#define SEQC_VECTOR_REGISTERS 32
#else
#define SEQC_VECTOR_REGISTERS 16
#endif

#if defined(__FMA__) || defined(__AVX512F__) || defined(__aarch64__)
#define SEQC_FUSED 1
#else
#define SEQC_FUSED 0
#endif

#define SEQC_INLINE static inline __attribute__((always_inline))
#define SEQC_INLINED __attribute__((always_inline)) // the same behind the parameters of a lambda

#if defined(__clang__)
#define SEQC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SEQC_UNROLL _Pragma("GCC unroll 32")
#endif

#if defined(__clang__)
#define SEQC_KERNEL __attribute__((noinline))
#else
#define SEQC_KERNEL __attribute__((noinline, noclone))
#endif

// SEQC_PIN(v): keeps a vector that several rows share in a register; GCC would load it again for each of
// them, and Clang load so many ahead that sums have to leave theirs.
#if SEQC_VECTOR_BYTES < 16
#define SEQC_PIN(v)
#elif defined(__AVX512F__)
#define SEQC_PIN(v) asm("" : "+v"(v))
#elif defined(__SSE__) && (SEQC_VECTOR_BYTES == 16 || (SEQC_VECTOR_BYTES == 32 && defined(__AVX__)))
#define SEQC_PIN(v) asm("" : "+x"(v))
#elif defined(__aarch64__)
#define SEQC_PIN(v) asm("" : "+w"(v))
#else
#define SEQC_PIN(v)
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" // all vector functions are inlined: no ABI is involved
#endif

namespace seqc {

// lanes<R>: how many values of R one vector holds.
template <class R>
constexpr int lanes = SEQC_VECTOR_BYTES ? SEQC_VECTOR_BYTES / static_cast<int>(sizeof(R)) : 1;

template <class R> struct VecOf;
template <> struct VecOf<float> {
  typedef float type __attribute__((vector_size(sizeof(float) * lanes<float>)));
  typedef int32_t ints __attribute__((vector_size(sizeof(float) * lanes<float>)));
  typedef uint32_t words __attribute__((vector_size(sizeof(float) * lanes<float>)));
  typedef decltype(type() < type()) mask;
};
template <> struct VecOf<double> {
  typedef double type __attribute__((vector_size(sizeof(double) * lanes<double>)));
  typedef int64_t ints __attribute__((vector_size(sizeof(double) * lanes<double>)));
  typedef uint64_t words __attribute__((vector_size(sizeof(double) * lanes<double>)));
  typedef decltype(type() < type()) mask;
};

// Vec<R>: a vector of lanes<R> reals; + - * / and comparisons are the compiler's own.
template <class R> using Vec = typename VecOf<R>::type;
// Ints<R>: integers of the width of R, one per lane.
template <class R> using Ints = typename VecOf<R>::ints;
// Mask<R>: what a comparison of two Vec<R> gives, lanes 0 or -1.
template <class R> using Mask = typename VecOf<R>::mask;

// Of<X>: what belongs to X, a scalar real or a vector of reals: its element, its bits and truth value.
template <class X> struct Of;
template <> struct Of<float> {
  typedef float real;
  typedef uint32_t words;
  typedef bool mask;
};
template <> struct Of<double> {
  typedef double real;
  typedef uint64_t words;
  typedef bool mask;
};
template <> struct Of<Vec<float>> {
  typedef float real;
  typedef VecOf<float>::words words;
  typedef Mask<float> mask;
};
template <> struct Of<Vec<double>> {
  typedef double real;
  typedef VecOf<double>::words words;
  typedef Mask<double> mask;
};

// bits_as<To>(value): the same bits read as another type of equal size.
template <class To, class From> SEQC_INLINE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

// broadcast<R>(x): every lane is x.
template <class R> SEQC_INLINE Vec<R> broadcast(R x) { return x - Vec<R>{}; }

// load(p): lanes<R> values from p, any alignment.
template <class R> SEQC_INLINE Vec<R> load(const R *p) {
  Vec<R> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// store(p, v): all lanes to p, any alignment.
template <class R> SEQC_INLINE void store(R *p, Vec<R> v) { __builtin_memcpy(p, &v, sizeof v); }

// select(mask, a, b): a where the mask holds, else b; the condition may be one bool for all lanes.
template <class X> SEQC_INLINE X select(bool mask, X a, X b) { return mask ? a : b; }
SEQC_INLINE Vec<float> select(Mask<float> mask, Vec<float> a, Vec<float> b) { return mask ? a : b; }
SEQC_INLINE Vec<double> select(Mask<double> mask, Vec<double> a, Vec<double> b) { return mask ? a : b; }
// The same with one or both values equal in all lanes.
template <class M> SEQC_INLINE auto select(M mask, Vec<float> a, float b) -> decltype(select(mask, a, a)) {
  return select(mask, a, broadcast(b));
}
template <class M> SEQC_INLINE auto select(M mask, float a, Vec<float> b) -> decltype(select(mask, b, b)) {
  return select(mask, broadcast(a), b);
}
template <class M> SEQC_INLINE auto select(M mask, Vec<double> a, double b) -> decltype(select(mask, a, a)) {
  return select(mask, a, broadcast(b));
}
template <class M> SEQC_INLINE auto select(M mask, double a, Vec<double> b) -> decltype(select(mask, b, b)) {
  return select(mask, broadcast(a), b);
}
SEQC_INLINE Vec<float> select(Mask<float> mask, float a, float b) {
  return select(mask, broadcast(a), broadcast(b));
}
SEQC_INLINE Vec<double> select(Mask<double> mask, double a, double b) {
  return select(mask, broadcast(a), broadcast(b));
}

// both, either, opposite: logic on truth values, bool or mask (a bool goes with a mask, too).
SEQC_INLINE bool both(bool a, bool b) { return a && b; }
SEQC_INLINE bool either(bool a, bool b) { return a || b; }
SEQC_INLINE bool opposite(bool a) { return !a; }
#define SEQC_LOGIC(R)                                                                                        \
  SEQC_INLINE Mask<R> both(Mask<R> a, Mask<R> b) { return a & b; }                                           \
  SEQC_INLINE Mask<R> both(Mask<R> a, bool b) { return b ? a : Mask<R>{}; }                                  \
  SEQC_INLINE Mask<R> both(bool a, Mask<R> b) { return a ? b : Mask<R>{}; }                                  \
  SEQC_INLINE Mask<R> either(Mask<R> a, Mask<R> b) { return a | b; }                                         \
  SEQC_INLINE Mask<R> either(Mask<R> a, bool b) { return b ? ~Mask<R>{} : a; }                               \
  SEQC_INLINE Mask<R> either(bool a, Mask<R> b) { return a ? ~Mask<R>{} : b; }                               \
  SEQC_INLINE Mask<R> opposite(Mask<R> a) { return ~a; }
SEQC_LOGIC(float)
SEQC_LOGIC(double)
#undef SEQC_LOGIC

// less, less_equal, greater, greater_equal, equal, unequal: a bool for scalars, a mask for vectors.
template <class X, class Y> SEQC_INLINE auto less(X a, Y b) { return a < b; }
template <class X, class Y> SEQC_INLINE auto less_equal(X a, Y b) { return a <= b; }
template <class X, class Y> SEQC_INLINE auto greater(X a, Y b) { return a > b; }
template <class X, class Y> SEQC_INLINE auto greater_equal(X a, Y b) { return a >= b; }
template <class X, class Y> SEQC_INLINE auto equal(X a, Y b) { return a == b; }
template <class X, class Y> SEQC_INLINE auto unequal(X a, Y b) { return a != b; }

// number<R>(mask): 1 where it holds, else 0, as R or Vec<R>.
template <class R> SEQC_INLINE R number(bool mask) { return mask ? R(1) : R(0); }
template <class R> SEQC_INLINE Vec<R> number(Mask<R> mask) { return select(mask, R(1), R(0)); }

// fma(a, b, c) = a * b + c, rounded once where the machine can, equally for scalars and lanes.
SEQC_INLINE float fma(float a, float b, float c) {
#if SEQC_FUSED
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
SEQC_INLINE double fma(double a, double b, double c) {
#if SEQC_FUSED
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
// For vectors the machine's own instruction by name: left to the compiler, a * b + c is fused in one place
// and not in another.
#if SEQC_FUSED && SEQC_VECTOR_BYTES == 64 && defined(__AVX512F__)
#if defined(__clang__)
typedef unsigned short LaneBits; // as the two compilers declare the same function
#else
typedef short LaneBits;
#endif
SEQC_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return __builtin_ia32_vfmaddps512_mask(a, b, c, static_cast<LaneBits>(-1), 4);
}
SEQC_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return __builtin_ia32_vfmaddpd512_mask(a, b, c, static_cast<unsigned char>(-1), 4);
}
#elif SEQC_FUSED && SEQC_VECTOR_BYTES == 32 && defined(__FMA__)
SEQC_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return __builtin_ia32_vfmaddps256(a, b, c);
}
SEQC_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return __builtin_ia32_vfmaddpd256(a, b, c);
}
#elif SEQC_FUSED && SEQC_VECTOR_BYTES == 16 && defined(__FMA__)
SEQC_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return __builtin_ia32_vfmaddps(a, b, c);
}
SEQC_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return __builtin_ia32_vfmaddpd(a, b, c);
}
#elif SEQC_FUSED && SEQC_VECTOR_BYTES == 16 && defined(__aarch64__) && !defined(__clang__)
SEQC_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return __builtin_aarch64_fmav4sf(a, b, c);
}
SEQC_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return __builtin_aarch64_fmav2df(a, b, c);
}
#elif SEQC_FUSED && SEQC_VECTOR_BYTES == 0
SEQC_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>{__builtin_fmaf(a[0], b[0], c[0])};
}
SEQC_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>{__builtin_fma(a[0], b[0], c[0])};
}
#else
SEQC_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
SEQC_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
#endif

// The same with numbers that are equal in all lanes.
#define SEQC_FMA(R)                                                                                          \
  SEQC_INLINE Vec<R> fma(Vec<R> a, Vec<R> b, R c) { return fma(a, b, broadcast(c)); }                        \
  SEQC_INLINE Vec<R> fma(Vec<R> a, R b, Vec<R> c) { return fma(a, broadcast(b), c); }                        \
  SEQC_INLINE Vec<R> fma(R a, Vec<R> b, Vec<R> c) { return fma(broadcast(a), b, c); }                        \
  SEQC_INLINE Vec<R> fma(Vec<R> a, R b, R c) { return fma(a, broadcast(b), broadcast(c)); }                  \
  SEQC_INLINE Vec<R> fma(R a, Vec<R> b, R c) { return fma(broadcast(a), b, broadcast(c)); }                  \
  SEQC_INLINE Vec<R> fma(R a, R b, Vec<R> c) { return fma(broadcast(a), broadcast(b), c); }
SEQC_FMA(float)
SEQC_FMA(double)
#undef SEQC_FMA

// min, max of two reals: NaN where either is NaN, as numpy's minimum and maximum.
template <class X> SEQC_INLINE X smaller(X a, X b) { return select(either(a < b, a != a), a, b); }
template <class X> SEQC_INLINE X larger(X a, X b) { return select(either(a > b, a != a), a, b); }
#define SEQC_MINMAX(R)                                                                                       \
  SEQC_INLINE R min(R a, R b) { return smaller(a, b); }                                                      \
  SEQC_INLINE R max(R a, R b) { return larger(a, b); }                                                       \
  SEQC_INLINE Vec<R> min(Vec<R> a, Vec<R> b) { return smaller(a, b); }                                       \
  SEQC_INLINE Vec<R> max(Vec<R> a, Vec<R> b) { return larger(a, b); }                                        \
  SEQC_INLINE Vec<R> min(Vec<R> a, R b) { return smaller(a, broadcast(b)); }                                 \
  SEQC_INLINE Vec<R> max(Vec<R> a, R b) { return larger(a, broadcast(b)); }                                  \
  SEQC_INLINE Vec<R> min(R a, Vec<R> b) { return smaller(broadcast(a), b); }                                 \
  SEQC_INLINE Vec<R> max(R a, Vec<R> b) { return larger(broadcast(a), b); }
SEQC_MINMAX(float)
SEQC_MINMAX(double)
#undef SEQC_MINMAX
SEQC_INLINE constexpr int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
SEQC_INLINE constexpr int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

} // namespace seqc
