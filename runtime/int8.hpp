// Weights of 8 bits with a scale for each row, for inference, and their products on vectors. Activations are
// quantised row by row; sums of products are exact integers, so that a row gives the same bits alone and in a
// batch, on any machine.
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
  Ints<float> largest = {}; // bits of sizes are in the order of sizes, and those of NaN above all
  sweep<float>(0, depth, [&](int64_t i, auto which) {
    const auto size = bits_as<Ints<float>>(load(from + i, which)) & 0x7fffffff;
    largest = size > largest ? size : largest;
  });
  const float most = max_lanes(bits_as<Vec<float>>(largest)), factor = most > 0.0f ? 127.0f / most : most;
  typedef uint8_t Bytes __attribute__((vector_size(lanes<float>)));
  constexpr float shift = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
  sweep<float>(0, depth, [&](int64_t i, auto which) {
    const Vec<float> x = fma(load(from + i, which), broadcast(factor), broadcast(shift));
    const auto number = __builtin_convertvector(bits_as<Ints<float>>(x) + (128 - 0x4b400000), Bytes);
    if constexpr (Same<decltype(which), Whole>::value)
      __builtin_memcpy(to + i, &number, sizeof number);
    else
      __builtin_memcpy(to + i, &number, static_cast<size_t>(which.count));
  });
  for (int64_t k = depth; k < 4 * parts(depth, 4); ++k)
    to[k] = 128;
  return most / 127.0f;
}

// add_dots(sum, factors, weights): adds to each lane the products of its four bytes. `raw` says that factors
// are as they are stored, with the 128, which is taken off in the end.
#if defined(__AVX512VNNI__) && (SEQC_VECTOR_BYTES == 64 || (SEQC_VECTOR_BYTES == 32 && defined(__AVX512VL__)))
#define SEQC_DOT_BYTES "vpdpbusd"
#elif defined(__AVXVNNI__) && SEQC_VECTOR_BYTES == 32
#define SEQC_DOT_BYTES "%{vex%} vpdpbusd"
#endif
#if defined(SEQC_DOT_BYTES)
constexpr bool raw = true;
SEQC_INLINE Ints<float> add_dots(Ints<float> sum, Ints<float> factors, Ints<float> weights) {
  asm(SEQC_DOT_BYTES " %2, %1, %0" : "+v"(sum) : "v"(factors), "v"(weights));
  return sum;
}
#elif SEQC_VECTOR_BYTES == 16 && defined(__ARM_FEATURE_DOTPROD)
constexpr bool raw = false;
SEQC_INLINE Ints<float> add_dots(Ints<float> sum, Ints<float> factors, Ints<float> weights) {
  asm("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(factors), "w"(weights));
  return sum;
}
#elif SEQC_VECTOR_BYTES == 32 && defined(__AVX2__)
// Two products fit 16 bits, as no factor is larger than 127: sizes of weights times activations with their
// signs.
constexpr bool raw = false;
SEQC_INLINE Ints<float> add_dots(Ints<float> sum, Ints<float> factors, Ints<float> weights) {
  Ints<float> sizes, turned, pairs, quads;
  SEQC_PIN(weights);
  asm("vpabsb %1, %0" : "=x"(sizes) : "x"(weights));
  asm("vpsignb %2, %1, %0" : "=x"(turned) : "x"(factors), "x"(weights));
  asm("vpmaddubsw %2, %1, %0" : "=x"(pairs) : "x"(sizes), "x"(turned));
  asm("vpmaddwd %2, %1, %0" : "=x"(quads) : "x"(pairs), "x"(0x00010001 - Ints<float>{}));
  return sum + quads;
}
#else
constexpr bool raw = false;
SEQC_INLINE Ints<float> add_dots(Ints<float> sum, Ints<float> factors, Ints<float> weights) {
  const auto signed_byte = [](Ints<float> bytes, int shift) {
    return bits_as<Ints<float>>(bits_as<WordPairs>(bytes) << shift) >> 24;
  };
  SEQC_UNROLL
  for (int shift = 24; shift >= 0; shift -= 8)
    sum += signed_byte(weights, shift) * signed_byte(factors, shift);
  return sum;
}
#endif

// dot_four(sum, a, b): adds to each lane the products of four activations, less 128 each, with its weights.
SEQC_INLINE Ints<float> dot_four(Ints<float> sum, const uint8_t *a, const int8_t *b) {
  uint32_t four;
  Ints<float> weights;
  __builtin_memcpy(&four, a, 4);
  __builtin_memcpy(&weights, b, sizeof weights);
  return add_dots(sum, static_cast<int32_t>(raw ? four : four ^ 0x80808080u) - Ints<float>{}, weights);
}

// Sums of Height rows for Width vectors of `Streams` neighbouring panels (more than one: a single row). Row r
// has its numbers at numbers + r * stride and its scales at scales + 8 * r.
template <int Height, int Width, int Streams, class S>
SEQC_KERNEL static void int8_tile(const S *segments, int count, int64_t columns, const uint8_t *numbers,
                                  int64_t stride, const float *scales, int64_t first_vector,
                                  Vec<float> *out) {
  Array<Array<Vec<float>, Width>, Streams * Height> total = {};
  for (int s = 0; s < count; ++s) {
    const int64_t quads = parts(segments[s].depth, 4), jump = quads * Width * lanes<float> * 4;
    const float *const row_scales =
        static_cast<const float *>(segments[s].packed) + first_vector * lanes<float>;
    const int32_t *const corrections =
        static_cast<const int32_t *>(segments[s].packed) + columns + first_vector * lanes<float>;
    const int8_t *b = static_cast<const int8_t *>(segments[s].packed) + 8 * columns +
                      first_vector * quads * lanes<float> * 4;
    Array<Array<Ints<float>, Width>, Streams * Height> sum = {};
    for (int64_t k = 0; k < quads; ++k, numbers += 4, b += Width * lanes<float> * 4) {
      SEQC_UNROLL
      for (int i = 0; i < Streams * Height; ++i) {
        SEQC_UNROLL
        for (int w = 0; w < Width; ++w)
          sum[i][w] = dot_four(sum[i][w], numbers + i % Height * stride,
                               b + i / Height * jump + w * lanes<float> * 4);
      }
    }
    SEQC_UNROLL
    for (int i = 0; i < Streams * Height; ++i) {
      SEQC_UNROLL
      for (int w = 0; w < Width; ++w) {
        const int at = (i / Height * Width + w) * lanes<float>;
        Ints<float> correction = {};
        if (raw)
          __builtin_memcpy(&correction, corrections + at, sizeof correction);
        const Vec<float> scale = load(row_scales + at) * broadcast(scales[i % Height * 8 + s]);
        const Vec<float> exact = __builtin_convertvector(sum[i][w] - correction, Vec<float>);
        total[i][w] = fma(exact, scale, total[i][w]);
      }
    }
  }
  SEQC_UNROLL
  for (int i = 0; i < Streams * Height; ++i) {
    SEQC_UNROLL
    for (int w = 0; w < Width; ++w)
      out[i * Width + w] = total[i][w];
  }
}

// Calls the tile for `height` rows, 1 … Limit.
template <int Width, int Limit, class S>
SEQC_INLINE void int8_tile_of(int64_t height, const S *segments, int count, int64_t columns,
                              const uint8_t *numbers, int64_t stride, const float *scales,
                              int64_t first_vector, Vec<float> *out) {
  if constexpr (Limit > 1) {
    if (height < Limit) {
      int8_tile_of<Width, Limit - 1>(height, segments, count, columns, numbers, stride, scales, first_vector,
                                     out);
      return;
    }
  }
  int8_tile<Limit, Width, 1>(segments, count, columns, numbers, stride, scales, first_vector, out);
}

// All rows of one panel that holds Count blocks; `numbers` and `scales` begin with those of row `begin`.
template <int Gates, int64_t Units, int Count, int64_t Depth, class Epilogue>
SEQC_INLINE void int8_panel(int64_t begin, int64_t end, int64_t first, const Int8Segment<Depth> *segments,
                            int count, const uint8_t *numbers, const float *scales, Epilogue &epilogue) {
  constexpr int width = Gates * Count, limit = row_limit(width);
  constexpr int64_t columns = vectors_of(Units, Gates) * lanes<float>;
  Array<Vec<float>, limit * width> sums;
  int64_t row = begin;
  for (int64_t i = 0; row < end; ++i) {
    const int64_t height = part_size(end - begin, limit, i), at = row - begin;
    int8_tile_of<width, limit>(height, segments, count, columns, numbers + at * Depth, Depth, scales + 8 * at,
                               first * Gates, sums);
    for (int64_t r = 0; r < height; ++r)
      finish<float, Gates, Units>(row + r, first, Count, sums + r * width, epilogue);
    row += height;
  }
}

// product_with(…) of tiles8.hpp on vectors. Each row of each term is quantised once, by its own largest
// value; some rows at a time, and all panels pass over them.
template <int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void int8_product(int64_t begin, int64_t end, const Int8Segment<Depth> *segments, int count,
                              Epilogue &epilogue, bool descending) {
  constexpr int wide = low_blocks(Gates), last = static_cast<int>(blocks<float>(Units) % wide);
  constexpr int width = Gates * wide, streams = width >= 8 ? 1 : 8 / width;
  constexpr int64_t panels = parts(blocks<float>(Units), wide), full = blocks<float>(Units) / wide;
  constexpr int64_t columns = vectors_of(Units, Gates) * lanes<float>;
  constexpr int64_t together = Depth > 4096 ? 8 : Depth > 512 ? 32768 / Depth : 64;
  alignas(64) uint8_t numbers[static_cast<size_t>(together * Depth)];
  Array<float, 8 * static_cast<int>(together)> scales;
  int64_t from = begin;
  for (int64_t part = 0; from < end; ++part) {
    const int64_t to = from + part_size(end - begin, together, part);
    for (int64_t row = from; row < to; ++row) {
      uint8_t *number = numbers + (row - from) * Depth;
      for (int s = 0; s < count; ++s) {
        const float *const values = segments[s].a + row * segments[s].stride;
        scales[8 * (row - from) + s] = quantise(segments[s].depth, values, number);
        number += 4 * parts(segments[s].depth, 4);
      }
    }
    const int64_t group = end - begin == 1 ? streams : 1;
    for (int64_t i = 0; i < panels;) {
      const int64_t taken = i + group <= full ? group : 1;
      const int64_t panel = descending ? panels - i - taken : i;
      i += taken;
      if constexpr (streams > 1 && full >= streams)
        if (taken > 1 && panel + taken <= full) {
          Array<Vec<float>, streams * width> sums;
          int8_tile<1, width, streams>(segments, count, columns, numbers, Depth, scales, panel * width, sums);
          finish<float, Gates, Units>(from, panel * wide, streams * wide, sums, epilogue);
          continue;
        }
      for (int64_t each = panel; each < panel + taken; ++each) {
        if constexpr (last != 0)
          if (each == panels - 1) {
            int8_panel<Gates, Units, last>(from, to, each * wide, segments, count, numbers, scales, epilogue);
            continue;
          }
        if constexpr (full > 0)
          int8_panel<Gates, Units, wide>(from, to, each * wide, segments, count, numbers, scales, epilogue);
      }
    }
    from = to;
  }
}

} // namespace seqc
