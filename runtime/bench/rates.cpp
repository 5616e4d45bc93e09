// What one core of this machine can do, as functions of a small shared library: multiply-adds, reads from a
// buffer of a given size, matrix tiles, elementary functions, and the time of a call. Each reads for about
// the seconds given to it and answers with a median, so that a caller can read them in turn with its own
// work.
//   g++ -std=c++17 -O2 -march=native -fno-math-errno -fno-trapping-math -ffp-contract=off -fPIC -shared
//       rates.cpp -o rates.so
#include "../bf16.hpp"
#include "../math.hpp"

#include <stdlib.h>
#include <time.h>

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define SEQC_TILES 1
#endif

#define SEQC_RATE extern "C" __attribute__((visibility("default")))

using seqc::lanes;
using seqc::Vec;

static double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The median time of one turn of `work`, over as many turns as fit into `limit` seconds.
template <class Work> static double median_time(double limit, Work work) {
  constexpr int most = 1001;
  static double spent[most];
  const double end = seconds() + limit;
  int count = 0;
  work();
  do {
    const double start = seconds();
    work();
    spent[count++] = seconds() - start;
  } while (count < most && seconds() < end);
  qsort(spent, static_cast<size_t>(count), sizeof *spent, [](const void *a, const void *b) {
    const double x = *static_cast<const double *>(a), y = *static_cast<const double *>(b);
    return (x > y) - (x < y);
  });
  return spent[count / 2];
}

// Keeps a vector in a register and its value unknown to the compiler.
template <class V> SEQC_INLINE void hide(V &v) {
#if SEQC_VECTOR_BYTES >= 64
  asm volatile("" : "+v"(v));
#elif SEQC_VECTOR_BYTES >= 16 && defined(__SSE__)
  asm volatile("" : "+x"(v));
#elif SEQC_VECTOR_BYTES >= 16 && defined(__ARM_NEON)
  asm volatile("" : "+w"(v));
#else
  asm volatile("" : "+m"(v));
#endif
}

static volatile double sink;

// Of elements R, in as many sums as it takes to hide how long each waits for itself.
template <class R, int Chains> static double multiply_adds(double limit) {
  typedef seqc::Real<R> Real;
  constexpr int turns = 4000;
  static volatile Real source = Real(0.5);
  Vec<R> x = seqc::bits_as<Vec<R>>(seqc::broadcast(static_cast<Real>(source)));
  hide(x);
  seqc::Array<Vec<Real>, Chains> kept = {};
  const double spent = median_time(limit, [&] {
    seqc::Array<Vec<Real>, Chains> sums;
    SEQC_UNROLL
    for (int i = 0; i < Chains; ++i)
      sums[i] = kept[i];
    for (int turn = 0; turn < turns; ++turn) {
      SEQC_UNROLL
      for (int i = 0; i < Chains; ++i) {
        sums[i] = seqc::Term<R>::add(x, x, sums[i]);
        hide(sums[i]);
      }
    }
    SEQC_UNROLL
    for (int i = 0; i < Chains; ++i)
      kept[i] = sums[i];
  });
  sink = static_cast<double>(seqc::sum_lanes(kept[0] + kept[Chains - 1]));
  return turns * Chains * 2.0 * lanes<R> * static_cast<double>(seqc::Term<R>::held) / spent;
}

// Floating-point operations a second: multiply-adds on registers alone.
SEQC_RATE double seqc_rate_multiply_adds(int real_bytes, double limit) {
  return real_bytes == 8 ? multiply_adds<double, 10>(limit) : multiply_adds<float, 10>(limit);
}

// Bytes a second that one core reads, over and over, from `bytes` bytes; 0 if there is not that much memory.
SEQC_RATE double seqc_rate_reads(int64_t bytes, double limit) {
  constexpr int64_t unit = 8 * lanes<float>;
  const int64_t count = bytes / (unit * 4) * unit;
  void *memory = nullptr;
  if (count <= 0 || posix_memalign(&memory, 4096, static_cast<size_t>(count) * 4))
    return 0;
  float *const data = static_cast<float *>(memory);
  for (int64_t i = 0; i < count; ++i)
    data[i] = 1.0f;
  const int64_t sweeps = count * 4 < (1 << 20) ? (1 << 20) / (count * 4) + 1 : 1;
  Vec<float> total = seqc::broadcast(0.0f);
  const double spent = median_time(limit, [&] {
    for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
      Vec<float> a = total, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
      const float *p = data;
      asm volatile("" : "+r"(p)::"memory");
      for (int64_t i = 0; i < count; i += unit, p += unit) {
        a = a + seqc::load(p), b = b + seqc::load(p + lanes<float>);
        c = c + seqc::load(p + 2 * lanes<float>), d = d + seqc::load(p + 3 * lanes<float>);
        e = e + seqc::load(p + 4 * lanes<float>), f = f + seqc::load(p + 5 * lanes<float>);
        g = g + seqc::load(p + 6 * lanes<float>), h = h + seqc::load(p + 7 * lanes<float>);
      }
      total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    }
  });
  sink = static_cast<double>(seqc::sum_lanes(total));
  free(memory);
  return static_cast<double>(count * 4 * sweeps) / spent;
}

// Values a second of an elementary function (0 exp, 1 tanh, 2 sigmoid, 3 a plain multiply-add) over an array
// in the first-level cache.
SEQC_RATE double seqc_rate_functions(int which, double limit) {
  constexpr int64_t count = 2048;
  alignas(64) static float x[count], y[count];
  for (int64_t i = 0; i < count; ++i)
    x[i] = static_cast<float>(i % 64) / 16.0f - 2.0f;
  const auto run = [&](auto function) {
    return median_time(limit, [&] {
      asm volatile("" ::: "memory");
      seqc::sweep<float>(0, count, [&](int64_t k, auto part) {
        seqc::store(y + k, function(seqc::load(static_cast<const float *>(x + k), part)), part);
      });
    });
  };
  double spent = 0;
  switch (which) {
  case 0:
    spent = run([](Vec<float> v) { return seqc::exp(v); });
    break;
  case 1:
    spent = run([](Vec<float> v) { return seqc::tanh(v); });
    break;
  case 2:
    spent = run([](Vec<float> v) { return seqc::sigmoid(v); });
    break;
  default:
    spent = run([](Vec<float> v) { return seqc::fma(v, v, v); });
  }
  sink = static_cast<double>(y[count / 2]);
  return static_cast<double>(count) / spent;
}

// The same on vectors of bfloat16 pairs; 0 where they are not multiplied by an instruction.
SEQC_RATE double seqc_rate_dots(double limit) {
  return SEQC_DOTS ? multiply_adds<seqc::Pair, 16>(limit) : 0.0;
}

#ifdef SEQC_TILES
// The layout that LDTILECFG reads: palette, then rows and bytes a row of each tile.
struct alignas(64) TileConfig {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
#endif

// Floating-point operations a second of bfloat16 tiles kept in registers; 0 where there are none.
SEQC_RATE double seqc_rate_tiles(double limit) {
#ifdef SEQC_TILES
  if (syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */))
    return 0;
  TileConfig config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i)
    config.rows[i] = 16, config.row_bytes[i] = 64;
  asm volatile("" ::"r"(&config) : "memory"); // all of it is read, not only what GCC is told of
  _tile_loadconfig(&config);
  alignas(64) static uint16_t zeros[16 * 32];
  _tile_loadd(4, zeros, 64); // statements: GCC has macros for these
  _tile_loadd(5, zeros, 64);
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  constexpr int turns = 1000;
  const double spent = median_time(limit, [&] {
    for (int k = 0; k < turns; ++k) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  });
  alignas(64) static float out[16 * 16];
  _tile_stored(0, out, 64);
  sink = static_cast<double>(out[0]);
  _tile_release();
  return turns * 4 * 2.0 * 16 * 16 * 32 / spent;
#else
  (void)limit;
  return 0;
#endif
}
