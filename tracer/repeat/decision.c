#include "repeat/decision.h"

#include "base/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_SIZE = QUESTION_SIZE_MAX + PATH_MAX + 1024, RECORD_SIZE_MAX = 1 << 17 };

static const char *config_path(const struct asked *asked) { return asked->config ? asked->config : DEFAULT_CONFIG; }

static void hex_of(struct sha256 *sha, char hex[SHA256_HEX_SIZE]) {
  unsigned char digest[SHA256_SIZE];
  sha256_finish(sha, digest);
  sha256_hex(digest, hex);
}

static void hash(const void *data, size_t length, char hex[SHA256_HEX_SIZE]) {
  struct sha256 sha;
  sha256_start(&sha);
  sha256_update(&sha, data, length);
  hex_of(&sha, hex);
}

/* A whole regular file that root or we alone can change. NULL: it is not that, or has more than `most` bytes. */
static void *read_trusted(const char *path, size_t most, size_t *length) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return NULL;
  unsigned char *data = NULL;
  if (fstat(fd, &status) == 0 && trusted_file(&status) && status.st_size > 0 && (size_t)status.st_size <= most &&
      (data = malloc((size_t)status.st_size))) {
    *length = (size_t)status.st_size;
    if (read(fd, data, *length) != (ssize_t)*length) {
      free(data);
      data = NULL;
    }
  }
  close(fd);
  return data;
}

static bool record_path(const struct asked *asked, char path[PATH_MAX]) {
  char directory[PATH_MAX], hex[SHA256_HEX_SIZE];
  if (!trusted_run_directory("decisions", directory)) return false;
  struct sha256 sha;
  sha256_start(&sha);
  sha256_update(&sha, config_path(asked), strlen(config_path(asked)) + 1);
  sha256_update(&sha, asked->question->text, asked->question->length);
  hex_of(&sha, hex);
  return snprintf(path, PATH_MAX, "%s/%s", directory, hex) < PATH_MAX;
}

/* How a record must begin. False: no record can be true now. */
static bool write_head(const struct asked *asked, struct text *head) {
  struct stat helper, config;
  if (stat("/proc/self/exe", &helper) != 0) return false;
  text_format(head, "oci-sandbox decision 1\nprogram ");
  text_identity(head, &asked->program);
  text_format(head, "helper ");
  text_identity(head, &helper);
  text_format(head, "config %s\nconfig-file ", config_path(asked));
  if (lstat(config_path(asked), &config) == 0) {
    if (!trusted_file(&config)) return false;
    text_identity(head, &config);
  } else {
    if (errno != ENOENT || asked->config) return false;
    text_format(head, "-\n");
  }
  text_format(head, "question %zu\n", asked->question->length);
  text_bytes(head, asked->question->text, asked->question->length);
  return !head->truncated;
}

/* The rest of a record, line by line. */
struct lines {
  char *at, *end; /* everything before `end` is whole lines */
};

/* The value of the next line, if that is "KEY VALUE"; NULL otherwise. */
static char *next_value(struct lines *lines, const char *key) {
  size_t length = strlen(key);
  if ((size_t)(lines->end - lines->at) <= length || memcmp(lines->at, key, length) != 0 || lines->at[length] != ' ') return NULL;
  char *value = lines->at + length + 1, *newline = memchr(value, '\n', (size_t)(lines->end - value));
  if (!newline || memchr(value, 0, (size_t)(newline - value))) return NULL;
  *newline = 0;
  lines->at = newline + 1;
  return value;
}

/* The last line tells a record that is whole. */
static bool check_sum(char *record, size_t length, struct lines *lines) {
  enum { LAST = 4 + SHA256_HEX_SIZE };
  char last[LAST + 1] = "sum ";
  if (length <= LAST || record[length - LAST - 1] != '\n') return false;
  hash(record, length - LAST, last + 4);
  last[LAST - 1] = '\n';
  if (memcmp(record + length - LAST, last, LAST) != 0) return false;
  lines->end = record + length - LAST;
  return true;
}

/* src/policy/name.ts */
static bool is_policy_name(const char *name) {
  size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return length > 0 && length <= 128 && !name[length] && !strchr("._-", name[0]);
}

/* No run waits to be merged into the policy, as far as names tell. Others than records may be there. */
static bool nothing_pending(const char *path) {
  static const char suffix[] = ".ndjson";
  DIR *directory = opendir(path);
  if (!directory) return errno == ENOENT;
  struct dirent *entry;
  bool none = trusted_directory(path);
  for (errno = 0; none && (entry = readdir(directory)); errno = 0) {
    size_t length = strlen(entry->d_name);
    none = length < sizeof suffix - 1 || strcmp(entry->d_name + length - (sizeof suffix - 1), suffix) != 0;
  }
  none = none && errno == 0;
  closedir(directory);
  return none;
}

static bool policy_stands(const char *store, const char *name, const char *identity) {
  char path[PATH_MAX], found[256];
  struct text text = TEXT_ON(found);
  struct stat status;
  size_t most = sizeof path - sizeof "/policy.json";
  if (strlen(store) + sizeof "/policies/" + strlen(name) > most || !trusted_directory(store)) return false;
  sprintf(path, "%s/policies", store);
  if (!trusted_directory(path)) return false;
  sprintf(path, "%s/policies/%s", store, name);
  if (!trusted_directory(path)) return false;
  char *end = path + strlen(path);
  strcpy(end, "/policy.json");
  if (lstat(path, &status) != 0 || !trusted_file(&status)) return false;
  text_identity(&text, &status);
  size_t length = strlen(identity);
  if (text.truncated || text.length != length + 1 || memcmp(found, identity, length) != 0) return false;
  strcpy(end, "/runs");
  return nothing_pending(path);
}

/* A program of the cache is checked against its name, as in src/filter/cache.ts, and these very bytes are installed. */
static bool load_program(const char *store, const char *sum, struct filter *filter) {
  char path[PATH_MAX], hex[SHA256_HEX_SIZE];
  size_t length;
  if (strspn(sum, "0123456789abcdef") != SHA256_HEX_SIZE - 1 || sum[SHA256_HEX_SIZE - 1]) return false;
  if (snprintf(path, sizeof path, "%s/cache/%s.bpf", store, sum) >= (int)sizeof path) return false;
  void *program = read_trusted(path, BPF_MAXINSNS * sizeof(struct sock_filter), &length);
  if (!program) return false;
  hash(program, length, hex);
  if (strcmp(hex, sum) != 0 || length % sizeof(struct sock_filter) != 0 || !(filter->path = strdup(path))) {
    free(program);
    return false;
  }
  filter->instructions = program;
  filter->length = (unsigned short)(length / sizeof(struct sock_filter));
  return true;
}

static unsigned digit(char character) {
  return (unsigned)(character <= '9' ? character - '0' : character - 'a' + 10);
}

/* A program that was compiled for this answer, and is not in the cache yet: two digits for each of its bytes. */
static bool take_program(const char *store, const char *digits, struct filter *filter) {
  char path[PATH_MAX], hex[SHA256_HEX_SIZE];
  size_t length = strspn(digits, "0123456789abcdef") / 2;
  if (digits[2 * length] || length == 0 || length % sizeof(struct sock_filter) != 0) return false;
  if (length > BPF_MAXINSNS * sizeof(struct sock_filter)) return false;
  unsigned char *program = malloc(length);
  if (!program) return false;
  for (size_t i = 0; i < length; i++) program[i] = (unsigned char)(digit(digits[2 * i]) << 4 | digit(digits[2 * i + 1]));
  hash(program, length, hex);
  if (snprintf(path, sizeof path, "%s/cache/%s.bpf", store, hex) >= (int)sizeof path || !(filter->path = strdup(path))) {
    free(program);
    return false;
  }
  filter->instructions = (struct sock_filter *)program;
  filter->length = (unsigned short)(length / sizeof(struct sock_filter));
  return true;
}

static bool take_programs(struct lines *lines, bool fresh, const char *store, struct decision *decision) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/cache", store) >= (int)sizeof path) return false;
  for (bool trusted = false; lines->at < lines->end; decision->count++) {
    struct filter *filter = &decision->filters[decision->count];
    const char *digits = fresh ? next_value(lines, "program") : NULL;
    const char *sum = digits ? NULL : next_value(lines, "filter");
    if (decision->count == FILTERS_MAX) return false;
    if (sum && !(trusted = trusted || trusted_directory(path))) return false;
    if (digits ? !take_program(store, digits, filter) : !sum || !load_program(store, sum, filter)) return false;
  }
  return decision->count > 0;
}

/* Is what the decision rests on as it was? */
static bool others_stand(struct lines *lines, const char **first) {
  char *value, found[256];
  while ((value = next_value(lines, "rests-on"))) {
    struct text text = TEXT_ON(found);
    struct stat status;
    char *path = strchr(value, '/');
    if (!path) return false;
    path[-1] = 0;
    if (!*first) *first = path;
    if (stat(path, &status) == 0) text_identity(&text, &status);
    else if (errno == ENOENT) text_format(&text, "-\n");
    size_t length = strlen(value);
    if (text.truncated || text.length != length + 1 || memcmp(found, value, length) != 0) return false;
  }
  return true;
}

/* `fresh`: given for what is there now, so the policy need not be looked at again. */
static bool take_enforce(struct lines *lines, bool fresh, struct decision *decision) {
  const char *store = next_value(lines, "store");
  const char *policy = store ? next_value(lines, "policy") : NULL;
  const char *identity = policy ? next_value(lines, "policy-file") : NULL;
  const char *level = identity ? next_value(lines, "journal-level") : NULL;
  const char *privileges = level ? next_value(lines, "no-new-privileges") : NULL;
  if (!privileges || store[0] != '/' || !is_policy_name(policy)) return false;
  if (!journal_parse_level(level, &decision->journal_level)) return false;
  decision->allow_no_new_privs = strcmp(privileges, "1") == 0;
  if (!decision->allow_no_new_privs && strcmp(privileges, "0") != 0) return false;
  if (snprintf(decision->journal, sizeof decision->journal, "%s/journal.ndjson", store) >= (int)sizeof decision->journal)
    return false;
  decision->policy = policy;
  decision->start_hook = next_value(lines, "start-hook");
  decision->end_hook = next_value(lines, "end-hook");
  if (!others_stand(lines, &decision->rests_on)) return false;
  decision->note = next_value(lines, "note");
  decision->crun_program = next_value(lines, "crun-program");
  return (fresh || policy_stands(store, policy, identity)) && take_programs(lines, fresh, store, decision);
}

/* From "answer " on. */
static void take_answer(struct lines *lines, bool fresh, struct decision *decision) {
  const char *kind = next_value(lines, "answer");
  if (!kind) return;
  decision->runtime = next_value(lines, "runtime");
  if (strcmp(kind, "pass") == 0) {
    if (lines->at == lines->end) decision->kind = DECISION_PASS;
  } else if (strcmp(kind, "enforce") == 0 && take_enforce(lines, fresh, decision)) {
    decision->kind = DECISION_ENFORCE;
  }
}

static void recall(const struct asked *asked, char *record, size_t length, struct decision *decision) {
  static char buffer[HEAD_SIZE];
  struct text head = TEXT_ON(buffer);
  struct lines lines;
  if (!check_sum(record, length, &lines) || !write_head(asked, &head)) return;
  if (head.length > (size_t)(lines.end - record) || memcmp(record, buffer, head.length) != 0) return;
  lines.at = record + head.length;
  take_answer(&lines, false, decision);
}

void decision_recall(const struct asked *asked, struct decision *decision) {
  char path[PATH_MAX];
  size_t length;
  *decision = (struct decision){.kind = DECISION_UNKNOWN};
  /* What a relative path means depends on the directory. */
  if (config_path(asked)[0] != '/' || !record_path(asked, path)) return;
  char *record = read_trusted(path, RECORD_SIZE_MAX, &length);
  if (record) recall(asked, record, length, decision);
}

void decision_take(char *text, size_t length, struct decision *decision) {
  struct lines lines = {.at = text};
  *decision = (struct decision){.kind = DECISION_UNKNOWN};
  if (check_sum(text, length, &lines)) take_answer(&lines, true, decision);
}
