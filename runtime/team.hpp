// How the members of a team share the kernels of one call: each takes its rows, its part of a matrix, or a
// task of its own, and all meet where one reads what another wrote. Alone, a caller does everything and meets
// nobody.
#pragma once

#include "guard.hpp"
#include "lanes.hpp"
#include "seqc_abi.h"

namespace seqc {

// A stretch of rows, of columns, or of whatever is counted.
struct Range {
  int64_t first, count;
  int64_t end() const { return first + count; }
};

// What a member does of each step of a loop: its own rows, all units of them; or, where there is one row
// only, the part of its units that is this member's.
struct Lot {
  int64_t rows, member, members;

  // The stretch of `count` panels, or groups of them.
  Range of(int64_t count) const {
    const int64_t first = count * member / members;
    return {first, count * (member + 1) / members - first};
  }
  // Whether this member does what cannot be divided.
  bool leads() const { return member == 0; }
};

// What one member of a team knows of it.
struct Share {
  const seqc_team *team;
  int64_t member, members;

  // The stretch of `count` that is this member's, at multiples of `grain`.
  Range of(int64_t count, int64_t grain = 1) const {
    if (members == 1)
      return {0, count};
    const int64_t grains = (count + grain - 1) / grain;
    const int64_t first = min(count, grains * member / members * grain);
    return {first, min(count, grains * (member + 1) / members * grain) - first};
  }
  // Whether this member does the task with that number.
  bool takes(int64_t task) const { return task % members == member; }
  // Goes on when all members are here.
  void meet() const {
    if (members > 1)
      team->meet(team, static_cast<int>(member), static_cast<int>(members));
  }
  // What this member does of each step, when these are its rows of the batch.
  Lot lot(Range rows, int64_t batch) const {
    return batch == 1 && members > 1 ? Lot{1, member, members} : Lot{rows.count, 0, 1};
  }
  // Members that share the units of each step meet after each kernel; those with rows of their own do not.
  void meet(const Lot &lot) const {
    if (lot.members > 1)
      meet();
  }
};

constexpr Share alone = {nullptr, 0, 1};

// by_rows(part, width, visit): calls visit(first, count) for a few rows of a matrix `width` wide after the
// other, so many that what is done to them one after the other finds them in the second-level cache: at
// multiples of 64 from `part.first` on.
template <class Visit> SEQC_INLINE void by_rows(Range part, int64_t width, const Visit &visit) {
  const int64_t few = max(int64_t{64}, 32768 / width / 64 * 64);
  for (int64_t first = part.first; first < part.end(); first += few)
    visit(first, min(few, part.end() - first));
}

// together(call, work, nodes): runs nodes(share), a code, by as many members of the caller's team as `work`
// (in multiplications and additions) is worth. They all leave with the same code.
template <class Nodes> static inline int together(const seqc_call *call, double work, const Nodes &nodes) {
  constexpr double least = 2e6; // about as long as it takes to wake a sleeping thread, and a few meetings
  const seqc_team *const team = call->team;
  const bool whole = (call->flags & SEQC_SHARE_ALL) != 0;
  const double most = team ? static_cast<double>(team->members) : 1.0;
  const double wanted = whole ? most : min(most, work / least);
  if (wanted >= 2.0) {
    struct Job {
      const seqc_team *team;
      const Nodes &nodes;
      int code;
    };
    Job job = {team, nodes, SEQC_OK};
    const auto part = [](void *context, int member, int members) {
      Job &shared = *static_cast<Job *>(context);
      const FlushToZero flush;
      const int code = shared.nodes(Share{shared.team, member, members});
      if (member == 0)
        shared.code = code;
    };
    if (team->run(team, static_cast<int>(wanted), part, &job))
      return job.code;
  }
  return nodes(alone);
}

} // namespace seqc
