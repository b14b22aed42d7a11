/* Opens a file for reading, one that is not there, and makes and removes one; connects to a UNIX socket that is not there; executes a 32-bit program. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void) {
  const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/socket"};
  int known = open("/known", O_RDONLY), absent = open("/absent", O_RDONLY), made = open("/tmp/made", O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (known < 0 || absent >= 0 || made < 0 || unlink("/tmp/made") != 0) return 1;
  if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (const struct sockaddr *)&address, sizeof address) == 0) return 2;
  execl("/bin/arm", "/bin/arm", (char *)0);
  return 3;
}
