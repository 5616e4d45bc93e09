/* A team that notes how long each member works between two meetings, in processor time of its thread: on a
   machine that others use too, this tells how evenly a call is divided. */
#define _GNU_SOURCE
#include "seqc_team.h"

#include <time.h>

#define MOST 4096

static seqc_team team;
static seqc_threads *threads;
static double begun[16], spent[16][MOST];
static int meetings[16];

typedef struct {
  seqc_part_fn *part;
  void *context;
} job;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static void note(int member) {
  if (meetings[member] < MOST)
    spent[member][meetings[member]++] = now() - begun[member];
}

static void timed(void *context, int member, int members) {
  const job *work = (const job *)context;
  begun[member] = now();
  work->part(work->context, member, members);
  note(member);
}

static int run(const seqc_team *self, int members, seqc_part_fn *part, void *context) {
  job work = {part, context};
  (void)self;
  return threads->team.run(&threads->team, members, timed, &work);
}

static void meet(const seqc_team *self, int member, int members) {
  (void)self;
  note(member);
  threads->team.meet(&threads->team, member, members);
  begun[member] = now();
}

const seqc_team *timed_team(int members) {
  threads = seqc_threads_create(members, 0);
  team = threads->team;
  team.run = run;
  team.meet = meet;
  return &team;
}

/* Forgets what was noted. */
void start(void) {
  for (int member = 0; member < 16; ++member)
    meetings[member] = 0;
}

/* Copies what a member noted, in microseconds; gives how many stretches there are. */
int noted(int member, double *to) {
  for (int i = 0; i < meetings[member]; ++i)
    to[i] = spent[member][i];
  return meetings[member];
}
