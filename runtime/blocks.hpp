// Kernels that are the same for every model up to their sizes: stacked products, gathers, scatters, sums over
// axes, moves, reversals, drawing an index. Rows are instants; each operand says how
// far apart its rows lie (0: the same for all), and what is summed (a number, or Steps of rows that end).
#pragma once

#include "beside.hpp"
#include "contract.hpp"
#include "fold.hpp"
#include "math.hpp"
#include "outer.hpp"
#include "rows.hpp"
#include "team.hpp"

namespace seqc {

// product_gates<R, Gates, Units>(begin, end, segments, count, out, stride): the sums of all gates, block by
// block.
template <class R, int Gates, int64_t Units, int64_t Depth = 0, class S>
SEQC_INLINE void product_gates(int64_t begin, int64_t end, const S *segments, int count, R *out,
                               int64_t stride, bool descending = false, const Lot &lot = {0, 0, 1}) {
  const auto store_gates = [&](int64_t row, int64_t unit, auto, const Vec<R> *sums) {
    SEQC_UNROLL
    for (int gate = 0; gate < Gates; ++gate)
      store(out + row * stride + unit * Gates + gate * lanes<R>, sums[gate]);
  };
  if constexpr (TakesLots<S>::value)
    product_with<R, Gates, Units, Depth>(begin, end, segments, count, store_gates, descending, lot);
  else
    product_with<R, Gates, Units>(begin, end, segments, count, store_gates, descending);
}

// missing<T>(): what stands where there is no value: NaN, or 0 for kinds that have none.
template <class T> inline T missing() { return T(0); }
template <> inline float missing<float>() { return __builtin_nanf(""); }
template <> inline double missing<double>() { return __builtin_nan(""); }

// real_number<T>: whether there are vectors of T.
template <class T> constexpr bool real_number = Same<T, float>::value || Same<T, double>::value;

// row_of(index, count): the row of a table that an index names, which was checked before; never one outside.
template <class I> SEQC_INLINE int64_t row_of(I index, int64_t count) {
  const auto at = static_cast<uint64_t>(static_cast<int64_t>(index));
  return at < static_cast<uint64_t>(count) ? static_cast<int64_t>(at) : 0;
}

// gather(rows, table, table_row, count, …): out = table[index] with `count` rows of `width`; NaN for no row.
template <class T, class I, class O>
SEQC_KERNEL static void gather(int64_t rows, const T *table, int64_t table_row, int64_t count, int64_t width,
                               const I *index, int64_t index_row, O *out, int64_t out_row) {
  for (int64_t row = 0; row < rows; ++row) {
    const auto at = static_cast<int64_t>(index[row * index_row]);
    const bool inside = at >= 0 && at < count;
    O *const to = out + row * out_row;
    const T *const from = table + row * table_row + (inside ? at : 0) * width;
    if constexpr (Same<T, O>::value)
      if (inside && width >= 8) {
        __builtin_memcpy(to, from, static_cast<size_t>(width) * sizeof(T));
        continue;
      }
    for (int64_t i = 0; i < width; ++i)
      to[i] = inside ? static_cast<O>(from[i]) : missing<O>();
  }
}

// scatter(rows, sums, …, count, width, part, …): out = zeros [count, width], then out[index] += value for all
// sums of a row, in order; of that the columns of `part` only. With `later` it goes on with what out holds.
template <class T, class I, class Far, class Away, class O>
SEQC_KERNEL static void scatter(int64_t rows, int64_t sums, const I *index, int64_t index_row, Far index_sum,
                                const T *value, int64_t value_row, Away value_sum, int64_t count,
                                int64_t width, Range part, O *out, int64_t out_row, bool later = false) {
  for (int64_t row = 0; row < rows; ++row) {
    O *const to = out + row * out_row;
    const bool all = part.count == width; // then its rows lie side by side
    for (int64_t k = 0; k < (later ? 0 : all ? 1 : count); ++k)
      __builtin_memset(to + k * width + part.first, 0,
                       static_cast<size_t>(all ? count * width : part.count) * sizeof(O));
    for (int64_t sum = 0; sum < sums; ++sum) {
      const auto at = static_cast<int64_t>(index[row * index_row + sum * index_sum]);
      const T *const from = value + row * value_row + sum * value_sum;
      if (at < 0 || at >= count)
        continue;
      O *const into = to + at * width;
      if constexpr (Same<T, O>::value && real_number<T>)
        sweep<T>(part.first, part.end(), [&](int64_t i, auto which) {
          store(into + i, load(static_cast<const O *>(into) + i, which) + load(from + i, which), which);
        });
      else
        for (int64_t i = part.first; i < part.end(); ++i)
          into[i] += static_cast<O>(from[i]);
    }
  }
}

// reduce<How>(rows, sums, …): over `middle` of [outer, middle, inner], and over the `sums` that belong to a
// row.
template <class How, class T, class Far, class O>
SEQC_KERNEL static void reduce(int64_t rows, int64_t sums, const T *from, int64_t from_row, Far from_sum,
                               int64_t outer, int64_t middle, int64_t inner, O *out, int64_t out_row) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        const T *const first = from + row * from_row + o * middle * inner + i;
        if constexpr (real_number<T> && !Same<How, Sum>::value)
          if (inner == 1 && sums == 1 && middle >= 8) {
            out[row * out_row + o] = static_cast<O>(folded<How>(middle, first));
            continue;
          }
        T total = middle > 0 && sums > 0 ? first[0] : T(0);
        for (int64_t s = 0; s < sums; ++s)
          for (int64_t m = s == 0 ? 1 : 0; m < middle; ++m)
            total = How::take(total, first[s * from_sum + m * inner]);
        out[row * out_row + o * inner + i] = static_cast<O>(total);
      }
}

// Adds to `total` the sums of Many neighbouring vectors in Side stretches of `count`, one beside the other;
// they are taken in one after the other. Vectors of a sum are `step` apart, and the first is number `begin`.
template <int Many, int Side, class R, class Far, class Which>
SEQC_INLINE void sum_stretches(int64_t begin, int64_t count, const R *from, Far step, Which which,
                               Array<Vec<R>, Many> &total) {
  Array<Array<Vec<R>, Many>, Side> part = {};
  for (int64_t s = 0; s < count; ++s) {
    SEQC_UNROLL
    for (int q = 0; q < Side; ++q) {
      SEQC_UNROLL
      for (int k = 0; k < Many; ++k)
        part[q][k] += load(from + (begin + q * count + s) * step + k * lanes<R>, which);
    }
  }
  SEQC_UNROLL
  for (int q = 0; q < Side; ++q) {
    SEQC_UNROLL
    for (int k = 0; k < Many; ++k)
      total[k] += part[q][k];
  }
}

// Sums of Many whole vectors at a time from `done` on, put into `out` or added to it; how far they reach.
template <int Many, class R, class Far>
SEQC_INLINE int64_t sum_columns(int64_t done, int64_t width, int64_t sums, const R *from, Far step, R *out,
                                bool later) {
  for (; done + Many * lanes<R> <= width; done += Many * lanes<R>) {
    Array<Vec<R>, Many> total = {};
    for (int64_t begin = 0; begin < sums; begin += 64)
      sum_stretches<Many, 1>(begin, min(sums - begin, int64_t(64)), from + done, step, Whole{}, total);
    SEQC_UNROLL
    for (int k = 0; k < Many; ++k) {
      R *const to = out + done + k * lanes<R>;
      store(to, later ? load(static_cast<const R *>(to)) + total[k] : total[k]);
    }
  }
  return done;
}

// sum_rows(rows, sums, …): the sum of `sums` dense vectors of `width`, for each row. Stretches of 64 are
// added up by themselves, so that single precision keeps its digits over long sequences, in an order that
// sizes alone decide. With `later` the sums are added to what out holds.
template <class R, class Far, class O>
SEQC_KERNEL static void sum_rows(int64_t rows, int64_t sums, const R *from, int64_t from_row, Far from_sum,
                                 int64_t width, O *out, int64_t out_row, bool later = false) {
  for (int64_t row = 0; row < rows; ++row, from += from_row, out += out_row) {
    int64_t done = 0;
    if constexpr (Same<O, R>::value) {
      done = sum_columns<8>(done, width, sums, from, from_sum, out, later);
      done = sum_columns<4>(done, width, sums, from, from_sum, out, later);
    }
    sweep<R>(done, width, [&](int64_t i, auto which) {
      Array<Vec<R>, 1> total = {};
      int64_t begin = 0;
      for (; begin + 256 <= sums; begin += 256)
        sum_stretches<1, 4>(begin, 64, from + i, from_sum, which, total);
      for (; begin < sums; begin += 64)
        sum_stretches<1, 1>(begin, min(sums - begin, int64_t(64)), from + i, from_sum, which, total);
      if constexpr (Same<O, R>::value) {
        store(out + i, later ? load(static_cast<const R *>(out) + i, which) + total[0] : total[0], which);
      } else {
        R lane[lanes<R>];
        store(lane, total[0]);
        for (int64_t k = 0; k < lanes<R> && i + k < width; ++k)
          out[i + k] = static_cast<O>(later ? out[i + k] + static_cast<O>(lane[k]) : static_cast<O>(lane[k]));
      }
    });
  }
}

// sum_all(rows, sums, …): the sum of `sums` times `width` values for each row: one number.
template <class R, class Far, class O>
SEQC_KERNEL static void sum_all(int64_t rows, int64_t sums, const R *from, int64_t from_row, Far from_sum,
                                int64_t width, O *out, int64_t out_row) {
  for (int64_t row = 0; row < rows; ++row) {
    double total = 0.0;
    for (int64_t s = 0; s < sums; ++s)
      total += static_cast<double>(folded<Sum>(width, from + row * from_row + s * from_sum));
    out[row * out_row] = static_cast<O>(total);
  }
}

// sum_squares(count, from, out): the sum of squares in double precision, lane by lane, in an order that
// `count` alone decides.
template <class R, class O> SEQC_KERNEL static void sum_squares(int64_t count, const R *from, O *out) {
  constexpr int narrow_lanes = lanes<double>, parts = lanes<R> / narrow_lanes;
  constexpr int64_t ahead = 8192 / static_cast<int64_t>(sizeof(R)),
                    line = 64 / static_cast<int64_t>(sizeof(R));
  typedef R Narrow __attribute__((vector_size(sizeof(R) * narrow_lanes)));
  Array<Vec<double>, 4 * parts> sum = {};
  int64_t i = 0;
  for (; i + 4 * lanes<R> <= count; i += 4 * lanes<R>) {
    for (int64_t k = 0; k < 4 * lanes<R>; k += line)
      __builtin_prefetch(from + i + ahead + k, 0, 2); // on the next pages, where nobody else looks ahead
    SEQC_UNROLL
    for (int k = 0; k < 4 * parts; ++k) {
      Narrow part;
      __builtin_memcpy(&part, from + i + k * narrow_lanes, sizeof part);
      const Vec<double> x = __builtin_convertvector(part, Vec<double>);
      sum[k] = fma(x, x, sum[k]);
    }
  }
  double total = 0.0;
  const R *const rest = from + i;
  for (int64_t k = 0; k < count % (4 * lanes<R>); ++k)
    total += static_cast<double>(rest[k]) * static_cast<double>(rest[k]);
  for (int k = 0; k < parts; ++k) {
    const Vec<double> all = (sum[k] + sum[k + parts]) + (sum[k + 2 * parts] + sum[k + 3 * parts]);
    for (int lane = 0; lane < narrow_lanes; ++lane)
      total += all[lane];
  }
  *out = static_cast<O>(total);
}

// find_largest(rows, …): the first index of the largest of `count` values, `inner` apart; NaN counts as
// largest.
template <class T, class O>
SEQC_KERNEL static void find_largest(int64_t rows, const T *from, int64_t from_row, int64_t outer,
                                     int64_t count, int64_t inner, O *out, int64_t out_row) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < inner; ++i) {
        const T *const first = from + row * from_row + o * count * inner + i;
        int64_t best = 0;
        for (int64_t k = 1; k < count; ++k) {
          const T now = first[best * inner], other = first[k * inner];
          if (now == now && (other > now || other != other))
            best = k;
        }
        out[row * out_row + o * inner + i] = static_cast<O>(best);
      }
}

// `count` stretches of `width` values, from `source` to `target`, each so many further on.
struct Run {
  int64_t source, target, width, count, source_step, target_step;
};

// copy_run(width, from, to): values that lie together, as the type that they get.
template <class T, class O> SEQC_INLINE void copy_run(int64_t width, const T *from, O *to) {
  if constexpr (Same<T, O>::value)
    if (width >= 16) {
      __builtin_memcpy(to, from, static_cast<size_t>(width) * sizeof(O));
      return;
    }
  for (int64_t i = 0; i < width; ++i)
    to[i] = static_cast<O>(from[i]);
}

// move(rows, from, from_row, out, out_row, clear, runs, count): copies stretches; clears `clear` values of
// out first. Single values, and a few to clear, go column by column: a row of them is less work than to look
// up what belongs to it.
template <class T, class O>
SEQC_KERNEL static void move(int64_t rows, const T *from, int64_t from_row, O *out, int64_t out_row,
                             int64_t clear, const Run *runs, int count) {
  bool single = clear <= 8;
  for (int r = 0; r < count; ++r)
    single = single && runs[r].count * runs[r].width == 1;
  if (single) {
    for (int64_t i = 0; i < clear; ++i)
      for (int64_t row = 0; row < rows; ++row)
        out[row * out_row + i] = O(0);
    for (int r = 0; r < count; ++r) {
      const T *const source = from + runs[r].source;
      O *const target = out + runs[r].target;
      for (int64_t row = 0; row < rows; ++row)
        target[row * out_row] = static_cast<O>(source[row * from_row]);
    }
    return;
  }
  for (int64_t row = 0; row < rows; ++row) {
    O *const to = out + row * out_row;
    if (clear > 0)
      __builtin_memset(to, 0, static_cast<size_t>(clear) * sizeof(O));
    for (int r = 0; r < count; ++r) {
      const T *source = from + row * from_row + runs[r].source;
      O *target = to + runs[r].target;
      for (int64_t k = 0; k < runs[r].count;
           ++k, source += runs[r].source_step, target += runs[r].target_step)
        copy_run(runs[r].width, source, target);
    }
  }
}

// One loop of a permutation: how often, and how far both sides move on.
struct Turn {
  int64_t count, source, target;
};

// permute(turns, count, from, out): copies along nested loops, of which the two innermost change places where
// the inner one is shorter.
template <class T> SEQC_KERNEL static void permute(const Turn *turns, int count, const T *from, T *out) {
  if (count > 2) {
    for (int64_t k = 0; k < turns->count; ++k)
      permute(turns + 1, count - 1, from + k * turns->source, out + k * turns->target);
    return;
  }
  const Turn last = turns[count - 1], before = count > 1 ? turns[0] : Turn{1, 0, 0};
  const bool turned = before.count > last.count;
  const Turn slow = turned ? last : before, quick = turned ? before : last;
  for (int64_t i = 0; i < slow.count; ++i)
    for (int64_t k = 0; k < quick.count; ++k)
      out[i * slow.target + k * quick.target] = from[i * slow.source + k * quick.source];
}

// turn(steps, batch, width, from, from_row, out, out_row, lengths): out[t] = from[T - 1 - t], or round each
// row's own length.
template <class T, class O, class I>
SEQC_KERNEL static void turn(int64_t steps, int64_t batch, int64_t width, const T *from, int64_t from_row,
                             O *out, int64_t out_row, const I *lengths) {
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t row = 0; row < batch; ++row) {
      const int64_t length = lengths ? static_cast<int64_t>(lengths[row]) : steps;
      const int64_t source = t < length ? length - 1 - t : t;
      for (int64_t i = 0; i < width; ++i)
        out[(t * batch + row) * out_row + i] = static_cast<O>(from[(source * batch + row) * from_row + i]);
    }
}

// pick_index(rows, …): an index drawn with softmax(logits / temperature) by the inverse sum of `draw`; at
// temperature 0 the largest.
template <class R, class O>
SEQC_KERNEL static void pick_index(int64_t rows, const R *logits, int64_t logits_row, int64_t count,
                                   const R *temperature, int64_t temperature_row, const R *draw,
                                   int64_t draw_row, O *out, int64_t out_row) {
  for (int64_t row = 0; row < rows; ++row) {
    const R *const z = logits + row * logits_row;
    const R heat = temperature[row * temperature_row];
    int64_t best = 0;
    for (int64_t k = 1; k < count; ++k)
      if (z[best] == z[best] && (z[k] > z[best] || z[k] != z[k]))
        best = k;
    if (heat > R(0)) {
      const R top = z[best];
      R total = R(0);
      for (int64_t k = 0; k < count; ++k)
        total += exp((z[k] - top) / heat);
      const R goal = draw[row * draw_row] * total;
      R sum = R(0);
      int64_t chosen = count - 1;
      for (int64_t k = 0; k < count; ++k) {
        sum += exp((z[k] - top) / heat);
        if (sum > goal) {
          chosen = k;
          break;
        }
      }
      best = chosen;
    }
    out[row * out_row] = static_cast<O>(best);
  }
}

} // namespace seqc
