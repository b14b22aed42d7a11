import { type Entry, firstWords, groupOf, type Kind, POLICIES, quote, spellings, valued } from './model.ts'

/** A script for bash 4 and newer; it needs no other package. */
export function bashCompletion(entries: readonly Entry[]): string {
  const groups = [...firstWords(entries).keys()].filter((first) => groupOf(entries, first).length > 0)
  // Those of two words first, so that the longer one is found.
  const sorted = entries.toSorted((a, b) => b.words.length - a.words.length)
  return `# bash completion for oci-sandbox, made by: oci-sandbox completion bash

_oci_sandbox() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous= command= options= kind= word index
  local -a said=()
  COMPREPLY=()
  # The words before this one that are neither options nor their values. bash breaks --name=value at the sign.
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    previous=
    case $word in
      ${valued(entries).join(' | ')})
        previous=$word
        [[ \${COMP_WORDS[index + 1]} == = ]] && ((index++))
        ((index++))
        ((index < COMP_CWORD)) && previous= ;;
      -*) ;;
      *) said+=("$word") ;;
    esac
  done
  [[ $current == = ]] && current=
  case "\${said[*]} " in
${sorted.map(branch).join('\n')}
${groups.map((first) => `    '${first} '*) kind=${quote(wordList(groupOf(entries, first).map(({ words }) => words[1] as string)))} ;;`).join('\n')}
    *) options='--config --help --version' kind=${quote(wordList([...firstWords(entries).keys()]))} ;;
  esac
  if [[ -n $previous ]]; then
    options=
    case "$command $previous" in
${entries.flatMap(valueBranches).join('\n')}
      *' --config') kind=file ;;
      *) kind=any ;;
    esac
  fi
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi
  case $kind in
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    policy) mapfile -t COMPREPLY < <(compgen -W "$(${POLICIES})" -- "$current") ;;
    'words '*) mapfile -t COMPREPLY < <(compgen -W "\${kind#words }" -- "$current") ;;
  esac
}

complete -F _oci_sandbox oci-sandbox
`
}

function branch({ words, flags, operand }: Entry): string {
  const name = words.join(' ')
  const options = flags.flatMap(spellings).join(' ')
  return `    '${name} '*) command='${name}' options=${quote(options)} kind=${quote(word(operand))} ;;`
}

function valueBranches({ words, flags }: Entry): string[] {
  return flags
    .filter(({ value }) => value !== undefined)
    .flatMap((flag) => {
      const patterns = spellings(flag).map((spelling) => quote(`${words.join(' ')} ${spelling}`))
      return `      ${patterns.join(' | ')}) kind=${quote(word(flag.value))} ;;`
    })
}

function word(kind: Kind | undefined): string {
  if (kind === undefined) return ''
  return typeof kind === 'string' ? kind : wordList(kind)
}

function wordList(words: readonly string[]): string {
  return `words ${words.join(' ')}`
}
