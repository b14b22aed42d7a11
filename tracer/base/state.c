#include "base/state.h"

#include "base/json.h"
#include "base/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char status_expected[] = "\"status\": expected creating, created, running or stopped";

/* What is taken of the document, and what of it has been there. */
struct members {
  int64_t pid;
  char status[16];
  bool has_pid, has_id, has_status;
};

static bool again(struct json *json, bool *seen, const char *problem) {
  if (*seen && !json->problem) json->problem = problem;
  *seen = true;
  return json->problem != NULL;
}

static bool take(struct json *json, char *bytes, size_t size, const char *problem) {
  struct json_string string = {.bytes = bytes, .size = size};
  if (json_kind(json) == '"' && json_take_string(json, &string) && string.whole && bytes[0]) return true;
  if (!json->problem) json->problem = problem;
  return false;
}

/* An escape in a key does not make it another key: it has been decoded. */
static void take_member(struct json *json, const struct json_string *key, struct members *members, struct state *state) {
  if (!key->whole) {
    json_skip(json);
  } else if (strcmp(key->bytes, "pid") == 0) {
    if (again(json, &members->has_pid, "a second \"pid\"")) return;
    json_take_integer(json, &members->pid);
  } else if (strcmp(key->bytes, "id") == 0) {
    if (again(json, &members->has_id, "a second \"id\"")) return;
    take(json, state->id, sizeof state->id, "\"id\": expected the container's id, of at most 1024 bytes");
  } else if (strcmp(key->bytes, "status") == 0) {
    if (again(json, &members->has_status, "a second \"status\"")) return;
    take(json, members->status, sizeof members->status, status_expected);
  } else {
    json_skip(json);
  }
}

static bool one_of(const char *word, const char *a, const char *b) { return strcmp(word, a) == 0 || strcmp(word, b) == 0; }

static const char *judge(const struct members *members) {
  static const char hint[] = "put this hook into createRuntime or prestart, where the container's init waits";
  static char problem[192];
  if (!members->has_id) return "\"id\" is missing";
  if (!members->has_status) return "\"status\" is missing";
  if (one_of(members->status, "running", "stopped")) {
    snprintf(problem, sizeof problem, "the container is %s; %s", members->status, hint);
    return problem;
  }
  if (!one_of(members->status, "creating", "created")) return status_expected;
  if (!members->has_pid) return "\"pid\" is missing";
  if (members->pid > 1 && members->pid <= PID_MOST) return NULL;
  /* createContainer and startContainer run in the container, where its init is 1 (runc) or not said (crun: 0) */
  snprintf(problem, sizeof problem, "\"pid\" is %lld; %s", (long long)members->pid, hint);
  return problem;
}

const char *state_parse(const char *text, size_t length, struct state *state) {
  static char problem[192];
  struct json json = {.text = text, .length = length};
  struct members members = {0};
  char name[16]; /* longer ones are none of ours */
  struct json_string key = {.bytes = name, .size = sizeof name};
  *state = (struct state){0};
  if (json_object(&json)) {
    while (json_key(&json, &key)) take_member(&json, &key, &members, state);
  }
  if (!json_end(&json)) {
    snprintf(problem, sizeof problem, "%s at byte %zu", json.problem, json.at);
    return problem;
  }
  const char *wrong = judge(&members);
  if (!wrong) state->pid = (pid_t)members.pid;
  return wrong;
}

/* All of standard input; NULL with a message. *length is at most STATE_SIZE_MAX. */
static char *read_input(size_t *length) {
  char *text = malloc(STATE_SIZE_MAX + 1);
  *length = 0;
  if (!text) {
    message_fail("out of memory");
    return NULL;
  }
  while (*length <= STATE_SIZE_MAX) {
    ssize_t got = read(STDIN_FILENO, text + *length, STATE_SIZE_MAX + 1 - *length);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) return text;
    if (got < 0) {
      message_fail("cannot read the container's state from standard input: %s", strerror(errno));
      break;
    }
    *length += (size_t)got;
  }
  if (*length > STATE_SIZE_MAX) message_fail("the container's state on standard input is longer than %d bytes", STATE_SIZE_MAX);
  free(text);
  return NULL;
}

bool state_read(struct state *state) {
  size_t length;
  char *text = read_input(&length);
  if (!text) return false;
  const char *problem = state_parse(text, length, state);
  free(text);
  if (!problem) return true;
  message_fail("the container's state on standard input: %s (a hook is started by an OCI runtime, which writes the state)", problem);
  return false;
}
