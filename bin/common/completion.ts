/** Completion in a shell: a script for the shell, which asks the command itself by an option of yargs. */
import { PeerError } from '../../lib/errors.js';

export const SHELLS = ['bash', 'zsh'] as const;

/** The option of yargs; the words of the command line follow, up to the one that is completed. */
export const COMPLETIONS = '--get-yargs-completions';

// yargs goes by $SHELL, the login shell, which need not be the one that asks: for zsh it adds descriptions.
const SCRIPTS = {
  bash: `# Completion of COMMAND in bash: COMMAND --completion bash >> ~/.bashrc
_FUNCTION() {
  local word="\${COMP_WORDS[COMP_CWORD]}" all
  all="$(SHELL=bash ZSH_NAME= COMMAND ${COMPLETIONS} "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2> /dev/null)"
  COMPREPLY=($(compgen -W "$all" -- "$word"))
}
complete -o bashdefault -o default -F _FUNCTION COMMAND
`,
  zsh: `#compdef COMMAND
# Completion of COMMAND in zsh: COMMAND --completion zsh > _COMMAND, in a folder of $fpath
_FUNCTION() {
  local -a all
  all=("\${(@f)$(SHELL=zsh COMMAND ${COMPLETIONS} "\${(@)words[1,CURRENT]}" 2> /dev/null)}")
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

/** Of what yargs offers: options only for a word that begins as one; else the shell offers files. */
export function offered(lines: readonly string[], word: string): string[] {
  return word.startsWith('-') ? [...lines] : lines.filter((line) => !line.startsWith('-'));
}
