/* A team of POSIX threads for seqc_call.team. Header only, C99 or C++; models themselves know nothing of
   threads. A team serves one call at a time: a call that finds it busy, and any call in a forked child, is
   done by its own thread alone, with the same result.

     seqc_threads *threads = seqc_threads_create(2, 0);
     call.team = seqc_threads_team(threads);
     ...
     seqc_threads_destroy(threads);

   Who waits looks for a moment, gives the processor to others in between, and then sleeps: on a busy machine
   a team takes no more than the time that it works. */
#ifndef SEQC_TEAM_H
#define SEQC_TEAM_H

#include "seqc_abi.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define SEQC_TEAM_LOOKS 64 /* looks before the processor is given away; the first of them without a pause */
#define SEQC_TEAM_TURNS                                                                                      \
  128 /* times that it is, before the thread goes to sleep: some tenths of a millisecond */

/* A number on which threads wait, far from its neighbours in memory. */
typedef struct seqc_word {
  uint32_t value;
  char space[124];
} seqc_word;

typedef struct seqc_worker {
  seqc_word calls; /* grows with each part that the worker is to run */
  seqc_word met;   /* grows with each meeting to which it comes */
  struct seqc_threads *threads;
  int number;
  pthread_t thread;
} seqc_worker;

typedef struct seqc_threads {
  seqc_team team; /* first: what calls see */
  seqc_word met;  /* meetings of member 0, which comes to all */
  seqc_part_fn *part;
  void *context;
  int members; /* of the part at hand */
  int busy, ending, pinned, sleepers;
  pid_t owner;
  pthread_mutex_t lock; /* for sleepers only */
  pthread_cond_t woken;
  seqc_worker *workers; /* member 1 and those after it */
} seqc_threads;

static inline uint32_t seqc_word_read(const seqc_word *word) {
  return __atomic_load_n(&word->value, __ATOMIC_SEQ_CST);
}

static inline void seqc_word_wait(seqc_threads *threads, const seqc_word *word, uint32_t old) {
  for (int turn = 0; turn < SEQC_TEAM_TURNS; ++turn) {
    for (int look = 0; look < SEQC_TEAM_LOOKS; ++look) {
      if (seqc_word_read(word) != old)
        return;
      if (turn == 0 && look < SEQC_TEAM_LOOKS / 2)
        continue;
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      __asm__ volatile("yield");
#endif
    }
    sched_yield();
  }
  pthread_mutex_lock(&threads->lock);
  __atomic_fetch_add(&threads->sleepers, 1, __ATOMIC_SEQ_CST);
  while (seqc_word_read(word) == old)
    pthread_cond_wait(&threads->woken, &threads->lock);
  __atomic_fetch_sub(&threads->sleepers, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(&threads->lock);
}

/* Wakes those who sleep, after a word has changed: they count themselves before they look at it again. */
static inline void seqc_threads_wake(seqc_threads *threads) {
  if (__atomic_load_n(&threads->sleepers, __ATOMIC_SEQ_CST) == 0)
    return;
  pthread_mutex_lock(&threads->lock);
  pthread_cond_broadcast(&threads->woken);
  pthread_mutex_unlock(&threads->lock);
}

static inline seqc_word *seqc_threads_met(seqc_threads *threads, int member) {
  return member == 0 ? &threads->met : &threads->workers[member - 1].met;
}

/* Each says that it has come and looks for all others, who may be one meeting ahead by then: whoever comes
   last waits for nobody, and the first see it at once. */
static inline void seqc_threads_meet(const seqc_team *team, int member, int members) {
  seqc_threads *threads = (seqc_threads *)(uintptr_t)team;
  const uint32_t before = seqc_word_read(seqc_threads_met(threads, member));
  __atomic_store_n(&seqc_threads_met(threads, member)->value, before + 1, __ATOMIC_SEQ_CST);
  seqc_threads_wake(threads);
  for (int i = 0; i < members; ++i)
    if (i != member)
      seqc_word_wait(threads, seqc_threads_met(threads, i), before);
}

static inline int seqc_threads_run(const seqc_team *team, int members, seqc_part_fn *part, void *context) {
  seqc_threads *threads = (seqc_threads *)(uintptr_t)team;
  if (threads->owner != getpid() || members < 1 || (uint32_t)members > team->members ||
      __atomic_exchange_n(&threads->busy, 1, __ATOMIC_SEQ_CST))
    return 0;
  threads->part = part;
  threads->context = context;
  threads->members = members;
  for (int i = 0; i < members - 1; ++i) { /* who was left out lately has missed meetings */
    __atomic_store_n(&threads->workers[i].met.value, threads->met.value, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&threads->workers[i].calls.value, 1, __ATOMIC_SEQ_CST);
  }
  seqc_threads_wake(threads);
  part(context, 0, members);
  seqc_threads_meet(team, 0, members);
  __atomic_store_n(&threads->busy, 0, __ATOMIC_SEQ_CST);
  return 1;
}

/* Ties a worker to the processor of its number among those that the process may use. */
static inline void seqc_worker_pin(const seqc_worker *worker) {
#if defined(__linux__) && defined(CPU_COUNT)
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) == 0)
    return;
  int wanted = worker->number % CPU_COUNT(&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed) && wanted-- == 0) {
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
#else
  (void)worker;
#endif
}

static inline void *seqc_worker_live(void *argument) {
  seqc_worker *worker = (seqc_worker *)argument;
  seqc_threads *threads = worker->threads;
  if (threads->pinned)
    seqc_worker_pin(worker);
  for (uint32_t seen = 0;; ++seen) {
    seqc_word_wait(threads, &worker->calls, seen);
    if (__atomic_load_n(&threads->ending, __ATOMIC_SEQ_CST))
      return NULL;
    const int members = threads->members;
    threads->part(threads->context, worker->number, members);
    seqc_threads_meet(&threads->team, worker->number, members);
  }
}

/* Ends the threads; the team must not be at work. NULL is nothing to do. */
static inline void seqc_threads_destroy(seqc_threads *threads) {
  if (!threads)
    return;
  if (threads->owner == getpid()) { /* a forked child has no threads to end */
    __atomic_store_n(&threads->ending, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i + 1 < threads->team.members; ++i)
      __atomic_fetch_add(&threads->workers[i].calls.value, 1, __ATOMIC_SEQ_CST);
    seqc_threads_wake(threads);
    for (uint32_t i = 0; i + 1 < threads->team.members; ++i)
      pthread_join(threads->workers[i].thread, NULL);
    pthread_cond_destroy(&threads->woken);
    pthread_mutex_destroy(&threads->lock);
  }
  free(threads->workers);
  free(threads);
}

/* A team of so many members, the calling thread among them; fewer where the system gives no more threads,
   NULL without memory. `pinned` ties the others to processors of their own (where the system can; in C: with
   _GNU_SOURCE). Signals go to the threads of the caller. */
static inline seqc_threads *seqc_threads_create(int members, int pinned) {
  const size_t others = members > 1 ? (size_t)members - 1 : 0;
  seqc_threads *threads = (seqc_threads *)calloc(1, sizeof(seqc_threads));
  if (!threads)
    return NULL;
  threads->workers = (seqc_worker *)calloc(others + 1, sizeof(seqc_worker));
  if (!threads->workers || pthread_mutex_init(&threads->lock, NULL) != 0) {
    free(threads->workers);
    free(threads);
    return NULL;
  }
  pthread_cond_init(&threads->woken, NULL);
  threads->team.size = sizeof(seqc_team);
  threads->team.members = 1;
  threads->team.run = seqc_threads_run;
  threads->team.meet = seqc_threads_meet;
  threads->pinned = pinned;
  threads->owner = getpid();
#ifdef SIG_SETMASK /* hidden by -std=c99 */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  for (size_t i = 0; i < others; ++i) {
    seqc_worker *worker = &threads->workers[i];
    worker->threads = threads;
    worker->number = (int)i + 1;
    if (pthread_create(&worker->thread, NULL, seqc_worker_live, worker) != 0)
      break;
    ++threads->team.members;
  }
#ifdef SIG_SETMASK
  pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
  return threads;
}

static inline const seqc_team *seqc_threads_team(const seqc_threads *threads) {
  return threads ? &threads->team : NULL;
}

#endif
