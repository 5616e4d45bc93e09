// Products with bfloat16 and 8-bit weights (the latter on emulated tiles where SEQC_EMULATED_TILES is
// defined) against the plain form over the rounded numbers, and the promise that a row has the same bits
// alone, in a batch, and whatever the order of panels.
#include "check.hpp"
#include "naive.hpp"

#if defined(SEQC_EMULATED_TILES)
#include "tiles_emulated.hpp"
#endif

#include "../tiles8.hpp"

using seqc::Vec;

static float rounded_bf16(float x) {
  const uint32_t bits = seqc::bf16_bits(x) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// A number of a row as products read it: odd ones with their even neighbour below.
static float stored_bf16(const float *row, int64_t k) {
  if (k % 2 == 0)
    return rounded_bf16(row[k]);
  const uint32_t low = seqc::bf16_bits(row[k - 1]), word = seqc::beside(row[k], low) << 16 | low;
  float value;
  memcpy(&value, &word, sizeof value);
  CHECK(fabsf(value - row[k]) <= fabsf(row[k]) / 256 + 1e-38f, "%g is stored as %g", double(row[k]),
        double(value));
  return value;
}

static void check_rounding() {
  CHECK(rounded_bf16(1.0f) == 1.0f, "one");
  CHECK(rounded_bf16(1.00390625f) == 1.0f, "a tie goes to the even neighbour below");
  CHECK(rounded_bf16(1.01171875f) == 1.015625f, "a tie goes to the even neighbour above");
  CHECK(rounded_bf16(-3.3895314e38f) == -3.3895314e38f, "the largest");
  CHECK(rounded_bf16(3.4028235e38f) > 3.4e38f, "what rounds to infinity");
  for (const float x : {0.0f, 1.0f, -1.0f, 1e-30f, -3e-39f, 3e38f, -0.3f})
    for (const float other : {0.0f, 1.0f, -0.7f, 3e38f}) {
      const float pair[2] = {other, x};
      stored_bf16(pair, 1);
    }
  CHECK(seqc::beside(__builtin_inff(), 1) == 0x7f80u, "what is not finite stays so");
  const float nan = __builtin_nanf("1");
  CHECK(rounded_bf16(nan) != rounded_bf16(nan), "not a number");
}

// Runs one product for all rows, alone and together, in both orders of panels; `run` takes begin, end, out,
// order.
template <class Run> static void same_bits_everywhere(const char *what, int64_t M, int64_t width, Run run) {
  Data<float> all(M * width, 1), other(M * width, 2);
  run(0, M, all + 0, false);
  run(0, M, other + 0, true);
  const size_t bytes = static_cast<size_t>(M * width) * sizeof(float);
  CHECK(memcmp(all + 0, other + 0, bytes) == 0, "%s: descending", what);
  for (int64_t m = 0; m < M; ++m)
    run(m, m + 1, other + 0, m % 2 == 0);
  CHECK(memcmp(all + 0, other + 0, bytes) == 0, "%s: rows alone", what);
}

template <int Gates, int64_t Units> static void check(int64_t M, int64_t K) {
  const int64_t extra = 3, width = Gates * Units;
  Data<float> h(M * K, 2), x(M * extra, 3), U(width * K, 4), W(width * extra, 5), out(M * width, 6);
  const auto weight_u = [&](int g, int64_t u, int64_t k) { return U[(g * Units + u) * K + k]; };
  const auto weight_w = [&](int g, int64_t u, int64_t k) { return W[(g * Units + u) * extra + k]; };
  {
    Data<char> packed_u(seqc::bf16_bytes(K, Units, Gates)), packed_w(seqc::bf16_bytes(extra, Units, Gates));
    seqc::pack_bf16(packed_u + 0, K, Units, Gates, weight_u);
    seqc::pack_bf16(packed_w + 0, extra, Units, Gates, weight_w);
    const seqc::Bf16Segment segments[2] = {{{h, K, packed_u + 0, K}}, {{x, extra, packed_w + 0, extra}}};
    const auto run = [&](int64_t begin, int64_t end, float *to, bool descending) {
      seqc::product_with<float, Gates, Units>(
          begin, end, segments, 2,
          [&](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
            for (int g = 0; g < Gates; ++g)
              seqc::store(to + (row * Gates + g) * Units + unit, sums[g], which);
          },
          descending);
    };
    same_bits_everywhere("bf16", M, width, run);
    run(0, M, out, false);
    for (int64_t m = 0; m < M; ++m)
      for (int64_t column = 0; column < width; ++column) {
        double sum = 0, size = 0;
        for (int64_t k = 0; k < K + extra; ++k) {
          const float number =
              k < K ? stored_bf16(U + column * K, k) : stored_bf16(W + column * extra, k - K);
          const float value = k < K ? h[m * K + k] : x[m * extra + k - K];
          sum += static_cast<double>(number) * static_cast<double>(value);
          size += fabs(static_cast<double>(number) * static_cast<double>(value));
        }
        CHECK(close<float>(static_cast<double>(out[m * width + column]), sum, size, 8),
              "bf16, %d gates of %ld, depth %ld", Gates, long(Units), long(K));
      }
  }
  {
    Data<char> packed_u(seqc::int8_bytes(K, Units, Gates)), packed_w(seqc::int8_bytes(extra, Units, Gates));
    seqc::pack_int8(packed_u + 0, K, Units, Gates, weight_u);
    seqc::pack_int8(packed_w + 0, extra, Units, Gates, weight_w);
    const seqc::Int8Segment<208> segments[2] = {{{h, K, packed_u + 0, K}}, {{x, extra, packed_w + 0, extra}}};
    const auto run = [&](int64_t begin, int64_t end, float *to, bool descending) {
      seqc::product_with<float, Gates, Units>(
          begin, end, segments, 2,
          [&](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
            for (int g = 0; g < Gates; ++g)
              seqc::store(to + (row * Gates + g) * Units + unit, sums[g], which);
          },
          descending);
    };
    same_bits_everywhere("int8", M, width, run);
    run(0, M, out, false);
    for (int64_t m = 0; m < M; ++m)
      for (int64_t column = 0; column < width; ++column) {
        const naive::Sum a = naive::dot<float>(K, h + m * K, 1, U + column * K, 1);
        const naive::Sum b = naive::dot<float>(extra, x + m * extra, 1, W + column * extra, 1);
        // Both factors are off by at most half a step of 1/127 of the largest, 0.5 here.
        const double bound = static_cast<double>(K + extra) * (0.5 * 0.25 / 127 * 2 + 0.25 / 127 / 127);
        CHECK(fabs(static_cast<double>(out[m * width + column]) - a.value - b.value) <= bound,
              "int8, %d gates of %ld, depth %ld", Gates, long(Units), long(K));
      }
  }
}

// 8-bit numbers that need no rounding give exact sums, for one row and for as many as tiles take.
static void check_exact_int8() {
  constexpr int64_t M = 20, K = 58, N = 33;
  Data<float> a(M * K), w(N * K), out(M * N);
  for (int64_t i = 0; i < M * K; ++i)
    a[i] = static_cast<float>(i % K == 0 ? 127 : i * 13 % 50 - 20);
  for (int64_t i = 0; i < N * K; ++i)
    w[i] = static_cast<float>(i % K == 1 ? -127 : i * 7 % 90 - 45);
  Data<char> packed(seqc::int8_bytes(K, N));
  seqc::pack_int8(packed + 0, K, N, 1, [&](int, int64_t u, int64_t k) { return w[u * K + k]; });
  const seqc::Int8Segment<60> segment = {{a, K, packed + 0, K}};
  for (const int64_t rows : {int64_t(1), M}) {
    seqc::product_with<float, 1, N>(0, rows, &segment, 1,
                                    [&](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
                                      seqc::store(out + row * N + unit, sums[0], which);
                                    });
    for (int64_t i = 0; i < rows * N; ++i) {
      float sum = 0;
      for (int64_t k = 0; k < K; ++k)
        sum += a[i / N * K + k] * w[i % N * K + k];
      CHECK(out[i] == sum, "exact sum %ld: %g against %g", long(i), static_cast<double>(out[i]),
            static_cast<double>(sum));
    }
  }
}

int main() {
  check_rounding();
  check_exact_int8();
  for (const int64_t M : {1, 2, 5, 6, 13, 35})
    for (const int64_t K : {1, 2, 8, 33, 128, 201}) {
      check<1, 129>(M, K);
      check<4, 33>(M, K);
#ifndef SEQC_TEST_LEAST // what another compiler or width has shown
      check<1, 40>(M, K);
      check<2, 17>(M, K);
      check<3, 65>(M, K);
      check<4, 1>(M, K);
      check<5, 20>(M, K);
#endif
    }
  check<4, 257>(35, 128); // so many columns that a short term's tile may begin before its panel
  return finish_tests("quant");
}
