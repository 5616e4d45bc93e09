// The plain form of every product and sum, in extended precision: what the fast forms are held against.
#pragma once

#include <stdint.h>

namespace naive {

// sum over k of a[k * a_step] * b[k * b_step], and the sum of magnitudes, which bounds the rounding.
struct Sum {
  double value, size;
};
template <class R> Sum dot(int64_t depth, const R *a, int64_t a_step, const R *b, int64_t b_step) {
  long double value = 0.0L, size = 0.0L;
  for (int64_t k = 0; k < depth; ++k) {
    const long double term =
        static_cast<long double>(a[k * a_step]) * static_cast<long double>(b[k * b_step]);
    value += term;
    size += term < 0 ? -term : term;
  }
  return {static_cast<double>(value), static_cast<double>(size)};
}

} // namespace naive
