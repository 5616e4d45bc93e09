// Products on matrix tiles of 16 rows: weights in pairs, as bf16.hpp packs them, are tiles as they lie; rows
// are rounded into tiles of their own. Sums of 2 x 2 tiles are under way at once.
//
// Tiles multiply bfloat16 numbers. In single precision both sides are sums of three of those; of the nine
// products the six largest are taken, and the others are below the last bit of the largest (Henry, Tang,
// Heinecke: Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations,
// 2019).
//
// Without tiles (or where the system refuses them) the same products are done on vectors. A row gives the
// same bits alone and in a batch.
#pragma once

#include "bf16.hpp"
#include "tile.hpp"

namespace seqc {

#if SEQC_TILES

// part_row<Parts>(count, from, to, plane, padded): the bfloat16 numbers of each value, zeros behind them, up
// to `padded`, a multiple of 32; the next part of all lies `plane` numbers behind the first.
template <int Parts>
SEQC_KERNEL static void part_row(int64_t count, const float *from, uint16_t *to, int64_t plane,
                                 int64_t padded) {
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
    if constexpr (Kind != Columns::Near)                                                                     \
      _tile_stream_loadd(tile, from, step.b_line);                                                           \
    else                                                                                                     \
      _tile_loadd(tile, from, step.b_line);                                                                  \
  } while (false)

// tile_beats(left, right): how often add_products calls `beside`: products of parts of both sides.
constexpr int tile_beats(int left, int right) { return left == 1 ? 1 : right == 1 ? 3 : 6; }

// Where columns come from, and how soon they are read again: Near (soon), Passing (not soon: they leave the
// first-level cache to the rows), Far (not soon, and from beyond the second-level cache: they are asked for
// two steps ahead).
enum class Columns { Near, Passing, Far };

// add_products<Kind, Left, Right>(step, a, b, low, right, beside, idle): one tile of k more for all sums, of
// so many parts. `beside` is called behind every four products: a core has few tiles in flight, and waits
// with all else for them. With `idle` there are no products, and it is called once.
template <Columns Kind, int Left, int Right, class Beside>
SEQC_INLINE void add_products(const TileStep &step, const char *a, const uint32_t *b, bool low, bool right,
                              Beside &&beside, bool idle = false) {
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
        if constexpr (Kind == Columns::Far) {
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

// One term as tiles want it: `rows` are `stride` values apart and padded to whole tiles, weights are pairs.
struct TileTerm {
  const uint16_t *rows;
  const uint32_t *pairs;
  int64_t count; // pairs in depth, whole tiles of them
};

// Part of a term: `steps` tiles in depth. `first`: of those over which all columns of a panel pass together,
// so that their part of the rows stays in the first-level cache.
struct TilePart {
  const uint16_t *rows;
  const uint32_t *pairs;
  int64_t apart, steps; // words from column to column
  bool first;
};

// deepest(left): tiles in depth of 32 rows of so many parts that stay in the first-level cache.
constexpr int64_t deepest(int left) { return left == 1 ? 16 : 4; }

// tile_parts<Cut, Left, Right>(terms, count, parts): cuts terms by so many tiles in depth, or not at all, and
// gives the number of pieces.
template <bool Cut, int Left, int Right>
SEQC_INLINE int tile_parts(const TileTerm *terms, int count, TilePart *parts) {
  constexpr int64_t most = Cut ? deepest(Left) : 1 << 30;
  int made = 0;
  int64_t together = most;
  for (int s = 0; s < count; ++s) {
    const int64_t steps = terms[s].count / 16;
    for (int64_t at = 0; at < steps; at += most) {
      const int64_t own = min(steps - at, most);
      const bool first = together + own > most;
      together = (first ? 0 : together) + own;
      parts[made++] = {terms[s].rows + at * 32, terms[s].pairs + at * Right * 256,
                       terms[s].count * Right * 16, own, first};
    }
  }
  return made;
}

// All panels of `height` rounded rows, 32 rows at a time. While tiles make the sums of one of these jobs, the
// epilogue runs on those of the job before, some rows after each step of k.
template <int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right, class Epilogue>
SEQC_INLINE void tile_panels(int64_t from, int64_t height, const TileTerm *terms, int count, int64_t stride,
                             int64_t plane, Epilogue &epilogue, bool descending) {
  constexpr int64_t plain = Units >= 1024 || Left > 1 ? 8 : 2; // more where a row of results is long
  constexpr int64_t wide = Gates == 1 ? plain : Blocks * low_blocks(Gates),
                    panels = parts(blocks<float>(Units), wide);
  constexpr int most = static_cast<int>(wide * Gates);
  constexpr int64_t bytes = blocks<float>(Units) * lanes<float> * Gates * Depth * Right * 2;
  constexpr Columns kind = Left > 1 && bytes > 1 << 20 ? Columns::Far : Columns::Passing;
  alignas(64) Array<Array<float, 32 * most * 16>, 2> sums;
  TilePart pieces[static_cast<size_t>(8 + parts(Depth, 32 * deepest(Left)))];
  const int all = tile_parts<(most > 2), Left, Right>(terms, count, pieces);
  int64_t depth = 0;
  for (int s = 0; s < all; ++s)
    depth += pieces[s].steps;
  const int64_t parted = parts(height, 32), jobs = panels * parted;
  int64_t unit = 0, row = 0, rows = 0, columns = 0; // of the job whose sums are ready
  for (int64_t job = 0; job <= jobs; ++job) {
    const bool idle = job == jobs; // for the tiles: only the last sums are left to be used
    const int64_t at = idle ? job - 1 : job, next = at % parted * 32;
    const int64_t panel = descending ? panels - 1 - at / parted : at / parted;
    const int64_t width = min(wide, blocks<float>(Units) - panel * wide) * Gates;
    const bool low = height - next > 16;
    const int64_t beats = idle ? 1 : depth * parts(width, 2) * tile_beats(Left, Right);
    const float *const ready = sums[(job + 1) % 2];
    int64_t r = 0, due = 0;
    const auto beside = [&]() SEQC_INLINED { // some rows of the job before
      for (due += rows; due >= beats; due -= beats, ++r)
        for (int64_t u = 0; u < (wide == 1 ? 1 : columns / Gates); ++u) {
          Array<Vec<float>, Gates> own;
          SEQC_UNROLL
          for (int g = 0; g < Gates; ++g)
            own[g] = load(ready + (r * (wide == 1 ? Gates : columns) + u * Gates + g) * 16);
          finish<float, Gates, Units>(row + r, unit + u, 1, own, epilogue);
        }
    };
    SEQC_TILE_FENCE;
    for (int begin = 0, end = 1; begin < (idle ? 1 : all); begin = end++) {
      while (end < all && !pieces[end].first)
        ++end;
      for (int64_t vector = 0; vector < (idle ? 1 : width); vector += 2) {
        const bool right = vector + 1 < width;
        float *const to = sums[job % 2] + vector * 16;
        if (!idle && begin == 0)
          clear_sums();
        else if (!idle)
          load_sums(to, 16 * width, low, right);
        for (int s = begin; s < (idle ? 1 : end); ++s) {
          const TileStep step = {2 * stride, 2 * plane, 64, 256, pieces[s].apart};
          const uint16_t *a = pieces[s].rows + next * stride;
          const uint32_t *b = pieces[s].pairs + (panel * most + vector) * step.apart;
          for (int64_t left = idle ? 1 : pieces[s].steps; left > 0; --left, a += 32, b += Right * 256) {
            add_products<kind, Left, Right>(step, reinterpret_cast<const char *>(a), b, low, right, beside,
                                            idle);
          }
        }
        if (!idle)
          store_sums(to, 16 * width, low, right);
      }
    }
    unit = panel * wide;
    row = from + next;
    rows = min(height - next, int64_t(32));
    columns = width;
  }
}

// tile_rows_at_once(numbers): how many rows of so many bfloat16 numbers are made before all panels pass over
// them: 768 KB at most.
constexpr int64_t tile_rows_at_once(int64_t numbers) {
  return numbers <= 1536 ? 256 : numbers >= 12288 ? 32 : 393216 / numbers / 32 * 32;
}

template <int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right, class Epilogue>
SEQC_INLINE void tile_product(int64_t begin, int64_t end,
                              const PairSegment<Depth, Blocks, Left, Right> *segments, int count,
                              Epilogue &epilogue, bool descending) {
  constexpr int64_t together = tile_rows_at_once(Depth * Left);
  constexpr int64_t stride = Depth + 32, plane = together * stride; // 32: rows are not pages apart
  alignas(64) uint16_t rows[static_cast<size_t>(Left * plane)];
  static const TileShape shape; // in memory, all of it: GCC takes the instruction to read eight bytes
  _tile_loadconfig(&shape);
  int64_t from = begin;
  while (from < end) {
    const int64_t height = min(end - from, together);
    TileTerm terms[8];
    uint16_t *to = rows;
    for (int s = 0; s < count; ++s) {
      const int64_t depth = segments[s].depth, padded = parts(depth, 32) * 32;
      for (int64_t r = 0; r < parts(height, 16) * 16; ++r)
        part_row<Left>(r < height ? depth : 0,
                       segments[s].a + (from + min(r, height - 1)) * segments[s].stride, to + r * stride,
                       plane, padded);
      terms[s] = {to, static_cast<const uint32_t *>(segments[s].packed), pair_count(depth)};
      to += padded;
    }
    SEQC_TILE_FENCE;
    tile_panels<Gates, Units, Depth, Blocks, Left, Right>(from, height, terms, count, stride, plane, epilogue,
                                                          descending);
    from += height;
  }
  _tile_release();
}

#endif

// epilogue_apart(…): an epilogue as a function of its own, where it would be copied into many places.
template <class Which, class Sums, class Epilogue>
SEQC_KERNEL static void epilogue_apart(int64_t row, int64_t unit, Which which, Sums *sums,
                                       Epilogue &epilogue) {
  epilogue(row, unit, which, sums);
}

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end,
                              const PairSegment<Depth, Blocks, Left, Right> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
#if SEQC_TILES
  if (tiles_allowed()) {
    tile_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
    return;
  }
#endif
  const auto apart = [&](int64_t row, int64_t unit, auto which, auto *sums) {
    epilogue_apart(row, unit, which, sums, epilogue);
  };
  pair_product<Gates, Units>(begin, end, segments, count, apart, descending);
}

// columns_apart<Gates, Units>(…): product_gates of blocks.hpp column by column as they are packed, so that
// what two of them need stays near while all rows pass.
template <int Gates, int64_t Units, class S>
SEQC_INLINE void columns_apart(int64_t begin, int64_t end, const S *segments, int count, float *out,
                               int64_t stride, bool descending) {
  const auto put = [&](int64_t row, int64_t column, auto, const Vec<float> *sums)
                       SEQC_INLINED { store(out + row * stride + column, *sums); };
  product_with<float, 1, blocks<float>(Units) * lanes<float> * Gates>(begin, end, segments, count, put,
                                                                      descending);
}

template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right>
SEQC_INLINE void product_gates(int64_t begin, int64_t end,
                               const PairSegment<Depth, Blocks, Left, Right> *segments, int count, R *out,
                               int64_t stride, bool descending = false) {
  columns_apart<Gates, Units>(begin, end, segments, count, out, stride, descending);
}

// One term of a product in single precision whose weights are packed twice: as reals in panels, and in pairs
// of three parts behind those. `many`: the call has so many rows that tiles are quicker; a few wait for their
// weights, of which panels have fewer bytes.
template <int64_t Depth, int Blocks = 1> struct EitherSegment : LowSegment {
  bool many;
};
template <int64_t Depth, int Blocks> struct TakesLots<EitherSegment<Depth, Blocks>> {
  static constexpr bool value = true;
};

// reals_bytes(depth, units, gates): size of the panels in front of the pairs.
constexpr int64_t reals_bytes(int64_t depth, int64_t units, int gates) {
  return parts(packed_size<float>(depth, units, gates) * 4, 64) * 64;
}

template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const EitherSegment<Depth, Blocks> *segments,
                              int count, Epilogue &&epilogue, bool descending = false,
                              const Lot &lot = {0, 0, 1}) {
  typedef PairSegment<Depth, Blocks, 3> Pairs;
  if (segments[0].many && lot.members == 1) {
    Pairs pairs[8] = {};
    for (int s = 0; s < count; ++s) {
      const EitherSegment<Depth, Blocks> &own = segments[s];
      const char *const packed = static_cast<const char *>(own.packed);
      pairs[s] = {{own.a, own.stride, packed + reals_bytes(own.depth, Units, Gates), own.depth}};
    }
    product_with<R, Gates, Units>(begin, end, static_cast<const Pairs *>(pairs), count, epilogue, descending);
  } else {
    Segment<float> reals[8] = {};
    for (int s = 0; s < count; ++s)
      reals[s] = {segments[s].a, segments[s].stride, static_cast<const float *>(segments[s].packed),
                  segments[s].depth};
    product_with<R, Gates, Units>(begin, end, static_cast<const Segment<float> *>(reals), count, epilogue,
                                  descending, lot);
  }
}

} // namespace seqc
