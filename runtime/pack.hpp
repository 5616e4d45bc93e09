// Weights in panels: how a matrix is packed for the products of gemm.hpp, and how large that is.
//
// A weight matrix is packed once into panels: [panel][k][vector in the panel][lane]. A panel holds the
// columns of one or a few blocks of lanes<R> units; with several gates it holds all gates of its units, so
// that the equations of a cell run on the sums while they are hot. Matrices of very few columns are kept row
// by row instead.
#pragma once

#include "lanes.hpp"

namespace seqc {

template <class T, int N> using Array = T[static_cast<size_t>(N)];

// Term<R>: what products multiply, here reals as they are; bf16.hpp has pairs of bfloat16 numbers. An element
// holds `held` neighbours in k of a row or of a column of weights.
template <class R> struct Term {
  typedef R real; // of rows and weights as they are kept, and of sums
  typedef R row;  // an element of a row, where that of weights is R
  static constexpr int64_t held = 1;
  static constexpr int waits = 1; // how long a sum waits for itself, in multiply-adds
  // sum + a * b
  SEQC_INLINED static Vec<R> add(Vec<R> a, Vec<R> b, Vec<R> sum) { return fma(a, b, sum); }
  // Elements k, k + 1, … of a row, all of which are there.
  SEQC_INLINED static Vec<R> along(const R *row, int64_t k) { return load(row + k); }
  // Element k of a row of `depth` reals.
  SEQC_INLINED static R at(const R *row, int64_t k, int64_t) { return row[k]; }
  // Element k of neighbouring columns: of(k) gives a vector of row k.
  template <class Of> SEQC_INLINED static Vec<R> across(Of &&of, int64_t k) { return of(k); }
};
template <class R> using Real = typename Term<R>::real;
template <class R> using Row = typename Term<R>::row;

// terms<R>(depth): how many elements hold so many reals.
template <class R> constexpr int64_t terms(int64_t depth) {
  return (depth + Term<R>::held - 1) / Term<R>::held;
}

// One term of a product: rows of `a` (`stride` apart, `depth` elements each) times a packed matrix.
template <class R> struct Segment {
  const Row<R> *a;
  int64_t stride;
  const R *packed;
  int64_t depth;
};

// A row-major matrix of `count` rows, `stride` apart, as a source of packing.
template <class R> struct Rows {
  const R *data;
  int64_t stride;
  int64_t count;
};

// blocks<R>(units): how many vectors hold so many units.
template <class R> constexpr int64_t blocks(int64_t units) { return (units + lanes<R> - 1) / lanes<R>; }

// tile_vectors: how wide a tile of outer products is, at least six rows high.
constexpr int tile_vectors = SEQC_VECTOR_REGISTERS == 32 ? 4 : 2;

// panel_blocks(gates): unit blocks that share a panel, so that it is about four vectors wide. Of one gate it
// is 2 vectors where there are registers for twelve rows at once, which read weights from beyond the
// first-level cache half as often as six do.
constexpr int panel_blocks(int gates) {
  return gates >= 4 ? 1 : gates == 1 && SEQC_VECTOR_REGISTERS == 32 ? 2 : 4 / gates;
}

// row_limit(vectors): rows whose sums, so many vectors each, fit the registers.
constexpr int row_limit(int vectors) {
  constexpr int registers = SEQC_VECTOR_REGISTERS == 32 ? 26 : 12;
  const int most = vectors == 2 ? 12 : 8;
  return registers < vectors ? 1 : registers / vectors > most ? most : registers / vectors;
}

// narrow<R>(units, gates): so few columns that a dot product for each beats lanes that stay empty.
template <class R> constexpr bool narrow(int64_t units, int gates = 1) {
  return gates == 1 && units * 4 <= lanes<R>;
}

// chains(vectors): into how many sums a result is cut so that one row keeps the multipliers busy.
constexpr int chains(int64_t vectors) { return vectors >= 8 ? 1 : vectors >= 4 ? 2 : vectors >= 2 ? 4 : 8; }

// add_on(sum, more): sum += more, element by element.
template <class V> SEQC_INLINE void add_on(V &sum, const V &more) { sum += more; }
template <class V, size_t Count> SEQC_INLINE void add_on(V (&sum)[Count], const V (&more)[Count]) {
  SEQC_UNROLL
  for (size_t i = 0; i < Count; ++i)
    add_on(sum[i], more[i]);
}

// add_up(sum): adds the sums of all stretches to those of the first, by halves: one order for all products.
template <class V, size_t Streams> SEQC_INLINE void add_up(V (&sum)[Streams]) {
  SEQC_UNROLL
  for (size_t half = Streams / 2; half > 0; half /= 2) {
    SEQC_UNROLL
    for (size_t q = 0; q < half; ++q)
      add_on(sum[q], sum[q + half]);
  }
}

// part_size: cuts `total` into the fewest parts of at most `limit`, all nearly equal; the size of part i.
SEQC_INLINE int64_t part_size(int64_t total, int64_t limit, int64_t i) {
  const int64_t parts = (total + limit - 1) / limit;
  return total / parts + (i < total % parts ? 1 : 0);
}

// odd_height(rows, vectors): heights for which no tile of so many vectors is made: each is code of its own.
constexpr bool odd_height(int64_t rows, int vectors) {
  return rows > (vectors <= 2 ? 4 : 8) && rows % 2 != 0;
}

// tile_rows(left, limit, vectors): how many of the rows that are left the next tile takes, all nearly equally
// many.
SEQC_INLINE int64_t tile_rows(int64_t left, int64_t limit, int vectors) {
  const int64_t parts = (left + limit - 1) / limit, equal = (left + parts - 1) / parts;
  if (!odd_height(equal, vectors))
    return equal;
  const int64_t half = (equal + 1) / 2;
  return equal < left ? equal + 1 : odd_height(half, vectors) ? half + 1 : half;
}

// packed_size<R>(depth, units, gates): how many values the packed form of a matrix takes.
template <class R> constexpr int64_t packed_size(int64_t depth, int64_t units, int gates = 1) {
  return narrow<R>(units, gates) ? units * blocks<R>(depth) * lanes<R>
                                 : blocks<R>(units) * lanes<R> * gates * depth;
}

// Calls fill(to, step, block, gate) for each vector column: its lanes of row k belong at to + k * step.
template <class R, class Fill>
SEQC_INLINE void each_column(R *packed, int64_t depth, int64_t units, int gates, Fill &&fill) {
  const int64_t count = blocks<R>(units), wide = panel_blocks(gates);
  for (int64_t block = 0; block < count; ++block) {
    const int64_t first = block / wide * wide;
    const int64_t width = (count - first < wide ? count - first : wide) * gates * lanes<R>;
    for (int gate = 0; gate < gates; ++gate) {
      R *to = packed + first * gates * lanes<R> * depth + ((block - first) * gates + gate) * lanes<R>;
      fill(to, width, block, gate);
    }
  }
}

#if !defined(__clang__)
// Turns a square of lanes<R> vectors: stretches of Half lanes change places between vectors Half apart, then
// stretches half as long.
template <class R, int Half> SEQC_INLINE void turn_square(Vec<R> (&v)[lanes<R>]) {
  if constexpr (Half > 0) {
    const Ints<R> lane = lane_numbers<R>(), upper = (lane & Half) != 0;
    SEQC_UNROLL
    for (int i = 0; i < lanes<R>; ++i)
      if ((i & Half) == 0) {
        const Vec<R> a = v[i], b = v[i + Half];
        v[i] = __builtin_shuffle(a, b, upper ? lane + (lanes<R> - Half) : lane);
        v[i + Half] = __builtin_shuffle(a, b, upper ? lane + lanes<R> : lane + Half);
      }
    turn_square<R, Half / 2>(v);
  }
}
#endif

// store_past<Far>(to, v): with Far past the caches, where a vector is a cache line and lies on one: for what
// is read so much later that nothing keeps it till then. Whoever writes so calls `settle` in the end.
template <bool Far, class R> SEQC_INLINE void store_past(R *to, Vec<R> v) {
#if defined(__AVX512F__) && SEQC_VECTOR_BYTES == 64
  if constexpr (Far)
    if (reinterpret_cast<uintptr_t>(to) % 64 == 0) {
#if defined(__clang__)
      __builtin_nontemporal_store(v, reinterpret_cast<Vec<R> *>(to));
#else
      if constexpr (sizeof(R) == 4)
        __builtin_ia32_movntps512(reinterpret_cast<float *>(to), bits_as<Vec<float>>(v));
      else
        __builtin_ia32_movntpd512(to, v);
#endif
      return;
    }
#endif
  store(to, v);
}

// store_late(far, to, v, which): past the caches if it is far, for what is read long after.
template <class R> SEQC_INLINE void store_late(bool far, R *to, Vec<R> v, Whole) {
  if (far)
    store_past<true>(to, v);
  else
    store(to, v);
}
template <class R> SEQC_INLINE void store_late(bool, R *to, Vec<R> v, Part part) { store(to, v, part); }

// settle(): what was written past the caches is there for all threads.
SEQC_INLINE void settle() {
#if defined(__AVX512F__)
  __builtin_ia32_sfence();
#endif
}

// Writes up to lanes<R> matrix rows as one vector column; missing rows (null) become zeros.
template <class R, bool Far = false>
SEQC_KERNEL static void transpose_rows(R *to, int64_t step, int64_t depth,
                                       const Real<R> *const (&rows)[lanes<R>]) {
  int64_t k = 0;
#if !defined(__clang__)
  for (; (k + lanes<R>)*Term<R>::held <= depth; k += lanes<R>) {
    Vec<Real<R>> square[lanes<R>];
    SEQC_UNROLL
    for (int lane = 0; lane < lanes<R>; ++lane)
      square[lane] = rows[lane] ? bits_as<Vec<Real<R>>>(Term<R>::along(rows[lane], k)) : Vec<Real<R>>{};
    turn_square<Real<R>, lanes<R> / 2>(square);
    SEQC_UNROLL
    for (int i = 0; i < lanes<R>; ++i)
      store_past<Far>(to + (k + i) * step, bits_as<Vec<R>>(square[i]));
  }
#endif
  for (; k < terms<R>(depth); ++k)
    for (int lane = 0; lane < lanes<R>; ++lane)
      to[k * step + lane] = rows[lane] ? Term<R>::at(rows[lane], k, depth) : R{};
}

// The row `index` of stacked matrices, null behind the last.
template <class R> SEQC_INLINE const R *stacked_row(const Rows<R> *sources, int count, int64_t index) {
  for (int i = 0; i < count; ++i) {
    if (index < sources[i].count)
      return sources[i].data + index * sources[i].stride;
    index -= sources[i].count;
  }
  return nullptr;
}

// stacked_rows(sources, count): how many rows stacked matrices have together.
template <class R> SEQC_INLINE int64_t stacked_rows(const Rows<R> *sources, int count) {
  int64_t rows = 0;
  for (int i = 0; i < count; ++i)
    rows += sources[i].count;
  return rows;
}

// pack_rows(packed, depth, sources, count): for y = W x with W the sources stacked; y has one column a row of
// W.
template <class R>
SEQC_KERNEL static void pack_rows(R *packed, int64_t depth, const Rows<Real<R>> *sources, int count) {
  const int64_t units = stacked_rows(sources, count);
  if constexpr (Term<R>::held == 1)
    if (narrow<R>(units)) {
      const int64_t padded = blocks<R>(depth) * lanes<R>;
      for (int64_t unit = 0; unit < units; ++unit)
        for (int64_t k = 0; k < padded; ++k)
          packed[unit * padded + k] = k < depth ? stacked_row(sources, count, unit)[k] : R(0);
      return;
    }
  each_column<R>(packed, terms<R>(depth), units, 1, [&](R *to, int64_t step, int64_t block, int) {
    const Real<R> *rows[lanes<R>];
    for (int lane = 0; lane < lanes<R>; ++lane)
      rows[lane] = stacked_row(sources, count, block * lanes<R> + lane);
    transpose_rows<R>(to, step, depth, rows);
  });
}

// pack_gate(packed, depth, units, gates, gate, matrix, stride, begin, end): of what pack_gates writes the
// rows begin … end of one matrix. `begin` is a multiple of lanes<R>, and `end` one or `units`.
template <class R, bool Far = false>
SEQC_INLINE void pack_gate(R *packed, int64_t depth, int64_t units, int gates, int gate,
                           const Real<R> *matrix, int64_t stride, int64_t begin, int64_t end) {
  const int64_t count = blocks<R>(units), wide = panel_blocks(gates);
  for (int64_t block = begin / lanes<R>; block * lanes<R> < end; ++block) {
    const int64_t first = block / wide * wide, width = min(count - first, wide) * gates * lanes<R>;
    const Real<R> *rows[lanes<R>];
    for (int lane = 0; lane < lanes<R>; ++lane) {
      const int64_t unit = block * lanes<R> + lane;
      rows[lane] = unit < units ? matrix + unit * stride : nullptr;
    }
    R *const to = packed + first * gates * lanes<R> * terms<R>(depth);
    transpose_rows<R, Far>(to + ((block - first) * gates + gate) * lanes<R>, width, depth, rows);
  }
}

// pack_gates(packed, depth, units, gates, count, stride): for y_g = W_g x of `count` gates with `units` rows
// each; the gates of a unit become neighbours, as product_with<R, count> wants them.
template <class R>
SEQC_KERNEL static void pack_gates(R *packed, int64_t depth, int64_t units, const Real<R> *const *gates,
                                   int count, int64_t stride) {
  if (count == 1) {
    const Rows<Real<R>> source = {gates[0], stride, units};
    pack_rows(packed, depth, &source, 1);
    return;
  }
  for (int64_t begin = 0; begin < units; begin += lanes<R>)
    for (int gate = 0; gate < count; ++gate)
      pack_gate(packed, depth, units, count, gate, gates[gate], stride, begin, min(begin + lanes<R>, units));
}

// crossed<R>(k, valid, row_at): element k of each of one vector of columns, of which `valid` are there;
// row_at(index) points to their reals in a row, null stands for a row of zeros.
template <class R, class RowAt> SEQC_INLINE Vec<R> crossed(int64_t k, int64_t valid, RowAt &&row_at) {
  const auto of = [&](int64_t index) SEQC_INLINED {
    const Real<R> *const from = row_at(index);
    return !from || valid <= 0 ? Vec<Real<R>>{}
           : valid >= lanes<R> ? load(from)
                               : load_part(from, static_cast<int>(valid));
  };
  return Term<R>::across(of, k);
}

// pack_columns(packed, units, sources, count): for dx = W' dy with W the sources stacked, `units` columns
// wide; the depth of the product is the number of stacked rows.
template <class R>
SEQC_KERNEL static void pack_columns(R *packed, int64_t units, const Rows<Real<R>> *sources, int count) {
  const int64_t rows = stacked_rows(sources, count), depth = terms<R>(rows);
  if constexpr (Term<R>::held == 1)
    if (narrow<R>(units)) {
      const int64_t padded = blocks<R>(depth) * lanes<R>;
      for (int64_t unit = 0; unit < units; ++unit)
        for (int64_t k = 0; k < padded; ++k)
          packed[unit * padded + k] = k < depth ? stacked_row(sources, count, k)[unit] : R(0);
      return;
    }
  constexpr int wide = panel_blocks(1), together = 32; // rows that stay near while all panels take their part
  for (int64_t begin = 0; begin < depth; begin += together)
    for (int64_t first = 0; first < blocks<R>(units); first += wide) {
      const int64_t width = min(int64_t{wide}, blocks<R>(units) - first);
      R *to = packed + (first * depth + begin * width) * lanes<R>;
      for (int64_t k = begin; k < min(begin + together, depth); ++k)
        for (int64_t block = first; block < first + width; ++block, to += lanes<R>)
          store(to, crossed<R>(k, units - block * lanes<R>, [&](int64_t index) SEQC_INLINED {
                  const Real<R> *const row = stacked_row(sources, count, index);
                  return row ? row + block * lanes<R> : row;
                }));
    }
}

// renew_rows(packed, depth, units, gates, gate, matrix, begin, end): rows begin … end of one matrix
// [units, depth] changed; writes them where pack_gates has put them, with Far past the caches. `begin` is a
// multiple of lanes<R>, and `end` one or `units`.
template <bool Far, class R>
SEQC_KERNEL static void renew_rows(R *packed, int64_t depth, int64_t units, int gates, int gate,
                                   const Real<R> *matrix, int64_t begin, int64_t end) {
  if constexpr (Term<R>::held == 1)
    if (narrow<R>(units, gates)) {
      const int64_t padded = blocks<R>(depth) * lanes<R>;
      for (int64_t unit = begin; unit < end; ++unit)
        for (int64_t k = 0; k < padded; ++k)
          packed[unit * padded + k] = k < depth ? matrix[unit * depth + k] : R(0);
      return;
    }
  pack_gate<R, Far>(packed, depth, units, gates, gate, matrix, depth, begin, end);
}

// renew_columns(packed, units, depth, at, matrix, begin, end): rows begin … end of one matrix, `units`
// wide, changed; writes them where pack_columns has put them. `depth` rows are stacked, and those of this
// matrix begin at row `at`; where an element holds several, both begin with one.
template <bool Far, class R>
SEQC_KERNEL static void renew_columns(R *packed, int64_t units, int64_t depth, int64_t at,
                                      const Real<R> *matrix, int64_t begin, int64_t end) {
  if constexpr (Term<R>::held == 1)
    if (narrow<R>(units)) {
      const int64_t padded = blocks<R>(depth) * lanes<R>, stop = at + end == depth ? padded : at + end;
      for (int64_t unit = 0; unit < units; ++unit)
        for (int64_t k = at + begin; k < stop; ++k)
          packed[unit * padded + k] = k < depth ? matrix[(k - at) * units + unit] : R(0);
      return;
    }
  constexpr int wide = panel_blocks(1);
  constexpr int64_t held = Term<R>::held;
  for (int64_t first = 0; first < blocks<R>(units); first += wide) {
    const int64_t width = min(int64_t{wide}, blocks<R>(units) - first);
    R *to = packed + (first * terms<R>(depth) + (at + begin) / held * width) * lanes<R>;
    for (int64_t k = begin / held; k < terms<R>(end); ++k)
      for (int64_t block = first; block < first + width; ++block, to += lanes<R>)
        store_past<Far>(to, crossed<R>(k, units - block * lanes<R>, [&](int64_t index) SEQC_INLINED {
                          return index < end ? matrix + index * units + block * lanes<R> : nullptr;
                        }));
  }
}

} // namespace seqc
