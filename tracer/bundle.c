#include "bundle.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

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

/* An object of which nothing but the spelling of one key counts. */
static bool read_spelling(struct strict *strict, const char *name) {
  const char *const meant[] = {name, NULL}, *key;
  struct strict_object object;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!spelled(strict, key, meant) || !strict_skip(strict)) return false;
  }
  return strict->sure;
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

/* One of our own hooks there may make one more needless. */
static bool read_hook(struct strict *strict) {
  struct strict_object object;
  const char *key, *path;
  if (!strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!is(key, "path")) {
      if (!strict_skip(strict)) return false;
    } else if (!(path = strict_text(strict)) || strstr(path, "oci-sandbox")) {
      return strict_doubt(strict);
    }
  }
  return strict->sure;
}

static bool read_hook_list(struct strict *strict, struct bundle_list *list) {
  struct strict_object array;
  if (!strict_enter_array(strict, &array)) return false;
  while (strict_item(strict, &array)) {
    if (!read_hook(strict)) return false;
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
    if (is(key, "prestart")) taken = read_hook_list(strict, &ignored);
    else if (is(key, "createRuntime")) taken = read_hook_list(strict, &bundle->create_runtime);
    else if (is(key, "poststop")) taken = read_hook_list(strict, &bundle->poststop);
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
  if (is(key, "linux")) return read_spelling(strict, "seccomp");
  if (is(key, "mounts")) return read_mounts(bundle);
  if (is(key, "process")) return read_spelling(strict, "noNewPrivileges");
  if (is(key, "root")) return read_root(bundle);
  return strict_skip(strict);
}

bool bundle_parse(struct bundle *bundle, const char *text, size_t length) {
  struct strict *strict = &bundle->strict;
  struct strict_object object;
  const char *key;
  *bundle = (struct bundle){.annotations.count = 0};
  if (!strict_start(strict, text, length) || !strict_enter(strict, &object)) return false;
  while ((key = strict_key(strict, &object))) {
    if (!read_member(bundle, key)) return false;
  }
  note(&bundle->top, &object);
  return strict_end(strict);
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
