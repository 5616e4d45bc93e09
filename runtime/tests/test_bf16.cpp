// Products of rounded operands, from weights as reals, in pairs and (emulated where SEQC_EMULATED_TILES is
// defined) on tiles, against the plain form over the rounded numbers; outer products likewise. A row has the
// same bits alone, in a batch, and whatever the order of panels.
#include "check.hpp"
#include "naive.hpp"

#if defined(SEQC_EMULATED_TILES)
#include "tiles_emulated.hpp"
#endif

#include "../tiles.hpp"

using seqc::Vec;

static float near(float x) {
  const uint32_t bits = seqc::bf16_bits(x) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void check_rounding() {
  const float special[] = {1.00390625f, 1.01171875f, -0.0f,        3.4028235e38f, __builtin_inff(),
                           -1e-40f,     1.0f / 3.0f, -2.0f / 7.0f, 1e30f,         65504.0f,
                           0.0f,        1.5f};
  for (const float x : special) {
    float out;
    seqc::round_values(1, &x, &out);
    const float expected = near(x);
    CHECK(memcmp(&out, &expected, 4) == 0, "rounding %g", static_cast<double>(x));
  }
  const float nan = __builtin_nanf("1");
  float out;
  seqc::round_values(1, &nan, &out);
  CHECK(out != out, "not a number");
}

// Runs one product for all rows, alone and together, in both orders of panels, and compares with `expected`.
template <class Run>
static void check_all(const char *what, int64_t M, int64_t width, const double *expected, const double *size,
                      Run run) {
  Data<float> all(M * width, 1), other(M * width, 2);
  run(0, M, all + 0, false);
  run(0, M, other + 0, true);
  const size_t bytes = static_cast<size_t>(M * width) * sizeof(float);
  CHECK(memcmp(all + 0, other + 0, bytes) == 0, "%s: descending", what);
  for (int64_t m = 0; m < M; ++m)
    run(m, m + 1, other + 0, m % 2 == 0);
  CHECK(memcmp(all + 0, other + 0, bytes) == 0, "%s: rows alone", what);
  for (int64_t i = 0; i < M * width; ++i)
    CHECK(close<float>(static_cast<double>(all[i]), expected[i], size[i], 8), "%s, %ld rows of %ld: %ld",
          what, long(M), long(width), long(i));
}

template <int Gates, int64_t Units> static void check(int64_t M, int64_t K) {
  const int64_t extra = 3, width = Gates * Units;
  Data<float> h(M * K, 2), x(M * extra, 3), U(width * K, 4), W(width * extra, 5);
  Data<double> expected(M * width, 6), size(M * width, 7);
  const auto weight_u = [&](int g, int64_t u, int64_t k) { return U[(g * Units + u) * K + k]; };
  const auto weight_w = [&](int g, int64_t u, int64_t k) { return W[(g * Units + u) * extra + k]; };
  for (int64_t m = 0; m < M; ++m)
    for (int64_t column = 0; column < width; ++column) {
      double sum = 0, total = 0;
      for (int64_t k = 0; k < K + extra; ++k) {
        const float number = near(k < K ? U[column * K + k] : W[column * extra + k - K]);
        const float value = near(k < K ? h[m * K + k] : x[m * extra + k - K]);
        sum += static_cast<double>(number) * static_cast<double>(value);
        total += fabs(static_cast<double>(number) * static_cast<double>(value));
      }
      expected[m * width + column] = sum;
      size[m * width + column] = total;
    }
  const auto run_on = [&](const auto *segments) {
    return [&, segments](int64_t begin, int64_t end, float *to, bool descending) {
      seqc::product_with<float, Gates, Units>(
          begin, end, segments, 2,
          [&](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
            for (int g = 0; g < Gates; ++g)
              seqc::store(to + (row * Gates + g) * Units + unit, sums[g], which);
          },
          descending);
    };
  };
  {
    Data<char> packed_u(seqc::bf16_bytes(K, Units, Gates)), packed_w(seqc::bf16_bytes(extra, Units, Gates));
    seqc::pack_pairs(packed_u + 0, K, Units, Gates, weight_u);
    seqc::pack_pairs(packed_w + 0, extra, Units, Gates, weight_w);
    const seqc::PairSegment<192> segments[2] = {{{h, K, packed_u + 0, K}}, {{x, extra, packed_w + 0, extra}}};
    check_all("pairs", M, width, expected + 0, size + 0, run_on(segments));
  }
  if constexpr (!seqc::narrow<float>(Units, Gates)) {
    const int64_t own = seqc::packed_size<float>(K, Units, Gates),
                  more = seqc::packed_size<float>(extra, Units, Gates);
    Data<float> packed_u(own, 1), packed_w(more, 1);
    seqc::Array<const float *, Gates> gates_u, gates_w;
    for (int g = 0; g < Gates; ++g) {
      gates_u[g] = U + g * Units * K;
      gates_w[g] = W + g * Units * extra;
    }
    seqc::pack_gates<float>(packed_u + 0, K, Units, gates_u, Gates, K);
    seqc::pack_gates<float>(packed_w + 0, extra, Units, gates_w, Gates, extra);
    seqc::round_values(own, packed_u + 0, packed_u + 0);
    seqc::round_values(more, packed_w + 0, packed_w + 0);
    const seqc::RoundedSegment<192> segments[2] = {{{h, K, packed_u + 0, K}},
                                                   {{x, extra, packed_w + 0, extra}}};
    check_all("reals", M, width, expected + 0, size + 0, run_on(segments));
  }
}

template <int64_t N> static void check_outer(int64_t M, int64_t K) {
  Data<float> A(K * M, 1), B(K * N, 2), C(M * (N + 2), 3), divided(M * (N + 2), 3);
  for (int accumulate = 0; accumulate < 2; ++accumulate) {
    Data<float> before(M * (N + 2), 4);
    memcpy(before + 0, C + 0, static_cast<size_t>(M * (N + 2)) * sizeof(float));
    seqc::outer<float, N, seqc::Rounded>(0, M, K, A, M, B, N, C, N + 2, accumulate != 0);
    seqc::outer<float, N, seqc::Rounded>(0, M / 2, K, A, M, B, N, divided, N + 2, accumulate != 0);
    seqc::outer<float, N, seqc::Rounded>(M / 2, M, K, A, M, B, N, divided, N + 2, accumulate != 0);
    for (int64_t m = 0; m < M; ++m) {
      CHECK(memcmp(C + m * (N + 2), divided + m * (N + 2), size_t(N) * 4) == 0, "outer: rows divided");
      for (int64_t n = 0; n < N; ++n) {
        double sum = 0, total = 0;
        for (int64_t k = 0; k < K; ++k) {
          const double term =
              static_cast<double>(near(A[k * M + m])) * static_cast<double>(near(B[k * N + n]));
          sum += term;
          total += fabs(term);
        }
        if (accumulate)
          sum += static_cast<double>(before[m * (N + 2) + n]);
        CHECK(close<float>(static_cast<double>(C[m * (N + 2) + n]), sum, total + fabs(sum), 16),
              "outer %ld x %ld over %ld", long(M), long(N), long(K));
      }
    }
  }
}

int main() {
  check_rounding();
  for (const int64_t M : {1, 2, 15, 17, 33, 70})
    for (const int64_t K : {1, 2, 31, 33, 128}) {
      check<1, 40>(M, K);
      check<1, 129>(M, K);
      check<2, 17>(M, K);
      check<3, 65>(M, K);
      check<4, 1>(M, K);
      check<4, 33>(M, K);
      check<5, 20>(M, K);
    }
  for (const int64_t K : {1, 7, 64, 301})
    for (const int64_t M : {1, 16, 37, 64}) {
      check_outer<1>(M, K);
      check_outer<16>(M, K);
      check_outer<33>(M, K);
      check_outer<129>(M, K);
    }
  return finish_tests("bf16");
}
