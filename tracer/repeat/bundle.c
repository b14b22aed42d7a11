#include "repeat/bundle.h"

#include "base/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { TEXT_SIZE_MAX = 1 << 20 };

/* Go's decoder takes "Hooks" for "hooks" too: of the keys that are looked at, only this spelling (src/oci/config.ts). */
static bool spelled(struct strict *strict, const char *key, const char *const *meant) {
  for (; *meant; meant++) {
    if (strcasecmp(key, *meant) == 0 && strcmp(key, *meant) != 0) return strict_doubt(strict);
  }
  return true;
}

static bool is(const char *key, const char *name) { return strcmp(key, name) == 0; }

static void note(struct bundle_list *list, const struct strict_object *object) {
  *list = (struct bundle_list){.there = true, .empty = object->empty, .end = object->end};
}

/* An object of which one member counts: whether it is there, and what its value begins with. */
static bool read_one(struct strict *strict, const char *name, char *kind) {
  const char *const meant[] = {name, NULL}, *key;
  struct strict_object object;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!spelled(strict, key, meant)) return false;
    if (is(key, name)) *kind = json_kind(&strict->json);
    if (!strict_skip(strict)) return false;
  }
  return strict->sure;
}

static bool read_linux(struct bundle *bundle) {
  char kind = 'n';
  bool read = read_one(&bundle->strict, "seccomp", &kind);
  bundle->seccomp = kind != 'n'; /* null is none */
  return read;
}

static bool read_process(struct bundle *bundle) {
  char kind = 'f';
  bool read = read_one(&bundle->strict, "noNewPrivileges", &kind);
  bundle->no_new_privileges = kind == 't';
  return read;
}

static bool read_annotations(struct bundle *bundle) {
  struct strict *strict = &bundle->strict;
  struct strict_object object;
  if (!annotations_read(strict, &object, &bundle->annotations)) return false;
  /* Whoever may set annotations could replace the policy by it: the program takes it out. */
  if (bundle->annotations.crun_program) return strict_doubt(strict);
  note(&bundle->all_annotations, &object);
  return true;
}

enum { HOOK_ARGS = 5 /* of our own hooks: NAME hook enforce --config FILE */ };

struct hook {
  const char *path, *args[HOOK_ARGS];
  size_t count; /* of args, of which the first ones are there */
};

static bool read_hook_args(struct strict *strict, struct hook *hook) {
  struct strict_object array;
  const char *arg;
  if (!strict_enter_array(strict, &array)) return false;
  while (strict_item(strict, &array) && (arg = strict_text(strict))) {
    if (hook->count < HOOK_ARGS) hook->args[hook->count] = arg;
    hook->count++;
  }
  return strict->sure;
}

/* A hook of ours, of those that manifests have: learn's has nothing to do with an enforced container; enforce's makes another one needless. */
static bool judge_own(struct bundle *bundle, const struct hook *hook, bool early) {
  if (hook->count < 3 || !is(hook->args[1], "hook")) return strict_doubt(&bundle->strict);
  if (is(hook->args[2], "learn")) return true;
  bool enforces = early && !bundle->own_hook && is(hook->args[0], "oci-sandbox-tracer") && is(hook->args[2], "enforce");
  bool configured = hook->count == HOOK_ARGS && is(hook->args[3], "--config");
  if (!enforces || (hook->count != 3 && !configured)) return strict_doubt(&bundle->strict);
  bundle->own_hook = hook->path;
  bundle->own_config = configured ? hook->args[4] : NULL;
  return true;
}

static bool read_hook(struct bundle *bundle, bool early) {
  struct strict *strict = &bundle->strict;
  static const char *const meant[] = {"path", "args", NULL};
  struct hook hook = {.path = ""};
  struct strict_object object;
  const char *key;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!spelled(strict, key, meant)) return false;
    if (is(key, "path")) hook.path = strict_text(strict);
    else if (is(key, "args")) read_hook_args(strict, &hook);
    else strict_skip(strict);
  }
  return strict->sure && (!strstr(hook.path, "oci-sandbox") || judge_own(bundle, &hook, early));
}

static bool read_hook_list(struct bundle *bundle, struct bundle_list *list, bool early) {
  struct strict *strict = &bundle->strict;
  struct strict_object array;
  if (!strict_enter_array(strict, &array)) return false;
  while (strict_item(strict, &array)) {
    if (!read_hook(bundle, early)) return false;
  }
  note(list, &array);
  return strict->sure;
}

static bool read_hooks(struct bundle *bundle) {
  static const char *const meant[] = {"prestart", "createRuntime", "poststop", NULL};
  struct strict *strict = &bundle->strict;
  struct bundle_list ignored;
  struct strict_object object;
  const char *key;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    bool taken;
    if (!spelled(strict, key, meant)) return false;
    if (is(key, "prestart")) taken = read_hook_list(bundle, &ignored, true);
    else if (is(key, "createRuntime")) taken = read_hook_list(bundle, &bundle->create_runtime, true);
    else if (is(key, "poststop")) taken = read_hook_list(bundle, &bundle->poststop, false);
    else taken = strict_skip(strict);
    if (!taken) return false;
  }
  note(&bundle->hooks, &object);
  return strict->sure;
}

static bool read_root(struct bundle *bundle) {
  static const char *const meant[] = {"path", NULL};
  struct strict *strict = &bundle->strict;
  struct strict_object object;
  const char *key, *path;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!spelled(strict, key, meant)) return false;
    if (!is(key, "path")) {
      if (!strict_skip(strict)) return false;
      continue;
    }
    json_kind(&strict->json); /* to the value's first byte */
    size_t at = strict->json.at;
    if (!(path = strict_text(strict))) return false;
    if (path[0] == '/') continue;
    bundle->root = path;
    bundle->root_at = at;
    bundle->root_end = strict->json.at;
  }
  return strict->sure;
}

/* Is it a bind mount, by its options? */
static bool read_options(struct strict *strict, bool *bind) {
  struct strict_object array;
  const char *option;
  if (!strict_enter_array(strict, &array)) return false;
  while (strict_item(strict, &array)) {
    if (!(option = strict_text(strict))) return false;
    *bind = *bind || is(option, "bind") || is(option, "rbind");
  }
  return strict->sure;
}

static bool read_mount(struct bundle *bundle) {
  struct strict *strict = &bundle->strict;
  const char *key, *destination = "", *type = "", *source = "/";
  struct strict_object object;
  bool bind = false;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (is(key, "destination")) destination = strict_text(strict);
    else if (is(key, "type")) type = strict_text(strict);
    else if (is(key, "source")) source = strict_text(strict);
    else if (is(key, "options")) read_options(strict, &bind);
    else strict_skip(strict);
  }
  if (!strict->sure) return false;
  /* The program would write down where it leads. */
  if ((bind || is(type, "bind")) && source[0] != '/') return strict_doubt(strict);
  if (!bundle->hostname && is(destination, "/etc/hostname")) bundle->hostname = source;
  return strict->sure;
}

static bool read_mounts(struct bundle *bundle) {
  struct strict_object array;
  if (!strict_enter_array(&bundle->strict, &array)) return false;
  while (strict_item(&bundle->strict, &array)) {
    if (!read_mount(bundle)) return false;
  }
  return bundle->strict.sure;
}

static bool read_member(struct bundle *bundle, const char *key) {
  static const char *const meant[] = {"annotations", "hooks", "linux", "mounts", "process", "root", NULL};
  struct strict *strict = &bundle->strict;
  if (!spelled(strict, key, meant)) return false;
  if (is(key, "annotations")) return read_annotations(bundle);
  if (is(key, "hooks")) return read_hooks(bundle);
  if (is(key, "linux")) return read_linux(bundle);
  if (is(key, "mounts")) return read_mounts(bundle);
  if (is(key, "process")) return read_process(bundle);
  if (is(key, "root")) return read_root(bundle);
  return strict_skip(strict);
}

char *bundle_read(const char *path, size_t *length) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  char *text = malloc(TEXT_SIZE_MAX);
  ssize_t got = 0;
  for (*length = 0; text && *length < TEXT_SIZE_MAX; *length += (size_t)got) {
    if ((got = read(fd, text + *length, TEXT_SIZE_MAX - *length)) <= 0) break;
  }
  close(fd);
  if (text && got == 0) return text;
  free(text);
  errno = EFBIG;
  return NULL;
}

/* TypeScript then takes what is not looked at here for an error as well, where a key stands twice (LONG_NUMBER, src/oci/config.ts). */
static bool has_long_number(const char *text, size_t length) {
  enum { LONG_NUMBER = 16 };
  size_t digits = 0;
  for (size_t i = 0; i < length; i++) {
    digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
    if (digits == LONG_NUMBER) return true;
  }
  return false;
}

bool bundle_parse(struct bundle *bundle, const char *text, size_t length) {
  struct strict *strict = &bundle->strict;
  struct strict_object object;
  const char *key;
  *bundle = (struct bundle){.annotations.count = 0};
  if (has_long_number(text, length) || !strict_start(strict, text, length) || !strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!read_member(bundle, key)) return false;
  }
  note(&bundle->top, &object);
  return strict_end(strict);
}

bool bundle_needs_hook(const struct bundle *bundle, const char *config, bool *needed) {
  char self[PATH_MAX];
  *needed = !bundle->own_hook;
  if (*needed) return true;
  if (!procfs_exe(0, self, sizeof self) || !is(bundle->own_hook, self)) return false;
  return config ? bundle->own_config && is(bundle->own_config, config) : !bundle->own_config;
}

bool bundle_path(const char *path, const char *directory, char absolute[PATH_MAX]) {
  if (!path || is(path, ".")) path = "";
  bool own = path[0] == '/';
  int length = snprintf(absolute, PATH_MAX, "%s%s%s", own ? "" : directory, own || !path[0] ? "" : "/", path);
  if (length <= 1 || length >= PATH_MAX || absolute[0] != '/') return false;
  /* Each name between two slashes is one. */
  for (const char *name = absolute; name; name = strchr(name, '/')) {
    size_t size = strcspn(++name, "/");
    if (size == 0 || (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.')) return false;
  }
  return true;
}
