/* Prints what getuid and a call that no kernel has come to: 0, or the negative errno. Waits for the end of its standard input. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
static int result_of(long number) { return syscall(number) < 0 ? -errno : 0; }
int main(void) {
  int known = result_of(SYS_getuid), unknown = result_of(1000);
  char byte;
  printf("%d %d\n", known, unknown);
  fflush(stdout);
  while (read(0, &byte, 1) > 0) {
  }
  return 3;
}
