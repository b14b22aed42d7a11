#include "learn/events.h"

#include "learn/identity.h"
#include "ptrace/tracee.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What is known of a call at its entry. */
struct event {
  struct timespec time;
  struct arch_call call;
  char arguments[]; /* a part of the line */
};

static bool open_file(struct events *events) {
  char name[512];
  snprintf(name, sizeof name, "%s.%u.ndjson", events->prefix, events->file);
  events->fd = openat(events->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  events->size = 0;
  events->held[events->file % EVENTS_FILES] = 0;
  return events->fd >= 0;
}

bool events_open(struct events *events, const char *base) {
  char path[TRACEE_PATH_MAX];
  const char *slash = strrchr(base, '/');
  snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - base + 1) : 1, slash ? base : ".");
  events->prefix = slash ? slash + 1 : base;
  events->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return events->directory >= 0 && open_file(events);
}

static void drop_file(struct events *events, unsigned file) {
  char name[512];
  snprintf(name, sizeof name, "%s.%u.ndjson", events->prefix, file);
  unlinkat(events->directory, name, 0);
  events->dropped += events->held[file % EVENTS_FILES];
}

static void next_file(struct events *events) {
  close(events->fd);
  events->file++;
  if (events->file >= EVENTS_FILES) drop_file(events, events->file - EVENTS_FILES);
  open_file(events);
}

static void write_line(struct events *events, struct text *line) {
  text_bytes(line, "\n", 1);
  if (!line->truncated && (uint64_t)events->size + line->length > events->most) next_file(events);
  ssize_t written = line->truncated || events->fd < 0 ? -1 : write(events->fd, line->data, line->length);
  if (written == (ssize_t)line->length) {
    events->size += written;
    events->written++;
    events->held[events->file % EVENTS_FILES]++;
    return;
  }
  events->failed++;
  if (written > 0 && ftruncate(events->fd, events->size) != 0) { /* a reader passes over the torn line */
  }
}

static void add_string(struct text *line, pid_t tid, uint64_t address) {
  static char path[TRACEE_PATH_MAX];
  if (address == 0 || tracee_path(tid, address, path) != TRACEE_OK) text_format(line, "null");
  else text_json_string(line, path);
}

/* As Tracee shows an address. */
static void add_address(struct text *line, pid_t tid, uint64_t address, uint32_t length) {
  struct sockaddr_storage storage = {0};
  char text[INET6_ADDRSTRLEN];
  if (length > sizeof storage) length = sizeof storage;
  if (address == 0 || length < 2 || tracee_read(tid, address, &storage, length) != length) {
    text_format(line, "null");
    return;
  }
  const struct sockaddr_in *in = (const void *)&storage;
  const struct sockaddr_in6 *in6 = (const void *)&storage;
  const struct sockaddr_un *un = (const void *)&storage;
  switch (storage.ss_family) {
    case AF_INET:
      text_format(line, "{\"sa_family\":\"AF_INET\",\"sin_addr\":\"%s\",\"sin_port\":\"%u\"}",
                  inet_ntop(AF_INET, &in->sin_addr, text, sizeof text), ntohs(in->sin_port));
      return;
    case AF_INET6:
      text_format(line, "{\"sa_family\":\"AF_INET6\",\"sin6_addr\":\"%s\",\"sin6_port\":\"%u\"}",
                  inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text), ntohs(in6->sin6_port));
      return;
    case AF_UNIX: {
      char path[sizeof un->sun_path + 1] = {0};
      memcpy(path, un->sun_path, sizeof un->sun_path);
      if (!*path) path[0] = '@'; /* an abstract name, as ss(8) shows it */
      text_format(line, "{\"sa_family\":\"AF_UNIX\",\"sun_path\":");
      text_json_string(line, path);
      text_bytes(line, "}", 1);
      return;
    }
    default:
      text_format(line, "{\"sa_family\":\"%u\"}", storage.ss_family);
  }
}

static void add_value(struct text *line, pid_t tid, char letter, const unsigned long long values[6], unsigned index) {
  uint64_t value = values[index];
  switch (letter) {
    case 'i':
      text_format(line, "%d", (int32_t)value);
      return;
    case 'u':
      text_format(line, "%u", (uint32_t)value);
      return;
    case 'l':
      text_format(line, "%lld", (long long)value);
      return;
    case 's':
      add_string(line, tid, value);
      return;
    case 'a':
      add_address(line, tid, value, index < 5 ? (uint32_t)values[index + 1] : 0);
      return;
    default:
      text_format(line, "%llu", (unsigned long long)value);
  }
}

static const char *type_of(char letter) {
  switch (letter) {
    case 'i':
      return "int";
    case 'u':
      return "unsigned int";
    case 'l':
      return "long";
    case 's':
      return "const char*";
    case 'a':
      return "struct sockaddr*";
    case 'p':
      return "void*";
    default:
      return "unsigned long";
  }
}

static void add_arguments(struct text *line, pid_t tid, const struct signature *signature, const unsigned long long values[6]) {
  unsigned count = signature ? signature->count : 6;
  text_format(line, ",\"args\":[");
  for (unsigned i = 0; i < count; i++) {
    char letter = signature ? signature->arguments[i].letter : 'U', unnamed[16];
    snprintf(unnamed, sizeof unnamed, "arg%u", i);
    text_format(line, "%s{\"name\":\"%s\",\"type\":\"%s\",\"value\":", i ? "," : "",
                signature ? signature->arguments[i].name : unnamed, type_of(letter));
    add_value(line, tid, letter, values, i);
    text_bytes(line, "}", 1);
  }
  text_bytes(line, "]", 1);
}

static void write_event(struct events *events, struct task *task, const struct event *event, int64_t result) {
  static char buffer[1 << 18];
  struct text line = TEXT_ON(buffer);
  const struct signature *signature = signatures_find(events->signatures, &event->call);
  char number[32];
  snprintf(number, sizeof number, "syscall_%d", event->call.nr);
  const char *name = signature ? signature->name : number;
  if (!task->identity) task->identity = identity_of(task->tid, events->container);
  text_format(&line, "{\"timestamp\":%lld,%s", event->time.tv_sec * 1000000000LL + event->time.tv_nsec,
              task->identity ? task->identity : "\"threadId\":0");
  text_format(&line, ",\"eventId\":\"%u\",\"eventName\":\"%s\",\"argsNum\":%u,\"returnValue\":%lld,\"syscall\":\"%s\"",
              signature ? signature->id : (unsigned)event->call.nr, name, signature ? signature->count : 6,
              (long long)result, name);
  text_format(&line, ",\"stackAddresses\":null,\"contextFlags\":{\"containerStarted\":true,\"isCompat\":%s},\"abi\":\"%s\"",
              event->call.abi == arch_kernel.compat ? "true" : "false", arch_abi_names[event->call.abi]);
  text_format(&line, "%s}", event->arguments);
  write_line(events, &line);
}

static bool never_returns(const struct signature *signature) {
  return signature && (strcmp(signature->name, "exit") == 0 || strcmp(signature->name, "exit_group") == 0);
}

/* Calls after which a task may have another name, user or namespace. */
static bool changes_identity(const struct signature *signature) {
  static const char *const names[] = {"prctl", "setns", "unshare"};
  if (!signature) return false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(signature->name, names[i]) == 0) return true;
  }
  return strncmp(signature->name, "set", 3) == 0 && strstr(signature->name, "uid");
}

void events_executed(struct task *task) {
  free(task->identity);
  task->identity = NULL;
}

void events_enter(struct events *events, struct task *task, const struct arch_call *call, const unsigned long long values[6]) {
  static char buffer[1 << 17];
  struct text arguments = TEXT_ON(buffer);
  const struct signature *signature = signatures_find(events->signatures, call);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (!task->identity) task->identity = identity_of(task->tid, events->container);
  add_arguments(&arguments, task->tid, signature, values);
  text_bytes(&arguments, "", 1);
  free(task->event);
  task->event = arguments.truncated ? NULL : malloc(sizeof *task->event + arguments.length);
  if (!task->event) {
    events->failed++;
    return;
  }
  task->event->time = now;
  task->event->call = *call;
  memcpy(task->event->arguments, buffer, arguments.length);
  if (never_returns(signature)) events_leave(events, task, 0);
}

void events_leave(struct events *events, struct task *task, int64_t result) {
  write_event(events, task, task->event, result);
  if (changes_identity(signatures_find(events->signatures, &task->event->call))) events_executed(task);
  free(task->event);
  task->event = NULL;
}

void events_finish(struct events *events, struct stream *stream) {
  char buffer[256];
  struct text line = TEXT_ON(buffer);
  if (events->fd >= 0) fdatasync(events->fd);
  text_format(&line, "{\"event\":\"events\",\"written\":%llu,\"dropped\":%llu,\"failed\":%llu}",
              (unsigned long long)events->written, (unsigned long long)events->dropped, (unsigned long long)events->failed);
  stream_line(stream, &line);
}
