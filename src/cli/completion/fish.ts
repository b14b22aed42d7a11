import { type Entry, type Flag, firstWords, groupOf, type Kind, POLICIES, quote, valued } from './model.ts'

/** Commands for fish 3 and newer. */
export function fishCompletion(entries: readonly Entry[]): string {
  const firsts = [...firstWords(entries)]
  const groups = firsts.map(([first]) => first).filter((first) => groupOf(entries, first).length > 0)
  const options = entries.flatMap((entry) => entry.flags.map((flag) => option(entry, flag)))
  const operands = entries.filter(({ operand }) => operand !== undefined)
  return `# fish completion for oci-sandbox, made by: oci-sandbox completion fish

# The words before the cursor that are neither options nor their values.
function __oci_sandbox_said
    set -l said
    set -l value no
    for word in (commandline -opc)[2..-1]
        if test $value = yes
            set value no
            continue
        end
        switch $word
            case ${valued(entries).map(quote).join(' ')}
                set value yes
            case '-*'
            case '*'
                set -a said $word
        end
    end
    string join ' ' -- $said
end

function __oci_sandbox_is
    set -l said (__oci_sandbox_said)
    test "$said" = "$argv"; or string match -q -- "$argv *" "$said"
end

function __oci_sandbox_just
    set -l said (__oci_sandbox_said)
    test "$said" = "$argv"
end

function __oci_sandbox_policies
    ${POLICIES}
end

complete -c oci-sandbox -f
complete -c oci-sandbox -n '__oci_sandbox_just ""' -l config -r -F -d 'use this host configuration'
complete -c oci-sandbox -n '__oci_sandbox_just ""' -s h -l help -d 'show help'
complete -c oci-sandbox -n '__oci_sandbox_just ""' -l version -d 'show the version'
${firsts.map(([first, summary]) => command('', first, summary)).join('\n')}
${groups.flatMap((first) => groupOf(entries, first).map(({ words, summary }) => command(first, words[1] as string, summary))).join('\n')}
${operands.map(({ words, operand }) => `complete -c oci-sandbox -n ${quote(`__oci_sandbox_is ${words.join(' ')}`)} ${values(operand as Kind, false)}`).join('\n')}
${options.join('\n')}
`
}

function command(before: string, name: string, summary: string): string {
  const condition = `__oci_sandbox_just "${before}"`
  return `complete -c oci-sandbox -n ${quote(condition)} -a ${name} -d ${quote(summary)}`
}

function option({ words }: Entry, { long, short, help, value }: Flag): string {
  const names = [...(short === undefined ? [] : [`-s ${short}`]), `-l ${long}`].join(' ')
  const more = value === undefined ? '' : ` -r ${values(value, true)}`
  return `complete -c oci-sandbox -n ${quote(`__oci_sandbox_is ${words.join(' ')}`)} ${names}${more} -d ${quote(help)}`
}

function values(kind: Kind, option: boolean): string {
  if (typeof kind !== 'string') return `-a ${quote(kind.join(' '))}`
  if (kind === 'file') return '-F'
  if (kind === 'directory') return "-a '(__fish_complete_directories)'"
  if (kind === 'policy') return "-a '(__oci_sandbox_policies)'"
  return option ? '-x' : ''
}
