// Reads a safetensors file into a weight arena: names, element types and shapes are checked, and a file that
// is cut, padded or contradicts itself is refused before anything is written. Needs the C library only.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace seqc_aot {

// A parameter of the model: where it lies in the plain arena, and its shape.
struct Tensor {
  const char *name;
  int64_t offset, size;
  int rank;
  const int64_t *dims;
};

// A place in the header, and whether all was well so far.
struct Cursor {
  const char *at, *end;
  bool good;
};

static inline void skip_blanks(Cursor &cursor) {
  while (cursor.at < cursor.end &&
         (*cursor.at == ' ' || *cursor.at == '\n' || *cursor.at == '\t' || *cursor.at == '\r'))
    ++cursor.at;
}

// take(cursor, c): steps over the character c, which must stand there.
static inline void take(Cursor &cursor, char wanted) {
  skip_blanks(cursor);
  if (cursor.at < cursor.end && *cursor.at == wanted)
    ++cursor.at;
  else
    cursor.good = false;
}

static inline bool next_is(Cursor &cursor, char wanted) {
  skip_blanks(cursor);
  return cursor.good && cursor.at < cursor.end && *cursor.at == wanted;
}

// A string without its quotes, as it stands in the file; `length` bytes from the result on.
static inline const char *take_string(Cursor &cursor, int64_t &length) {
  take(cursor, '"');
  const char *const first = cursor.at;
  while (cursor.good && cursor.at < cursor.end && *cursor.at != '"')
    cursor.at += *cursor.at == '\\' && cursor.at + 1 < cursor.end ? 2 : 1;
  length = cursor.at - first;
  take(cursor, '"');
  return first;
}

// A whole number from 0 on.
static inline int64_t take_number(Cursor &cursor) {
  skip_blanks(cursor);
  int64_t value = 0;
  int digits = 0;
  for (; cursor.at < cursor.end && *cursor.at >= '0' && *cursor.at <= '9' && digits < 16;
       ++cursor.at, ++digits)
    value = value * 10 + (*cursor.at - '0');
  cursor.good = cursor.good && digits > 0 && digits < 16;
  return value;
}

static inline bool same(const char *text, int64_t length, const char *other) {
  return static_cast<int64_t>(strlen(other)) == length &&
         memcmp(text, other, static_cast<size_t>(length)) == 0;
}

constexpr int most_dims = 8;

// What the header says of one tensor.
struct Found {
  const char *name, *type;
  int64_t name_length, type_length, begin, end;
  int rank;
  int64_t dims[most_dims];
};

static inline void take_list(Cursor &cursor, int64_t *values, int &count, int most) {
  take(cursor, '[');
  for (count = 0; cursor.good && !next_is(cursor, ']'); ++count) {
    if (count > 0)
      take(cursor, ',');
    if (count == most) {
      cursor.good = false;
      return;
    }
    values[count] = take_number(cursor);
  }
  take(cursor, ']');
}

// {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
static inline void take_tensor(Cursor &cursor, Found &found) {
  int64_t offsets[2] = {0, 0};
  int pairs = 0, seen = 0;
  take(cursor, '{');
  for (; cursor.good && !next_is(cursor, '}'); ++seen) {
    if (seen > 0)
      take(cursor, ',');
    int64_t length = 0;
    const char *const key = take_string(cursor, length);
    take(cursor, ':');
    if (same(key, length, "dtype"))
      found.type = take_string(cursor, found.type_length);
    else if (same(key, length, "shape"))
      take_list(cursor, found.dims, found.rank, most_dims);
    else if (same(key, length, "data_offsets"))
      take_list(cursor, offsets, pairs, 2);
    else
      cursor.good = false;
  }
  take(cursor, '}');
  cursor.good = cursor.good && seen == 3 && pairs == 2;
  found.begin = offsets[0];
  found.end = offsets[1];
}

// The free text of a file: names and strings, which are stepped over.
static inline void skip_metadata(Cursor &cursor) {
  take(cursor, '{');
  for (int seen = 0; cursor.good && !next_is(cursor, '}'); ++seen) {
    int64_t length = 0;
    if (seen > 0)
      take(cursor, ',');
    take_string(cursor, length);
    take(cursor, ':');
    take_string(cursor, length);
  }
  take(cursor, '}');
}

static inline bool fits(const Found &found, const Tensor &tensor, int64_t real_bytes, int64_t data_bytes) {
  if (found.rank != tensor.rank || !same(found.type, found.type_length, real_bytes == 8 ? "F64" : "F32"))
    return false;
  for (int i = 0; i < tensor.rank; ++i)
    if (found.dims[i] != tensor.dims[i])
      return false;
  return found.begin >= 0 && found.end <= data_bytes && found.end - found.begin == tensor.size * real_bytes;
}

// Copies every tensor of the header to its place; gives a sentence in `why`, or null.
static inline const char *place_tensors(Cursor cursor, const char *data, int64_t data_bytes,
                                        const Tensor *tensors, int count, int64_t real_bytes, char *plain,
                                        char *placed) {
  take(cursor, '{');
  for (int seen = 0; cursor.good && !next_is(cursor, '}'); ++seen) {
    Found found = {};
    if (seen > 0)
      take(cursor, ',');
    found.name = take_string(cursor, found.name_length);
    take(cursor, ':');
    if (same(found.name, found.name_length, "__metadata__")) {
      skip_metadata(cursor);
      continue;
    }
    take_tensor(cursor, found);
    int number = 0;
    while (number < count && !same(found.name, found.name_length, tensors[number].name))
      ++number;
    if (!cursor.good)
      break;
    if (number == count)
      return "it holds a tensor that the model does not have";
    if (placed[number])
      return "it holds a tensor twice";
    if (!fits(found, tensors[number], real_bytes, data_bytes))
      return "a tensor has another type or shape than the model asks for";
    memcpy(plain + tensors[number].offset, data + found.begin, static_cast<size_t>(found.end - found.begin));
    placed[number] = 1;
  }
  take(cursor, '}');
  if (!cursor.good)
    return "its header is broken";
  for (int number = 0; number < count; ++number)
    if (!placed[number])
      return "a tensor of the model is missing";
  return nullptr;
}

// The whole file in memory of its own; null with a sentence in `why`.
static inline char *read_file(const char *path, int64_t &size, const char *&why) {
  FILE *const file = fopen(path, "rb");
  if (!file) {
    why = "it cannot be opened";
    return nullptr;
  }
  char *data = nullptr;
  size = fseek(file, 0, SEEK_END) == 0 ? static_cast<int64_t>(ftell(file)) : -1;
  if (size >= 0 && fseek(file, 0, SEEK_SET) == 0)
    data = static_cast<char *>(malloc(static_cast<size_t>(size) + 1));
  if (data && fread(data, 1, static_cast<size_t>(size), file) != static_cast<size_t>(size)) {
    free(data);
    data = nullptr;
  }
  fclose(file);
  if (!data)
    why = "it cannot be read";
  return data;
}

// load_weights: fills the arena from a file; null, or a sentence that says what is wrong with it.
static inline const char *load_weights(const char *path, const Tensor *tensors, int count, int64_t real_bytes,
                                       char *plain) {
  const char *why = nullptr;
  int64_t size = 0;
  char *const file = read_file(path, size, why);
  if (!file)
    return why;
  uint64_t header = 0;
  for (int i = 0; i < 8 && size >= 8; ++i)
    header |= static_cast<uint64_t>(static_cast<unsigned char>(file[i])) << (8 * i);
  char *const placed = static_cast<char *>(calloc(static_cast<size_t>(count) + 1, 1));
  if (!placed)
    why = "there is not enough memory";
  else if (size < 8 || header > static_cast<uint64_t>(size) - 8)
    why = "it is no safetensors file, or cut off";
  else {
    const char *const data = file + 8 + header;
    why = place_tensors({file + 8, data, true}, data, size - 8 - static_cast<int64_t>(header), tensors, count,
                        real_bytes, plain, placed);
  }
  free(placed);
  free(file);
  return why;
}

} // namespace seqc_aot
