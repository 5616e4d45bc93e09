/* The binary interface of every compiled model: one exported symbol, `const seqc_model *<name>_get(void)`.

   C99. The caller owns all memory; no entry point allocates, keeps a global, throws or locks. Two calls may
   run at the same time as long as they share neither state, trainer, workspace nor anything that they write.
   All arrays are dense, row-major: stream values [steps][batch][dims], once values [batch][dims].
   `real` is float or double as the model was built (`real_bytes`); int, index and length are int32_t at this
   border. */
#ifndef SEQC_ABI_H
#define SEQC_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEQC_ABI_VERSION 1u

enum seqc_code {
  SEQC_OK = 0,
  SEQC_BAD_CALL = 1,   /* NULL where a pointer is needed, steps or batch < 1 or not what the build's profile
                          fixes, a call record of another version */
  SEQC_BAD_INDEX = 2,  /* an index outside [0, bound); `where` names it */
  SEQC_BAD_LENGTH = 3, /* a length outside [0, steps]; `where` names it */
  SEQC_COUNTED_LABEL = 4, /* a loss counts a step whose label is missing (index < 0) */
  SEQC_NOT_FINITE = 5,    /* loss or gradient is not finite; nothing was changed */
  SEQC_UNSUPPORTED = 6    /* this model has no such entry point */
};

enum seqc_entry {
  SEQC_INFER = 0,
  SEQC_EVALUATE = 1,
  SEQC_GRADIENTS = 2,
  SEQC_APPLY = 3,
  SEQC_UPDATE = 4,
  SEQC_STEP = 5,
  SEQC_GENERATE = 6,
  SEQC_ENTRIES = 7
};

/* Where a bad value was found: number of the input, step, row, and the value. */
typedef struct seqc_where {
  int32_t input;
  int64_t step, row, value;
} seqc_where;

/* Threads that help with a call; the caller owns them. seqc_team.h makes one of POSIX threads, and any other
   pool of threads can fill this record. Results are the same, bit for bit, for any number of members. */
typedef void seqc_part_fn(void *context, int member, int members);
typedef struct seqc_team seqc_team;
struct seqc_team {
  uint32_t size, members; /* sizeof(seqc_team) of the caller; threads, the calling one included */

  /* Runs part(context, member, members) at the same time on the calling thread (member 0) and on members - 1
     others; comes back with 1 when all have. 0, and nothing is run, if the team is busy: the caller then
     works alone. */
  int (*run)(const seqc_team *, int members, seqc_part_fn *part, void *context);

  /* Called by every member inside a part: comes back when all of them have called it. */
  void (*meet)(const seqc_team *, int member, int members);
};

enum seqc_flag {
  SEQC_SHARE_ALL = 1 /* shares a call among the team however little work it is; for tests */
};

/* One call. Grows at its end only; `size` is sizeof(seqc_call) of the caller. */
typedef struct seqc_call {
  uint32_t size;
  uint32_t flags;
  int64_t steps, batch;
  uint64_t seed,
      call;          /* key of all draws; `call` differs from call to call, the update counter in training */
  int64_t given;     /* generate: steps that the caller gives; the others are fed back */
  int64_t first_row; /* number of row 0 for the draws, so that a row alone draws what it draws in a batch */
  void *workspace;   /* workspace_bytes(entry, steps, batch) bytes, aligned to 64 */
  const seqc_team *team; /* NULL: the calling thread alone */
  seqc_where *where;     /* filled on SEQC_BAD_INDEX, SEQC_BAD_LENGTH; may be NULL */
} seqc_call;

typedef struct seqc_weights {
  const void *plain;  /* one row-major tensor after another, at the offsets of the manifest, aligned to 64 */
  const void *packed; /* made from plain by `pack`; what kernels read */
} seqc_weights;

/* What an update changes. `updates` counts them. */
typedef struct seqc_trainer {
  void *plain, *packed;
  void *optimizer; /* optimizer states at their offsets in the manifest */
  const double *hyper;
  int64_t *updates;
} seqc_trainer;

/* Arrays of pointers in manifest order.

   state: for each state its values [batch][dims] and uint8_t fresh [batch]; at the end int64_t started
   [batch]. A fresh row takes its initial value; a call clears `fresh` of the states that it advanced. NULL:
   all rows are fresh and nothing is handed back.

   inputs: inputs, then targets; NULL for those that an entry point does not read. In step NULL means fed
   back.

   outputs: a NULL pointer is skipped. generate gives the rows of the last given step and of later ones, and
   int32_t lengths [batch] at the end.

   grads: parameters (one arena like plain, real), hyper gradients (double [hypers]), then a pointer for each
   input and for each state; NULL pointers are skipped. accumulate != 0 adds instead of setting.

   scores: double; loss, then metrics. */
typedef int seqc_infer_fn(const seqc_call *, const seqc_weights *, const double *hyper, void *const *state,
                          const void *const *inputs, void *const *outputs);
typedef int seqc_evaluate_fn(const seqc_call *, const seqc_weights *, const double *hyper, void *const *state,
                             const void *const *inputs, double *scores);
typedef int seqc_gradients_fn(const seqc_call *, const seqc_weights *, const double *hyper,
                              void *const *state, const void *const *inputs, void *const *grads,
                              int accumulate, double *scores);
typedef int seqc_apply_fn(const seqc_call *, const seqc_trainer *, const void *grads);
typedef int seqc_update_fn(const seqc_call *, const seqc_trainer *, void *const *state,
                           const void *const *inputs, double *scores);

typedef struct seqc_model {
  uint32_t abi, size;
  const char *name, *source_hash;
  uint32_t real_bytes;
  uint32_t parameters, inputs, outputs, states, hypers, metrics, optimizer_states;
  uint64_t plain_bytes, packed_bytes, optimizer_bytes;
  const double *hyper_values;
  int (*pack)(const void *plain, void *packed);
  int64_t (*workspace_bytes)(int entry, int64_t steps, int64_t batch);
  int (*initial_optimizer)(void *optimizer);
  seqc_infer_fn *infer, *step, *generate; /* NULL where the model lacks one */
  seqc_evaluate_fn *evaluate;
  seqc_gradients_fn *gradients;
  seqc_apply_fn *apply;
  seqc_update_fn *update;
  const void *embedded_plain; /* weights built into the library, or NULL */
} seqc_model;

#ifdef __cplusplus
}
#endif
#endif
