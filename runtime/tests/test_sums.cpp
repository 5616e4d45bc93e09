// Sums and checks over whole arrays, rows sorted by their lengths, random numbers against known answers of
// the generator, and the guard.
#include "check.hpp"
#include "naive.hpp"

#include "../alive.hpp"
#include "../fold.hpp"
#include "../guard.hpp"
#include "../random.hpp"
#include "../reduce.hpp"

#include <fenv.h>

using seqc::lanes;
using seqc::Vec;

template <class R> static void check_sums(int64_t n) {
  Data<R> x(n, static_cast<uint32_t>(n));
  const naive::Sum squares = naive::dot<R>(n, x + 0, 1, x + 0, 1);
  CHECK(close<R>(seqc::sum_of_squares<R>(n, x), squares.value, squares.size, 16), "sum of %ld squares",
        long(n));
  CHECK(seqc::all_finite<R>(n, x), "%ld finite values", long(n));
  for (const double bad : {HUGE_VAL, -HUGE_VAL, nan("")})
    if (n > 0) {
      x[n - 1] = static_cast<R>(bad);
      CHECK(!seqc::all_finite<R>(n, x), "the last of %ld is not finite", long(n));
    }
}

// Sums and extremes of a row, one element by its number, and a row of zeros but for one.
template <class R> static void check_folds(int64_t n) {
  Data<R> x(n, static_cast<uint32_t>(n) + 1), one(n, 2);
  double largest = static_cast<double>(x[0]), smallest = largest;
  naive::Sum sum = {};
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<double>(x[i]);
    largest = value > largest ? value : largest;
    smallest = value < smallest ? value : smallest;
    sum.value += value;
    sum.size += fabs(value);
  }
  const R *const row = x;
  CHECK(close<R>(static_cast<double>(seqc::folded<seqc::Sum>(n, row)), sum.value, sum.size, 16), "sum of %ld",
        long(n));
  CHECK(static_cast<double>(seqc::folded<seqc::Largest>(n, row)) == largest, "largest of %ld", long(n));
  CHECK(static_cast<double>(seqc::folded<seqc::Smallest>(n, row)) == smallest, "smallest of %ld", long(n));
  for (int64_t at = -1; at <= n; ++at) {
    const R found = seqc::picked(row, n, at);
    CHECK(at >= 0 && at < n ? found == x[at] : found != found, "pick %ld of %ld", long(at), long(n));
    seqc::sweep<R>(0, n, [&](int64_t i, auto which) { store(one + i, seqc::spot<R>(i, at, R(3)), which); });
    for (int64_t i = 0; i < n; ++i)
      CHECK(one[i] == (i == at ? R(3) : R(0)), "spot %ld of %ld at %ld", long(at), long(n), long(i));
  }
  x[n - 1] = static_cast<R>(nan(""));
  CHECK(seqc::folded<seqc::Largest>(n, row) != seqc::folded<seqc::Largest>(n, row), "largest with NaN");
}

static bool equal_words(seqc::Words a, uint32_t w, uint32_t x, uint32_t y, uint32_t z) {
  return a.word[0] == w && a.word[1] == x && a.word[2] == y && a.word[3] == z;
}

// Two answers published with the generator.
static void check_generator() {
  const uint32_t ones = 0xffffffffu;
  CHECK(equal_words(seqc::philox({{0, 0, 0, 0}}, 0, 0), 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u),
        "philox of zeros");
  CHECK(equal_words(seqc::philox({{ones, ones, ones, ones}}, ones, ones), 0x408f276du, 0x41c83b0eu,
                    0xa20bc7c6u, 0x6d5451fdu),
        "philox of ones");
}

template <class R> static void check_lanes_of_draws() {
  const int64_t started[2] = {7, -1};
  const seqc::DrawKey key = {11, 12, started, 13, 14};
  double sum = 0.0;
  for (int64_t element = 0; element < 4096; ++element) {
    const Vec<R> many = seqc::draw<R>(key, 3, 1, element, seqc::Whole{});
    for (int lane = 0; lane < lanes<R>; ++lane)
      CHECK(many[lane] == seqc::draw<R>(key, 3, 1, element + lane), "lane %d of element %ld", lane,
            long(element));
    CHECK(many[0] >= R(0) && many[0] < R(1), "range of draws");
    sum += static_cast<double>(many[0]);
  }
  CHECK(fabs(sum / 4096 - 0.5) < 0.02, "mean of draws %g", sum / 4096);
}

static void check_guard() {
  volatile float tiny = 1e-38f;
  {
    const seqc::FlushToZero flush;
    volatile float small = tiny * 0.01f;
#if defined(__SSE__) || defined(__aarch64__)
    CHECK(small == 0.0f, "subnormal numbers are flushed");
#endif
  }
  volatile float small = tiny * 0.01f;
  CHECK(small != 0.0f, "the mode is restored");
}

// A caller that rounds upwards and stops at what is not a number, as some hosts of plugins do.
static void check_guard_of_another_mode() {
#if defined(__GLIBC__) && (defined(__SSE__) || defined(__aarch64__))
  volatile float zero = 0.0f, one = 1.0f, three = 3.0f;
  const float third = one / three;
  fesetround(FE_UPWARD);
  const int before = feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW);
  {
    const seqc::FlushToZero flush;
    volatile float none = zero / zero, end = one / zero, again = one / three;
    CHECK(none != none && end > 1.0f && again == third,
          "nothing traps, and numbers are rounded to the nearest");
  }
  CHECK(fegetround() == FE_UPWARD, "the mode of rounding is restored");
  if (before >= 0)
    fedisableexcept(FE_ALL_EXCEPT);
  fesetround(FE_TONEAREST);
#endif
}

// With arguments: seed call site step row, then how many elements: prints 24-bit draws for the numpy twin.
static int print_draws(char **arguments) {
  long long number[6];
  for (int i = 0; i < 6; ++i)
    number[i] = atoll(arguments[i + 1]);
  const seqc::Stream from =
      seqc::stream(static_cast<uint64_t>(number[0]), static_cast<uint64_t>(number[1]), number[2]);
  for (long long element = 0; element < number[5]; ++element)
    printf("%.0f\n", seqc::draw_one<double>(from, number[3], number[4], element) * 16777216.0);
  return 0;
}

// Rows sorted by their lengths: places of all cells, stretches, shares, and clearing behind the ends.
static void check_lengths(int64_t steps, const int32_t *given, int64_t batch) {
  Data<int64_t> start(steps + 1);
  Data<int32_t> order(batch), lengths(batch), out(steps * batch * 2);
  seqc::sort_rows(given, steps, batch, start, order, lengths);
  const seqc::Alive alive = {start, order, lengths, steps, batch};
  int64_t cells = 0;
  for (int64_t t = 0; t < steps; ++t) {
    CHECK(start[t] == cells, "step %ld begins at %ld", long(t), long(start[t]));
    for (int64_t row = 0; row < batch; ++row)
      cells += given[row] > t;
  }
  CHECK(alive.total() == cells, "%ld cells", long(cells));
  for (int64_t row = 0; row < batch; ++row) {
    CHECK(lengths[row] == given[order[row]], "length of row %ld", long(row));
    const bool sorted = row == 0 || lengths[row - 1] > lengths[row] ||
                        (lengths[row - 1] == lengths[row] && order[row - 1] < order[row]);
    CHECK(sorted, "row %ld comes too early", long(row));
    const int64_t many = alive.neighbours(row, batch);
    for (int64_t k = 0; k < many; ++k)
      CHECK(order[row + k] == order[row] + k, "neighbours of row %ld", long(row));
  }
  for (int64_t from = 0, to = 0; from < steps; from = to) {
    to = alive.ahead(from, 5);
    CHECK(to > from && to <= steps, "a stretch ends at %ld", long(to));
    CHECK(to == from + 1 || alive.cells(from, to - from) <= 5, "a stretch from %ld is long", long(from));
  }
  for (int64_t from = steps, to = steps; to > 0; to = from) {
    from = alive.behind(to, 5);
    CHECK(from >= 0 && from < to, "a stretch begins at %ld", long(from));
  }
  for (int64_t members = 1; members <= 4; ++members) {
    int64_t next = 0;
    for (int64_t member = 0; member < members; ++member) {
      const seqc::Range part = alive.share({nullptr, member, members});
      CHECK(part.first == next && part.count >= 0, "member %ld of %ld", long(member), long(members));
      next = part.end();
    }
    CHECK(next == batch, "%ld members take %ld rows", long(members), long(next));
  }
  for (int64_t i = 0; i < steps * batch * 2; ++i)
    out[i] = 7;
  seqc::clear_ended<int32_t>(alive, 0, batch, out, 2);
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t row = 0; row < batch; ++row)
      CHECK(out[(t * batch + row) * 2 + 1] == (t < given[row] ? 7 : 0), "step %ld of row %ld", long(t),
            long(row));
}

static void check_alive() {
  const int32_t mixed[] = {5, 0, 7, 1, 7, 3, 2, 2, 6, 0}, full[] = {4, 4, 4}, none[] = {0, 0}, one[] = {3};
  check_lengths(7, mixed, 10);
  check_lengths(4, full, 3);
  check_lengths(9, full, 3);
  check_lengths(2, none, 2);
  check_lengths(3, one, 1);
}

int main(int count, char **arguments) {
  if (count == 7)
    return print_draws(arguments);
  for (const int64_t n : {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129, 5000, 9001}) {
    check_sums<float>(n);
    check_sums<double>(n);
    if (n > 0 && n <= 129) {
      check_folds<float>(n);
      check_folds<double>(n);
    }
  }
  check_generator();
  check_lanes_of_draws<float>();
  check_lanes_of_draws<double>();
  check_guard();
  check_guard_of_another_mode();
  check_alive();
  return finish_tests("sums");
}
