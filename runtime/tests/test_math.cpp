// Sweeps every function over bit patterns of all magnitudes, measures the error in ulp against the C library
// in double precision, and demands equal bits from the scalar and the vector form.
#include "check.hpp"

#include "../math.hpp"

using seqc::lanes;
using seqc::Vec;

static double ulp_of(double reference) {
  int exponent = 0;
  frexp(reference, &exponent);
  return ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
}

// The error of y in ulp; special values must be met exactly. Results that underflow may be 0.
static double error_in_ulp(float y, double reference) {
  if (reference != reference)
    return y != y ? 0.0 : 1e9;
  if (fabs(reference) >= 3.4028235677973366e38)
    return static_cast<double>(y) == (reference > 0 ? HUGE_VAL : -HUGE_VAL) ? 0.0 : 1e9;
  if (y != y || fabsf(y) == HUGE_VALF)
    return 1e9;
  const double difference = fabs(static_cast<double>(y) - reference);
  return fabs(reference) < 1.1754943508222875e-38 && difference <= 1.1754943508222875e-38
             ? 0.0
             : difference / ulp_of(reference);
}

template <class Scalar, class Vector, class Exact>
static void sweep_single(const char *name, int64_t points, double limit, Scalar scalar, Vector vector,
                         Exact exact) {
  const uint32_t stride = static_cast<uint32_t>((uint64_t(1) << 32) / static_cast<uint64_t>(points)) | 1u;
  uint32_t bits = 0;
  double worst = 0.0;
  float worst_at = 0.0f;
  for (int64_t i = 0; i < points; i += lanes<float>) {
    float x[lanes<float>], y[lanes<float>];
    for (int lane = 0; lane < lanes<float>; ++lane, bits += stride)
      memcpy(x + lane, &bits, sizeof bits);
    seqc::store(y, vector(seqc::load(static_cast<const float *>(x))));
    for (int lane = 0; lane < lanes<float>; ++lane) {
      const float alone = scalar(x[lane]);
      CHECK(same_bits(alone, y[lane]), "%s(%a) is %a alone and %a in a vector", name,
            static_cast<double>(x[lane]), static_cast<double>(alone), static_cast<double>(y[lane]));
      const double error = error_in_ulp(y[lane], exact(static_cast<double>(x[lane])));
      if (error > worst) {
        worst = error;
        worst_at = x[lane];
      }
    }
  }
  printf("%-9s %8.3f ulp at %a\n", name, worst, static_cast<double>(worst_at));
  CHECK(worst <= limit, "%s: %g ulp at %a, allowed %g", name, worst, static_cast<double>(worst_at), limit);
}

template <class Vector, class Scalar, class Exact>
static void sweep_double(const char *name, Vector vector, Scalar scalar, Exact exact) {
  for (int i = -4000; i <= 4000; ++i) {
    const double x = (i + 0.5) * 0.0137, y = scalar(x), truth = exact(x);
    const Vec<double> v = vector(seqc::broadcast(x));
    CHECK(same_bits(y, v[lanes<double> - 1]), "%s(%a) in double", name, x);
    CHECK(truth != truth ? y != y : close<double>(y, truth, fabs(truth), 8), "%s(%a) = %a not %a", name, x, y,
          truth);
  }
}

static double exact_sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double exact_softplus(double x) { return (x > 0 || x != x ? x : 0.0) + log1p(exp(-fabs(x))); }
static double exact_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

#define SWEEP(name, limit, exact)                                                                            \
  sweep_single(                                                                                              \
      #name, points, limit, [](float x) { return seqc::name(x); },                                           \
      [](Vec<float> x) { return seqc::name(x); }, [](double x) { return static_cast<double>(exact(x)); });   \
  sweep_double(                                                                                              \
      #name, [](Vec<double> x) { return seqc::name(x); }, [](double x) { return seqc::name(x); },            \
      [](double x) { return static_cast<double>(exact(x)); })

static void check_special_values() {
  const float inf = HUGE_VALF, nan = nanf("");
  CHECK(seqc::tanh(inf) == 1.0f && seqc::tanh(-inf) == -1.0f, "tanh at infinity");
  CHECK(seqc::sigmoid(inf) == 1.0f && seqc::sigmoid(-inf) == 0.0f, "sigmoid at infinity");
  CHECK(seqc::exp(-inf) == 0.0f && seqc::exp(inf) == inf, "exp at infinity");
  CHECK(seqc::log(0.0f) == -inf && seqc::log(inf) == inf, "log at its ends");
  CHECK(seqc::expm1(-inf) == -1.0f && seqc::log1p(-1.0f) == -inf, "expm1 and log1p at their ends");
  CHECK(same_bits(seqc::tanh(-0.0f), -0.0f) && same_bits(seqc::expm1(-0.0f), -0.0f), "signed zeros");
  CHECK(same_bits(seqc::min(nan, 1.0f), nan) && same_bits(seqc::max(1.0f, nan), nan), "NaN in min and max");
  CHECK(seqc::pow(2.0f, 10.0f) == 1024.0f && seqc::pow(seqc::broadcast(3.0f), 2.0f)[0] == 9.0f, "pow");
  for (float x = -12.0f; x < 12.0f; x += 0.00371f)
    CHECK(seqc::tanh(x) == -seqc::tanh(-x), "tanh is odd at %g", static_cast<double>(x));
  CHECK(same_bits(seqc::sin(-0.0f), -0.0f) && same_bits(seqc::atan(-0.0f), -0.0f), "signed zeros of angles");
  CHECK(same_bits(seqc::erf(-0.0f), -0.0f) && seqc::erf(inf) == 1.0f && seqc::erf(-inf) == -1.0f, "erf");
  const float turned = seqc::sin(inf);
  CHECK(turned != turned && seqc::atan(inf) == 1.57079637f, "angles at infinity");
  CHECK(seqc::divide_floor(-7, 2) == -4 && seqc::modulo_floor(-7, 2) == 1, "floor division");
  CHECK(seqc::divide_floor(7, -2) == -4 && seqc::modulo_floor(7, -2) == -1, "floor division");
  CHECK(seqc::divide_floor(7, 0) == 0 && seqc::modulo_floor(7, 0) == 0, "division by 0");
  CHECK(seqc::divide_floor(INT64_MIN, -1) == INT64_MIN && seqc::modulo_floor(INT64_MIN, -1) == 0, "wraps");
}

// The short forms: bounded errors, saturated values, equal bits for scalars and vectors.
static void check_quick(int64_t points) {
  const uint32_t step = static_cast<uint32_t>(seqc::max(int64_t(1), (int64_t(1) << 32) / points)) | 1u;
  uint32_t bits = 0;
  for (int64_t i = 0; i < points; ++i, bits += step) {
    const float x = seqc::bits_as<float>(bits);
    const double wide = static_cast<double>(x);
    const float tangent = seqc::quick_tanh(x), gate = seqc::quick_sigmoid(x);
    if (x != x) {
      CHECK(tangent != tangent && gate != gate, "NaN through the short forms");
      continue;
    }
    CHECK(fabs(static_cast<double>(tangent) - tanh(wide)) <= 2.2e-7, "quick_tanh(%g)", wide);
    CHECK(fabs(static_cast<double>(gate) - exact_sigmoid(wide)) <= 1.3e-7, "quick_sigmoid(%g)", wide);
    CHECK(fabsf(tangent) <= 1.0f && gate >= 0.0f && gate <= 1.0f, "range of the short forms at %g", wide);
    const Vec<float> all = seqc::broadcast(x);
    CHECK(same_bits(seqc::quick_tanh(all)[0], tangent) && same_bits(seqc::quick_sigmoid(all)[0], gate),
          "lanes of the short forms at %g", wide);
  }
}

// The forms for bfloat16: the same with wider bounds, and exact where they are saturated.
static void check_coarse(int64_t points) {
  const uint32_t step = static_cast<uint32_t>(seqc::max(int64_t(1), (int64_t(1) << 32) / points)) | 1u;
  uint32_t bits = 0;
  for (int64_t i = 0; i < points; ++i, bits += step) {
    const float x = seqc::bits_as<float>(bits);
    const double wide = static_cast<double>(x);
    const float tangent = seqc::coarse_tanh(x), gate = seqc::coarse_sigmoid(x);
    if (x != x) {
      CHECK(tangent != tangent && gate != gate, "NaN through the coarse forms");
      continue;
    }
    CHECK(fabs(static_cast<double>(tangent) - tanh(wide)) <= 2.4e-5, "coarse_tanh(%g)", wide);
    CHECK(fabs(static_cast<double>(gate) - exact_sigmoid(wide)) <= 1.2e-5, "coarse_sigmoid(%g)", wide);
    CHECK(fabsf(tangent) <= 1.0f && gate >= 0.0f && gate <= 1.0f, "range of the coarse forms at %g", wide);
    CHECK(same_bits(seqc::coarse_tanh(-x), -tangent), "coarse_tanh is odd at %g", wide);
    const Vec<float> all = seqc::broadcast(x);
    CHECK(same_bits(seqc::coarse_tanh(all)[0], tangent) && same_bits(seqc::coarse_sigmoid(all)[0], gate),
          "lanes of the coarse forms at %g", wide);
  }
  CHECK(seqc::coarse_tanh(HUGE_VALF) == 1.0f && seqc::coarse_sigmoid(HUGE_VALF) == 1.0f &&
            (SEQC_PICKS == 0 || seqc::coarse_sigmoid(-HUGE_VALF) == 0.0f) &&
            same_bits(seqc::coarse_tanh(-0.0f), -0.0f) && seqc::coarse_sigmoid(0.0f) == 0.5f,
        "ends of the coarse forms");
}

// Parts of a vector whose size the compiler knows, 1 … Count lanes: no byte beyond is read or written.
template <class R, int Count> static void check_known_parts() {
  if constexpr (Count > 0) {
    Data<R> exact(Count), kept(Count);
    Data<R> longer(lanes<R>);
    for (int i = 0; i < Count; ++i)
      exact[i] = R(i + 1);
    const Vec<R> part = seqc::load(static_cast<const R *>(exact), seqc::Part{Count});
    for (int i = 0; i < lanes<R>; ++i) {
      CHECK(part[i] == (i < Count ? exact[i] : R(0)), "lane %d of %d loaded", i, Count);
      longer[i] = R(-1);
    }
    const Vec<R> full = part + R(1);
    seqc::store(kept + 0, full, seqc::Part{Count});
    seqc::store(longer + 0, full, seqc::Part{Count});
    for (int i = 0; i < lanes<R>; ++i) {
      CHECK(i >= Count || kept[i] == R(i + 2), "lane %d of %d stored", i, Count);
      CHECK(longer[i] == (i < Count ? R(i + 2) : R(-1)), "lane %d behind %d", i, Count);
    }
    check_known_parts<R, Count - 1>();
  }
}

static void check_vector_basics() {
  float x[lanes<float>];
  for (int i = 0; i < lanes<float>; ++i)
    x[i] = static_cast<float>(i + 1);
  const Vec<float> v = seqc::load(static_cast<const float *>(x));
  const int n = lanes<float>;
  CHECK(seqc::sum_lanes(v) == static_cast<float>(n * (n + 1) / 2), "sum of lanes");
  CHECK(seqc::max_lanes(v) == static_cast<float>(n) && seqc::min_lanes(v) == 1.0f, "extremes of lanes");
  for (int count = 1; count < n; ++count) {
    Data<float> exact(count);
    const Vec<float> part = seqc::load(static_cast<const float *>(exact), seqc::Part{count});
    for (int i = 0; i < n; ++i)
      CHECK(part[i] == (i < count ? exact[i] : 0.0f), "partial load");
    seqc::store(exact + 0, v, seqc::Part{count});
    CHECK(exact[count - 1] == static_cast<float>(count), "partial store");
    const Vec<float> kept = seqc::keep(v, seqc::Part{count}, -1.0f);
    CHECK(seqc::min_lanes(kept) == -1.0f && kept[count - 1] == static_cast<float>(count), "keep");
  }
  float far[3 * lanes<float>] = {};
  seqc::store_lanes(far, 3, v, seqc::Whole{});
  CHECK(seqc::load_lanes(static_cast<const float *>(far), 3, seqc::Whole{})[n - 1] == v[n - 1], "strided");
  for (int count = 1; count < n; ++count) {
    Data<float> exact(3 * count - 2);
    seqc::store_lanes(exact + 0, 3, v, seqc::Part{count});
    const Vec<float> part = seqc::load_lanes(static_cast<const float *>(exact), 3, seqc::Part{count});
    for (int i = 0; i < n; ++i)
      CHECK(part[i] == (i < count ? v[i] : 0.0f), "part of a column");
  }
  const seqc::Mask<float> low = seqc::less(v, 2.0f);
  CHECK(seqc::any(low) && !seqc::any(seqc::less(v, 0.5f)), "any");
  CHECK(seqc::select(low, 5.0f, v)[0] == 5.0f && seqc::select(seqc::opposite(low), 5.0f, v)[0] == 1.0f,
        "select");
  CHECK(seqc::number<float>(seqc::both(low, true))[0] == 1.0f &&
            seqc::number<float>(seqc::both(low, false))[0] == 0.0f,
        "masks as numbers");
  CHECK(seqc::select(true, v, v + 1.0f)[0] == 1.0f && seqc::number<float>(true) == 1.0f, "scalar conditions");
}

int main(int count, char **arguments) {
  const int64_t points = int64_t(1) << (count > 1 ? atoi(arguments[1]) : 18);
  check_special_values();
  check_vector_basics();
  check_known_parts<float, lanes<float> - 1>();
  check_known_parts<double, lanes<double> - 1>();
  check_quick(points);
  check_coarse(points);
  SWEEP(exp, 1.5, exp);
  SWEEP(log, 1.5, log);
  SWEEP(log1p, 3.0, log1p);
  SWEEP(expm1, 2.5, expm1);
  SWEEP(tanh, 4.0, tanh);
  SWEEP(sigmoid, 4.0, exact_sigmoid);
  SWEEP(softplus, 3.5, exact_softplus);
  SWEEP(floor, 0.0, floor);
  SWEEP(sqrt, 0.5001, sqrt);
  SWEEP(magnitude, 0.0, fabs);
  SWEEP(sign, 0.0, exact_sign);
  SWEEP(sin, 2.5, sin);
  SWEEP(cos, 2.5, cos);
  SWEEP(tan, SEQC_FUSED ? 4.0 : 5.0, tan);
  SWEEP(atan, 1.5, atan);
  SWEEP(erf, 1.5, erf);
  return finish_tests("math");
}
