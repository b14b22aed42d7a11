/** A runtime that writes down what it was started with, behind the shim. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa, execaSync } from 'execa'
import type { Test } from 'tap'
import { rememberedWith, SHIM } from './sandbox.ts'

/** A program of its own, so that no shell tidies up before. */
const RUNTIME = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv) {
  extern char **environ;
  char path[4096];
  snprintf(path, sizeof path, "%s.seen", argv[0]);
  FILE *seen = fopen(path, "we");
  for (int i = 1; i < argc; i++) {
    for (char *c = argv[i]; *c; c++) if (*c == '\\n') *c = '|';
    fprintf(seen, "arg %s\\n", argv[i]);
  }
  for (char **e = environ; *e; e++) fprintf(seen, "env %s\\n", *e);
  fprintf(seen, "pid %d\\n", getpid());
  for (int s = 1; s < 32; s++) {
    struct sigaction a;
    if (sigaction(s, NULL, &a) == 0 && a.sa_handler == SIG_IGN) fprintf(seen, "ignored %d\\n", s);
  }
  for (int fd = 0; fd < 64; fd++) if (fd != fileno(seen) && fcntl(fd, F_GETFD) >= 0) fprintf(seen, "fd %d\\n", fd);
  struct rlimit l;
  getrlimit(RLIMIT_NOFILE, &l);
  fprintf(seen, "nofile %ld %ld\\n", (long)l.rlim_cur, (long)l.rlim_max);
  int death = 0;
  prctl(PR_GET_PDEATHSIG, &death);
  fprintf(seen, "pdeathsig %d\\n", death);
  fclose(seen);
  return 7;
}
`

export interface Fake {
  readonly directory: string
  readonly config: string
  readonly runtime: string
  /** What it was started with since the last call: "arg X" and so on; undefined: it was not started. */
  seen(): string[] | undefined
}

export function fakeRuntime(t: Test, name = 'fake'): Fake {
  const directory = mkdtempSync(join(tmpdir(), 'oci-sandbox-test-'))
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true })
    for (const path of rememberedWith(config)) rmSync(path, { force: true })
  })
  const config = join(directory, 'config.json')
  const runtime = join(directory, name)
  writeFileSync(`${runtime}.c`, RUNTIME)
  execaSync('gcc', ['-O1', '-o', runtime, `${runtime}.c`])
  writeFileSync(config, JSON.stringify({ store: join(directory, 'store'), runtime }))
  const bundle = { ociVersion: '1.0.2', process: { args: ['/x'] }, root: { path: 'rootfs' } }
  mkdirSync(join(directory, 'bundle'))
  writeFileSync(join(directory, 'bundle/config.json'), JSON.stringify(bundle))
  const seen = () => {
    const path = `${runtime}.seen`
    if (!existsSync(path)) return undefined
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    rmSync(path)
    return lines
  }
  return { directory, config, runtime, seen }
}

export const start = (args: readonly string[], options: object = {}) =>
  execa(SHIM, args, { reject: false, stdin: 'ignore', env: {}, extendEnv: false, ...options })

export const argsOf = (seen: string[] | undefined) =>
  seen?.filter((line) => line.startsWith('arg ')).map((line) => line.slice(4))
