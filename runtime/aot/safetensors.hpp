// Reads a safetensors file into a weight arena: names, element types and shapes are checked, and a file that
// is cut, padded, damaged or contradicts itself is refused before anything is computed. Needs the C
// library only.
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

// A text of the file, without its quotes.
struct Text {
  const char *at;
  int64_t length;
};

// The free text of a file: names and strings, of which only the checksum of the data is of use here.
static inline void take_metadata(Cursor &cursor, Text &checksum) {
  take(cursor, '{');
  for (int seen = 0; cursor.good && !next_is(cursor, '}'); ++seen) {
    int64_t length = 0;
    if (seen > 0)
      take(cursor, ',');
    const char *const key = take_string(cursor, length);
    const bool wanted = same(key, length, "data_crc32");
    take(cursor, ':');
    const char *const value = take_string(cursor, length);
    if (wanted)
      checksum = {value, length};
  }
  take(cursor, '}');
}

// The CRC-32 of zlib and PNG, a byte at a time.
static inline uint32_t crc32_of(const char *data, int64_t size) {
  uint32_t table[256];
  for (uint32_t byte = 0; byte < 256; ++byte) {
    table[byte] = byte;
    for (int bit = 0; bit < 8; ++bit)
      table[byte] = (table[byte] >> 1) ^ (table[byte] & 1 ? 0xEDB88320u : 0u);
  }
  uint32_t value = 0xFFFFFFFFu;
  for (int64_t i = 0; i < size; ++i)
    value = table[(value ^ static_cast<unsigned char>(data[i])) & 255] ^ (value >> 8);
  return value ^ 0xFFFFFFFFu;
}

// Whether the data is what was written, by a checksum as text.
static inline bool is_sound(const Text &checksum, const char *data, int64_t size) {
  char found[16];
  snprintf(found, sizeof found, "%08lx", static_cast<unsigned long>(crc32_of(data, size)));
  return same(checksum.at, checksum.length, found);
}

// What is wrong with a file: a sentence, null if nothing is, and the tensor that it speaks of, if any.
struct Wrong {
  const char *why, *tensor;
};

// How a tensor of a file differs from that of the model; null if it does not. Single precision goes into
// models of double precision.
static inline const char *misfit(const Found &found, const Tensor &tensor, int64_t real_bytes,
                                 int64_t data_bytes) {
  const bool wide = same(found.type, found.type_length, "F64");
  if (!same(found.type, found.type_length, "F32") && !(wide && real_bytes == 8))
    return real_bytes == 8 ? "it is neither F32 nor F64" : "it is not F32";
  bool equal = found.rank == tensor.rank;
  for (int i = 0; equal && i < tensor.rank; ++i)
    equal = found.dims[i] == tensor.dims[i];
  if (!equal)
    return "it has another shape than the model asks for";
  if (found.begin < 0 || found.end > data_bytes || found.end - found.begin != tensor.size * (wide ? 8 : 4))
    return "its data is cut off";
  return nullptr;
}

// Copies a tensor of 4 or 8 bytes a number.
static inline void copy_tensor(char *to, const char *from, int64_t size, bool widen) {
  if (!widen) {
    memcpy(to, from, static_cast<size_t>(size));
    return;
  }
  for (int64_t i = 0; i < size / 4; ++i) {
    float narrow;
    memcpy(&narrow, from + 4 * i, sizeof narrow);
    const double number = static_cast<double>(narrow);
    memcpy(to + 8 * i, &number, sizeof number);
  }
}

// The bytes of a file that hold one tensor of the model; none so far while both are 0.
struct Place {
  int64_t begin, end;
};

// Whether the tensors lie one behind the other without a hole: each begins where those before it end.
static inline bool are_dense(const Place *places, int count) {
  for (int i = 0; i < count; ++i) {
    int64_t before = 0;
    for (int j = 0; j < count; ++j)
      before += places[j].begin < places[i].begin ? places[j].end - places[j].begin : 0;
    if (before != places[i].begin)
      return false;
  }
  return true;
}

// Copies every tensor of the header to its place.
static inline Wrong place_tensors(Cursor cursor, const char *data, int64_t data_bytes, const Tensor *tensors,
                                  int count, int64_t real_bytes, char *plain, Place *places) {
  take(cursor, '{');
  int64_t last = 0;
  Text checksum = {nullptr, 0};
  for (int seen = 0; cursor.good && !next_is(cursor, '}'); ++seen) {
    Found found = {};
    if (seen > 0)
      take(cursor, ',');
    found.name = take_string(cursor, found.name_length);
    take(cursor, ':');
    if (same(found.name, found.name_length, "__metadata__")) {
      take_metadata(cursor, checksum);
      continue;
    }
    take_tensor(cursor, found);
    int number = 0;
    while (number < count && !same(found.name, found.name_length, tensors[number].name))
      ++number;
    if (!cursor.good)
      break;
    if (number == count)
      return {"it holds a tensor that the model does not have", nullptr};
    if (places[number].end)
      return {"it stands there twice", tensors[number].name};
    const char *const why = misfit(found, tensors[number], real_bytes, data_bytes);
    if (why)
      return {why, tensors[number].name};
    const int64_t size = found.end - found.begin;
    copy_tensor(plain + tensors[number].offset, data + found.begin, size,
                size < tensors[number].size * real_bytes);
    places[number] = {found.begin, found.end};
    last = found.end > last ? found.end : last;
  }
  take(cursor, '}');
  skip_blanks(cursor);
  if (!cursor.good || cursor.at < cursor.end)
    return {"its header is broken", nullptr};
  for (int number = 0; number < count; ++number)
    if (!places[number].end)
      return {"it is missing", tensors[number].name};
  if (!are_dense(places, count))
    return {"there are holes between its tensors, or some overlap", nullptr};
  if (last < data_bytes)
    return {"there is more behind its last tensor", nullptr};
  if (checksum.at && !is_sound(checksum, data, data_bytes))
    return {"its checksum does not fit, so it was damaged", nullptr};
  return {nullptr, nullptr};
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

// load_weights: fills the arena from a file, or says what is wrong with it.
static inline Wrong load_weights(const char *path, const Tensor *tensors, int count, int64_t real_bytes,
                                 char *plain) {
  Wrong wrong = {nullptr, nullptr};
  int64_t size = 0;
  char *const file = read_file(path, size, wrong.why);
  if (!file)
    return wrong;
  uint64_t header = 0;
  for (int i = 0; i < 8 && size >= 8; ++i)
    header |= static_cast<uint64_t>(static_cast<unsigned char>(file[i])) << (8 * i);
  Place *const places = static_cast<Place *>(calloc(static_cast<size_t>(count) + 1, sizeof(Place)));
  if (!places)
    wrong.why = "there is not enough memory";
  else if (size < 8 || header > static_cast<uint64_t>(size) - 8)
    wrong.why = "it is no safetensors file, or cut off";
  else {
    const char *const data = file + 8 + header;
    wrong = place_tensors({file + 8, data, true}, data, size - 8 - static_cast<int64_t>(header), tensors,
                          count, real_bytes, plain, places);
  }
  free(places);
  free(file);
  return wrong;
}

} // namespace seqc_aot
