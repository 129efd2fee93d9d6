export type Keyword = 'stop' | 'start' | 'help'

/** Twilio's default words, as its documentation lists them. */
const words: Readonly<Record<Keyword, readonly string[]>> = {
  stop: ['STOP', 'STOPALL', 'UNSUBSCRIBE', 'CANCEL', 'END', 'QUIT', 'REVOKE', 'OPTOUT'],
  start: ['START', 'YES', 'UNSTOP'],
  help: ['HELP', 'INFO'],
}

/** What a message that is one of these words, and nothing else, asks for. */
export function keywordOf(text: string): Keyword | undefined {
  const word = text.trim().toUpperCase()
  return (['stop', 'start', 'help'] as const).find(keyword => words[keyword].includes(word))
}
