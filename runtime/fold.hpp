// Answers about the units of one row, and loops that give them: sums and extremes taken in while a loop runs,
// one element by its number, one-hot rows. All in an order that the size of the row alone decides.
#pragma once

#include "pack.hpp"

namespace seqc {

// Ways to reduce: what stands for no value at all, and how one more is taken in.
struct Sum {
  template <class R> static constexpr R none() { return R(0); }
  template <class T> static T take(T a, T b) { return a + b; }
  template <class V> static auto lanes_of(V v) { return sum_lanes(v); }
};
struct Largest {
  template <class R> static constexpr R none() { return -static_cast<R>(__builtin_inf()); }
  template <class T> static T take(T a, T b) { return max(a, b); }
  template <class V> static auto lanes_of(V v) { return max_lanes(v); }
};
struct Smallest {
  template <class R> static constexpr R none() { return static_cast<R>(__builtin_inf()); }
  template <class T> static T take(T a, T b) { return min(a, b); }
  template <class V> static auto lanes_of(V v) { return min_lanes(v); }
};

// Which of four accumulators takes a vector in, known at compile time.
template <int Number> struct Slot {
  static constexpr int value = Number;
};

// sweep_in_turn<R>(count, body): as sweep from 0 on, with body(i, which, slot): whole vectors take turns, so
// that four accumulators are under way; the rest has the last one.
template <class R, class Body> SEQC_INLINE void sweep_in_turn(int64_t count, Body &&body) {
  int64_t i = 0;
  for (; i + 4 * lanes<R> <= count; i += 4 * lanes<R>) {
    body(i, Whole{}, Slot<0>{});
    body(i + lanes<R>, Whole{}, Slot<1>{});
    body(i + 2 * lanes<R>, Whole{}, Slot<2>{});
    body(i + 3 * lanes<R>, Whole{}, Slot<3>{});
  }
  if (i + lanes<R> <= count) {
    body(i, Whole{}, Slot<0>{});
    i += lanes<R>;
  }
  if (i + lanes<R> <= count) {
    body(i, Whole{}, Slot<1>{});
    i += lanes<R>;
  }
  if (i + lanes<R> <= count) {
    body(i, Whole{}, Slot<2>{});
    i += lanes<R>;
  }
  if (i < count)
    body(i, Part{static_cast<int>(count - i)}, Slot<3>{});
}

// Folded<How, R>: the sum, largest or smallest of the elements of a row.
//   Folded<Sum, float> sum;
//   sweep_in_turn<float>(n, [&](int64_t i, auto which, auto slot) { sum.take(load(x + i, which), which,
//   slot); }); const float total = sum.result();
template <class How, class R> struct Folded {
  Vec<R> part0 = broadcast(How::template none<R>()), part1 = part0, part2 = part0, part3 = part0;

  template <class Which, class Now> SEQC_INLINED inline void take(Vec<R> v, Which which, Now) {
    const Vec<R> kept = keep(v, which, How::template none<R>());
    if constexpr (Now::value == 0)
      part0 = How::take(part0, kept);
    else if constexpr (Now::value == 1)
      part1 = How::take(part1, kept);
    else if constexpr (Now::value == 2)
      part2 = How::take(part2, kept);
    else
      part3 = How::take(part3, kept);
  }
  SEQC_INLINED inline R result() const {
    return How::lanes_of(How::take(How::take(part0, part1), How::take(part2, part3)));
  }
};

// folded_across<How>(part): the same of rows in the lanes, whose elements are the vectors `part`; the order
// is that of `Folded`.
template <class How, class V, size_t Count> SEQC_INLINE V folded_across(V (&part)[Count]) {
  constexpr size_t whole = Count <= 1 ? 1 : Count <= 2 ? 2 : Count <= 4 ? 4 : 8;
  static_assert(Count <= 8, "rows of more elements fill vectors");
  SEQC_UNROLL
  for (size_t half = whole / 2; half > 0; half /= 2) {
    SEQC_UNROLL
    for (size_t i = 0; i < half; ++i) {
      if (i + half < Count)
        part[i] = How::take(part[i], part[i + half]);
    }
  }
  return part[0];
}

// folded<How>(count, from): of `count` values that lie side by side.
template <class How, class R> SEQC_INLINE R folded(int64_t count, const R *from) {
  Folded<How, R> all;
  sweep_in_turn<R>(count, [&](int64_t i, auto which, auto slot)
                              SEQC_INLINED { all.take(load(from + i, which), which, slot); });
  return all.result();
}

// picked(from, count, index): one element by its number; NaN where there is none.
template <class R> SEQC_INLINE R picked(const R *from, int64_t count, int64_t index) {
  return index >= 0 && index < count ? from[index] : static_cast<R>(__builtin_nan(""));
}

// spot(i, index, value): the elements from i on of a row that is `value` at number `index` and 0 elsewhere.
template <class R> SEQC_INLINE Vec<R> spot(int64_t i, int64_t index, R value) {
  const int64_t lane = index - i;
  const bool here = lane >= 0 && lane < lanes<R>;
  if constexpr (lanes<R> == 1)
    return broadcast(here ? value : R(0));
  else
    return select(lane_numbers<R>() == (here ? static_cast<int>(lane) : -1), value, R(0));
}

} // namespace seqc
