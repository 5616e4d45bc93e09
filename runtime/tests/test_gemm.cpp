// Products of awkward sizes against the plain form, and the promise of gemm.hpp: a row has the same bits
// alone, in a batch, whatever the division of rows, and whatever the order of panels.
#include "check.hpp"
#include "naive.hpp"

#include "../beside.hpp"
#include "../bf16.hpp"
#include "../outer.hpp"
#include "../rows.hpp"

using seqc::lanes;
using seqc::Segment;
using seqc::Vec;

constexpr int64_t row_counts[] = {1, 2, 3, 7, 8, 13, 50};
constexpr int64_t depths[] = {1, 2, 7, 16, 17, 33, 65, 129};

// C = A W' + bias by rows of W, then dX = C W by columns of W, all row counts and depths.
template <class R, int64_t N> static void check_product(int64_t M, int64_t K) {
  Data<R> A(M * (K + 1), 3), W(N * K, 5), bias(N, 7), C(M * N, 9), alone(N, 1);
  Data<R> packed(seqc::packed_size<R>(K, N), 11);
  const seqc::Rows<R> sources[2] = {{W + 0, K, N / 2}, {W + N / 2 * K, K, N - N / 2}};
  seqc::pack_rows<R>(packed, K, sources, 2);
  for (int accumulate = 0; accumulate < 2; ++accumulate) {
    Data<R> before(M * N, 9);
    memcpy(C.values, before.values, static_cast<size_t>(M * N) * sizeof(R));
    seqc::product<R, N>(0, M, K, A, K + 1, packed, C, N, accumulate != 0, bias);
    for (int64_t m = 0; m < M; ++m)
      for (int64_t n = 0; n < N; ++n) {
        const naive::Sum sum = naive::dot<R>(K, A + m * (K + 1), 1, W + n * K, 1);
        const double start =
            static_cast<double>(bias[n]) + (accumulate ? static_cast<double>(before[m * N + n]) : 0);
        CHECK(close<R>(static_cast<double>(C[m * N + n]), sum.value + start, sum.size + fabs(start) + 1, 8),
              "product %ld x %ld x %ld at %ld, %ld", long(M), long(N), long(K), long(m), long(n));
      }
  }
  seqc::product<R, N>(0, M, K, A, K + 1, packed, C, N);
  for (int64_t m = 0; m < M; ++m) {
    seqc::product<R, N>(0, 1, K, A + m * (K + 1), K + 1, packed, alone, N);
    CHECK(memcmp(alone.values, C + m * N, sizeof(R) * N) == 0, "row %ld alone, %ld x %ld", long(m), long(N),
          long(K));
  }
  Data<R> divided(M * N, 1);
  seqc::product<R, N>(0, M / 3, K, A, K + 1, packed, divided, N);
  seqc::product<R, N>(M / 3, M, K, A, K + 1, packed, divided, N);
  CHECK(memcmp(divided.values, C.values, sizeof(R) * static_cast<size_t>(M * N)) == 0, "divided rows, %ld",
        long(M));
}

// The transposed use: X[M, N] = Y[M, K] times a W[K, N] of two stacked sources.
template <class R, int64_t N> static void check_columns(int64_t M, int64_t K) {
  Data<R> Y(M * K, 3), W(K * N, 5), X(M * N, 9), packed(seqc::packed_size<R>(K, N), 11);
  const seqc::Rows<R> sources[2] = {{W + 0, N, K / 2}, {W + K / 2 * N, N, K - K / 2}};
  seqc::pack_columns<R>(packed, N, sources, 2);
  seqc::product<R, N>(0, M, K, Y, K, packed, X, N);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      const naive::Sum sum = naive::dot<R>(K, Y + m * K, 1, W + n, N);
      CHECK(close<R>(static_cast<double>(X[m * N + n]), sum.value, sum.size, 8), "columns %ld x %ld x %ld",
            long(M), long(N), long(K));
    }
}

// Rows written anew, a few at a time, leave what packing everything leaves: rows of each gate, then columns
// of two stacked matrices.
template <class R, int Gates, int64_t Units> static void check_renewal(int64_t K) {
  typedef seqc::Real<R> Real;
  const int64_t step = 2 * lanes<R>, height = K * Gates, few = 5 * seqc::Term<R>::held;
  const auto in = [](Data<Real> &data) { return reinterpret_cast<R *>(data.values); };
  Data<Real> W(Gates * Units * K, 5);
  Data<Real> rows(seqc::packed_size<R>(seqc::terms<R>(K), Units, Gates), 11), again(rows.count, 12);
  seqc::Array<const Real *, Gates> gates;
  seqc::Array<seqc::Rows<Real>, Gates> sources;
  for (int g = 0; g < Gates; ++g) {
    gates[g] = W + g * Units * K;
    sources[g] = {W + g * Units * K, Units, K};
  }
  seqc::pack_gates<R>(in(rows), K, Units, gates, Gates, K);
  for (int g = 0; g < Gates; ++g)
    for (int64_t begin = 0; begin < Units; begin += step) {
      const int64_t end = begin + step < Units ? begin + step : Units;
      if (g % 2 == 0)
        seqc::renew_rows<true, R>(in(again), K, Units, Gates, g, gates[g], begin, end);
      else
        seqc::renew_rows<false, R>(in(again), K, Units, Gates, g, gates[g], begin, end);
    }
  seqc::settle();
  CHECK(memcmp(rows.values, again.values, static_cast<size_t>(rows.count) * sizeof(R)) == 0,
        "%d gates of %ld, %ld deep, written anew", Gates, long(Units), long(K));
  Data<Real> columns(seqc::packed_size<R>(seqc::terms<R>(height), Units), 11), anew(columns.count, 12);
  seqc::pack_columns<R>(in(columns), Units, sources, Gates);
  for (int g = 0; g < Gates; ++g)
    for (int64_t begin = 0; begin < K; begin += few) {
      const int64_t end = begin + few < K ? begin + few : K;
      if (g % 2 == 0)
        seqc::renew_columns<true, R>(in(anew), Units, height, g * K, gates[g], begin, end);
      else
        seqc::renew_columns<false, R>(in(anew), Units, height, g * K, gates[g], begin, end);
    }
  seqc::settle();
  CHECK(memcmp(columns.values, anew.values, static_cast<size_t>(columns.count) * sizeof(R)) == 0,
        "columns of %d x %ld, %ld wide, written anew", Gates, long(K), long(Units));
}

// Two segments, all gates of each unit at once, both orders of panels.
template <class R, int Gates, int64_t Units> static void check_gates(int64_t M, int64_t K) {
  const int64_t extra = 5;
  Data<R> h(M * K, 2), x(M * extra, 3), U(Gates * Units * K, 4), W(Gates * Units * extra, 5);
  Data<R> packed_u(seqc::packed_size<R>(K, Units, Gates)),
      packed_w(seqc::packed_size<R>(extra, Units, Gates));
  seqc::Array<const R *, Gates> u, w;
  for (int g = 0; g < Gates; ++g) {
    u[g] = U + g * Units * K;
    w[g] = W + g * Units * extra;
  }
  seqc::pack_gates<R>(packed_u, K, Units, u, Gates, K);
  seqc::pack_gates<R>(packed_w, extra, Units, w, Gates, extra);
  Data<R> all(M * Gates * Units, 6), backward(M * Gates * Units, 7);
  const auto run = [&](int64_t begin, int64_t end, R *to, bool descending) {
    const Segment<R> segments[2] = {{h, K, packed_u, K}, {x, extra, packed_w, extra}};
    seqc::product_with<R, Gates, Units>(
        begin, end, segments, 2,
        [&](int64_t row, int64_t unit, auto which, const Vec<R> *sums) {
          for (int g = 0; g < Gates; ++g)
            seqc::store(to + (row * Gates + g) * Units + unit, sums[g], which);
        },
        descending);
  };
  run(0, M, all, false);
  for (int64_t m = 0; m < M; ++m)
    run(m, m + 1, backward, m % 2 == 0);
  const size_t bytes = static_cast<size_t>(all.count) * sizeof(R);
  CHECK(memcmp(all.values, backward.values, bytes) == 0, "rows alone, %d gates of %ld", Gates, long(Units));
  run(0, M, backward, true);
  CHECK(memcmp(all.values, backward.values, bytes) == 0, "descending, %d gates of %ld", Gates, long(Units));
  for (int64_t i = 0; i < all.count; ++i) {
    const int64_t m = i / Units / Gates, column = i % (Units * Gates);
    const naive::Sum a = naive::dot<R>(K, h + m * K, 1, U + column * K, 1);
    const naive::Sum b = naive::dot<R>(extra, x + m * extra, 1, W + column * extra, 1);
    CHECK(close<R>(static_cast<double>(all[i]), a.value + b.value, a.size + b.size, 8),
          "%d gates of %ld, row %ld", Gates, long(Units), long(m));
  }
}

// Rows one by one with all sums in registers: the bits of product_with.
template <class R, int Gates, int64_t Units, int64_t K> static void check_rows(int64_t M) {
  constexpr int64_t extra = 2;
  Data<R> h(M * K, 2), x(M * extra, 3), U(Gates * Units * K, 4), W(Gates * Units * extra, 5);
  Data<R> packed_u(seqc::packed_size<R>(K, Units, Gates)),
      packed_w(seqc::packed_size<R>(extra, Units, Gates));
  seqc::Array<const R *, Gates> u, w;
  for (int g = 0; g < Gates; ++g) {
    u[g] = U + g * Units * K;
    w[g] = W + g * Units * extra;
  }
  seqc::pack_gates<R>(packed_u, K, Units, u, Gates, K);
  seqc::pack_gates<R>(packed_w, extra, Units, w, Gates, extra);
  const Segment<R> segments[2] = {{x, extra, packed_w, extra}, {h, K, packed_u, K}};
  Data<R> one(M * Gates * Units, 6), other(M * Gates * Units, 7);
  const auto store_in = [&](R *to) {
    return [to](int64_t row, int64_t unit, auto which, const Vec<R> *sums) {
      for (int g = 0; g < Gates; ++g)
        seqc::store(to + (row * Gates + g) * Units + unit, sums[g], which);
    };
  };
  seqc::product_with<R, Gates, Units>(0, M, segments, 2, store_in(one));
  seqc::product_rows<R, Gates, Units, extra, K>(0, M, segments, store_in(other));
  CHECK(memcmp(one.values, other.values, static_cast<size_t>(one.count) * sizeof(R)) == 0,
        "product_rows, %d gates of %ld, depth %ld", Gates, long(Units), long(K));
}

template <class R, int64_t N> static void check_outer(int64_t M, int64_t K) {
  Data<R> A(K * M, 3), B(K * N, 5), C(M * (N + 2), 9), before(M * (N + 2), 9), divided(M * (N + 2), 9);
  for (int accumulate = 0; accumulate < 2; ++accumulate) {
    memcpy(C.values, before.values, static_cast<size_t>(C.count) * sizeof(R));
    memcpy(divided.values, before.values, static_cast<size_t>(C.count) * sizeof(R));
    seqc::outer<R, N>(0, M, K, A, M, B, N, C, N + 2, accumulate != 0);
    seqc::outer<R, N>(0, M / 2, K, A, M, B, N, divided, N + 2, accumulate != 0);
    seqc::outer<R, N>(M / 2, M, K, A, M, B, N, divided, N + 2, accumulate != 0);
    CHECK(memcmp(C.values, divided.values, static_cast<size_t>(C.count) * sizeof(R)) == 0,
          "divided rows of outer");
    for (int64_t m = 0; m < M; ++m)
      for (int64_t n = 0; n < N; ++n) {
        const naive::Sum sum = naive::dot<R>(K, A + m, M, B + n, N);
        const double start = accumulate ? static_cast<double>(before[m * (N + 2) + n]) : 0.0;
        CHECK(close<R>(static_cast<double>(C[m * (N + 2) + n]), sum.value + start, sum.size + fabs(start), 8),
              "outer %ld x %ld x %ld", long(M), long(N), long(K));
      }
  }
}

// Gradients side by side: each equals its own sum, whatever part of the left side is asked for.
template <class R, int64_t Units, int64_t N> static void check_outers(int64_t K) {
  constexpr int slices = 3;
  constexpr int64_t M = slices * Units, small = 2, stride = N + 3;
  Data<R> A(K * M, 3), x(K * stride, 5), y(K * small, 7);
  for (int add = 0; add < 2; ++add) {
    Data<R> one(M * N, 9), two(M * small, 9), sum(M, 9), part(M * N, 9), rest(M * small, 9), third(M, 9);
    Data<R> before(M * (N + small), 9);
    const auto to = [&](Data<R> &all, Data<R> &few, Data<R> &sums, seqc::Range columns) {
      const seqc::Beside<R, slices> rights[] = {
          seqc::beside<R>(x, stride, all + 0, all + Units * N, all + 2 * Units * N),
          seqc::beside<R>(y, small, few + 0, few + Units * small, few + 2 * Units * small),
          seqc::ones<R>(sums + 0, sums + Units, sums + 2 * Units),
      };
      seqc::outers<R, slices, Units, N, small, 0>(columns, K, A, M, rights, add != 0);
    };
    to(one, two, sum, seqc::Range{0, M});
    const int64_t cut = M < 128 ? M : 64;
    to(part, rest, third, seqc::Range{0, cut});
    if (cut < M)
      to(part, rest, third, seqc::Range{cut, M - cut});
    CHECK(memcmp(one.values, part.values, static_cast<size_t>(M * N) * sizeof(R)) == 0 &&
              memcmp(two.values, rest.values, static_cast<size_t>(M * small) * sizeof(R)) == 0 &&
              memcmp(sum.values, third.values, static_cast<size_t>(M) * sizeof(R)) == 0,
          "divided columns of outers");
    for (int64_t m = 0; m < M; ++m) {
      const auto expect = [&](R found, R start, naive::Sum wanted) {
        const double begin = add ? static_cast<double>(start) : 0.0;
        CHECK(close<R>(static_cast<double>(found), wanted.value + begin, wanted.size + fabs(begin), 8),
              "outers %d x %ld x %ld over %ld", slices, long(Units), long(N), long(K));
      };
      for (int64_t n = 0; n < N; ++n)
        expect(one[m * N + n], before[m * N + n], naive::dot<R>(K, A + m, M, x + n, stride));
      for (int64_t n = 0; n < small; ++n)
        expect(two[m * small + n], before[m * small + n], naive::dot<R>(K, A + m, M, y + n, small));
      const R unit = 1;
      expect(sum[m], before[m], naive::dot<R>(K, A + m, M, &unit, 0));
    }
  }
}

// Very deep products of two segments go by stretches of k, whole matrices or panel by panel: the same bits as
// in one piece, and as a row alone.
template <class R, int64_t N> static void check_deep(int64_t M) {
  const int64_t K = 17 * seqc::deep_stretch<R>() + 5;
  Data<R> A(M * K, 3), W(K * N, 5), C(M * N, 9), whole(M * N, 9), packed(seqc::packed_size<R>(K, N), 11);
  const seqc::Rows<R> source = {W + 0, N, K};
  seqc::pack_columns<R>(packed, N, &source, 1);
  const Segment<R> both[] = {{A, K, packed, K}, {A, K, packed, K}};
  seqc::product_segments<R, N, true>(0, M, both, 2, C, N);
  for (int64_t m = 0; m < M; ++m)
    seqc::product_segments<R, N, true>(m, m + 1, both, 2, whole, N);
  CHECK(seqc::is_deep<R>(M, both, 2), "%ld deep is not deep", long(K));
  CHECK(memcmp(C.values, whole.values, static_cast<size_t>(M * N) * sizeof(R)) == 0, "deep rows alone, %ld",
        long(N));
  Data<R> panels(M * N, 8);
  seqc::product_segments<R, N>(0, M, both, 2, panels, N);
  CHECK(memcmp(panels.values, whole.values, static_cast<size_t>(M * N) * sizeof(R)) == 0, "deep panels, %ld",
        long(N));
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      const naive::Sum sum = naive::dot<R>(K, A + m * K, 1, W + n, N);
      CHECK(close<R>(static_cast<double>(C[m * N + n]), 2 * sum.value, 2 * sum.size, 64), "deep %ld x %ld",
            long(M), long(N));
    }
}

template <class R, int64_t N> static void check_width() {
  for (const int64_t M : row_counts)
    for (const int64_t K : depths)
      if (M <= 8 || K == 33) {
        check_product<R, N>(M, K);
        check_columns<R, N>(M, K);
      }
  for (const int64_t M : {1, 2, 7, 16, 33})
    for (const int64_t K : {1, 31, 300})
      check_outer<R, N>(M, K);
  if constexpr (N == 17 || N == 7)
    check_outer<R, N>(static_cast<int64_t>(20000 / sizeof(R)),
                      70); // its rows lie pages apart, its sums fill a cache
  if constexpr (N == 129)
    check_outer<R, N>(391, 600); // wide and deep: narrow vectors copy both sides
}

template <class R> static void check_besides() {
  for (const int64_t K : {1, 33, 300}) {
    check_outers<R, 1, 1>(K);
    check_outers<R, 5, 20>(K);
    check_outers<R, 16, 16>(K);
    check_outers<R, 20, 7>(K);
    check_outers<R, 43, 17>(K);
    check_outers<R, 64, 33>(K);
  }
}

template <class R, int64_t... N> static void check_widths() { (check_width<R, N>(), ...); }

template <class R> static void check_cells() {
  for (const int64_t M : {1, 2, 5, 6, 19})
    for (const int64_t K : {1, 8, 33}) {
      if (M == 1) {
        check_renewal<R, 1, 2>(K);
        check_renewal<R, 1, 40>(K);
        check_renewal<R, 2, 65>(K);
        check_renewal<R, 4, 33>(K);
      }
      check_gates<R, 1, 40>(M, K);
      check_gates<R, 2, 17>(M, K);
      check_gates<R, 3, 16>(M, K);
      check_gates<R, 3, 65>(M, K);
      check_gates<R, 4, 1>(M, K);
      check_gates<R, 4, 8>(M, K);
      check_gates<R, 4, 33>(M, K);
      check_gates<R, 5, 20>(M, K);
      check_gates<R, 7, 9>(M, K);
    }
}

// One to eight vectors of sums, in whole and odd stretches: rows go together or not.
template <class R> static void check_small() {
  for (const int64_t M : {1, 3, 7}) {
    check_rows<R, 1, 17, 5>(M);
    check_rows<R, 1, lanes<R> / 2 + 1, 37>(M);
    check_rows<R, 1, 2 * lanes<R>, 35>(M);
    check_rows<R, 1, 3 * lanes<R> - 1, 19>(M);
    check_rows<R, 5, lanes<R>, 16>(M);
    check_rows<R, 6, lanes<R> / 2 + 1, 18>(M);
    check_rows<R, 2, 16, 16>(M);
    check_rows<R, 3, 15, 33>(M);
    check_rows<R, 4, 8, 8>(M);
    check_rows<R, 4, 9, 3>(M);
  }
}

// SEQC_TEST_ALL adds the sizes that take long to compile, SEQC_TEST_FEW leaves out what differs in size
// alone, SEQC_TEST_LEAST what another compiler or width has shown.
int main() {
  check_widths<float, 17>();
  check_widths<double, 7>();
  check_besides<float>();
  check_small<float>();
  check_renewal<seqc::Pair, 3, 65>(8);
  check_deep<float, 131>(15);
#ifndef SEQC_TEST_LEAST
  check_widths<float, 1, 129>();
  check_cells<float>();
#endif
#if !defined(SEQC_TEST_FEW) && !defined(SEQC_TEST_LEAST)
  check_widths<float, 3, 8, 64>();
  check_widths<double, 2, 33>();
  check_besides<double>();
  check_renewal<seqc::Pair, 1, 40>(33);
  check_renewal<seqc::Pair, 4, 33>(70);
  check_small<double>();
  check_deep<float, 200>(15);
  check_deep<double, 64>(20);
#endif
#ifdef SEQC_TEST_ALL
  check_widths<float, 2, 4, 7, 15, 16, 31, 33, 63, 65, 127, 200>();
  check_widths<double, 1, 3, 8, 17, 65>();
  check_cells<double>();
#endif
  return finish_tests("gemm");
}
