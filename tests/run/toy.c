/* A model written by hand against the interface: h = tanh(W * prev h + gain * x), y = h[0] + h[1] + kind.

   inputs x: real[2] stream, gain: real once, kind: index(5) stream; target goal: real[2] once.
   loss = mean over the batch of |h_last - goal|^2, one metric (its root), one state h, one parameter W[2],
   optimizer: w -= lr * g with a state that counts. */
#include "seqc_abi.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static int bad(const seqc_call *call, const void *const *in) {
  const int32_t *kind = (const int32_t *)in[2];
  for (int64_t i = 0; i < call->steps * call->batch; ++i)
    if (kind[i] < 0 || kind[i] >= 5) {
      if (call->where) {
        call->where->input = 2;
        call->where->step = i / call->batch;
        call->where->row = i % call->batch;
        call->where->value = kind[i];
      }
      return SEQC_BAD_INDEX;
    }
  return SEQC_OK;
}

static void begin(const seqc_call *call, void *const *state, float *h) {
  for (int64_t b = 0; b < call->batch; ++b)
    for (int k = 0; k < 2; ++k) {
      const int fresh = state == NULL || ((const uint8_t *)state[1])[b];
      h[2 * b + k] = fresh ? 0.0f : ((const float *)state[0])[2 * b + k];
    }
}

static void finish(const seqc_call *call, void *const *state, const float *h) {
  if (state == NULL) return;
  memcpy(state[0], h, (size_t)call->batch * 2 * sizeof *h);
  memset(state[1], 0, (size_t)call->batch);
  for (int64_t b = 0; b < call->batch; ++b) ((int64_t *)state[2])[b] += call->steps;
}

static void forward(const seqc_call *call, const float *w, const void *const *in, float *h, float *y) {
  const float *x = (const float *)in[0], *gain = (const float *)in[1];
  const int32_t *kind = (const int32_t *)in[2];
  for (int64_t t = 0; t < call->steps; ++t)
    for (int64_t b = 0; b < call->batch; ++b) {
      const int64_t i = t * call->batch + b;
      for (int k = 0; k < 2; ++k) h[2 * b + k] = tanhf(w[k] * h[2 * b + k] + gain[b] * x[2 * i + k]);
      if (y) y[i] = h[2 * b] + h[2 * b + 1] + (float)kind[i];
    }
}

static int infer(const seqc_call *call, const seqc_weights *weights, const double *hyper, void *const *state,
                 const void *const *in, void *const *out) {
  (void)hyper;
  if (bad(call, in)) return SEQC_BAD_INDEX;
  float *h = (float *)call->workspace;
  begin(call, state, h);
  forward(call, (const float *)weights->packed, in, h, (float *)out[0]);
  finish(call, state, h);
  return SEQC_OK;
}

static double score(const seqc_call *call, const float *h, const float *goal, double *scores) {
  double sum = 0;
  for (int64_t i = 0; i < 2 * call->batch; ++i) sum += (double)(h[i] - goal[i]) * (double)(h[i] - goal[i]);
  scores[0] = sum / (double)call->batch;
  scores[1] = sqrt(scores[0]);
  return scores[0];
}

static int evaluate(const seqc_call *call, const seqc_weights *weights, const double *hyper, void *const *state,
                    const void *const *in, double *scores) {
  (void)hyper;
  if (bad(call, in)) return SEQC_BAD_INDEX;
  float *h = (float *)call->workspace;
  begin(call, state, h);
  forward(call, (const float *)weights->packed, in, h, NULL);
  finish(call, state, h);
  score(call, h, (const float *)in[3], scores);
  return SEQC_OK;
}

/* By differences: the test asks for plumbing, not for speed. */
static void slope(const seqc_call *call, const float *w, void *const *state, const void *const *in, double *g) {
  float *h = (float *)call->workspace;
  for (int k = 0; k < 2; ++k) {
    double side[2][2];
    for (int s = 0; s < 2; ++s) {
      float moved[2] = {w[0], w[1]};
      moved[k] += s ? 1e-3f : -1e-3f;
      begin(call, state, h);
      forward(call, moved, in, h, NULL);
      score(call, h, (const float *)in[3], side[s]);
    }
    g[k] = (side[1][0] - side[0][0]) / 2e-3;
  }
}

static int gradients(const seqc_call *call, const seqc_weights *weights, const double *hyper, void *const *state,
                     const void *const *in, void *const *grads, int accumulate, double *scores) {
  double g[2];
  if (bad(call, in)) return SEQC_BAD_INDEX;
  slope(call, (const float *)weights->plain, state, in, g);
  float *out = (float *)grads[0];
  for (int k = 0; out && k < 2; ++k) out[k] = (float)g[k] + (accumulate ? out[k] : 0.0f);
  return evaluate(call, weights, hyper, state, in, scores);
}

static int pack(const void *plain, void *packed) {
  memcpy(packed, plain, 2 * sizeof(float));
  return SEQC_OK;
}

static int apply(const seqc_call *call, const seqc_trainer *trainer, const void *grads) {
  float *w = (float *)trainer->plain, *seen = (float *)trainer->optimizer;
  (void)call;
  for (int k = 0; k < 2; ++k)
    if (!isfinite(((const float *)grads)[k])) return SEQC_NOT_FINITE;
  for (int k = 0; k < 2; ++k) {
    w[k] -= (float)trainer->hyper[0] * ((const float *)grads)[k];
    seen[k] += 1.0f;
  }
  *trainer->updates += 1;
  return pack(trainer->plain, trainer->packed);
}

static int update(const seqc_call *call, const seqc_trainer *trainer, void *const *state, const void *const *in,
                  double *scores) {
  const seqc_weights weights = {trainer->plain, trainer->packed};
  double g[2];
  float narrow[2];
  if (bad(call, in)) return SEQC_BAD_INDEX;
  slope(call, (const float *)trainer->plain, state, in, g);
  narrow[0] = (float)g[0];
  narrow[1] = (float)g[1];
  if (!isfinite(narrow[0]) || !isfinite(narrow[1])) return SEQC_NOT_FINITE;
  const int code = evaluate(call, &weights, trainer->hyper, state, in, scores);
  return code ? code : apply(call, trainer, narrow);
}

static int64_t workspace_bytes(int entry, int64_t steps, int64_t batch) {
  (void)entry;
  (void)steps;
  return batch * 2 * (int64_t)sizeof(float);
}

static int initial_optimizer(void *optimizer) {
  memset(optimizer, 0, 2 * sizeof(float));
  return SEQC_OK;
}

static const double HYPER[1] = {0.1};
static const seqc_model MODEL = {
    SEQC_ABI_VERSION, sizeof(seqc_model), "toy", "hash", 4, 1, 4, 1, 1, 1, 1, 1, 8, 8, 8, HYPER, pack, workspace_bytes,
    initial_optimizer, infer, infer, NULL, evaluate, gradients, apply, update, NULL};

const seqc_model *toy_get(void);
const seqc_model *toy_get(void) { return &MODEL; }
