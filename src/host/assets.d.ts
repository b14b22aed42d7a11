// Bun resolves an import with { type: 'file' } to a path.
declare module 'seccomp-bpf-wasm/seccomp.wasm' {
  const path: string
  export default path
}
