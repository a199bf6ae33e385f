/** Completion in a shell: a script for the shell, which asks the command itself what it may offer. */
import { PeerError } from '../../lib/errors.js';
import type { Arguments } from './arguments.js';

export const SHELLS = ['bash', 'zsh'] as const;

/** Asks for completions: the shell, and the words of the command line up to the one that is completed follow. */
export const COMPLETIONS = '--get-completions';

const SCRIPTS = {
  bash: `# Completion of COMMAND in bash: COMMAND --completion bash >> ~/.bashrc
_FUNCTION() {
  local word="\${COMP_WORDS[COMP_CWORD]}" all
  all="$(COMMAND ${COMPLETIONS} bash "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2> /dev/null)"
  COMPREPLY=($(compgen -W "$all" -- "$word"))
}
complete -o bashdefault -o default -F _FUNCTION COMMAND
`,
  zsh: `#compdef COMMAND
# Completion of COMMAND in zsh: COMMAND --completion zsh > _COMMAND, in a folder of $fpath
_FUNCTION() {
  local -a all
  all=("\${(@f)$(COMMAND ${COMPLETIONS} zsh "\${(@)words[1,CURRENT]}" 2> /dev/null)}")
  if [[ -n "$all" ]]; then _describe option all; else _files; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _FUNCTION "$@"; else compdef _FUNCTION COMMAND; fi
`,
};

/** @throws PeerError ERR_USAGE */
export function completionScript(name: string, shell: string): string {
  const known = SHELLS.find((one) => one === shell);
  if (known === undefined) {
    throw new PeerError('ERR_USAGE', `--completion is one of ${SHELLS.join(', ')}`);
  }
  return SCRIPTS[known]
    .replaceAll('FUNCTION', name.replaceAll('-', '_'))
    .replaceAll('COMMAND', name);
}

/**
 * What a shell may put in place of the last of `words`: values of the option before it, or options for a word that
 * begins as one; nothing where the shell offers files.
 *
 * @returns lines: for zsh with descriptions, as its _describe reads them
 */
export function completions(takes: Arguments, shell: string, words: readonly string[]): string[] {
  const word = words.at(-1) ?? '';
  const [, option] = /^--?(.+)$/.exec(words.at(-2) ?? '') ?? [];
  const { choices } = (option === undefined ? undefined : takes.find(option)?.[1]) ?? {};
  if (choices !== undefined) return [...choices];
  if (!word.startsWith('-')) return [];
  return [...takes.options].flatMap(([name, { type, describe, default: value }]) => {
    const names =
      type === 'boolean' && value === true ? [`--${name}`, `--no-${name}`] : [`--${name}`];
    return shell === 'zsh'
      ? names.map((one) => `${one}:${describe.replaceAll(':', '\\:')}`)
      : names;
  });
}
