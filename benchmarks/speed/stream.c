/* Feeds one sample after another through a compiled model, as an audio callback would, and gives its outputs back.
   The state and all memory are made once; every call is one `step` of a sample, or one `infer` of a block. As audio hosts do,
   the thread flushes subnormal numbers to zero while it runs: a model that finds this set need not set it for each call. */
#include "seqc_abi.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef struct stream {
  const seqc_model *model;
  seqc_call call;
  seqc_weights weights;
  void **state;
} stream;

static void *memory(size_t bytes) {
  void *found = NULL;
  if (posix_memalign(&found, 64, bytes + 64))
    return NULL;
  return memset(found, 0, bytes + 64);
}

__attribute__((visibility("default"))) stream *stream_open(const char *library, const char *symbol, const void *plain,
                                                           int states, const int64_t *bytes, int64_t block) {
  void *const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  const seqc_model *(*get)(void) = NULL;
  if (!handle)
    return NULL;
  *(void **)&get = dlsym(handle, symbol);
  stream *const made = memory(sizeof *made);
  if (!get || !made)
    return NULL;
  made->model = get();
  void *const packed = memory(made->model->packed_bytes);
  made->model->pack(plain, packed);
  made->weights = (seqc_weights){plain, packed};
  made->state = memory(sizeof(void *) * (2 * (size_t)states + 1));
  for (int i = 0; i < states; ++i) {
    uint8_t *const fresh = memory(1);
    *fresh = 1;
    made->state[2 * i] = memory((size_t)bytes[i]);
    made->state[2 * i + 1] = fresh;
  }
  made->state[2 * states] = memory(8);
  const int entry = block > 1 ? SEQC_INFER : SEQC_STEP;
  made->call = (seqc_call){.size = sizeof(seqc_call), .steps = block, .batch = 1};
  made->call.workspace = memory((size_t)made->model->workspace_bytes(entry, block, 1));
  return made;
}

__attribute__((visibility("default"))) int stream_run(stream *s, const float *x, float *y, int64_t count) {
  const int64_t block = s->call.steps;
  seqc_infer_fn *const entry = block > 1 ? s->model->infer : s->model->step;
  int code = 0;
#ifdef __SSE__
  const unsigned mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040u);
#endif
  for (int64_t i = 0; i + block <= count; i += block) {
    const void *inputs[] = {x + i};
    void *outputs[] = {y + i};
    code |= entry(&s->call, &s->weights, s->model->hyper_values, s->state, inputs, outputs);
  }
#ifdef __SSE__
  __builtin_ia32_ldmxcsr(mode);
#endif
  return code;
}
