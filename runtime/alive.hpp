// Rows of different lengths: which steps of which rows exist, and where they lie. Rows are taken in the order
// of their lengths, the longest first; steps that do not exist take neither time nor place.
#pragma once

#include "team.hpp"

namespace seqc {

// The cells (steps of rows) that exist lie side by side, step by step: those of step t are the first rows of
// all, from start[t] to start[t + 1]. Row r is row order[r] of the caller and has lengths[r] steps.
struct Alive {
  const int64_t *start;
  const int32_t *order, *lengths;
  int64_t steps, batch;

  int64_t total() const { return start[steps]; }

  // How many rows there are at step t; of them those among `part`.
  int64_t rows(int64_t t) const { return start[t + 1] - start[t]; }
  int64_t rows(int64_t t, Range part) const { return max(int64_t(0), min(rows(t) - part.first, part.count)); }

  // How many cells of a run of steps; of one step those among `part`, of several steps all.
  int64_t cells(int64_t t, int64_t run) const { return start[t + run] - start[t]; }
  int64_t cells(int64_t t, int64_t run, Range part) const { return run == 1 ? rows(t, part) : cells(t, run); }

  // Where the cells of step t that belong to `part` begin in a buffer that holds the steps from `from` on. A
  // member with all rows leaves no gaps; others keep to places of their own, as each is in a stretch of its
  // own.
  int64_t inside(int64_t from, int64_t t, Range part) const {
    return part.count == batch ? start[t] - start[from] : (t - from) * batch + part.first;
  }

  // Where a stretch of about `most` cells ends that begins at `from`, and where one begins that ends at `to`:
  // one step at least.
  int64_t ahead(int64_t from, int64_t most) const {
    int64_t to = from + 1;
    while (to < steps && start[to + 1] - start[from] <= most)
      ++to;
    return to;
  }
  int64_t behind(int64_t to, int64_t most) const {
    int64_t from = to - 1;
    while (from > 0 && start[to] - start[from - 1] <= most)
      --from;
    return from;
  }

  // How many rows from `row` on, before `end`, are neighbours in the caller's order as well.
  int64_t neighbours(int64_t row, int64_t end) const {
    int64_t count = 1;
    while (row + count < end && order[row + count] == order[row] + count)
      ++count;
    return count;
  }

  // A member's stretch of rows: all members have about as many cells.
  Range share(const Share &share) const {
    const int64_t first = border(share.member, share.members);
    return {first, border(share.member + 1, share.members) - first};
  }

private:
  int64_t border(int64_t member, int64_t members) const {
    if (member == members)
      return batch;
    const int64_t goal = (total() + batch) * member / members; // a row counts beside its steps
    int64_t row = 0;
    for (int64_t sum = 0; row < batch; ++row) {
      sum += lengths[row] + 1;
      if (sum > goal)
        break;
    }
    return row;
  }
};

// sort_rows(given, steps, batch, start, order, lengths): fills the tables of `Alive`; rows of one length keep
// their order. `start` has room for steps + 1.
static inline void sort_rows(const int32_t *given, int64_t steps, int64_t batch, int64_t *start,
                             int32_t *order, int32_t *lengths) {
  for (int64_t t = 0; t <= steps; ++t)
    start[t] = 0;
  for (int64_t row = 0; row < batch; ++row)
    ++start[given[row]];
  int64_t longer = 0;
  for (int64_t t = steps; t >= 0; --t) { // start[n]: where the rows of n steps begin
    const int64_t here = start[t];
    start[t] = longer;
    longer += here;
  }
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t at = start[given[row]]++;
    order[at] = static_cast<int32_t>(row);
    lengths[at] = given[row];
  }
  start[0] = 0; // start[t + 1] is now how many rows have step t
  for (int64_t t = 0; t < steps; ++t)
    start[t + 1] += start[t];
}

// The distance of the steps of row 0, as a factor: s * Steps is how far step s lies behind step 0.
struct Steps {
  const int64_t *start;
  int64_t stride;
};
SEQC_INLINE int64_t operator*(int64_t step, Steps far) { return far.start[step] * far.stride; }

// clear_ended(alive, first, end, out, size): zeros where the caller has room for steps behind the end of rows
// first … end - 1.
template <class T>
static inline void clear_ended(const Alive &alive, int64_t first, int64_t end, T *out, int64_t size) {
  for (int64_t row = first; row < end; ++row)
    for (int64_t t = alive.lengths[row]; t < alive.steps; ++t)
      __builtin_memset(out + (t * alive.batch + alive.order[row]) * size, 0,
                       static_cast<size_t>(size) * sizeof(T));
}

// turn_alive(alive, width, from, from_row, out, out_row): out[t] = from[n - 1 - t], for each row of n steps.
template <class T, class O>
static inline void turn_alive(const Alive &alive, int64_t width, const T *from, int64_t from_row, O *out,
                              int64_t out_row) {
  for (int64_t t = 0; t < alive.steps; ++t)
    for (int64_t row = 0; row < alive.rows(t); ++row) {
      const T *const source = from + (alive.start[alive.lengths[row] - 1 - t] + row) * from_row;
      O *const target = out + (alive.start[t] + row) * out_row;
      for (int64_t i = 0; i < width; ++i)
        target[i] = static_cast<O>(source[i]);
    }
}

} // namespace seqc
