/* A set of names that form a tree, such as paths, each with some bits, in bounded memory: where names become too many, they are collapsed
   into one that stands for all of them. What is collapsed in the end depends on the names only, not on their order (README.md,
   "Collapsing"), so that the sets of several runs can be united. */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_part {
  const char *text;
  size_t length;
};

enum { TREE_PARTS_MAX = 2048, TREE_DEPTHS = 5, TREE_UNIT = 128 /* bytes of a path for which a fact weighs 1 more */ };

struct tree_limits {
  uint32_t names;              /* what names directly in a place may weigh before they are collapsed */
  uint32_t below[TREE_DEPTHS]; /* what everything below a place may weigh, by its depth; the last one for all that are deeper */
};

enum tree_covers { TREE_ITSELF, TREE_NAMES, TREE_ALL };

/* Something is new: these bits of a name, or of what it covers. */
typedef void tree_say(void *context, const struct tree_part *parts, size_t count, enum tree_covers covers, uint32_t bits);

struct tree_node;
struct tree {
  struct tree_limits limits;
  struct tree_node *root;
  struct tree_node **buckets;
};

/* False: no memory. */
bool tree_init(struct tree *tree, const struct tree_limits *limits);

/* Add bits to a name, and say what is new. False: no memory, nothing was added. */
bool tree_add(struct tree *tree, const struct tree_part *parts, size_t count, uint32_t bits, tree_say *say, void *context);

#endif
