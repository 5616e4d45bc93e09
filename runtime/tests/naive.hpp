// The plain form of every product and sum, in double precision: what the fast forms are held against.
#pragma once

#include <stdint.h>

namespace naive {

// sum over k of a[k * a_step] * b[k * b_step], and the sum of magnitudes, which bounds the rounding.
struct Sum {
  double value, size;
};
template <class R> Sum dot(int64_t depth, const R *a, int64_t a_step, const R *b, int64_t b_step) {
  Sum sum = {0.0, 0.0};
  for (int64_t k = 0; k < depth; ++k) {
    const double term = static_cast<double>(a[k * a_step]) * static_cast<double>(b[k * b_step]);
    sum.value += term;
    sum.size += term < 0 ? -term : term;
  }
  return sum;
}

} // namespace naive
