// Answers about a whole array, in an order that its size alone decides.
#pragma once

#include "lanes.hpp"

namespace seqc {

// all_finite(count, values): no infinity and no NaN among them.
template <class R> static bool all_finite(int64_t count, const R *values) {
  Vec<R> sum = {}; // x * 0 is 0 for finite x, else NaN, and NaN stays in the sum
  sweep<R>(0, count, [&](int64_t i, auto which) { sum += load(values + i, which) * R(0); });
  return sum_lanes(sum) == R(0);
}

// sum_of_squares(count, values): in double precision, by stretches of 256 vectors, each summed by itself.
template <class R> static double sum_of_squares(int64_t count, const R *values) {
  constexpr int64_t stretch = int64_t(256) * lanes<R>;
  double total = 0.0;
  for (int64_t begin = 0; begin < count; begin += stretch) {
    Vec<R> sum[2] = {};
    sweep<R>(begin, min(begin + stretch, count), [&](int64_t i, auto which) {
      const Vec<R> x = load(values + i, which);
      Vec<R> &to = sum[(i / lanes<R>)&1];
      to = fma(x, x, to);
    });
    total += static_cast<double>(sum_lanes(sum[0])) + static_cast<double>(sum_lanes(sum[1]));
  }
  return total;
}

} // namespace seqc
