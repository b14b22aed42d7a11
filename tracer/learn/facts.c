#include "learn/facts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* README.md, "Collapsing" */
static const struct tree_limits file_limits = {.names = 128, .below = {4096, 2048, 1024, 512, 256}};
static const struct tree_limits endpoint_limits = {.names = 32, .below = {UINT32_MAX, 128, 64, 64, 64}};
static const struct tree_limits program_limits = {.names = 32, .below = {512, 256, 128, 64, 64}};
enum { LINES_MAX = 768 << 10, LINE_MAX_SIZE = 32768 };

bool facts_init(struct facts *facts, struct stream *stream) {
  facts->stream = stream;
  return tree_init(&facts->files, &file_limits) && tree_init(&facts->endpoints, &endpoint_limits) &&
         tree_init(&facts->programs, &program_limits);
}

static void finish_line(struct facts *facts, struct text *line) {
  text_bytes(line, "}", 1);
  if (facts->written + line->length + 1 > LINES_MAX) {
    facts->left++;
    return;
  }
  facts->written += line->length + 1;
  stream_line(facts->stream, line);
}

static void add_covers(struct text *line, enum tree_covers covers) {
  if (covers != TREE_ITSELF) text_format(line, ",\"covers\":\"%s\"", covers == TREE_ALL ? "all" : "names");
}

/* From the part `first` on. */
static void add_path(struct text *line, const struct tree_part *parts, size_t first, size_t count) {
  char path[8192];
  struct text joined = TEXT_ON(path);
  if (count <= first) text_bytes(&joined, "/", 1);
  for (size_t i = first; i < count; i++) {
    text_bytes(&joined, "/", 1);
    text_bytes(&joined, parts[i].text, parts[i].length);
  }
  text_bytes(&joined, "", 1);
  text_format(line, ",\"path\":");
  text_json_string(line, path);
}

static void add_access(struct text *line, uint32_t access) {
  static const char *const names[] = {"read", "write", "create", "change", "remove", "execute", "locate"};
  const char *separator = "";
  text_format(line, ",\"access\":[");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!(access >> i & 1)) continue;
    text_format(line, "%s\"%s\"", separator, names[i]);
    separator = ",";
  }
  text_bytes(line, "]", 1);
}

static void say_file(void *context, const struct tree_part *parts, size_t count, enum tree_covers covers, uint32_t bits) {
  for (unsigned failed = 0; failed <= 1; failed++) {
    char buffer[LINE_MAX_SIZE];
    struct text line = TEXT_ON(buffer);
    uint32_t access = bits >> (failed ? FACTS_FAILED : 0) & FACTS_ALL;
    if (!access) continue;
    text_format(&line, "{\"event\":\"file\"");
    add_access(&line, access);
    add_path(&line, parts, 0, count);
    text_format(&line, ",\"ok\":%s", failed ? "false" : "true");
    add_covers(&line, covers);
    finish_line(context, &line);
  }
}

static void say_program(void *context, const struct tree_part *parts, size_t count, enum tree_covers covers, uint32_t bits) {
  char buffer[LINE_MAX_SIZE];
  struct text line = TEXT_ON(buffer);
  (void)bits;
  text_format(&line, "{\"event\":\"execute\"");
  add_path(&line, parts, 0, count);
  add_covers(&line, covers);
  finish_line(context, &line);
}

static size_t split(const char *path, struct tree_part *parts, size_t count) {
  while (*path == '/' && count < TREE_PARTS_MAX) {
    size_t length = strcspn(++path, "/");
    parts[count++] = (struct tree_part){path, length};
    path += length;
  }
  return count;
}

void facts_file(struct facts *facts, const char *path, uint32_t access, bool ok) {
  struct tree_part parts[TREE_PARTS_MAX];
  size_t count = split(path, parts, 0);
  if (!tree_add(&facts->files, parts, count, access << (ok ? 0 : FACTS_FAILED), say_file, facts)) facts->left++;
}

void facts_program(struct facts *facts, const char *path) {
  struct tree_part parts[TREE_PARTS_MAX];
  size_t count = split(path, parts, 0);
  if (!tree_add(&facts->programs, parts, count, 1, say_program, facts)) facts->left++;
}

/* In the tree an endpoint begins with its kind and family, which this says with one letter each. */
static const char *const kinds[] = {[FACTS_BIND] = "bind", [FACTS_CONNECT] = "connect", [FACTS_SEND] = "send"};
enum { UNIX = 'u', ABSTRACT = 'a', INET = '4', INET6 = '6', OTHER = 'o' };

static void add_name(struct text *line, const char *key, const struct tree_part *part) {
  char name[256];
  struct text copy = TEXT_ON(name);
  text_bytes(&copy, part->text, part->length);
  text_bytes(&copy, "", 1);
  text_format(line, ",\"%s\":", key);
  text_json_string(line, name);
}

/* parts[0] is the kind and family; what follows may have been collapsed. */
static void add_endpoint(struct text *line, const struct tree_part *parts, size_t count) {
  char family = parts[0].text[1];
  text_format(line, ",\"kind\":\"%s\"", kinds[parts[0].text[0] - '0']);
  if (family == OTHER) {
    if (count > 1) add_name(line, "family", &parts[1]);
    else text_format(line, ",\"family\":\"other\"");
    return;
  }
  text_format(line, ",\"family\":\"%s\"",
              family == UNIX ? "unix" : family == ABSTRACT ? "abstract" : family == INET ? "inet" : "inet6");
  if (count == 1 && family != UNIX) return;
  if (family == UNIX) add_path(line, parts, 1, count);
  else add_name(line, family == ABSTRACT ? "name" : "address", &parts[1]);
  if (count > 2 && family != UNIX) text_format(line, ",\"port\":%.*s", (int)parts[2].length, parts[2].text);
}

static void say_endpoint(void *context, const struct tree_part *parts, size_t count, enum tree_covers covers, uint32_t bits) {
  static const char *const outcomes[] = {"true", "false", "null"};
  for (unsigned i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
    char buffer[LINE_MAX_SIZE];
    struct text line = TEXT_ON(buffer);
    if (!(bits >> i & 1)) continue;
    text_format(&line, "{\"event\":\"endpoint\"");
    add_endpoint(&line, parts, count);
    text_format(&line, ",\"ok\":%s", outcomes[i]);
    add_covers(&line, covers);
    finish_line(context, &line);
  }
}

static void add_endpoint_fact(struct facts *facts, enum facts_kind kind, char family, struct tree_part *parts, size_t count,
                              enum facts_outcome outcome) {
  char first[2] = {(char)('0' + kind), family};
  parts[0] = (struct tree_part){first, 2};
  if (!tree_add(&facts->endpoints, parts, count, outcome, say_endpoint, facts)) facts->left++;
}

void facts_unix(struct facts *facts, enum facts_kind kind, const char *path, enum facts_outcome outcome) {
  struct tree_part parts[TREE_PARTS_MAX];
  add_endpoint_fact(facts, kind, UNIX, parts, split(path, parts, 1), outcome);
}

void facts_abstract(struct facts *facts, enum facts_kind kind, const char *name, size_t length, enum facts_outcome outcome) {
  char shown[128]; /* sun_path has 108 */
  struct tree_part parts[2] = {{0}, {shown, length}};
  for (size_t i = 0; i < length; i++) shown[i] = name[i] ? name[i] : '@'; /* as /proc/net/unix and ss(8) show NUL bytes */
  add_endpoint_fact(facts, kind, ABSTRACT, parts, 2, outcome);
}

void facts_inet(struct facts *facts, enum facts_kind kind, bool six, const void *address, uint16_t port,
                enum facts_outcome outcome) {
  char text[INET6_ADDRSTRLEN] = "", number[8];
  inet_ntop(six ? AF_INET6 : AF_INET, address, text, sizeof text);
  int length = snprintf(number, sizeof number, "%u", port);
  struct tree_part parts[3] = {{0}, {text, strlen(text)}, {number, (size_t)length}};
  add_endpoint_fact(facts, kind, six ? INET6 : INET, parts, 3, outcome);
}

void facts_family(struct facts *facts, enum facts_kind kind, unsigned family, enum facts_outcome outcome) {
  char number[16];
  int length = snprintf(number, sizeof number, "%u", family);
  struct tree_part parts[2] = {{0}, {number, (size_t)length}};
  add_endpoint_fact(facts, kind, OTHER, parts, 2, outcome);
}

void facts_finish(struct facts *facts) {
  char buffer[256];
  struct text line = TEXT_ON(buffer);
  text_format(&line, "{\"event\":\"paths\",\"left\":%llu,\"unreadable\":%llu,\"long\":%llu,\"folded\":%llu}",
              (unsigned long long)facts->left, (unsigned long long)facts->unreadable, (unsigned long long)facts->longer,
              (unsigned long long)facts->folded);
  stream_line(facts->stream, &line);
}
