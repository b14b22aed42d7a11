#include "learn/tree.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 16384 /* the limits allow some thousand names at a time */ };

struct tree_node {
  struct tree_node *parent, *child, *sibling;
  struct tree_node *bucket;     /* the next one with a similar hash */
  struct tree_node **reference; /* what points to this one among its siblings */
  uint32_t hash;
  uint32_t depth;
  uint32_t bits;     /* of the name itself */
  uint32_t names;    /* of all names directly in it, if these are collapsed */
  uint32_t all;      /* of everything below it, if that is */
  bool names_collapsed, all_collapsed;
  uint32_t direct;   /* what names directly in it weigh */
  uint32_t below;    /* what everything below it weighs, `direct` included */
  size_t length;
  char text[];
};

bool tree_init(struct tree *tree, const struct tree_limits *limits) {
  tree->limits = *limits;
  tree->root = calloc(1, sizeof *tree->root);
  tree->buckets = calloc(BUCKETS, sizeof *tree->buckets);
  return tree->root && tree->buckets;
}

/* FNV-1a */
static uint32_t hash_of(const struct tree_node *parent, const struct tree_part *part) {
  uint32_t hash = parent->hash ^ 0x811c9dc5u;
  for (size_t i = 0; i < part->length; i++) hash = (hash ^ (unsigned char)part->text[i]) * 0x01000193u;
  return (hash ^ (uint32_t)part->length) * 0x01000193u;
}

static struct tree_node *find(const struct tree *tree, const struct tree_node *parent, const struct tree_part *part) {
  uint32_t hash = hash_of(parent, part);
  struct tree_node *node = tree->buckets[hash % BUCKETS];
  for (; node; node = node->bucket) {
    if (node->hash == hash && node->parent == parent && node->length == part->length &&
        memcmp(node->text, part->text, part->length) == 0)
      return node;
  }
  return NULL;
}

static struct tree_node *add_child(struct tree *tree, struct tree_node *parent, const struct tree_part *part) {
  struct tree_node *node = calloc(1, sizeof *node + part->length);
  if (!node) return NULL;
  node->parent = parent;
  node->depth = parent->depth + 1;
  node->hash = hash_of(parent, part);
  node->length = part->length;
  memcpy(node->text, part->text, part->length);
  node->bucket = tree->buckets[node->hash % BUCKETS];
  tree->buckets[node->hash % BUCKETS] = node;
  node->sibling = parent->child;
  node->reference = &parent->child;
  if (parent->child) parent->child->reference = &node->sibling;
  parent->child = node;
  return node;
}

/* A node without children. */
static void drop(struct tree *tree, struct tree_node *node) {
  struct tree_node **place = &tree->buckets[node->hash % BUCKETS];
  while (*place != node) place = &(*place)->bucket;
  *place = node->bucket;
  *node->reference = node->sibling;
  if (node->sibling) node->sibling->reference = node->reference;
  free(node);
}

static bool holds_nothing(const struct tree_node *node) {
  return !node->bits && !node->child && !node->names_collapsed && !node->all_collapsed;
}

/* Memory was short on the way to a name: what was made for it goes. */
static void drop_upwards(struct tree *tree, struct tree_node *node) {
  while (node->parent && holds_nothing(node)) {
    struct tree_node *parent = node->parent;
    drop(tree, node);
    node = parent;
  }
}

static void collapse_names(struct tree *tree, struct tree_node *node) {
  node->names_collapsed = true;
  for (struct tree_node *child = node->child, *next; child; child = next) {
    next = child->sibling;
    node->names |= child->bits;
    child->bits = 0;
    if (holds_nothing(child)) drop(tree, child);
  }
}

static void collapse_all(struct tree *tree, struct tree_node *top) {
  struct tree_node *node = top;
  uint32_t bits = top->names;
  top->all_collapsed = true;
  for (;;) { /* the deepest first, without recursion: a container chooses the depth */
    while (node->child) node = node->child;
    if (node == top) break;
    struct tree_node *parent = node->parent;
    bits |= node->bits | node->names | node->all;
    drop(tree, node);
    node = parent;
  }
  top->all = bits;
}

static uint32_t limit_below(const struct tree *tree, const struct tree_node *node) {
  return tree->limits.below[node->depth < TREE_DEPTHS ? node->depth : TREE_DEPTHS - 1];
}

/* The name weighs more than before; whatever is too heavy now is collapsed. Returns the topmost place where that happened, and how. */
static struct tree_node *add_weight(struct tree *tree, struct tree_node *name, uint32_t more, enum tree_covers *covers) {
  struct tree_node *collapsed = NULL, *place = name->parent;
  place->direct += more;
  if (place->direct > tree->limits.names) {
    more -= place->direct - (tree->limits.names + 1);
    place->direct = tree->limits.names + 1;
    collapse_names(tree, place);
    collapsed = place;
    *covers = TREE_NAMES;
  }
  /* `more` may become negative, and is added as it is: unsigned numbers wrap round. */
  for (; place; place = place->parent) {
    uint32_t limit = limit_below(tree, place);
    place->below += more;
    if (place->below <= limit) continue;
    more -= place->below - (limit + 1);
    place->below = limit + 1;
    collapse_all(tree, place);
    collapsed = place;
    *covers = TREE_ALL;
  }
  return collapsed;
}

static uint32_t weight_of(const struct tree_part *parts, size_t count, uint32_t bits) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) length += parts[i].length + 1;
  return (uint32_t)__builtin_popcount(bits) * (uint32_t)(1 + length / TREE_UNIT);
}

bool tree_add(struct tree *tree, const struct tree_part *parts, size_t count, uint32_t bits, tree_say *say, void *context) {
  struct tree_node *node = tree->root;
  for (size_t i = 0; i < count; i++) {
    bool names = node->names_collapsed && i == count - 1;
    if (node->all_collapsed || names) {
      uint32_t *known = node->all_collapsed ? &node->all : &node->names;
      uint32_t news = bits & ~*known;
      *known |= bits;
      if (news) say(context, parts, i, node->all_collapsed ? TREE_ALL : TREE_NAMES, news);
      return true;
    }
    struct tree_node *child = find(tree, node, &parts[i]);
    if (!child) child = add_child(tree, node, &parts[i]);
    if (!child) {
      drop_upwards(tree, node);
      return false;
    }
    node = child;
  }
  uint32_t news = bits & ~node->bits;
  if (!news) return true;
  node->bits |= news;
  enum tree_covers covers = TREE_ITSELF;
  struct tree_node *collapsed = NULL;
  if (node->parent) collapsed = add_weight(tree, node, weight_of(parts, count, news), &covers);
  if (!collapsed) say(context, parts, count, TREE_ITSELF, news);
  else say(context, parts, collapsed->depth, covers, covers == TREE_ALL ? collapsed->all : collapsed->names);
  return true;
}
