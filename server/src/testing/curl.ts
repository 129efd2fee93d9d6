/** What a curl command line would have got. */
// biome-ignore lint/suspicious/noExplicitAny: replies of every shape
export type CurlReply = { status: number; body: any; text: string }

/**
 * Runs a curl command as documentation shows it, with `fetch`: `-X`, `-H`, `-d` and a URL, over several lines.
 * @param replace what to put in place of parts that a reader would fill in, such as a host or a token
 */
export async function curl(
  command: string,
  replace: Readonly<Record<string, string>> = {},
): Promise<CurlReply> {
  let text = command
  for (const [placeholder, value] of Object.entries(replace)) text = text.replaceAll(placeholder, value)
  const { url, method, headers, body } = parseCurl(text)
  const reply = await fetch(url, { method, headers, redirect: 'manual', ...(body !== undefined && { body }) })
  const received = await reply.text()
  const isJson = reply.headers.get('content-type')?.includes('json')
  return { status: reply.status, text: received, body: isJson && received ? JSON.parse(received) : undefined }
}

/** The curl commands in the `bash` blocks of a Markdown text, in order. */
export function curlCommands(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/```(?:bash|sh)\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
  return blocks.flatMap(block => block.split(/\n(?=curl )/).filter(command => /^curl /.test(command.trim())))
}

function parseCurl(command: string) {
  const words = shellWords(command.replace(/^(#.*\n)+/, '').trim())
  const headers: Record<string, string> = {}
  let method: string | undefined
  let body: string | undefined
  let url = ''
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'curl' || /^-[sSfi]+$/.test(word)) continue
    if (word === '-X') method = words.shift()
    else if (word === '-d' || word === '--data-urlencode') body = words.shift()
    else if (word === '-H') {
      const [name = '', ...value] = (words.shift() ?? '').split(':')
      headers[name] = value.join(':').trim()
    } else if (word.startsWith('-')) throw new Error(`curl option ${word} is not known here`)
    else url = word
  }
  return { url, method: method ?? (body === undefined ? 'GET' : 'POST'), headers, body }
}

/** Words as a shell splits them: quotes of both kinds, and lines continued by a backslash. */
function shellWords(text: string): string[] {
  const words = text.replaceAll('\\\n', ' ').matchAll(/(?:'[^']*'|"(?:[^"\\]|\\.)*"|[^\s'"])+/g)
  return [...words].map(([word]) =>
    word.replace(
      /'([^']*)'|"((?:[^"\\]|\\.)*)"/g,
      (_, single, double) => single ?? double.replace(/\\(.)/g, '$1'),
    ),
  )
}
