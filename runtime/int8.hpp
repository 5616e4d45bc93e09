// Products with weights of 8 bits and a scale for each row, for inference. Activations are quantised row by
// row; sums of products are exact integers, so that a row gives the same bits alone and in a batch, on any
// machine.
#pragma once

#include "quant.hpp"

namespace seqc {

// int8_bytes(depth, units, gates): size of the packed form: scales, corrections, groups of four weights.
constexpr int64_t int8_bytes(int64_t depth, int64_t units, int gates = 1) {
  return vectors_of(units, gates) * lanes<float> * (8 + 4 * parts(depth, 4));
}

// pack_int8(packed, depth, units, gates, weight): a row is scaled so that its largest weight is 127. The
// correction is 128 times the sum of a row: activations are stored with 128 added.
template <class Weight>
SEQC_INLINE void pack_int8(void *packed, int64_t depth, int64_t units, int gates, Weight &&weight) {
  const int64_t quads = parts(depth, 4), columns = vectors_of(units, gates) * lanes<float>;
  float *const scales = static_cast<float *>(packed);
  int32_t *const corrections = static_cast<int32_t *>(packed) + columns;
  int8_t *const numbers = static_cast<int8_t *>(packed) + 8 * columns;
  each_low_column(quads, units, gates, [&](int64_t at, int64_t step, int64_t block, int gate) {
    for (int lane = 0; lane < lanes<float>; ++lane) {
      const int64_t unit = block * lanes<float> + lane, column = (block * gates + gate) * lanes<float> + lane;
      float largest = 0.0f;
      for (int64_t k = 0; unit < units && k < depth; ++k)
        largest = max(largest, __builtin_fabsf(weight(gate, unit, k)));
      const float scale = largest / 127.0f;
      int32_t sum = 0;
      for (int64_t k = 0; k < 4 * quads; ++k) {
        const bool real = unit < units && k < depth && scale > 0.0f;
        const float ratio = real ? weight(gate, unit, k) / scale : 0.0f;
        const auto number = static_cast<int8_t>(ratio < 0.0f ? ratio - 0.5f : ratio + 0.5f);
        numbers[((at + k / 4 * step) * lanes<float> + lane) * 4 + k % 4] = number;
        sum += number;
      }
      scales[column] = scale;
      corrections[column] = 128 * sum;
    }
  });
}

// quantise(depth, from, to): the values as round(x / scale) + 128, padded to whole groups of four; the scale.
SEQC_INLINE float quantise(int64_t depth, const float *from, uint8_t *to) {
  Vec<float> largest = {};
  sweep<float>(0, depth, [&](int64_t i, auto which) {
    const Vec<float> x = load(from + i, which);
    largest = max(largest, max(x, -x));
  });
  const float most = max_lanes(largest), factor = most > 0.0f ? 127.0f / most : most;
  constexpr float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
  sweep<float>(0, depth, [&](int64_t i, auto which) {
    const Vec<float> x = fma(load(from + i, which), broadcast(factor), broadcast(shift));
    const auto number = bits_as<Ints<float>>(x) + (128 - 0x4b400000);
    int32_t lane[lanes<float>];
    __builtin_memcpy(lane, &number, sizeof lane);
    const int valid = static_cast<int>(min(depth - i, int64_t(lanes<float>)));
    for (int k = 0; k < valid; ++k)
      to[i + k] = static_cast<uint8_t>(lane[k]);
  });
  for (int64_t k = depth; k < 4 * parts(depth, 4); ++k)
    to[k] = 128;
  return most / 127.0f;
}

// dot_four(sum, a, b): adds to each lane the products of four activations, less 128 each, with its weights.
// `raw` says that the 128 stays in, to be taken off in the end.
#if SEQC_VECTOR_BYTES == 64 && defined(__AVX512VNNI__)
constexpr bool raw = true;
SEQC_INLINE Ints<float> dot_four(Ints<float> sum, const uint8_t *a, const int8_t *b) {
  int32_t four;
  Ints<float> weights;
  __builtin_memcpy(&four, a, 4);
  __builtin_memcpy(&weights, b, sizeof weights);
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(four - Ints<float>{}), "v"(weights));
  return sum;
}
#else
constexpr bool raw = false;
SEQC_INLINE Ints<float> dot_four(Ints<float> sum, const uint8_t *a, const int8_t *b) {
  WordPairs weights;
  __builtin_memcpy(&weights, b, sizeof weights);
  const auto signed_byte = [&](int shift) { return bits_as<Ints<float>>(weights << shift) >> 24; };
  sum += signed_byte(24) * (a[0] - 128);
  sum += signed_byte(16) * (a[1] - 128);
  sum += signed_byte(8) * (a[2] - 128);
  return sum + signed_byte(0) * (a[3] - 128);
}
#endif

// Sums of one row for Width vectors of `Streams` neighbouring panels; `numbers` and `scales` are the row's.
template <int Width, int Streams, class S>
SEQC_KERNEL static void int8_tile(const S *segments, int count, int64_t columns, const uint8_t *numbers,
                                  const float *scales, int64_t first_vector, Vec<float> *out) {
  Array<Vec<float>, Width * Streams> total = {};
  for (int s = 0; s < count; ++s) {
    const int64_t quads = parts(segments[s].depth, 4), jump = quads * Width * lanes<float> * 4;
    const float *const row_scales =
        static_cast<const float *>(segments[s].packed) + first_vector * lanes<float>;
    const int32_t *const corrections =
        static_cast<const int32_t *>(segments[s].packed) + columns + first_vector * lanes<float>;
    const int8_t *b = static_cast<const int8_t *>(segments[s].packed) + 8 * columns +
                      first_vector * quads * lanes<float> * 4;
    Array<Ints<float>, Width * Streams> sum = {};
    for (int64_t k = 0; k < quads; ++k, numbers += 4, b += Width * lanes<float> * 4) {
      SEQC_UNROLL
      for (int q = 0; q < Streams; ++q) {
        SEQC_UNROLL
        for (int w = 0; w < Width; ++w)
          sum[q * Width + w] = dot_four(sum[q * Width + w], numbers, b + q * jump + w * lanes<float> * 4);
      }
    }
    SEQC_UNROLL
    for (int i = 0; i < Width * Streams; ++i) {
      Ints<float> exact = sum[i];
      if (raw) {
        Ints<float> correction;
        __builtin_memcpy(&correction, corrections + i * lanes<float>, sizeof correction);
        exact -= correction;
      }
      const Vec<float> scale = load(row_scales + i * lanes<float>) * broadcast(scales[s]);
      total[i] = fma(__builtin_convertvector(exact, Vec<float>), scale, total[i]);
    }
  }
  SEQC_UNROLL
  for (int i = 0; i < Width * Streams; ++i)
    out[i] = total[i];
}

// So many blocks, as a type.
template <int Count> struct Blocks {
  static constexpr int value = Count;
};

// The same for Height rows of one panel, which share its weights: row r has its numbers at numbers + r *
// stride and its scales at scales + 8 * r.
template <int Height, int Width, class S>
SEQC_KERNEL static void int8_rows(const S *segments, int count, int64_t columns, const uint8_t *numbers,
                                  int64_t stride, const float *scales, int64_t first_vector,
                                  Vec<float> *out) {
  Array<Vec<float>, Width * Height> total = {};
  for (int s = 0; s < count; ++s) {
    const int64_t quads = parts(segments[s].depth, 4);
    const float *const row_scales =
        static_cast<const float *>(segments[s].packed) + first_vector * lanes<float>;
    const int32_t *const corrections =
        static_cast<const int32_t *>(segments[s].packed) + columns + first_vector * lanes<float>;
    const int8_t *b = static_cast<const int8_t *>(segments[s].packed) + 8 * columns +
                      first_vector * quads * lanes<float> * 4;
    Array<Ints<float>, Width * Height> sum = {};
    for (int64_t k = 0; k < quads; ++k, numbers += 4, b += Width * lanes<float> * 4) {
      SEQC_UNROLL
      for (int r = 0; r < Height; ++r) {
        SEQC_UNROLL
        for (int w = 0; w < Width; ++w)
          sum[r * Width + w] = dot_four(sum[r * Width + w], numbers + r * stride, b + w * lanes<float> * 4);
      }
    }
    SEQC_UNROLL
    for (int w = 0; w < Width; ++w) {
      Ints<float> correction = {};
      if (raw)
        __builtin_memcpy(&correction, corrections + w * lanes<float>, sizeof correction);
      const Vec<float> scale = load(row_scales + w * lanes<float>);
      SEQC_UNROLL
      for (int r = 0; r < Height; ++r) {
        const Vec<float> exact = __builtin_convertvector(sum[r * Width + w] - correction, Vec<float>);
        total[r * Width + w] = fma(exact, scale * broadcast(scales[8 * r + s]), total[r * Width + w]);
      }
    }
  }
  SEQC_UNROLL
  for (int i = 0; i < Width * Height; ++i)
    out[i] = total[i];
}

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms. Each row of each term is quantised once, by its own largest value.
template <class R, int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const Int8Segment<Depth> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
  constexpr int wide = panel_blocks(Gates), last = static_cast<int>(blocks<float>(Units) % wide);
  constexpr int width = Gates * wide, streams = width >= 8 ? 1 : 8 / width;
  constexpr int64_t full = blocks<float>(Units) / wide, groups = full / streams;
  constexpr int64_t turns = groups + (full - groups * streams) + (last != 0 ? 1 : 0);
  constexpr int64_t columns = vectors_of(Units, Gates) * lanes<float>;
  constexpr int fitting = row_limit(width), together = fitting > 4 ? 4 : fitting; // rows that share weights
  alignas(64) uint8_t numbers[static_cast<size_t>(together * Depth)];
  Array<float, 8 * together> scales;
  const auto quantise_row = [&](int64_t row, int at) {
    uint8_t *to = numbers + at * Depth;
    for (int s = 0; s < count; ++s) {
      scales[8 * at + s] = quantise(segments[s].depth, segments[s].a + row * segments[s].stride, to);
      to += 4 * parts(segments[s].depth, 4);
    }
  };
  int64_t begun = begin;
  for (; together > 1 && begun + together <= end; begun += together) {
    for (int r = 0; r < together; ++r)
      quantise_row(begun + r, r);
    const auto panel = [&](int64_t first, auto blocks_of_it) {
      constexpr int own = decltype(blocks_of_it)::value, vectors = Gates * own;
      Array<Vec<float>, together * vectors> sums;
      int8_rows<together, vectors>(segments, count, columns, numbers, Depth, scales, first * Gates, sums);
      for (int r = 0; r < together; ++r)
        finish<float, Gates, Units>(begun + r, first, own, sums + r * vectors, epilogue);
    };
    for (int64_t i = 0; i < full; ++i)
      panel((descending ? full - 1 - i : i) * wide, Blocks<wide>{});
    if constexpr (last != 0)
      panel(full * wide, Blocks<last>{});
  }
  for (int64_t row = begun; row < end; ++row) {
    quantise_row(row, 0);
    Array<Vec<float>, streams * width> sums;
    for (int64_t i = 0; i < turns; ++i) {
      const int64_t at = descending ? turns - 1 - i : i;
      if constexpr (groups > 0)
        if (at < groups) {
          const int64_t first = at * streams * wide;
          int8_tile<width, streams>(segments, count, columns, numbers, scales, first * Gates, sums);
          finish<float, Gates, Units>(row, first, streams * wide, sums, epilogue);
          continue;
        }
      const int64_t first = (groups * streams + at - groups) * wide;
      if constexpr (last != 0)
        if (at == turns - 1) {
          int8_tile<Gates * last, 1>(segments, count, columns, numbers, scales, first * Gates, sums);
          finish<float, Gates, Units>(row, first, last, sums, epilogue);
          continue;
        }
      if constexpr (full > groups * streams) {
        int8_tile<width, 1>(segments, count, columns, numbers, scales, first * Gates, sums);
        finish<float, Gates, Units>(row, first, wide, sums, epilogue);
      }
    }
  }
}

} // namespace seqc
