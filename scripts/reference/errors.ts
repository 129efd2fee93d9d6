import { STATUS_CODES } from 'node:http'
import { type ProblemDefinition, problems, problemType } from '../../server/src/http/problems.ts'
import { code, generatedNote, table } from './markdown.ts'

const entries: [string, ProblemDefinition][] = Object.entries(problems)

/** docs/errors.md, from the error catalogue. */
export function errorReference(): string {
  const statuses = [...new Set(entries.map(([, { status }]) => status))].sort((a, b) => a - b)
  return `${generatedNote}

# Errors

Every error is a reply of type \`application/problem+json\` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):

\`\`\`json
{
  "type": "${problemType('validation_failed')}",
  "title": "${problems.validation_failed.title}",
  "status": ${problems.validation_failed.status},
  "code": "validation_failed",
  "errors": [
    { "path": "/password", "code": "too_short", "message": "Must have at least 8 characters." }
  ],
  "request_id": "019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c"
}
\`\`\`

Programs go by \`code\`: a code keeps its meaning and its status, while \`title\`, \`detail\` and \`message\` are for people and may change. \`detail\` says what is wrong this time, \`errors\` names the fields at fault (a JSON pointer into the body, or the name of a parameter), \`retry_after\` is the wait in seconds and the same as the header \`Retry-After\`, which every 429 and 503 has. \`request_id\` finds the request in the log of the service. Some codes add further members.

${statuses.map(section).join('\n\n')}
`
}

function section(status: number): string {
  const rows = entries
    .filter(([, entry]) => entry.status === status)
    .map(([name, { title, description }]) => [code(name), title, description])
  return `## ${status} ${STATUS_CODES[status] ?? ''}\n\n${table(['Code', 'Title', 'When, and what to do'], rows)}`
}
