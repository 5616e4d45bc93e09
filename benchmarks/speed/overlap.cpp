/* One row of an LSTM of UNITS units whose weights no first-level cache holds: could the products of later
   steps' inputs hide behind the loads of the loop? Each is written here as well as we can, for one size.

   Writes four times in microseconds a step, medians by turns: the inputs of STRETCH steps multiplied at once;
   the loop that reads all recurrent weights at every step; a loop of these loads alone; and a loop that does
   both, a few rows of inputs of the next stretch with each panel of recurrent weights, multiply-add for
   multiply-add. */
#include "math.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace seqc;

namespace {

constexpr int wide = lanes<float>, width = 4, together_rows = 4;
constexpr int64_t units = UNITS, panels = units / wide, panel = width * wide, steps = 96, stretch = 32;
constexpr int64_t row = panels * panel;
typedef Vec<float> Sums[width];

struct Arrays {
  float *recurrent, *given, *x, *sums, *h, *c; // sums: of this stretch and of the next
};

float *array(int64_t count) {
  void *found = nullptr;
  if (posix_memalign(&found, 4096, static_cast<size_t>(count) * sizeof(float)))
    abort();
  float *const to = static_cast<float *>(found);
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<float>(rand() % 2001 - 1000) * 1e-4f;
  return to;
}

// Sums of Rows rows and one panel, from and to memory.
template <int Rows> SEQC_INLINE void take(const float *from, Sums (&sum)[Rows]) {
  SEQC_UNROLL
  for (int i = 0; i < Rows * width; ++i)
    sum[i / width][i % width] = load(from + i / width * row + i % width * wide);
}
template <int Rows> SEQC_INLINE void put(float *to, const Sums (&sum)[Rows]) {
  SEQC_UNROLL
  for (int i = 0; i < Rows * width; ++i)
    store(to + i / width * row + i % width * wide, sum[i / width][i % width]);
}

// One vector column after another of a row of weights, in registers.
SEQC_INLINE void fetch(const float *w, Sums &column) {
  SEQC_UNROLL
  for (int v = 0; v < width; ++v) {
    column[v] = load(w + v * wide);
    SEQC_PIN(column[v]);
  }
}

// Rows rows of x times one panel of weights.
template <int Rows> SEQC_INLINE void tile(const float *w, const float *x, float *to) {
  Sums sum[Rows] = {};
  for (int64_t k = 0; k < units; ++k, w += panel) {
    Sums column;
    fetch(w, column);
    SEQC_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const Vec<float> factor = broadcast(x[r * units + k]);
      SEQC_UNROLL
      for (int v = 0; v < width; ++v)
        sum[r][v] = fma(factor, column[v], sum[r][v]);
    }
  }
  put(to, sum);
}

SEQC_KERNEL void inputs(const Arrays &on, const float *x, float *to) {
  for (int64_t p = 0; p < panels; ++p) {
    int64_t r = 0;
    for (; r + 6 <= stretch; r += 6)
      tile<6>(on.given + p * units * panel, x + r * units, to + r * row + p * panel);
    for (; r < stretch; ++r)
      tile<1>(on.given + p * units * panel, x + r * units, to + r * row + p * panel);
  }
}

// Two stretches of k, so that eight sums are under way.
SEQC_INLINE void weigh(const float *u, const float *h, Vec<float> (&sum)[width]) {
  Sums other = {};
  for (int64_t k = 0; k < units; k += 2, u += 2 * panel) {
    SEQC_UNROLL
    for (int v = 0; v < width; ++v) {
      sum[v] = fma(broadcast(h[k]), load(u + v * wide), sum[v]);
      other[v] = fma(broadcast(h[k + 1]), load(u + panel + v * wide), other[v]);
    }
  }
  SEQC_UNROLL
  for (int v = 0; v < width; ++v)
    sum[v] += other[v];
}

// The same beside together_rows rows of inputs, over as many k as make equally many multiply-adds.
SEQC_INLINE void weigh_both(const float *u, const float *h, Vec<float> (&sum)[width], const float *w,
                            const float *x, float *to, bool add) {
  Sums other = {}, mine[together_rows] = {};
  if (add)
    take(to, mine);
  for (int64_t k = 0; k < units / together_rows;
       ++k, w += panel, u += together_rows * panel, h += together_rows) {
    Sums column;
    fetch(w, column);
    SEQC_UNROLL
    for (int r = 0; r < together_rows; ++r) {
      const Vec<float> theirs = broadcast(h[r]), factor = broadcast(x[r * units + k]);
      Vec<float> *const to_sum = r % 2 ? other : sum;
      SEQC_UNROLL
      for (int v = 0; v < width; ++v) {
        to_sum[v] = fma(theirs, load(u + r * panel + v * wide), to_sum[v]);
        mine[r][v] = fma(factor, column[v], mine[r][v]);
      }
    }
  }
  put(to, mine);
  SEQC_UNROLL
  for (int v = 0; v < width; ++v)
    sum[v] += other[v];
}

SEQC_INLINE void equations(const Vec<float> *sum, float *c, float *h) {
  const Vec<float> kept = quick_sigmoid(sum[0]) * load(c) + quick_sigmoid(sum[1]) * quick_tanh(sum[2]);
  store(c, kept);
  store(h, quick_sigmoid(sum[3]) * quick_tanh(kept));
}

SEQC_INLINE int64_t turned(int64_t t, int64_t p) { return t % 2 ? panels - 1 - p : p; }

SEQC_INLINE void first_sums(const float *from, Vec<float> (&sum)[width]) {
  SEQC_UNROLL
  for (int v = 0; v < width; ++v)
    sum[v] = load(from + v * wide);
}

SEQC_KERNEL void loop(const Arrays &on, const float *given) {
  for (int64_t t = 0; t < stretch; ++t) {
    for (int64_t i = 0; i < panels; ++i) {
      const int64_t p = turned(t, i);
      Sums sum;
      first_sums(given + t * row + p * panel, sum);
      weigh(on.recurrent + p * units * panel, on.h + t % 2 * units, sum);
      equations(sum, on.c + p * wide, on.h + (t + 1) % 2 * units + p * wide);
    }
  }
}

SEQC_KERNEL void together(const Arrays &on, const float *given, const float *x, float *to) {
  constexpr int64_t groups = stretch / together_rows, depth = units / together_rows;
  int64_t part = 0;
  for (int64_t t = 0; t < stretch; ++t) {
    for (int64_t i = 0; i < panels; ++i, ++part) {
      const int64_t p = turned(t, i), r = part % groups * together_rows;
      const int64_t piece = part / groups % together_rows, other = part / groups / together_rows;
      Sums sum;
      first_sums(given + t * row + p * panel, sum);
      weigh_both(on.recurrent + p * units * panel, on.h + t % 2 * units, sum,
                 on.given + (other * units + piece * depth) * panel, x + r * units + piece * depth,
                 to + r * row + other * panel, piece > 0);
      equations(sum, on.c + p * wide, on.h + (t + 1) % 2 * units + p * wide);
    }
  }
}

SEQC_KERNEL float loads(const Arrays &on, int64_t first) {
  constexpr int64_t many = 8 * wide, all = row * units;
  Vec<float> sum[8] = {};
  for (int64_t t = first; t < first + stretch; ++t) {
    for (int64_t i = 0; i < all; i += many) {
      const float *const from = on.recurrent + (t % 2 ? all - many - i : i);
      SEQC_UNROLL
      for (int j = 0; j < 8; ++j)
        sum[j] += load(from + j * wide);
    }
  }
  return sum_lanes(((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])));
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> &times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2] / steps * 1e6;
}

} // namespace

int main(int, char **words) {
  const Arrays on = {array(row * units),       array(row * units), array((steps + stretch) * units),
                     array(2 * stretch * row), array(2 * units),   array(units)};
  std::vector<double> times[4];
  double check = 0;
  for (const double end = now() + atof(words[1]); now() < end;) {
    const double start = now();
    for (int64_t s = 0; s < steps; s += stretch)
      inputs(on, on.x + s * units, on.sums);
    const double looped = now();
    for (int64_t s = 0; s < steps; s += stretch)
      loop(on, on.sums);
    const double loaded = now();
    for (int64_t s = 0; s < steps; s += stretch)
      check += static_cast<double>(loads(on, s));
    const double both = now();
    for (int64_t s = 0; s < steps; s += stretch)
      together(on, on.sums + s / stretch % 2 * stretch * row, on.x + (s + stretch) * units,
               on.sums + (s / stretch + 1) % 2 * stretch * row);
    const double stop = now();
    const double parts[] = {looped - start, loaded - looped, both - loaded, stop - both};
    for (int i = 0; i < 4; ++i)
      times[i].push_back(parts[i]);
    check += static_cast<double>(on.h[0]);
  }
  printf("%.9g %.9g %.9g %.9g %.9g\n", median(times[0]), median(times[1]), median(times[2]), median(times[3]),
         check);
}
