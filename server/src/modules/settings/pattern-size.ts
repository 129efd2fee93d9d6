/** The parts of a pattern in RE2 syntax: quoted text, escape, class, opening (or flags), closing, repetition, rest. */
const parts =
  /\\Q(?<quoted>.*?)(?:\\E|$)|\\(?:[pPx]\{[^}]*\}|.)|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|(?<open>\((?:\?(?:P?<\w+>|[imsU-]*[:)]))?)|(?<close>\))|\{(?<least>\d+)(?<most>,\d*)?\}|./gsu

/** What has been read of a group: the size of it all, and of its last part, to which a repetition applies. */
type Group = { size: number; last: number; own: number }

/**
 * About how many instructions a pattern comes to, read off its text in microseconds: compiling `(?:a?a?…){1000}` to
 * find that it is too large holds everything else for a second. What is no pattern gets some number; compiling tells.
 */
export function estimateProgramSize(source: string): number {
  let group: Group = { size: 0, last: 0, own: 0 }
  const outer: Group[] = []
  const add = (size: number, last = size) => {
    group.size += size
    group.last = last
  }
  for (const { 0: part, groups = {} } of source.matchAll(parts)) {
    const { quoted, open, close, least, most } = groups
    if (quoted !== undefined) add(quoted.length, 1)
    else if (open !== undefined) {
      if (open.endsWith(')')) continue
      outer.push(group)
      group = { size: 0, last: 0, own: open.endsWith(':') ? 0 : 2 }
    } else if (close !== undefined) {
      const { size, own } = group
      group = outer.pop() ?? group
      add(size + own)
    } else if (least !== undefined) add(repeated(group.last, Number(least), most) - group.last, group.last)
    else add(1, /^[*+?]$/.test(part) ? group.last : 1)
  }
  return group.size
}

/** `x{2,5}` is two, and three that may be left out; `x{2,}` is two and a way back, `x{0,}` one and a way around it. */
function repeated(size: number, least: number, most: string | undefined): number {
  if (most === undefined) return Math.max(size * least, 1)
  if (most === ',') return size * Math.max(least, 1) + 1
  const optional = Number(most.slice(1)) - least
  return size * (least + optional) + Math.max(optional, 1)
}
