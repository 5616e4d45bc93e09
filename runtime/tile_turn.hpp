// Both sides of a weight gradient on their way to matrix tiles, for tile_outer.hpp: columns of one are turned
// to rows, rows of the other are put in pairs; each number is rounded, or divided into three parts.
#pragma once

#include "tile_step.hpp"

namespace seqc {

#if SEQC_TILES

// Rows and columns of C whose sums are under way at once; the most steps of k that pass over them before the
// next ones; the most columns of C that lie ready meanwhile.
constexpr int64_t tile_side = 32, tile_depth = 256;
constexpr int64_t tile_ready(int parts) { return parts == 1 ? 512 : 256; }

// tile_steps(depth): steps of k up to whole tiles.
constexpr int64_t tile_steps(int64_t depth) { return parts(depth, 32) * 32; }

// tile_row(k, depth, valid, from, stride): 16 columns of row k, zeros where there is nothing.
SEQC_INLINE Vec<float> tile_row(int64_t k, int64_t depth, int64_t valid, const float *from, int64_t stride) {
  if (k >= depth || valid <= 0)
    return Vec<float>{};
  return valid >= 16 ? load(from + k * stride) : load_part(from + k * stride, static_cast<int>(valid));
}

// turn_sixteen(square): rows become columns.
SEQC_INLINE void turn_sixteen(Vec<float> (&square)[16]) {
#if defined(__clang__)
  Vec<float> turned[16];
  for (int i = 0; i < 16; ++i)
    for (int p = 0; p < 16; ++p)
      turned[i][p] = square[p][i];
  for (int i = 0; i < 16; ++i)
    square[i] = turned[i];
#else
  turn_square<float, 8>(square);
#endif
}

// turned_stride: words from row to row of turned columns; rows are not half a page apart.
constexpr int64_t turned_stride = tile_depth / 2 + 16;

// Columns of A, 32 at most, on their way to rows of tiles, two steps of k in a word: done in small pieces, so
// that tiles may be at work in between. Their sums, not rounded, come along.
template <int Parts> struct Turning {
  static constexpr int64_t line = turned_stride, plane = tile_side * line;
  static constexpr int stages = Parts == 1 ? 1 : 6;
  int64_t depth = 0, count = 0;
  const float *from = nullptr;
  int64_t stride = 0;
  uint32_t *to = nullptr;
  float *total = nullptr;       // [32]
  Vec<float> *square = nullptr; // [2][16]: what is turned, before it is divided into parts
  int64_t k = 0, m = 0;
  int stage = 0;

  int64_t pieces() const { return parts(depth, 32) * parts(count, 16) * stages; }

  // Calls put(p, even, odd) for pairs p of steps of k, first … first + Pairs, of sixteen columns; adds them
  // up.
  template <int Pairs, class Put> SEQC_INLINED void take(int first, Put &&put) {
    Vec<float> sums[2] = {load(static_cast<const float *>(total) + m), {}};
    const float *const at = from + m;
    const auto one = [&](int p, Vec<float> even, Vec<float> odd) SEQC_INLINED {
      sums[0] += even;
      sums[1] += odd;
      put(p, even, odd);
    };
    const int64_t begin = k + 2 * first;
    if (begin + 2 * Pairs <= depth && m + 16 <= count) {
      SEQC_UNROLL
      for (int p = 0; p < Pairs; ++p)
        one(p, load(at + (begin + 2 * p) * stride), load(at + (begin + 2 * p + 1) * stride));
    } else {
      for (int p = 0; p < Pairs; ++p)
        one(p, tile_row(begin + 2 * p, depth, count - m, at, stride),
            tile_row(begin + 2 * p + 1, depth, count - m, at, stride));
    }
    store(total + m, sums[0] + sums[1]);
  }

  // Sixteen columns and 32 steps of k: rounded pairs are turned.
  SEQC_INLINED void rounded_piece() {
    Vec<float> own[16];
    take<16>(0, [&](int p, Vec<float> even, Vec<float> odd)
                    SEQC_INLINED { own[p] = bits_as<Vec<float>>(pair_words(even, odd)); });
    turn_sixteen(own);
    uint32_t *const first = to + m * line + k / 2;
    SEQC_UNROLL
    for (int i = 0; i < 16; ++i)
      __builtin_memcpy(first + i * line, &own[i], sizeof own[i]);
  }

  // The same in six stages: 16 steps of k are turned, 16 more, and what was turned is divided into parts,
  // four columns at a time.
  SEQC_INLINED void parted_piece() {
    if (stage < 2) {
      Vec<float> *const own = square + 16 * stage;
      Vec<float> some[16];
      take<8>(8 * stage, [&](int p, Vec<float> even, Vec<float> odd) SEQC_INLINED {
        some[2 * p] = even;
        some[2 * p + 1] = odd;
      });
      turn_sixteen(some);
      SEQC_UNROLL
      for (int i = 0; i < 16; ++i)
        own[i] = some[i];
    } else {
      const int64_t own = 4 * (stage - 2);
      uint32_t *const first = to + (m + own) * line + k / 2;
      SEQC_UNROLL
      for (int i = 0; i < 4; ++i) {
        const Parted<Parts> low = parted<Parts>(square[own + i]), high = parted<Parts>(square[16 + own + i]);
        SEQC_UNROLL
        for (int part = 0; part < Parts; ++part) {
          const WordPairs words = round_two(low.part[part], high.part[part]);
          __builtin_memcpy(first + part * plane + i * line, &words, sizeof words);
        }
      }
    }
  }

  SEQC_KERNEL void piece() {
    if constexpr (Parts == 1)
      rounded_piece();
    else
      parted_piece();
    if (++stage < stages)
      return;
    stage = 0;
    m += 16;
    if (m >= count) {
      m = 0;
      k += 32;
    }
  }
};

// pair_rows<Parts>(depth, count, from, stride, to): `count` columns of `depth` rows of B, two rows in a word,
// in panels of 32 columns, part by part.
template <int Parts>
SEQC_INLINE void pair_rows(int64_t depth, int64_t count, const float *from, int64_t stride, uint32_t *to) {
  const int64_t steps = tile_steps(depth), whole = count / 16 * 16;
  const auto put = [&](int64_t k, int64_t n, Vec<float> even, Vec<float> odd) SEQC_INLINED {
    const Parted<Parts> low = parted<Parts>(even), high = parted<Parts>(odd);
    SEQC_UNROLL
    for (int i = 0; i < Parts; ++i) {
      const WordPairs words = pair_words(low.part[i], high.part[i]);
      __builtin_memcpy(to + ((n / tile_side * Parts + i) * steps + k) * (tile_side / 2) + n % tile_side,
                       &words, sizeof words);
    }
  };
  int64_t k = 0;
  for (; k + 2 <= depth; k += 2) {
    const float *const row = from + k * stride;
    for (int64_t n = 0; n < whole; n += 16)
      put(k, n, load(row + n), load(row + stride + n));
    if (whole < count)
      put(k, whole, load_part(row + whole, static_cast<int>(count - whole)),
          load_part(row + stride + whole, static_cast<int>(count - whole)));
  }
  for (; k < steps; k += 2)
    for (int64_t n = 0; n < count; n += 16)
      put(k, n, tile_row(k, depth, count - n, from + n, stride), Vec<float>{});
}

#endif

} // namespace seqc
