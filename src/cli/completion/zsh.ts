import { type Entry, type Flag, firstWords, groupOf, type Kind, POLICIES, quote } from './model.ts'

/** A function for zsh's completion system, to be put as _oci-sandbox into a directory of $fpath. */
export function zshCompletion(entries: readonly Entry[]): string {
  const firsts = firstWords(entries)
  return `#compdef oci-sandbox
# zsh completion for oci-sandbox, made by: oci-sandbox completion zsh

_oci-sandbox_policies() {
  local -a names
  names=(\${(f)"$(${POLICIES})"})
  _wanted policies expl policy compadd -a names
}

_oci-sandbox() {
  local curcontext=$curcontext state line expl
  local -a commands
  typeset -A opt_args
  _arguments -C \\
    '--config[use this host configuration]:file:_files' \\
    '(- *)'{-h,--help}'[show help]' \\
    '(- *)--version[show the version]' \\
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command)
${describe([...firsts].map(([name, summary]) => [name, summary] as const))}
      ;;
    rest)
      case $words[1] in
${[...firsts.keys()].map((first) => branch(entries, first)).join('\n')}
      esac
      ;;
  esac
}

_oci-sandbox "$@"
`
}

function branch(entries: readonly Entry[], first: string): string {
  const group = groupOf(entries, first)
  const single = entries.find(({ words }) => words.length === 1 && words[0] === first)
  if (group.length === 0) return `        ${first})\n${single === undefined ? '' : call(single, 10)}\n          ;;`
  const rows = group.map(({ words, summary }) => [words[1] as string, summary] as const)
  return `        ${first})
          _arguments -C '1: :->command' '*:: :->rest'
          case $state in
            command)
${describe(rows)}
              ;;
            rest)
              case $words[1] in
${group.map((entry) => `                ${entry.words[1]})\n${call(entry, 18)}\n                  ;;`).join('\n')}
              esac
              ;;
          esac
          ;;`
}

function describe(rows: readonly (readonly [string, string])[]): string {
  const items = rows.map(([name, summary]) => `        ${quote(`${name}:${summary}`)}`)
  return `      commands=(\n${items.join('\n')}\n      )\n      _describe -t commands command commands`
}

function call({ flags, operand }: Entry, indent: number): string {
  const specs = [...flags.map(specOf), ...(operand === undefined ? [] : [quote(`*: :${action(operand)}`)])]
  const margin = ' '.repeat(indent)
  return `${margin}_arguments -s \\\n${specs.map((spec) => `${margin}  ${spec}`).join(' \\\n')}`
}

function specOf({ long, short, help, value }: Flag): string {
  const names = short === undefined ? `'--${long}` : `'(-${short} --${long})'{-${short},--${long}}'`
  const text = `[${help.replace(/[[\]\\:]/g, '\\$&')}]`
  return `${names}${quote(`${text}${value === undefined ? '' : `: :${action(value)}`}`).slice(1)}`
}

function action(kind: Kind): string {
  if (typeof kind !== 'string') return `(${kind.join(' ')})`
  return { file: '_files', directory: '_files -/', policy: '_oci-sandbox_policies', any: ' ' }[kind]
}
