// Values at the border of a program as text: numbers between separators, lines of any length.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace seqc_aot {

// A named value at the border. kind: f float, d double, i int32, b one byte; `time`: one for each step.
struct Column {
  const char *name;
  char kind;
  int64_t size;
  bool time, target, length;
};

static inline int64_t width(char kind) { return kind == 'd' ? 8 : kind == 'b' ? 1 : 4; }
static inline int64_t bytes(const Column &column) { return column.size * width(column.kind); }

static inline void put_number(const Column &column, void *data, int64_t index, double value) {
  if (column.kind == 'd')
    static_cast<double *>(data)[index] = value;
  else if (column.kind == 'f')
    static_cast<float *>(data)[index] = static_cast<float>(value);
  else if (column.kind == 'b')
    static_cast<uint8_t *>(data)[index] = value != 0.0;
  else
    static_cast<int32_t *>(data)[index] = static_cast<int32_t>(value);
}

static inline bool is_whole(double value) {
  return value >= -2147483648.0 && value <= 2147483647.0 &&
         value == static_cast<double>(static_cast<int64_t>(value));
}

// All of a text as a whole number from 0 to 2^63 - 1.
static inline bool read_whole(const char *text, uint64_t &value) {
  char *end = nullptr;
  value = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == 0 && value >> 63 == 0;
}

// One number from text, stepping over what separates numbers; false at the end of the line or at anything
// else.
static inline bool read_number(const char *&text, const Column &column, double &value) {
  while (*text == ' ' || *text == '\t' || *text == ',' || *text == ';')
    ++text;
  char *end = nullptr;
  value = strtod(text, &end);
  if (end == text)
    return false;
  text = end;
  return column.kind == 'f' || column.kind == 'd' || is_whole(value);
}

static inline bool at_end(const char *text) {
  while (*text == ' ' || *text == '\t' || *text == '\r' || *text == '\n')
    ++text;
  return *text == 0;
}

// Steps over the mark with which some editors begin a file of UTF-8.
static inline char *after_mark(char *text) { return strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text; }

// What stands in a line for a zero byte, which no text has.
constexpr char zero_byte = 1;

// A line of any length from standard input; null at the end. A zero byte ends it, too.
static inline char *read_line(char *&buffer, size_t &room) {
  size_t used = 0;
  for (int c = 0; (used == 0 || (c != '\n' && c != 0)) && (c = getc(stdin)) != EOF;) {
    if (room < used + 2) {
      char *const more = static_cast<char *>(realloc(buffer, 2 * room + 4096));
      if (!more)
        return nullptr;
      buffer = more;
      room = 2 * room + 4096;
    }
    buffer[used++] = c == 0 ? zero_byte : static_cast<char>(c);
  }
  if (used)
    buffer[used] = 0;
  return used ? buffer : nullptr;
}

static inline void print_number(const Column &column, const void *data, int64_t index) {
  if (column.kind == 'd')
    printf("%.17g", static_cast<const double *>(data)[index]);
  else if (column.kind == 'f')
    printf("%.9g", static_cast<double>(static_cast<const float *>(data)[index]));
  else
    printf("%d", column.kind == 'b' ? static_cast<const uint8_t *>(data)[index]
                                    : static_cast<const int32_t *>(data)[index]);
}

} // namespace seqc_aot
