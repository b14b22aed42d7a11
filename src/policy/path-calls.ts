/**
 * The calls that name files or addresses, and which of their arguments do: what the tracer reads with io.sandbox.detail=paths. From the
 * manual pages of section 2. A call that only asks about a path (stat, access, readlink) is not among them.
 */

/** The letters of tracer/README.md ("learn: paths"). */
type Letter = 'o' | 'O' | 't' | 'w' | 'c' | 'h' | 'd' | 'x' | 'l' | 'b' | 'k' | 's' | 'm' | 'M' | 'q'
type Place = 0 | 1 | 2 | 3 | 4 | 5 | undefined

/** A letter and three places: `-` for an argument that the call does not have. */
export type Operand = `${Letter}${string}`

function operand(letter: Letter, ...places: readonly [Place, Place, Place]): Operand {
  return `${letter}${places.map((place) => place ?? '-').join('')}`
}

const none = undefined
/** The argument that is a path, in the working directory unless it is absolute. */
const path = (letter: Letter, index: Place): Operand => operand(letter, none, index, none)
/** A directory's descriptor, the path behind it, and AT_* flags. */
const at = (letter: Letter, directory: Place, index: Place, flags: Place = none): Operand =>
  operand(letter, directory, index, flags)
/** A descriptor alone. */
const descriptor = (letter: Letter, index: Place): Operand => operand(letter, index, none, none)
const address = (letter: Letter, index: Place, length: Place): Operand => operand(letter, none, index, length)

/** By syscall name; at most two operands each. */
export const PATH_CALLS: Readonly<Record<string, readonly Operand[]>> = {
  open: [operand('o', none, 0, 1)],
  openat: [operand('o', 0, 1, 2)],
  openat2: [operand('O', 0, 1, 2)],
  open_by_handle_at: [operand('o', none, none, 2)],
  creat: [path('t', 0)],
  truncate: [path('w', 0)],
  truncate64: [path('w', 0)],

  mkdir: [path('c', 0)],
  mkdirat: [at('c', 0, 1)],
  mknod: [path('c', 0)],
  mknodat: [at('c', 0, 1)],
  symlink: [path('c', 1)],
  symlinkat: [at('c', 1, 2)],
  link: [path('h', 0), path('c', 1)],
  linkat: [at('h', 0, 1, 4), at('c', 2, 3)],
  rename: [path('d', 0), path('c', 1)],
  renameat: [at('d', 0, 1), at('c', 2, 3)],
  renameat2: [at('d', 0, 1), at('c', 2, 3)],
  unlink: [path('d', 0)],
  unlinkat: [at('d', 0, 1)],
  rmdir: [path('d', 0)],

  chmod: [path('h', 0)],
  fchmod: [descriptor('h', 0)],
  fchmodat: [at('h', 0, 1)],
  fchmodat2: [at('h', 0, 1, 3)],
  chown: [path('h', 0)],
  chown32: [path('h', 0)],
  lchown: [path('h', 0)],
  lchown32: [path('h', 0)],
  fchown: [descriptor('h', 0)],
  fchown32: [descriptor('h', 0)],
  fchownat: [at('h', 0, 1, 4)],
  utime: [path('h', 0)],
  utimes: [path('h', 0)],
  futimesat: [at('h', 0, 1)],
  utimensat: [at('h', 0, 1, 3)],
  utimensat_time64: [at('h', 0, 1, 3)],
  setxattr: [path('h', 0)],
  lsetxattr: [path('h', 0)],
  fsetxattr: [descriptor('h', 0)],
  setxattrat: [at('h', 0, 1, 2)],
  removexattr: [path('h', 0)],
  lremovexattr: [path('h', 0)],
  fremovexattr: [descriptor('h', 0)],
  removexattrat: [at('h', 0, 1, 2)],
  file_setattr: [at('h', 0, 1, 4)],
  mount: [path('h', 1)],
  move_mount: [at('h', 2, 3)],
  umount: [path('h', 0)],
  umount2: [path('h', 0)],
  open_tree: [at('l', 0, 1, 2)],
  pivot_root: [path('h', 0), path('h', 1)],

  execve: [path('x', 0)],
  execveat: [at('x', 0, 1, 4)],

  bind: [address('b', 1, 2)],
  connect: [address('k', 1, 2)],
  sendto: [address('s', 4, 5)],
  sendmsg: [address('m', 1, none)],
  sendmmsg: [address('M', 1, 2)],
  socketcall: [operand('q', 0, 1, none)],
}
