// Products of rounded operands, from weights as reals, in pairs and (emulated where SEQC_EMULATED_TILES is
// defined) on tiles, against the plain form over the rounded numbers; outer products likewise. A row has the
// same bits alone, in a batch, and whatever the order of panels.
#include "check.hpp"
#include "naive.hpp"

#if defined(SEQC_EMULATED_TILES)
#include "tiles_emulated.hpp"
#endif

#include "../tile_few.hpp"
#include "../tile_outer.hpp"

using seqc::Vec;

static float near(float x) {
  const uint32_t bits = seqc::bf16_bits(x) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// What enters a product of numbers in so many parts.
template <int Parts> static float taken(float x) { return Parts == 1 ? near(x) : x; }

// Three parts are bfloat16 numbers, add up to the value, each smaller than the last bit of the one before.
static void check_parts() {
  Data<float> x(64 * seqc::lanes<float>, 9);
  for (int i = 0; i < x.count; ++i)
    x[i] = ldexpf(x[i], i % 60 - 30);
  x[0] = 0.0f;
  x[1] = -0.0f;
  x[2] = 1.0f;
  x[3] = 3.3e38f;
  x[4] = 1.00390625f;
  for (int i = 0; i < x.count; i += seqc::lanes<float>) {
    const seqc::Parted<3> found = seqc::parted<3>(seqc::load(static_cast<const float *>(x + i)));
    for (int lane = 0; lane < seqc::lanes<float>; ++lane) {
      const float value = x[i + lane];
      float left = value;
      for (const Vec<float> &part : found.part) {
        const float own = part[lane];
        CHECK(near(own) == own, "a part of %g", static_cast<double>(value));
        left -= own;
        CHECK(fabsf(left) <= fabsf(own) / 128.0f, "what is left of %g", static_cast<double>(value));
      }
      CHECK(left == 0.0f, "the parts of %g", static_cast<double>(value));
    }
  }
  const float special[] = {__builtin_inff(), -__builtin_inff(), __builtin_nanf("1"),
                           __builtin_nanf("0x3fffff"), 3.4e38f};
  for (const float value : special) {
    const seqc::Parted<3> found = seqc::parted<3>(seqc::broadcast(value));
    const float sum = found.part[0][0] + (found.part[1][0] + found.part[2][0]);
    CHECK(sum != sum, "the parts of %g", static_cast<double>(value));
  }
}

// A row in two parts loses 2^-17 of a value at the most; what is not finite stays what it is.
static void check_twins() {
  const float special[] = {__builtin_inff(), -__builtin_inff(), __builtin_nanf("1"), 3.4028235e38f};
  for (int64_t count : {int64_t(1), int64_t(2), int64_t(31), int64_t(70)}) {
    Data<float> x(count, 9);
    alignas(64) seqc::TwinRow parts[128];
    for (int64_t i = 0; i < count && i < 4; ++i)
      x[i] = count == 70 ? special[i] : x[i];
    seqc::round_row(count, x + 0, parts);
    for (int64_t i = 0; i < count; ++i) {
      const auto half = [&](seqc::Pair pair) {
        return seqc::bits_as<float>(i % 2 == 0 ? pair.bits << 16 : pair.bits & 0xffff0000u);
      };
      const float sum = half(parts[i / 2].near) + half(parts[i / 2].rest);
      const bool rounds_up = x[i] > 3.39e38f; // to infinity
      CHECK(rounds_up ? sum > x[i] || sum == x[i]
                      : same_bits(sum, x[i]) || fabsf(sum - x[i]) <= fabsf(x[i]) / 131072.0f,
            "%ld of %ld in two parts", long(i), long(count));
    }
  }
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

// Errors of sums beside the sum of the magnitudes.
struct Errors {
  double rms, most;
};

// The errors of 64 x 64 sums of K products, as `segments` of the matrices A and W make them.
template <int64_t K, class S> static Errors errors_of(const S *segments, const float *A, const float *W) {
  constexpr int64_t M = 64, N = 64;
  Data<float> found(M * N, 1);
  float *const to = found;
  seqc::product_with<float, 1, N>(0, M, segments, 1,
                                  [=](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
                                    seqc::store(to + row * N + unit, sums[0], which);
                                  });
  double squares = 0.0, most = 0.0;
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      double sum = 0.0, size = 0.0;
      for (int64_t k = 0; k < K; ++k) {
        const double term = static_cast<double>(A[m * K + k]) * static_cast<double>(W[n * K + k]);
        sum += term;
        size += fabs(term);
      }
      const double error = fabs(static_cast<double>(found[m * N + n]) - sum) / size;
      squares += error * error;
      most = fmax(most, error);
    }
  return {sqrt(squares / static_cast<double>(M * N)), most};
}

// Sums of products in parts are as good as those of multiply-adds; `print` shows both.
template <int64_t K> static void check_accuracy(bool print) {
  constexpr int64_t rows = 64;
  Data<float> A(rows * K, 3), W(rows * K, 4), pairs(seqc::pairs_bytes<3>(K, rows) / 4, 1),
      panels(seqc::packed_size<float>(K, rows), 1);
  const float *const weights[] = {W};
  seqc::pack_pair_gates<3>(pairs + 0, K, rows, weights, 1);
  seqc::pack_gates<float>(panels + 0, K, rows, weights, 1, K);
  const seqc::PairSegment<K, 1, 3> parted[] = {{{A, K, pairs + 0, K}}};
  const seqc::Segment<float> whole[] = {{A, K, panels + 0, K}};
  const Errors own = errors_of<K>(parted, A, W), other = errors_of<K>(whole, A, W);
  if (print)
    printf("sums of %ld: in parts %.1e rms, %.1e at most; multiply-adds %.1e, %.1e\n", long(K), own.rms,
           own.most, other.rms, other.most);
  CHECK(own.rms <= 3e-8 && own.most <= 3e-7, "sums of %ld: errors of %g, %g at most", long(K), own.rms,
        own.most);
}

// Runs one product for all rows, alone and together, in both orders of panels, and compares with `expected`.
template <class Run>
static void check_all(const char *what, int64_t M, int64_t width, const double *expected, const double *size,
                      Run run, double units = 8) {
  Data<float> all(M * width, 1), other(M * width, 2);
  run(0, M, all + 0, false);
  run(0, M, other + 0, true);
  const size_t bytes = static_cast<size_t>(M * width) * sizeof(float);
  CHECK(memcmp(all + 0, other + 0, bytes) == 0, "%s: descending", what);
  for (int64_t m = 0; m < M; ++m)
    run(m, m + 1, other + 0, m % 2 == 0);
  CHECK(memcmp(all + 0, other + 0, bytes) == 0, "%s: rows alone", what);
  for (int64_t i = 0; i < M * width; ++i)
    CHECK(close<float>(static_cast<double>(all[i]), expected[i], size[i], units), "%s, %ld rows of %ld: %ld",
          what, long(M), long(width), long(i));
}

// What weights are on vectors, for rows that are rounded and for others.
template <int Left> struct InPairs {
  typedef seqc::Twin type;
};
template <> struct InPairs<1> {
  typedef seqc::Pair type;
};

// Depth: of both terms at most, in whole tiles; Blocks: of units that tiles take at once; Left, Right: parts
// of each value and each weight.
template <int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right>
static void check_product(int64_t M, int64_t K) {
  const int64_t extra = 3, width = Gates * Units;
  Data<float> h(M * K, 2), x(M * extra, 3), U(width * K, 4), W(width * extra, 5);
  Data<double> expected(M * width, 6), size(M * width, 7);
  seqc::Array<const float *, Gates> gates_u, gates_w;
  for (int g = 0; g < Gates; ++g) {
    gates_u[g] = U + g * Units * K;
    gates_w[g] = W + g * Units * extra;
  }
  for (int64_t m = 0; m < M; ++m)
    for (int64_t column = 0; column < width; ++column) {
      double sum = 0, total = 0;
      for (int64_t k = 0; k < K + extra; ++k) {
        const float number = taken<Right>(k < K ? U[column * K + k] : W[column * extra + k - K]);
        const float value = taken<Left>(k < K ? h[m * K + k] : x[m * extra + k - K]);
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
    Data<float> packed_u(seqc::pairs_bytes<Right>(K, Units, Gates) / 4, 1),
        packed_w(seqc::pairs_bytes<Right>(extra, Units, Gates) / 4, 1);
    seqc::pack_pair_gates<Right>(packed_u + 0, K, Units, gates_u, Gates);
    seqc::pack_pair_gates<Right>(packed_w + 0, extra, Units, gates_w, Gates);
    const seqc::PairSegment<Depth, Blocks, Left, Right> segments[2] = {{{h, K, packed_u + 0, K}},
                                                                       {{x, extra, packed_w + 0, extra}}};
    check_all("pairs", M, width, expected + 0, size + 0, run_on(segments));
    if constexpr (Left > Right)
      for (const bool many : {false, true}) {
        const seqc::ExactSegment<Depth, Blocks> exact[2] = {{{h, K, packed_u + 0, K}, many},
                                                            {{x, extra, packed_w + 0, extra}, many}};
        if (many || M <= seqc::few_rows)
          check_all(many ? "exact, many" : "exact", M, width, expected + 0, size + 0, run_on(exact));
      }
    if constexpr (Gates == 1) { // the transposed matrix in two parts, one below the other, packs to the same
      Data<float> turned(Units * K, 1), again(seqc::pairs_bytes<Right>(K, Units) / 4, 2);
      for (int64_t k = 0; k < K; ++k)
        for (int64_t u = 0; u < Units; ++u)
          turned[k * Units + u] = U[u * K + k];
      const seqc::Rows<float> parts[2] = {{turned + 0, Units, K / 2},
                                          {turned + K / 2 * Units, Units, K - K / 2}};
      seqc::pack_pair_columns<Right>(again + 0, Units, parts, 2);
      const size_t bytes = static_cast<size_t>(seqc::pairs_bytes<Right>(K, Units));
      CHECK(memcmp(again + 0, packed_u + 0, bytes) == 0, "columns of pairs, %ld of %ld", long(Units),
            long(K));
    }
    Data<float> sums(M * width, 1), blocks(M * Gates * seqc::blocks<float>(Units) * seqc::lanes<float>, 2);
    run_on(segments)(0, M, sums + 0, false);
    const int64_t stride = Gates * seqc::blocks<float>(Units) * seqc::lanes<float>;
    seqc::product_gates<float, Gates, Units>(0, M, segments, 2, blocks + 0, stride);
    for (int64_t m = 0; m < M; ++m)
      for (int64_t u = 0; u < Units; ++u)
        for (int g = 0; g < Gates; ++g) {
          const int64_t lane = u % seqc::lanes<float>, first = u - lane;
          const float found = blocks[m * stride + first * Gates + g * seqc::lanes<float> + lane];
          CHECK(found == sums[(m * Gates + g) * Units + u], "gates side by side");
        }
  }
  if constexpr (Left == 1 && !seqc::narrow<float>(Units, Gates)) {
    const int64_t own = seqc::packed_size<float>(K, Units, Gates),
                  more = seqc::packed_size<float>(extra, Units, Gates);
    Data<float> packed_u(own, 1), packed_w(more, 1);
    seqc::pack_gates<float>(packed_u + 0, K, Units, gates_u, Gates, K);
    seqc::pack_gates<float>(packed_w + 0, extra, Units, gates_w, Gates, extra);
    seqc::round_values(own, packed_u + 0, packed_u + 0);
    seqc::round_values(more, packed_w + 0, packed_w + 0);
    const seqc::RoundedSegment<float, Depth> segments[2] = {{h, K, packed_u + 0, K},
                                                            {x, extra, packed_w + 0, extra}};
    check_all("reals", M, width, expected + 0, size + 0, run_on(segments));
  }
  if constexpr (Right == 1 && !seqc::narrow<float>(Units, Gates)) {
    typedef typename InPairs<Left>::type Element;
    const int64_t deep = seqc::terms<Element>(K), shallow = seqc::terms<Element>(extra);
    Data<float> of_u(seqc::packed_size<Element>(deep, Units, Gates), 1),
        of_w(seqc::packed_size<Element>(shallow, Units, Gates), 1);
    Element *const packed_u = reinterpret_cast<Element *>(of_u + 0), *const packed_w =
                                                                         reinterpret_cast<Element *>(of_w +
                                                                                                     0);
    seqc::pack_gates<Element>(packed_u, K, Units, gates_u, Gates, K);
    seqc::pack_gates<Element>(packed_w, extra, Units, gates_w, Gates, extra);
    const seqc::RoundedSegment<Element, Depth> segments[2] = {{h, K, packed_u, K},
                                                              {x, extra, packed_w, extra}};
    check_all("pairs on vectors", M, width, expected + 0, size + 0, run_on(segments),
              Left == 1 ? 8 : 128); // 2^-17 of each term
  }
}

// Rows written anew, some at a time, leave what packing everything leaves.
template <int Parts, bool Far, int Gates, int64_t Units> static void check_renewal(int64_t K) {
  const int64_t step = 2 * seqc::lanes<float>, height = K * Gates;
  Data<float> W(Gates * Units * K, 5), rows(seqc::pairs_bytes<Parts>(K, Units, Gates) / 4, 1),
      again(rows.count, 2), columns(seqc::pairs_bytes<Parts>(height, Units) / 4, 1), anew(columns.count, 2);
  seqc::Array<const float *, Gates> gates;
  seqc::Array<seqc::Rows<float>, Gates> sources;
  for (int g = 0; g < Gates; ++g) {
    gates[g] = W + g * Units * K;
    sources[g] = {W + g * Units * K, Units, K};
  }
  seqc::pack_pair_gates<Parts>(rows + 0, K, Units, gates, Gates);
  seqc::pack_pair_columns<Parts>(columns + 0, Units, sources, Gates);
  memcpy(anew + 0, columns + 0, static_cast<size_t>(columns.count) * 4); // zeros behind the depth stay
  for (int64_t g = 0; g < height; ++g)
    for (int64_t u = 0; u < Units; ++u)
      W[g * Units + u] += 0.25f;
  seqc::pack_pair_gates<Parts>(rows + 0, K, Units, gates, Gates);
  seqc::pack_pair_columns<Parts>(columns + 0, Units, sources, Gates);
  for (int g = 0; g < Gates; ++g) {
    for (int64_t begin = 0; begin < Units; begin += step)
      seqc::renew_pair_rows<Parts, Far>(again + 0, K, Units, Gates, g, gates[g], begin,
                                        begin + step < Units ? begin + step : Units);
    for (int64_t begin = 0; begin < K; begin += 6)
      seqc::renew_pair_columns<Parts, Far>(anew + 0, Units, height, g * K, gates[g], begin,
                                           begin + 6 < K ? begin + 6 : K);
  }
  seqc::settle();
  CHECK(memcmp(rows + 0, again + 0, static_cast<size_t>(rows.count) * 4) == 0,
        "rows of %d gates of %ld, %ld deep, written anew", Gates, long(Units), long(K));
  CHECK(memcmp(columns + 0, anew + 0, static_cast<size_t>(columns.count) * 4) == 0,
        "columns of %d x %ld, %ld wide, written anew", Gates, long(K), long(Units));
}

// With rounded numbers; and with whole ones, or whole values and rounded weights.
template <int Gates, int64_t Units, int64_t Depth = 192, int Blocks = 1>
static void check(int64_t M, int64_t K) {
  check_product<Gates, Units, Depth, Blocks, 1, 1>(M, K);
}
template <int Gates, int64_t Units, int64_t Depth = 192, int Blocks = 1>
static void check_whole(int64_t M, int64_t K) {
  check_product<Gates, Units, Depth, Blocks, 3, 3>(M, K);
  check_product<Gates, Units, Depth, Blocks, 3, 1>(M, K);
}

// Sums of outer products: by `run`, for all rows of C and for some after the others.
template <int Parts, int64_t N, class Run> static void check_outer(int64_t M, int64_t K, Run run) {
  Data<float> A(K * M, 1), B(K * N, 2), C(M * (N + 2), 3), divided(M * (N + 2), 3);
  for (int accumulate = 0; accumulate < 2; ++accumulate) {
    Data<float> before(M * (N + 2), 4);
    memcpy(before + 0, C + 0, static_cast<size_t>(M * (N + 2)) * sizeof(float));
    run(0, M, A + 0, B + 0, C + 0, accumulate != 0);
    run(0, M / 2, A + 0, B + 0, divided + 0, accumulate != 0);
    run(M / 2, M, A + 0, B + 0, divided + 0, accumulate != 0);
    for (int64_t m = 0; m < M; ++m) {
      CHECK(memcmp(C + m * (N + 2), divided + m * (N + 2), size_t(N) * 4) == 0, "outer: rows divided");
      for (int64_t n = 0; n < N; ++n) {
        double sum = 0, total = 0;
        for (int64_t k = 0; k < K; ++k) {
          const double term = static_cast<double>(taken<Parts>(A[k * M + m])) *
                              static_cast<double>(taken<Parts>(B[k * N + n]));
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

template <int64_t N> static void check_outers(int64_t M, int64_t K) {
  using seqc::Rounded;
  typedef const float *From;
  check_outer<1, N>(M, K, [&](int64_t begin, int64_t end, From a, From b, float *c, bool more) {
    seqc::outer<float, N, Rounded>(begin, end, K, a, M, b, N, c, N + 2, more);
  });
  check_outer<1, N>(M, K, [&](int64_t begin, int64_t end, From a, From b, float *c, bool more) {
    seqc::outer<float, N, seqc::Paired>(begin, end, K, a, M, b, N, c, N + 2, more);
  });
  check_outer<1, N>(M, K, [&](int64_t begin, int64_t end, From a, From b, float *c, bool more) {
    seqc::outer_tiles<1, N>(begin, end, K, a, M, b, N, c, N + 2, more);
  });
  check_outer<3, N>(M, K, [&](int64_t begin, int64_t end, From a, From b, float *c, bool more) {
    seqc::outer_tiles<3, N>(begin, end, K, a, M, b, N, c, N + 2, more);
  });
}

// Three slices of a left side with two right sides, of N and More columns, and their own sums, in two parts
// that cut a slice; then once more on top.
template <int Parts, int64_t Units, int64_t N, int64_t More> static void check_slices_of(int64_t K) {
  constexpr int64_t columns = 3 * Units;
  Data<float> A(K * columns, 1), B(K * N, 2), D(K * More, 5), C(columns * N, 3), E(columns * More, 6),
      sums(columns, 4);
  const seqc::Beside<float, 3> rights[] = {
      seqc::beside(B + 0, N, C + 0, C + Units * N, C + 2 * Units * N),
      seqc::ones(sums + 0, sums + Units, sums + 2 * Units),
      seqc::beside(D + 0, More, E + 0, E + Units * More, E + 2 * Units * More),
  };
  for (int turn = 1; turn <= 2; ++turn) {
    const int64_t cut = Units + Units / 2;
    seqc::outers_tiles<Parts, 3, Units, N, 0, More>(seqc::Range{0, cut}, K, A, columns, rights, turn > 1);
    seqc::outers_tiles<Parts, 3, Units, N, 0, More>(seqc::Range{cut, columns - cut}, K, A, columns, rights,
                                                    turn > 1);
    for (int64_t m = 0; m < columns; ++m)
      for (int64_t n = 0; n <= N + More; ++n) { // the last: ones
        const auto right = [&](int64_t k) {
          return taken<Parts>(n < N ? B[k * N + n] : D[k * More + n - N]);
        };
        double sum = 0, total = 0;
        for (int64_t k = 0; k < K; ++k) {
          const float left = A[k * columns + m];
          const double term = n == N + More
                                  ? static_cast<double>(left)
                                  : static_cast<double>(taken<Parts>(left)) * static_cast<double>(right(k));
          sum += turn * term;
          total += turn * fabs(term);
        }
        const float found = n == N + More ? sums[m] : n < N ? C[m * N + n] : E[m * More + n - N];
        CHECK(close<float>(static_cast<double>(found), sum, total, 16), "slices of %ld with %ld over %ld",
              long(Units), long(N), long(K));
      }
  }
}

template <int64_t Units, int64_t N, int64_t More> static void check_slices(int64_t K) {
  check_slices_of<1, Units, N, More>(K);
  check_slices_of<3, Units, N, More>(K);
}

// Vectors kept in bfloat16: whole ones and parts, past the caches or not, and no byte beyond.
static void check_halves() {
  const int n = seqc::lanes<float>;
  Data<float> x(n, 7);
  x[0] = HUGE_VALF;
  x[n - 1] = 0.0f;
  alignas(64) seqc::Half kept[2 * seqc::lanes<float>];
  for (int count = 1; count <= n; ++count)
    for (int far = 0; far < 2; ++far) {
      for (seqc::Half &each : kept)
        each.bits = 0x1234;
      const Vec<float> v = seqc::load(static_cast<const float *>(x + 0));
      if (count == n)
        seqc::store_late(far != 0, kept, v, seqc::Whole{});
      else
        seqc::store_late(far != 0, kept, v, seqc::Part{count});
      seqc::settle();
      const Vec<float> again = count == n
                                   ? seqc::load(static_cast<const seqc::Half *>(kept), seqc::Whole{})
                                   : seqc::load(static_cast<const seqc::Half *>(kept), seqc::Part{count});
      for (int i = 0; i < n; ++i) {
        CHECK(again[i] == (i < count ? near(x[i]) : 0.0f), "half %d of %d", i, count);
        CHECK(i >= count || static_cast<float>(kept[i]) == near(x[i]), "half %d alone", i);
        CHECK(seqc::Half(x[i]).bits == seqc::bf16_bits(x[i]), "half of %g", static_cast<double>(x[i]));
      }
      for (int i = count; i < 2 * n; ++i)
        CHECK(kept[i].bits == 0x1234, "what lies behind %d halves", count);
    }
}

// The same where the compiler knows how many: 1 … Count of them.
template <int Count> static void check_known_halves() {
  if constexpr (Count > 0) {
    Data<uint16_t> exact(Count), kept(Count);
    for (int i = 0; i < Count; ++i)
      exact[i] = seqc::Half(0.5f * static_cast<float>(i) - 1.0f).bits;
    const Vec<float> part = seqc::load(reinterpret_cast<const seqc::Half *>(exact + 0), seqc::Part{Count});
    seqc::store(reinterpret_cast<seqc::Half *>(kept + 0), part, seqc::Part{Count});
    for (int i = 0; i < seqc::lanes<float>; ++i) {
      const float expected = i < Count ? 0.5f * static_cast<float>(i) - 1.0f : 0.0f;
      CHECK(part[i] == expected, "half %d of %d loaded", i, Count);
      CHECK(i >= Count || kept[i] == exact[i], "half %d of %d stored", i, Count);
    }
    check_known_halves<Count - 1>();
  }
}

// SEQC_TEST_FEW leaves out what differs in size alone, SEQC_TEST_LEAST what another compiler or width has
// shown; with an argument the program prints errors.
int main(int count, char **) {
  check_rounding();
  check_parts();
  check_twins();
  check_accuracy<128>(count > 1);
  check_renewal<1, true, 4, 33>(70);
  check_renewal<3, false, 3, 48>(32);
#ifndef SEQC_TEST_LEAST
  check_accuracy<32>(count > 1);
  check_accuracy<512>(count > 1);
  check_accuracy<2048>(count > 1);
  check_renewal<1, false, 1, 40>(33);
  check_renewal<3, true, 2, 17>(14);
#endif
#if defined(SEQC_EMULATED_TILES) // it takes long to compile, and to run without optimisation
  for (const bool refused : {false, true}) {
    emulated::refused = refused;
    for (const int64_t M : {1, 5, 33})
      for (const int64_t K : {2, 33, 128}) {
        check<4, 33>(M, K);
        check_whole<1, 129>(M, K);
        check_whole<3, 65>(M, K);
      }
    for (const int64_t K : {0, 7, 301})
      for (const int64_t M : {1, 37, 64})
        check_outers<33>(M, K);
    check_slices<33, 64, 1>(301);
    check_slices<33, 64, 1>(0);
  }
#elif defined(SEQC_TEST_LEAST)
  for (const int64_t M : {1, 17, 70})
    for (const int64_t K : {1, 31, 128}) {
      check<4, 33>(M, K);
      check_whole<3, 65>(M, K);
      check_outers<33>(M, K);
    }
  check_slices<33, 64, 1>(33);
#elif defined(SEQC_TEST_FEW)
  for (const int64_t M : {1, 5, 17, 70})
    for (const int64_t K : {1, 31, 128}) {
      check<1, 129>(M, K);
      check<4, 33>(M, K);
      check<5, 20>(M, K);
      check_whole<3, 65>(M, K);
      check_outers<33>(M, K);
    }
  check_slices<33, 64, 1>(33);
#else
  for (const int64_t M : {1, 2, 5, 15, 17, 33, 70})
    for (const int64_t K : {1, 2, 31, 33, 128}) {
      check<1, 40>(M, K);
      check<1, 129>(M, K);
      check<2, 17>(M, K);
      check<3, 65>(M, K);
      check<4, 1>(M, K);
      check<4, 33>(M, K);
      check<5, 20>(M, K);
      check_whole<1, 129>(M, K);
      check_whole<3, 65>(M, K);
      check_whole<4, 33>(M, K);
    }
  for (const int64_t K : {0, 1, 7, 64, 301})
    for (const int64_t M : {1, 16, 37, 64}) {
      check_outers<1>(M, K);
      check_outers<16>(M, K);
      check_outers<33>(M, K);
      check_outers<129>(M, K);
    }
  for (const int64_t K : {1, 33, 301}) {
    check_slices<16, 7, 33>(K);
    check_slices<33, 64, 1>(K);
    check_slices<64, 1, 64>(K);
  }
  check<1, 1030, 640>(2, 530); // long rows of results
#endif
  check_slices<16, 500, 100>(40); // more columns than lie ready at once
  check_whole<4, 20, 640, 2>(17, 530);
  check_whole<1, 40, 640>(200, 530);  // more rows than lie ready at once: stretches of the depth
  check_whole<1, 17, 4608>(33, 4500); // rows of the whole depth would fill the stack
  check<1, 40, 2048>(200, 1999);
  check<4, 20, 640, 2>(17, 530); // rows that do not stay in the first cache, in pieces of their depth
  check<3, 48, 192, 4>(18, 33);  // several blocks of units at once
  check_halves();
  check_known_halves<seqc::lanes<float> - 1>();
  return finish_tests("bf16");
}
