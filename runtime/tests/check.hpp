// What the C++ tests share: a counter of failures, made-up data, and comparisons that print what differs.
#pragma once

#include <initializer_list>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

inline int failures = 0;

// Prints at most a few failures of each run and counts all of them.
#define CHECK(condition, ...)                                                                                \
  do {                                                                                                       \
    if (!(condition) && ++failures <= 20) {                                                                  \
      printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                 \
      printf(__VA_ARGS__);                                                                                   \
      printf("\n");                                                                                          \
    }                                                                                                        \
  } while (0)

inline int finish_tests(const char *name) {
  printf("%s: %s\n", name, failures == 0 ? "ok" : "FAILED");
  return failures == 0 ? 0 : 1;
}

// A block of exactly `count` values on the heap, so that the address sanitizer sees any step beyond it.
template <class R> struct Data {
  R *values;
  int64_t count;

  explicit Data(int64_t n, uint32_t seed = 1) : values(nullptr), count(n) {
    values = static_cast<R *>(malloc(static_cast<size_t>(n > 0 ? n : 1) * sizeof(R)));
    uint32_t state = seed * 2654435761u + 12345u;
    for (int64_t i = 0; i < n; ++i) {
      state = state * 1664525u + 1013904223u;
      values[i] = static_cast<R>(static_cast<double>(state >> 8) / 16777216.0 - 0.5);
    }
  }
  Data(const Data &) = delete;
  Data &operator=(const Data &) = delete;
  ~Data() { free(values); }
  R *operator+(int64_t i) { return values + i; }
  R &operator[](int64_t i) { return values[i]; }
  operator R *() { return values; }
};

// Equal bits, any NaN being equal to any other.
template <class R> bool same_bits(R a, R b) { return (a != a && b != b) || memcmp(&a, &b, sizeof(R)) == 0; }

// |a - b| small beside `scale`, in units of the precision of R.
template <class R> bool close(double a, double b, double scale, double units) {
  const double unit = sizeof(R) == 4 ? 6e-8 : 1.2e-16;
  return fabs(a - b) <= units * unit * (scale + 1e-30);
}
