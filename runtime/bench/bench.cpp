// Rates of products, weight gradients and fused cells in GFLOP/s, each beside the multiply-add rate of this
// core read in turn with it (medians), and the time of the elementary functions.
//   g++ -std=c++17 -O3 -march=native -fno-math-errno -fno-trapping-math -ffp-contract=off bench.cpp -o bench
//   ./bench [part of a name]
#include "../math.hpp"
#include "../outer.hpp"
#include "../tiles8.hpp"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

using seqc::lanes;
using seqc::Segment;
using seqc::Vec;

constexpr int samples = 31;
static const char *wanted = "";

static double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

static double median(double *values) {
  qsort(values, samples, sizeof *values, [](const void *a, const void *b) {
    const double x = *static_cast<const double *>(a), y = *static_cast<const double *>(b);
    return (x > y) - (x < y);
  });
  return values[samples / 2];
}

// GFLOP/s of multiply-adds on registers alone.
__attribute__((noinline)) static double register_rate() {
  constexpr int turns = 4000, chains = 10;
  static volatile float source = 0.5f;
  const Vec<float> x = seqc::broadcast(static_cast<float>(source));
  Vec<float> a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x;
  const double start = seconds();
  for (int k = 0; k < turns; ++k) {
    a = seqc::fma(a, x, x), b = seqc::fma(b, x, x), c = seqc::fma(c, x, x), d = seqc::fma(d, x, x);
    e = seqc::fma(e, x, x), f = seqc::fma(f, x, x), g = seqc::fma(g, x, x), h = seqc::fma(h, x, x);
    i = seqc::fma(i, x, x), j = seqc::fma(j, x, x);
#if SEQC_VECTOR_BYTES >= 16
    asm volatile(""
                 : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(f), "+x"(g), "+x"(h), "+x"(i), "+x"(j));
#endif
  }
  const double spent = seconds() - start;
  source = seqc::sum_lanes(a + b + c + d + e + f + g + h + i + j) * 0.0f + 0.5f;
  return turns * chains * 2.0 * lanes<float> / spent * 1e-9;
}

// Runs `work` of so many floating-point operations, and prints its median rate.
template <class Work> static void measure(const char *name, double operations, Work work) {
  if (!strstr(name, wanted))
    return;
  double ours[samples], machine[samples];
  work();
  double start = seconds();
  work();
  const int repeats = static_cast<int>(3e-4 / (seconds() - start + 1e-7)) + 1;
  for (int s = 0; s < samples; ++s) {
    start = seconds();
    for (int i = 0; i < repeats; ++i)
      work();
    ours[s] = operations * repeats / (seconds() - start) * 1e-9;
    machine[s] = register_rate();
  }
  const double rate = median(ours), limit = median(machine);
  printf("%-34s %7.1f GFLOP/s of %6.1f  %5.1f %%  %10.2f us\n", name, rate, limit, 100 * rate / limit,
         operations / rate * 1e-3);
}

static float *numbers(int64_t count) {
  float *values = static_cast<float *>(aligned_alloc(64, static_cast<size_t>((count * 4 + 127) / 64 * 64)));
  for (int64_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(rand()) / static_cast<float>(RAND_MAX) - 0.5f;
  return values;
}

template <int64_t N> static void product_of(int64_t M, int64_t K) {
  float *A = numbers(M * K), *packed = numbers(seqc::packed_size<float>(K, N)), *C = numbers(M * N);
  char name[64];
  snprintf(name, sizeof name, "product %ldx%ldx%ld", long(M), long(N), long(K));
  measure(name, 2.0 * static_cast<double>(M * N * K),
          [&] { seqc::product<float, N>(0, M, K, A, K, packed, C, N); });
  free(A), free(packed), free(C);
}

template <int64_t N> static void outer_of(int64_t M, int64_t K) {
  float *A = numbers(K * M), *B = numbers(K * N), *C = numbers(M * N);
  char name[64];
  snprintf(name, sizeof name, "outer %ldx%ldx%ld", long(M), long(N), long(K));
  measure(name, 2.0 * static_cast<double>(M * N * K),
          [&] { seqc::outer<float, N>(0, M, K, A, M, B, N, C, N, false); });
  free(A), free(B), free(C);
}

// One step of an LSTM, its equations on the sums of its four gates; every other step in the other direction.
template <int64_t H> static void cell_of(int64_t batch) {
  float *x = numbers(batch * 4 * H), *packed = numbers(seqc::packed_size<float>(H, H, 4));
  float *h = numbers(batch * H), *next = numbers(batch * H), *c = numbers(batch * H);
  bool descending = false;
  char name[64];
  snprintf(name, sizeof name, "lstm step H %ld, batch %ld", long(H), long(batch));
  measure(name, 8.0 * static_cast<double>(batch * H * H), [&] {
    const Segment<float> segment = {h, H, packed, H};
    const auto equations = [&](int64_t row, int64_t unit, auto which, Vec<float> *sums) {
      const float *const in = x + row * 4 * H + unit;
      float *const cell = c + row * H + unit;
      const Vec<float> input = seqc::sigmoid(sums[0] + seqc::load(in, which));
      const Vec<float> forget = seqc::sigmoid(sums[1] + seqc::load(in + H, which));
      const Vec<float> fresh = seqc::tanh(sums[2] + seqc::load(in + 2 * H, which));
      const Vec<float> output = seqc::sigmoid(sums[3] + seqc::load(in + 3 * H, which));
      const Vec<float> kept = forget * seqc::load(static_cast<const float *>(cell), which) + input * fresh;
      seqc::store(cell, kept, which);
      seqc::store(next + row * H + unit, output * seqc::tanh(kept), which);
    };
    seqc::product_with<float, 4, H>(0, batch, &segment, 1, equations, descending);
    descending = !descending;
    float *const old = h;
    h = next;
    next = old;
  });
  free(x), free(packed), free(h), free(next), free(c);
}

// The product of such a step with weights of fewer bits: 16, or 8 with VNNI where the machine has it.
template <int64_t H> static void low_step_of(int64_t batch, int bits) {
  float *h = numbers(batch * H), *out = numbers(batch * 4 * H), *weights = numbers(4 * H * H);
  const auto weight = [&](int gate, int64_t unit, int64_t k) { return weights[(gate * H + unit) * H + k]; };
  const int64_t bytes = bits == 8 ? seqc::int8_bytes(H, H, 4) : seqc::bf16_bytes(H, H, 4);
  float *packed = numbers(bytes / 4 + 16);
  if (bits == 8)
    seqc::pack_int8(packed, H, H, 4, weight);
  else
    seqc::pack_bf16(packed, H, H, 4, weight);
  const seqc::Bf16Segment half = {{h, H, packed, H}};
  const seqc::Int8Segment<H> byte = {{h, H, packed, H}};
  const auto keep = [&](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
    for (int g = 0; g < 4; ++g)
      seqc::store(out + (row * 4 + g) * H + unit, sums[g], which);
  };
  bool descending = false;
  char name[64];
  snprintf(name, sizeof name, "lstm sums, %d bits, H %ld, batch %ld", bits, long(H), long(batch));
  measure(name, 8.0 * static_cast<double>(batch * H * H), [&] {
    if (bits == 8)
      seqc::product_with<float, 4, H>(0, batch, &byte, 1, keep, descending);
    else
      seqc::product_with<float, 4, H>(0, batch, &half, 1, keep, descending);
    descending = !descending;
  });
  free(h), free(out), free(weights), free(packed);
}

// Nanoseconds for one value of an elementary function over an array in the first-level cache.
template <class Function> static void function_of(const char *name, Function function) {
  if (!strstr(name, wanted))
    return;
  constexpr int64_t count = 2048;
  float *x = numbers(count), *y = numbers(count);
  double spent[samples];
  for (double &s : spent) {
    const double start = seconds();
    for (int i = 0; i < 50; ++i) {
      asm volatile("" ::"r"(x), "r"(y) : "memory");
      seqc::sweep<float>(0, count, [&](int64_t k, auto which) {
        seqc::store(y + k, function(seqc::load(static_cast<const float *>(x + k), which)), which);
      });
    }
    s = (seconds() - start) / 50 / count * 1e9;
  }
  printf("%-34s %7.3f ns a value\n", name, median(spent));
  free(x), free(y);
}

int main(int count, char **arguments) {
  if (count > 1)
    wanted = arguments[1];
  product_of<512>(2048, 128);
  product_of<128>(32, 512);
  product_of<256>(32, 1024);
  product_of<200>(33, 100);
  product_of<64>(2048, 128);
  product_of<1>(2048, 128);
  product_of<512>(1, 128);
  outer_of<128>(512, 2048);
  outer_of<256>(1024, 2048);
  outer_of<64>(256, 2048);
  cell_of<16>(1);
  cell_of<64>(1);
  cell_of<128>(1);
  cell_of<256>(1);
  cell_of<512>(1);
  cell_of<32>(32);
  cell_of<64>(32);
  cell_of<128>(32);
  cell_of<256>(32);
  cell_of<512>(32);
  for (int bits = 16; bits >= 8; bits -= 8) {
    low_step_of<128>(1, bits);
    low_step_of<256>(1, bits);
    low_step_of<512>(1, bits);
    low_step_of<1024>(1, bits);
    low_step_of<128>(32, bits);
    low_step_of<512>(32, bits);
  }
  function_of("exp", [](Vec<float> x) { return seqc::exp(x); });
  function_of("tanh", [](Vec<float> x) { return seqc::tanh(x); });
  function_of("sigmoid", [](Vec<float> x) { return seqc::sigmoid(x); });
  function_of("log", [](Vec<float> x) { return seqc::log(x); });
  function_of("softplus", [](Vec<float> x) { return seqc::softplus(x); });
  return 0;
}
