/** The completions, loaded and asked in the shells themselves; and that nothing is left out of help, manual page and completions. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { test } from 'tap'
import { COMMON_OPTIONS } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/dispatch.ts'
import { encodePolicy } from '../../src/policy/document.ts'
import { policy } from '../lib/policies.ts'
import { OCI_SANDBOX, Sandbox } from '../lib/sandbox.ts'

const MANUAL = readFileSync(join(import.meta.dirname, '../../docs/man/oci-sandbox.1'), 'utf8')
const SHELLS = ['bash', 'zsh', 'fish']

test('every command and option has help, is in the manual page and in each completion', async (t) => {
  const scripts = await Promise.all(
    SHELLS.map(async (shell) => (await execa(OCI_SANDBOX, ['completion', shell])).stdout),
  )
  // As mdoc has it: .It Cm policy show Ar policy, .It Fl \-json.
  const manual = MANUAL.replaceAll('\\-', '-')
  for (const { name, summary, options = {} } of COMMANDS) {
    t.match(summary, /^[A-Z].*\.$/, `${name}: summary`)
    t.ok(new RegExp(`^\\.It Cm ${name}( |$)`, 'm').test(manual), `${name}: manual page`)
    for (const script of scripts) for (const word of name.split(' ')) t.ok(script.includes(word), `${name}: completion`)
    for (const [long, { help }] of Object.entries({ ...options, ...COMMON_OPTIONS })) {
      t.ok(help.length > 5, `${name} --${long}: help`)
      t.ok(new RegExp(`^\\.It Fl .*-${long}( |$)`, 'm').test(manual), `${name} --${long}: manual page`)
      for (const [index, script] of scripts.entries()) {
        const spelling = SHELLS[index] === 'fish' ? `-l ${long} ` : `--${long}`
        t.ok(script.includes(spelling), `${name} --${long}: ${SHELLS[index]}`)
      }
    }
  }
})

/** An `oci-sandbox` on PATH that knows the sandbox's store, and a directory with one file to complete. */
async function prepare(t: { teardown(handler: () => unknown): void }) {
  const sandbox = await Sandbox.create(t)
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'web' })), 'web')
  sandbox.writePolicy(encodePolicy(policy(['read'], { name: 'worker' })), 'worker')
  const bin = join(sandbox.directory, 'bin')
  const cwd = join(sandbox.directory, 'cwd')
  for (const path of [bin, cwd, join(cwd, 'directory')]) mkdirSync(path)
  writeFileSync(join(cwd, 'a file'), '')
  const wrapper = `#!/bin/sh\nexec '${OCI_SANDBOX}' --config '${sandbox.config}' "$@"\n`
  writeFileSync(join(bin, 'oci-sandbox'), wrapper, { mode: 0o755 })
  const env = { PATH: `${bin}:/usr/bin:/bin`, HOME: sandbox.directory, TERM: 'dumb' }
  return { sandbox, bin, options: { cwd, env, extendEnv: false, reject: false, timeout: 60_000 } as const }
}

/** What is typed -> what must be offered, all of it or among others, and what must not be. */
const CASES: [typed: string, offered: string[], not?: string[]][] = [
  ['oci-sandbox com', ['compile', 'completion'], ['policy']],
  ['oci-sandbox ', ['policy', 'compile', 'doctor', 'install', 'uninstall', 'hook', 'help', 'completion']],
  ['oci-sandbox policy ', ['list', 'show', 'export'], ['compile']],
  ['oci-sandbox policy show w', ['web', 'worker']],
  ['oci-sandbox policy show --j', ['--json'], ['--output']],
  ['oci-sandbox compile --action ', ['errno', 'kill', 'log'], ['web']],
  ['oci-sandbox compile --action kill --o', ['--output']],
  ['oci-sandbox --config x policy sh', ['show'], ['list']],
  ['oci-sandbox policy export --format ', ['oci']],
  ['oci-sandbox install --po', ['--podman']],
  ['oci-sandbox install --d', ['--docker', '--dry-run'], ['--podman']],
  ['oci-sandbox hook ', ['learn', 'enforce']],
  ['oci-sandbox completion ', ['bash', 'zsh', 'fish']],
  ['oci-sandbox help doc', ['doctor']],
  ['oci-sandbox doctor --root di', ['directory']],
  ['oci-sandbox compile -o di', ['directory']],
]

test('bash', async (t) => {
  const { options } = await prepare(t)
  const script = `
    source <(oci-sandbox completion bash) || exit 9
    complete -p oci-sandbox >/dev/null || exit 8
    read -ra COMP_WORDS <<<"$1"
    [[ $1 == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _oci_sandbox
    printf '%s\\n' "\${COMPREPLY[@]}"
  `
  for (const [typed, offered, not = []] of [
    ...CASES,
    ['oci-sandbox compile --action = k', ['kill'], ['errno']] as [string, string[], string[]],
    ['oci-sandbox compile --action =', ['kill', 'errno', 'log']] as [string, string[]],
    ['oci-sandbox compile --action = kill --out', ['--output']] as [string, string[]],
  ]) {
    const { stdout, stderr, exitCode } = await execa('bash', ['--norc', '-c', script, 'bash', typed], options)
    t.match({ stderr, exitCode }, { stderr: '', exitCode: 0 }, typed)
    const found = stdout.split('\n')
    for (const word of offered) t.ok(found.includes(word), `${typed}: ${word}`)
    for (const word of not) t.notOk(found.includes(word), `${typed}: not ${word}`)
  }
})

test('fish', async (t) => {
  const { options } = await prepare(t)
  for (const [typed, offered, not = []] of CASES) {
    const script = 'oci-sandbox completion fish | source; complete -C $argv[1]'
    const { stdout, stderr, exitCode } = await execa('fish', ['--no-config', '-c', script, typed], options)
    t.match({ stderr, exitCode }, { stderr: '', exitCode: 0 }, typed)
    const found = stdout.split('\n').map((line) => line.split('\t')[0]?.replace(/\/$/, ''))
    for (const word of offered) t.ok(found.includes(word), `${typed}: ${word}`)
    for (const word of not) t.notOk(found.includes(word), `${typed}: not ${word}`)
  }
})

/** An interactive zsh on a pseudo-terminal: the line is typed, and after the tabulator it prints what was offered instead of listing it. */
const ZSH = `
zmodload zsh/zpty || exit 9
zpty shell zsh -f -i
wait_for() { local line; while zpty -r shell line; do [[ $line == *$1* ]] && return; done; exit 8 }
zpty -w shell "PROMPT= RPROMPT=; unsetopt prompt_cr prompt_sp zle_bracketed_paste"
zpty -w shell "fpath=($1 \\$fpath); autoload -Uz compinit && compinit -u -d $1/dump"
zpty -w shell 'compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  print -r -- OFFERED:\${^hits}
  builtin compadd "$@"
}'
zpty -w shell 'finish() { print; print EN""D; zle kill-whole-line }; zle -N finish; bindkey "^X" finish'
zpty -w shell 'print REA""DY'
wait_for READY
zpty -w -n shell "$2"$'\\t\\x18'
while zpty -r shell line; do
  print -r -- "$line"
  [[ $line == *END* ]] && exit 0
done
exit 7
`

test('zsh', async (t) => {
  const { sandbox, options } = await prepare(t)
  const functions = join(sandbox.directory, 'functions')
  mkdirSync(functions)
  writeFileSync(join(functions, '_oci-sandbox'), (await execa(OCI_SANDBOX, ['completion', 'zsh'])).stdout)
  for (const [typed, offered, not = []] of CASES) {
    const { stdout, stderr, exitCode } = await execa('zsh', ['-f', '-c', ZSH, 'zsh', functions, typed], options)
    t.match({ stderr, exitCode }, { stderr: '', exitCode: 0 }, typed)
    const found = [...stdout.matchAll(/OFFERED:(\S+)/g)].map(([, word]) => word?.replace(/\/$/, ''))
    for (const word of offered) t.ok(found.includes(word), `${typed}: ${word}`, { stdout })
    for (const word of not) t.notOk(found.includes(word), `${typed}: not ${word}`)
  }
})

test('completion of a shell that we have none for', async (t) => {
  const sandbox = await Sandbox.create(t)
  t.match(await sandbox.cli('completion', 'tcsh'), { exitCode: 2, stderr: /expected bash, zsh, fish/ })
  t.match(await sandbox.cli('completion'), { exitCode: 2 })
})
