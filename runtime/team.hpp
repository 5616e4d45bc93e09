// How the members of a team share the kernels of one call: each takes its rows, its part of a matrix, or a
// task of its own, and all meet where one reads what another wrote. Alone, a caller does everything and meets
// nobody.
#pragma once

#include "guard.hpp"
#include "seqc_abi.h"
#include "vector.hpp"

namespace seqc {

// A stretch of rows, of columns, or of whatever is counted.
struct Range {
  int64_t first, count;
  int64_t end() const { return first + count; }
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
};

constexpr Share alone = {nullptr, 0, 1};

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
