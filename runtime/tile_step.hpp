// What all sums on matrix tiles are made of: a row as bfloat16 numbers, or in three parts of them, and one
// step of 32 terms for two by two tiles of sums.
#pragma once

#include "pairs.hpp"
#include "tile.hpp"

namespace seqc {

#if SEQC_TILES

// part_row<Parts>(count, from, to, plane, padded): the bfloat16 numbers of each value, zeros behind them, up
// to `padded`, a multiple of 32; the next part of all lies `plane` numbers behind the first.
template <int Parts>
SEQC_INLINE void part_row(int64_t count, const float *from, uint16_t *to, int64_t plane, int64_t padded) {
  const auto put = [&](int64_t i, Vec<float> first, Vec<float> second) SEQC_INLINED {
    const Parted<Parts> low = parted<Parts>(first), high = parted<Parts>(second);
    SEQC_UNROLL
    for (int part = 0; part < Parts; ++part) {
      const WordPairs words = round_two(low.part[part], high.part[part]);
      __builtin_memcpy(to + part * plane + i, &words, sizeof words);
    }
  };
  int64_t i = 0;
  for (; i + 2 * lanes<float> <= count; i += 2 * lanes<float>)
    put(i, load(from + i), load(from + i + lanes<float>));
  for (; i < padded; i += 2 * lanes<float>) {
    const auto part = [&](int64_t at) {
      const int64_t left = count - at;
      return left >= lanes<float> ? load(from + at)
             : left > 0           ? load_part(from + at, static_cast<int>(left))
                                  : Vec<float>{};
    };
    put(i, part(i), part(i + lanes<float>));
  }
}

// Where a step of k finds its tiles: rows from `a` on, `a_line` bytes apart, times 16 columns at `b` and 16
// more `apart` words behind, `b_line` bytes from pair to pair; the other parts of both lie `a_part` bytes and
// `b_part` words behind.
struct TileStep {
  int64_t a_line, a_part, b_line, b_part, apart;
};

// A tile of columns, for add_products.
#define SEQC_LOAD_COLUMNS(tile, from)                                                                        \
  do {                                                                                                       \
    if constexpr (Near)                                                                                      \
      _tile_loadd(tile, from, step.b_line);                                                                  \
    else                                                                                                     \
      _tile_stream_loadd(tile, from, step.b_line);                                                           \
  } while (false)

// tile_beats(left, right): how often add_products calls `beside`: products of parts of both sides.
constexpr int tile_beats(int left, int right) { return left == 1 ? 1 : right == 1 ? 3 : 6; }

// add_products<Near, Left, Right>(step, a, b, low, right, far, beside, idle): one tile of k more for all
// sums, of so many parts. Columns are Near if they are read again soon, else they leave the first-level cache
// to the rows; if they come from beyond the second-level cache, `far`, they are asked for two steps ahead.
// `beside` is called behind every four products: a core has few tiles in flight, and waits with all else for
// them. With `idle` there are no products, and it is called once.
template <bool Near, int Left, int Right, class Beside>
SEQC_INLINE void add_products(const TileStep &step, const char *a, const uint32_t *b, bool low, bool right,
                              bool far, Beside &&beside, bool idle = false) {
  if constexpr (Left == 1) { // what is loaded is multiplied at once
    if (!idle) {
      _tile_loadd(4, a, step.a_line);
      SEQC_LOAD_COLUMNS(6, b);
      _tile_dpbf16ps(0, 4, 6);
      if (right) {
        SEQC_LOAD_COLUMNS(7, b + step.apart);
        _tile_dpbf16ps(1, 4, 7);
      }
      if (low) {
        _tile_loadd(5, a + 16 * step.a_line, step.a_line);
        _tile_dpbf16ps(2, 5, 6);
        if (right)
          _tile_dpbf16ps(3, 5, 7);
      }
    }
    beside();
  } else {
    constexpr int keep = -1; // what lies in the tiles already
    static constexpr int of_six[2][6] = {{0, keep, 1, keep, 2, 0}, {2, 1, keep, 0, keep, keep}},
                         of_three[2][3] = {{2, 1, 0}, {0, keep, keep}};
    constexpr const int *rows = Right == 1 ? of_three[0] : of_six[0],
                        *columns = Right == 1 ? of_three[1] : of_six[1];
    for (int i = 0; i < (idle ? 1 : tile_beats(Left, Right)); ++i) {
      if (!idle) {
        if (rows[i] != keep) {
          const char *const from = a + rows[i] * step.a_part;
          _tile_loadd(4, from, step.a_line);
          if (low)
            _tile_loadd(5, from + 16 * step.a_line, step.a_line);
        }
        if (columns[i] != keep) {
          const uint32_t *const from = b + columns[i] * step.b_part;
          SEQC_LOAD_COLUMNS(6, from);
          if (right)
            SEQC_LOAD_COLUMNS(7, from + step.apart);
        }
        if (far) {
          constexpr int lines = static_cast<int>(parts(Right * 16, tile_beats(Left, Right)));
          const auto ask =
              [&](const uint32_t *from) SEQC_INLINED { // there may be nothing behind the last tiles
                const uintptr_t ahead = reinterpret_cast<uintptr_t>(from) + 2 * Right * 1024;
                SEQC_UNROLL
                for (int line = i * lines; line < (i + 1) * lines; ++line)
                  __builtin_prefetch(
                      reinterpret_cast<const void *>(ahead + static_cast<uintptr_t>(line) * 64), 0, 2);
              };
          ask(b);
          if (right)
            ask(b + step.apart);
        }
        _tile_dpbf16ps(0, 4, 6);
        if (right)
          _tile_dpbf16ps(1, 4, 7);
        if (low) {
          _tile_dpbf16ps(2, 5, 6);
          if (right)
            _tile_dpbf16ps(3, 5, 7);
        }
      }
      beside();
    }
  }
}
#undef SEQC_LOAD_COLUMNS

#endif

} // namespace seqc
