/*
 * The module's memory. A filter is thousands of small blocks, most of a few sizes, and they live as long as it does: a block that is freed
 * waits for the next one of its size, and is never divided, nor joined with its neighbours. When the last one is freed, all begins anew.
 * A tenth of the code of Emscripten's malloc(), which takes an engine as long to prepare as to run.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  PAGE = 65536, /* of WebAssembly */
  STEP = 16,    /* blocks have 16, 32, ... bytes */
  SMALL = 32,   /* so many such sizes, then */
  FIRST = 1024, /* 1024, 2048, 4096, ... bytes: */
  SIZES = 50,   /* up to 128 MiB, more than the module may have */
};

/* In front of each block; what is behind it stays aligned to 8 bytes, as it is itself. */
struct head {
  uint32_t size; /* which one of the sizes */
  uint32_t unused;
};

/* The blocks of each size that wait; each holds the address of the next one. */
static struct head *waiting[SIZES];

/* Where nothing has been taken yet, and how many blocks are in use before it. */
static uintptr_t end;
static size_t used;

/* The linker's: where what the module holds from its start on ends. */
extern char __heap_base;

static uint32_t size_of(size_t bytes)
{
  if (bytes <= STEP * SMALL)
    return bytes == 0 ? 0 : (bytes - 1) / STEP;
  return bytes <= FIRST ? SMALL : SMALL + 22 - (uint32_t)__builtin_clz((uint32_t)bytes - 1);
}

static size_t bytes_of(uint32_t size)
{
  return size < SMALL ? (size + 1) * STEP : (size_t)FIRST << (size - SMALL);
}

static struct head **next_of(struct head *head)
{
  return (struct head **)(head + 1);
}

/* NULL: there is no more. */
static struct head *take(size_t bytes)
{
  size_t room, pages;
  struct head *head;

  if (end == 0)
    end = ((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7;
  room = __builtin_wasm_memory_size(0) * PAGE - end;
  if (room < bytes) {
    pages = (bytes - room + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1)
      return NULL;
  }
  head = (struct head *)end;
  end += bytes;
  return head;
}

void *malloc(size_t bytes)
{
  uint32_t size = size_of(bytes);
  struct head *head = size < SIZES ? waiting[size] : NULL;

  if (head != NULL) {
    waiting[size] = *next_of(head);
  } else {
    head = size < SIZES ? take(sizeof(*head) + bytes_of(size)) : NULL;
    if (head == NULL) {
      errno = ENOMEM;
      return NULL;
    }
    head->size = size;
  }
  used++;
  return head + 1;
}

void free(void *pointer)
{
  struct head *head;

  if (pointer == NULL)
    return;
  if (--used == 0) {
    memset(waiting, 0, sizeof(waiting));
    end = 0;
    return;
  }
  head = (struct head *)pointer - 1;
  *next_of(head) = waiting[head->size];
  waiting[head->size] = head;
}

void *calloc(size_t count, size_t bytes)
{
  size_t all;
  void *pointer = NULL;

  if (__builtin_mul_overflow(count, bytes, &all))
    errno = ENOMEM;
  else
    pointer = malloc(all);
  return pointer == NULL ? NULL : memset(pointer, 0, all);
}

void *realloc(void *pointer, size_t bytes)
{
  size_t room = pointer == NULL ? 0 : bytes_of(((struct head *)pointer - 1)->size);
  void *larger;

  if (pointer != NULL && bytes <= room)
    return pointer;
  larger = malloc(bytes);
  if (larger == NULL || pointer == NULL)
    return larger;
  memcpy(larger, pointer, room);
  free(pointer);
  return larger;
}
