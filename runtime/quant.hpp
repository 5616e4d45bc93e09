// Weights of fewer bits, for inference: what all kinds share, and products with bfloat16. int8.hpp has the
// other.
//
// Sums and everything after them stay in single precision. A row gives the same bits alone and in a batch, on
// any machine that fuses multiply-adds: weights of 16 bits are widened and multiplied like any other.
#pragma once

#include "gemm.hpp"

namespace seqc {

// One term of a product: rows of `a` (`stride` apart, `depth` values each) times a matrix that pack_bf16 has
// packed (`pairs`: that lies in pairs, of so many `parts`, see pairs.hpp), or pack_int8. Depth is at least
// the depths of all terms, each rounded up to a multiple of four.
struct LowSegment {
  const float *a;
  int64_t stride;
  const void *packed;
  int64_t depth;
};
struct Bf16Segment : LowSegment {
  static constexpr bool pairs = false;
  static constexpr int parts = 1;
};
template <int Parts> struct ExactBf16Segment : LowSegment {
  static constexpr bool pairs = true;
  static constexpr int parts = Parts;
};
template <int64_t Depth> struct Int8Segment : LowSegment {};

// parts(depth, size): how many groups of `size` values hold so many.
constexpr int64_t parts(int64_t depth, int64_t size) { return (depth + size - 1) / size; }

// vectors_of(units, gates): vector columns of a packed matrix.
constexpr int64_t vectors_of(int64_t units, int gates) { return blocks<float>(units) * gates; }

// low_blocks(gates): unit blocks that share a panel of weights of few bits.
constexpr int low_blocks(int gates) { return gates >= tile_vectors ? 1 : tile_vectors / gates; }

// Calls fill(index, first, block, gate) for each vector column: group g of its lanes belongs at
// index + g * step, in vectors, with `groups` groups of k.
template <class Fill>
SEQC_INLINE void each_low_column(int64_t groups, int64_t units, int gates, Fill &&fill) {
  const int64_t count = blocks<float>(units), wide = low_blocks(gates);
  for (int64_t block = 0; block < count; ++block) {
    const int64_t first = block / wide * wide;
    const int64_t width = (count - first < wide ? count - first : wide) * gates;
    for (int gate = 0; gate < gates; ++gate)
      fill(first * gates * groups + (block - first) * gates + gate, width, block, gate);
  }
}

// ---- bfloat16

// bf16_bits(x): the 16 bits of the nearest bfloat16, ties to even; NaN stays NaN.
SEQC_INLINE uint32_t bf16_bits(float x) {
  const uint32_t bits = bits_as<uint32_t>(x);
  return x != x ? (bits >> 16) | 0x40u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// bf16_bytes(depth, units, gates): size of the packed form.
constexpr int64_t bf16_bytes(int64_t depth, int64_t units, int gates = 1) {
  return vectors_of(units, gates) * parts(depth, 2) * lanes<float> * 4;
}

// beside(x, low): the upper half for which the word, with `low` below, is nearest to x; what is not finite
// stays so. With nothing below it is the nearest bfloat16.
SEQC_INLINE uint32_t beside(float x, uint32_t low) {
  const uint32_t bits = bits_as<uint32_t>(x), sign = bits >> 31 << 15, size = bits & 0x7fffffffu;
  if (size >= 0x7f800000u || low == 0)
    return bf16_bits(x);
  if (size < low)
    return sign;
  const uint32_t down = ((size - low) & 0xffff0000u) | low, up = down + 0x10000u;
  return sign | (size - down <= up - size || up >= 0x7f800000u ? down : up) >> 16;
}

// pack_bf16(packed, depth, units, gates, weight), for Bf16Segment: weight(gate, unit, k) gives the numbers.
// Two neighbours in k share a word, the even one below, rounded to the nearest bfloat16; the odd one is read
// with its neighbour as its last bits, which saves an instruction for each vector of weights, and chosen such
// that it is no farther from the weight.
template <class Weight>
SEQC_INLINE void pack_bf16(void *packed, int64_t depth, int64_t units, int gates, Weight &&weight) {
  uint32_t *const words = static_cast<uint32_t *>(packed);
  const int64_t pairs = parts(depth, 2);
  each_low_column(pairs, units, gates, [&](int64_t at, int64_t step, int64_t block, int gate) {
    for (int64_t p = 0; p < pairs; ++p)
      for (int lane = 0; lane < lanes<float>; ++lane) {
        const int64_t unit = block * lanes<float> + lane, k = 2 * p;
        const auto value = [&](int64_t index) {
          return unit < units && index < depth ? weight(gate, unit, index) : 0.0f;
        };
        const uint32_t even = bf16_bits(value(k));
        words[(at + p * step) * lanes<float> + lane] = even | beside(value(k + 1), even) << 16;
      }
  });
}

// pair_count(depth): pairs in depth of a matrix that lies in pairs: whole tiles of 16, zeros in the last one.
constexpr int64_t pair_count(int64_t depth) { return parts(depth, 32) * 16; }

struct WithOdd {
  static constexpr bool value = true;
};
struct WithoutOdd {
  static constexpr bool value = false;
};

typedef VecOf<float>::words WordPairs;

SEQC_INLINE WordPairs load_words(const uint32_t *p) {
  WordPairs v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// Sums of Height rows x Width vectors, for `Streams` neighbouring panels (more than one: a single row).
template <int Height, int Width, int Streams, class S>
SEQC_KERNEL static void bf16_tile(const S *segments, int count, int64_t row, int64_t first_vector,
                                  Vec<float> *out) {
  Array<Array<Array<Vec<float>, Width>, Height>, Streams> sum = {};
  for (int s = 0; s < count; ++s) {
    const S segment = segments[s];
    const int64_t pairs = S::pairs ? pair_count(segment.depth) : parts(segment.depth, 2);
    constexpr int64_t part = 16 * lanes<float>; // from one part of a tile of pairs to the next
    const int64_t whole = segment.depth / 2, all = pairs * S::parts * lanes<float>;
    const int64_t column = S::pairs ? all : lanes<float>, jump = Width * all;
    const float *a = segment.a + row * segment.stride;
    const uint32_t *b = static_cast<const uint32_t *>(segment.packed) + first_vector * all;
    const auto multiply = [&](const float *row_values, auto odd_too) {
      SEQC_UNROLL
      for (int q = 0; q < Streams; ++q) {
        Array<WordPairs, Width> words;
        SEQC_UNROLL
        for (int w = 0; w < Width; ++w) {
          words[w] = load_words(b + q * jump + w * column);
          if constexpr (Height == 1) { // read once, used twice: a row alone waits for reads
            SEQC_PIN(words[w]);
          }
        }
        const auto rest = [&](int w, auto half) SEQC_INLINED { // the parts behind the first
          Vec<float> value = {};
          for (int i = S::parts - 1; i > 0; --i)
            value += half(load_words(b + q * jump + w * column + i * part));
          return value;
        };
        SEQC_UNROLL
        for (int w = 0; w < Width; ++w) {
          const auto low = [](WordPairs pair) SEQC_INLINED { return bits_as<Vec<float>>(pair << 16); };
          auto even = low(words[w]);
          if constexpr (S::parts > 1)
            even += rest(w, low);
          SEQC_UNROLL
          for (int r = 0; r < Height; ++r)
            sum[q][r][w] = fma(broadcast(row_values[r * segment.stride]), even, sum[q][r][w]);
        }
        if constexpr (decltype(odd_too)::value) {
          SEQC_UNROLL
          for (int w = 0; w < Width; ++w) {
            const auto high = [](WordPairs pair)
                                  SEQC_INLINED { return bits_as<Vec<float>>(pair & 0xffff0000u); };
            auto odd = S::pairs ? high(words[w]) : bits_as<Vec<float>>(words[w]);
            if constexpr (S::parts > 1)
              odd += rest(w, high);
            SEQC_UNROLL
            for (int r = 0; r < Height; ++r)
              sum[q][r][w] = fma(broadcast(row_values[r * segment.stride + 1]), odd, sum[q][r][w]);
          }
        }
      }
    };
    constexpr int64_t next = (S::pairs ? 1 : Width) * lanes<float>;
    for (int64_t p = 0; p < whole; ++p, a += 2, b += next) {
      multiply(a, WithOdd{});
      if (S::parts > 1 && p % 16 == 15)
        b += (S::parts - 1) * part;
    }
    if (2 * whole < segment.depth)
      multiply(a, WithoutOdd{});
  }
  SEQC_UNROLL
  for (int q = 0; q < Streams; ++q) {
    SEQC_UNROLL
    for (int r = 0; r < Height; ++r) {
      SEQC_UNROLL
      for (int w = 0; w < Width; ++w)
        out[(q * Height + r) * Width + w] = sum[q][r][w];
    }
  }
}

// Calls the tile for `height` rows, 1 … Limit.
template <int Width, int Limit, class S>
SEQC_INLINE void bf16_tile_of(int64_t height, const S *segments, int count, int64_t row, int64_t first_vector,
                              Vec<float> *out) {
  if constexpr (Limit > 1) {
    if (height < Limit) {
      bf16_tile_of<Width, Limit - 1>(height, segments, count, row, first_vector, out);
      return;
    }
  }
  bf16_tile<Limit, Width, 1>(segments, count, row, first_vector, out);
}

// All rows of one panel that holds Count blocks.
template <int Gates, int64_t Units, int Count, bool Single, class S, class Epilogue>
SEQC_INLINE void bf16_panel(int64_t begin, int64_t end, int64_t first, const S *segments, int count,
                            Epilogue &epilogue) {
  constexpr int width = Gates * Count;
  constexpr int limit =
      Single ? 1 : row_limit(width + 1); // a vector of widened weights stands beside the sums
  Array<Vec<float>, limit * width> sums;
  int64_t row = begin;
  for (int64_t i = 0; row < end; ++i) {
    const int64_t height = part_size(end - begin, limit, i);
    bf16_tile_of<width, limit>(height, segments, count, row, first * Gates, sums);
    for (int64_t r = 0; r < height; ++r)
      finish<float, Gates, Units>(row + r, first, Count, sums + r * width, epilogue);
    row += height;
  }
}

// low_streams(width, panels): how many panels a row alone takes at once. Two additions to each sum follow
// each other, so that it takes twice as many sums as gemm.hpp to keep the multipliers busy.
constexpr int low_streams(int width, int64_t panels) {
  constexpr int busy = SEQC_VECTOR_REGISTERS == 32 ? 16 : 8;
  const int most = 4 * width <= busy ? 4 : 2 * width <= busy ? 2 : 1;
  return most == 4 && panels % 4 != 0 && panels < 12 ? 2 : most;
}

// All panels, several at once for a single row. Single: row by row and panel by panel, which is compiled
// sooner, for libraries that hardly come to it.
template <int Gates, int64_t Units, bool Single = false, class S, class Epilogue>
SEQC_INLINE void bf16_product(int64_t begin, int64_t end, const S *segments, int count, Epilogue &epilogue,
                              bool descending) {
  constexpr int wide = low_blocks(Gates), last = static_cast<int>(blocks<float>(Units) % wide);
  constexpr int64_t panels = parts(blocks<float>(Units), wide), full = blocks<float>(Units) / wide;
  constexpr int width = Gates * wide, streams = Single ? 1 : low_streams(width, full);
  const int64_t group = end - begin == 1 ? streams : 1;
  for (int64_t i = 0; i < panels;) {
    const bool several = group > 1 && i + group <= full;
    const int64_t taken = several ? group : 1;
    const int64_t panel = descending ? panels - i - taken : i;
    i += taken;
    if constexpr (streams > 1 && full >= streams) {
      if (several && panel + taken <= full) {
        Array<Vec<float>, streams * width> sums;
        bf16_tile<1, width, streams>(segments, count, begin, panel * width, sums);
        finish<float, Gates, Units>(begin, panel * wide, streams * wide, sums, epilogue);
        continue;
      }
    }
    for (int64_t each = panel; each < panel + taken; ++each) {
      if constexpr (last != 0)
        if (each == panels - 1) {
          bf16_panel<Gates, Units, last, Single>(begin, end, each * wide, segments, count, epilogue);
          continue;
        }
      if constexpr (full > 0)
        bf16_panel<Gates, Units, wide, Single>(begin, end, each * wide, segments, count, epilogue);
    }
  }
}

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp.
template <class R, int Gates, int64_t Units, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const Bf16Segment *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
  bf16_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
}

} // namespace seqc
