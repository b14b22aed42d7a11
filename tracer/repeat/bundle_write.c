/* The change of a bundle's config.json. */
#include "repeat/bundle.h"

#include <stdlib.h>
#include <string.h>

enum { EDITS_MAX = 6, ADDED_SIZE = 65536 };

/* Bytes of the text in whose place others come: none, where those are only added. */
struct edit {
  size_t from, to;
  const char *bytes;
  size_t length;
};

struct edits {
  struct edit items[EDITS_MAX];
  size_t count;
  struct text added; /* all that comes */
};

static void begin(struct edits *edits, size_t from, size_t to) {
  edits->items[edits->count] = (struct edit){.from = from, .to = to, .bytes = edits->added.data + edits->added.length};
}

static void end(struct edits *edits) {
  struct edit *edit = &edits->items[edits->count++];
  edit->length = (size_t)(edits->added.data + edits->added.length - edit->bytes);
}

static void put(struct edits *edits, const char *bytes) { text_bytes(&edits->added, bytes, strlen(bytes)); }

/* Before the closing bracket. */
static void begin_last(struct edits *edits, const struct bundle_list *list) {
  begin(edits, list->end, list->end);
  if (!list->empty) put(edits, ",");
}

static void put_annotations(struct edits *edits, const struct annotations *annotations, size_t first) {
  for (size_t i = first; i < annotations->count; i++) {
    if (i > first) put(edits, ",");
    text_json_string(&edits->added, annotations->items[i].key);
    put(edits, ":");
    text_json_string(&edits->added, annotations->items[i].value);
  }
}

/* A stage's list with one hook. */
static void put_stage(struct edits *edits, const char *name, const char *hook, bool *another) {
  text_format(&edits->added, "%s\"%s\":[%s]", *another ? "," : "", name, hook);
  *another = true;
}

/* The stages that are not in the text. */
static void put_stages(struct edits *edits, const struct bundle *bundle, const struct bundle_change *change) {
  bool another = false;
  if (change->start_hook && !bundle->create_runtime.there) put_stage(edits, "createRuntime", change->start_hook, &another);
  if (change->end_hook && !bundle->poststop.there) put_stage(edits, "poststop", change->end_hook, &another);
}

static bool lacks_stage(const struct bundle *bundle, const struct bundle_change *change) {
  return (change->start_hook && !bundle->create_runtime.there) || (change->end_hook && !bundle->poststop.there);
}

static void append(struct edits *edits, const struct bundle_list *list, const char *hook) {
  if (!hook || !list->there) return;
  begin_last(edits, list);
  put(edits, hook);
  end(edits);
}

static void collect(struct edits *edits, const struct bundle *bundle, const struct bundle_change *change) {
  const struct annotations *annotations = &bundle->annotations;
  bool annotates = change->annotations < annotations->count, stages = lacks_stage(bundle, change);
  append(edits, &bundle->create_runtime, change->start_hook);
  append(edits, &bundle->poststop, change->end_hook);
  if (annotates && bundle->all_annotations.there) {
    begin_last(edits, &bundle->all_annotations);
    put_annotations(edits, annotations, change->annotations);
    end(edits);
    annotates = false;
  }
  if (stages && bundle->hooks.there) {
    begin_last(edits, &bundle->hooks);
    put_stages(edits, bundle, change);
    end(edits);
    stages = false;
  }
  if (change->root) {
    begin(edits, bundle->root_at, bundle->root_end);
    text_json_string(&edits->added, change->root);
    end(edits);
  }
  if (!annotates && !stages) return;
  begin_last(edits, &bundle->top);
  if (annotates) {
    put(edits, "\"annotations\":{");
    put_annotations(edits, annotations, change->annotations);
    put(edits, stages ? "}," : "}");
  }
  if (stages) {
    put(edits, "\"hooks\":{");
    put_stages(edits, bundle, change);
    put(edits, "}");
  }
  end(edits);
}

static int by_place(const void *a, const void *b) {
  size_t first = ((const struct edit *)a)->from, second = ((const struct edit *)b)->from;
  return (first > second) - (first < second);
}

bool bundle_write(const struct bundle *bundle, const struct bundle_change *change, struct text *output) {
  static char added[ADDED_SIZE];
  struct edits edits = {.added = TEXT_ON(added)};
  const struct json *json = &bundle->strict.json;
  size_t at = 0;
  collect(&edits, bundle, change);
  qsort(edits.items, edits.count, sizeof *edits.items, by_place);
  for (size_t i = 0; i < edits.count; i++) {
    const struct edit *edit = &edits.items[i];
    text_bytes(output, json->text + at, edit->from - at);
    text_bytes(output, edit->bytes, edit->length);
    at = edit->to;
  }
  text_bytes(output, json->text + at, json->length - at);
  return !edits.added.truncated && !output->truncated;
}
