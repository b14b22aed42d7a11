#include "learn/addresses.h"

#include "ptrace/tracee.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void record_unix(struct facts *facts, pid_t tid, enum facts_kind kind, const char *path, size_t length,
                        enum facts_outcome outcome) {
  static char base[TRACEE_PATH_MAX], text[sizeof((struct sockaddr_un *)0)->sun_path + 1];
  static struct tracee_name name;
  if (length == 0 || *path == 0) {
    facts_abstract(facts, kind, path + 1, length > 0 ? length - 1 : 0, outcome);
    return;
  }
  memcpy(text, path, length);
  text[length] = 0;
  if (!tracee_link(tid, *text == '/' ? "root" : "cwd", base)) facts->unreadable++;
  else if (!tracee_name(&name, base, text)) facts->longer++;
  else {
    facts->folded += name.folded;
    facts_unix(facts, kind, name.text, outcome);
  }
}

void addresses_record(struct facts *facts, pid_t tid, enum facts_kind kind, const void *address, size_t length,
                      enum facts_outcome outcome) {
  union {
    sa_family_t family;
    struct sockaddr_un un;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    char bytes[ADDRESSES_SIZE];
  } name = {0};
  if (length < sizeof name.family || length > sizeof name) return; /* EINVAL */
  memcpy(&name, address, length);
  switch (name.family) {
    case AF_UNSPEC: /* with connect: ends the connection */
      return;
    case AF_UNIX:
      if (length <= sizeof name.un)
        record_unix(facts, tid, kind, name.un.sun_path, length - offsetof(struct sockaddr_un, sun_path), outcome);
      return;
    case AF_INET:
      if (length >= sizeof name.in)
        facts_inet(facts, kind, false, &name.in.sin_addr, ntohs(name.in.sin_port), outcome);
      return;
    case AF_INET6:
      if (length >= offsetof(struct sockaddr_in6, sin6_scope_id)) /* SIN6_LEN_RFC2133, <net/ipv6.h> */
        facts_inet(facts, kind, true, &name.in6.sin6_addr, ntohs(name.in6.sin6_port), outcome);
      return;
    default:
      facts_family(facts, kind, name.family, outcome);
  }
}

/* struct msghdr begins with a pointer to the address and its length as an int. */
bool addresses_of_header(pid_t tid, uint64_t header, bool compat, uint64_t *address, uint32_t *length) {
  struct {
    uint64_t address;
    uint32_t length;
  } wide;
  uint32_t narrow[2];
  if (compat) {
    if (tracee_read(tid, header, narrow, sizeof narrow) != sizeof narrow) return false;
    *address = narrow[0];
    *length = narrow[1];
    return true;
  }
  size_t size = offsetof(typeof(wide), length) + sizeof wide.length;
  if (tracee_read(tid, header, &wide, size) != size) return false;
  *address = wide.address;
  *length = wide.length;
  return true;
}

/* Of those that were sent; if none was, the first is why. */
void addresses_of_messages(pid_t tid, uint64_t vector, uint64_t messages, bool compat, int64_t result, bool failed,
                           struct facts *facts) {
  enum { WIDE = 64, NARROW = 32, MOST = 1024 }; /* sizes of struct mmsghdr; UIO_MAXIOV, <linux/uio.h> */
  uint64_t count = failed ? 1 : (uint64_t)result;
  if (messages > MOST) messages = MOST;
  if (count > messages) count = messages;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t address;
    uint32_t length;
    unsigned char bytes[ADDRESSES_SIZE];
    bool readable = addresses_of_header(tid, vector + i * (compat ? NARROW : WIDE), compat, &address, &length);
    if (readable && (!address || !length)) continue;
    if (readable && length > sizeof bytes) length = sizeof bytes;
    if (readable && tracee_read(tid, address, bytes, length) == length)
      addresses_record(facts, tid, FACTS_SEND, bytes, length, failed ? FACTS_NOT_OK : FACTS_OK);
    else if (!failed) facts->unreadable++;
  }
}
