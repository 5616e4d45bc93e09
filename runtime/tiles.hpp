// Products in bfloat16 on matrix tiles of 16 rows: weights in pairs, as quant.hpp packs them, are tiles as
// they lie; rows are rounded into tiles of their own. Sums of 2 x 2 tiles are under way at once.
//
// Without tiles (or where the system refuses them) the same products are done on vectors. A row gives the
// same bits alone and in a batch.
#pragma once

#include "bf16.hpp"

#if defined(SEQC_EMULATED_TILES) // the tests bring functions of their own
#define SEQC_TILES 1
#elif defined(__AMX_TILE__) && defined(__AMX_BF16__) && SEQC_VECTOR_BYTES == 64
#include <immintrin.h>
#define SEQC_TILES 1
#else
#define SEQC_TILES 0
#endif

namespace seqc {

#if SEQC_TILES

// Tiles 0 … 3 hold sums, 4 and 5 rows, 6 and 7 weights: 16 rows of 64 bytes each.
struct TileShape {
  uint8_t palette = 1, start = 0, nothing[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// tiles_allowed(): whether the system lets this process use tiles; it is asked once.
SEQC_INLINE bool tiles_allowed() {
#if defined(__linux__) && defined(__x86_64__) && !defined(SEQC_EMULATED_TILES)
  static int known = 0; // 0: not asked yet, 1: yes, 2: no; every thread finds the same
  int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (answer == 0) {
    int64_t result = 158; // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
    asm volatile("syscall" : "+a"(result) : "D"(int64_t{0x1023}), "S"(int64_t{18}) : "rcx", "r11", "memory");
    answer = result == 0 ? 1 : 2;
    __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
  }
  return answer == 1;
#else
  return true;
#endif
}

// What was stored before is in memory before a tile is loaded: compilers do not know that tiles read memory.
#define SEQC_TILE_FENCE asm volatile("" ::: "memory")

// pair_words(even, odd): lanes of two rows, rounded to bfloat16, as pairs.
SEQC_INLINE WordPairs pair_words(Vec<float> even, Vec<float> odd) {
  return (bits_as<WordPairs>(rounded(even)) >> 16) | (bits_as<WordPairs>(rounded(odd)) & 0xffff0000u);
}

// round_row(count, from, to, padded): the nearest bfloat16 of each value, zeros behind them.
SEQC_INLINE void round_row(int64_t count, const float *from, uint16_t *to, int64_t padded) {
  typedef uint16_t Halves __attribute__((vector_size(sizeof(uint16_t) * lanes<float>)));
  int64_t i = 0;
  for (; i + lanes<float> <= count; i += lanes<float>) {
    const auto half = __builtin_convertvector(bits_as<WordPairs>(rounded(load(from + i))) >> 16, Halves);
    __builtin_memcpy(to + i, &half, sizeof half);
  }
  for (; i < padded; ++i)
    to[i] = i < count ? static_cast<uint16_t>(bf16_bits(from[i])) : uint16_t{0};
}

// One term as tiles want it: `rows` are `stride` values apart and padded to whole tiles, weights are pairs.
struct TileTerm {
  const uint16_t *rows;
  const uint32_t *pairs;
  int64_t count; // pairs in depth
};

// Sums of 16 or 32 rows (Low: 32) and one or two vectors of a panel of Width, from `vector` on.
template <int Width, bool Low, bool Right>
SEQC_INLINE void tile_square(const TileTerm *terms, int count, int64_t stride, int64_t first_vector,
                             int64_t vector, float *sums) {
  constexpr int line = 64 * Width; // bytes between rows of weights, and of sums
  alignas(64) uint32_t end[2][256];
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int s = 0; s < count; ++s) {
    const uint32_t *b = terms[s].pairs + (first_vector * terms[s].count + vector) * 16;
    const uint16_t *a = terms[s].rows;
    for (int64_t p = 0; p < terms[s].count; p += 16, b += 16 * Width * 16, a += 32) {
      const uint32_t *left = b, *right = b + 16;
      int64_t step = line;
      if (terms[s].count - p < 16) { // the last pairs, with zeros behind them
        for (int64_t i = 0; i < 256; ++i) {
          const bool real = p + i / 16 < terms[s].count;
          end[0][i] = real ? b[i / 16 * 16 * Width + i % 16] : 0;
          end[1][i] = Right && real ? b[i / 16 * 16 * Width + 16 + i % 16] : 0;
        }
        left = end[0];
        right = end[1];
        step = 64;
        SEQC_TILE_FENCE;
      }
      _tile_loadd(4, a, 2 * stride);
      _tile_loadd(6, left, step);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (Right) {
        _tile_loadd(7, right, step);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (Low) {
        _tile_loadd(5, a + 16 * stride, 2 * stride);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (Right)
          _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  _tile_stored(0, sums, line);
  if constexpr (Right)
    _tile_stored(1, sums + 16, line);
  if constexpr (Low) {
    _tile_stored(2, sums + 16 * 16 * Width, line);
    if constexpr (Right)
      _tile_stored(3, sums + 16 * 16 * Width + 16, line);
  }
  SEQC_TILE_FENCE;
}

// The sums of up to 32 rows and a whole panel, handed to the epilogue block by block.
template <int Gates, int64_t Units, int Count, class Epilogue>
SEQC_INLINE void tile_panel(int64_t row, int64_t height, int64_t first, const TileTerm *terms, int count,
                            int64_t stride, Epilogue &epilogue) {
  constexpr int width = Gates * Count;
  alignas(64) Array<float, 32 * width * 16> sums;
  for (int w = 0; w < width; w += 2) {
    const bool right = w + 1 < width, low = height > 16;
    float *to = sums + w * 16;
    if (right && low)
      tile_square<width, true, true>(terms, count, stride, first * Gates, w, to);
    else if (right)
      tile_square<width, false, true>(terms, count, stride, first * Gates, w, to);
    else if (low)
      tile_square<width, true, false>(terms, count, stride, first * Gates, w, to);
    else
      tile_square<width, false, false>(terms, count, stride, first * Gates, w, to);
  }
  for (int64_t r = 0; r < height; ++r) {
    Array<Vec<float>, width> own;
    for (int w = 0; w < width; ++w)
      own[w] = load(sums + (r * width + w) * 16);
    finish<float, Gates, Units>(row + r, first, Count, own, epilogue);
  }
}

// All panels of `height` rounded rows.
template <int Gates, int64_t Units, class Epilogue>
SEQC_INLINE void tile_panels(int64_t from, int64_t height, TileTerm *terms, int count, int64_t stride,
                             Epilogue &epilogue, bool descending) {
  constexpr int wide = low_blocks(Gates), last = static_cast<int>(blocks<float>(Units) % wide);
  constexpr int64_t panels = parts(blocks<float>(Units), wide);
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t first = (descending ? panels - 1 - i : i) * wide;
    for (int64_t row = 0; row < height; row += 32) {
      TileTerm here[8];
      for (int s = 0; s < count; ++s)
        here[s] = {terms[s].rows + row * stride, terms[s].pairs, terms[s].count};
      const int64_t some = min(height - row, int64_t(32));
      if constexpr (last != 0)
        if (blocks<float>(Units) - first < wide) {
          tile_panel<Gates, Units, last>(from + row, some, first, here, count, stride, epilogue);
          continue;
        }
      if constexpr (blocks<float>(Units) >= wide)
        tile_panel<Gates, Units, wide>(from + row, some, first, here, count, stride, epilogue);
    }
  }
}

template <int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void tile_product(int64_t begin, int64_t end, const PairSegment<Depth> *segments, int count,
                              Epilogue &epilogue, bool descending) {
  constexpr int64_t together = rounded_rows(Depth) + 31, stride = Depth + 32; // 32: rows are not pages apart
  alignas(64) uint16_t rows[static_cast<size_t>(together * stride)];
  const TileShape shape;
  _tile_loadconfig(&shape);
  int64_t from = begin;
  for (int64_t part = 0; from < end; ++part) {
    const int64_t height = part_size(end - begin, rounded_rows(Depth), part);
    TileTerm terms[8];
    uint16_t *to = rows;
    for (int s = 0; s < count; ++s) {
      const int64_t depth = segments[s].depth, padded = parts(depth, 32) * 32;
      for (int64_t r = 0; r < parts(height, 16) * 16; ++r)
        round_row(r < height ? depth : 0, segments[s].a + (from + min(r, height - 1)) * segments[s].stride,
                  to + r * stride, padded);
      terms[s] = {to, static_cast<const uint32_t *>(segments[s].packed), parts(depth, 2)};
      to += padded;
    }
    SEQC_TILE_FENCE;
    tile_panels<Gates, Units>(from, height, terms, count, stride, epilogue, descending);
    from += height;
  }
  _tile_release();
}

#endif

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class R, int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const PairSegment<Depth> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
#if SEQC_TILES
  if (tiles_allowed()) {
    tile_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
    return;
  }
#endif
  pair_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
}

} // namespace seqc
