import { type Static, Type } from 'typebox'

/** One field at fault, in the `errors` of a problem. */
const FieldErrorSchema = Type.Object(
  {
    path: Type.String({
      description:
        'JSON pointer (RFC 6901) to the field in the body; for other parts of the request, their name.',
      examples: ['/email'],
    }),
    code: Type.String({ description: 'Stable, for programs.', examples: ['too_short'] }),
    message: Type.String({ description: 'For people.', examples: ['Must have at least 8 characters.'] }),
    rule: Type.Optional(Type.String({ description: 'The rule of a setting that the value breaks.' })),
    expected: Type.Optional(Type.Unknown({ description: 'What that rule says.' })),
  },
  { additionalProperties: false },
)

export type FieldError = Static<typeof FieldErrorSchema>

/** The body of every error reply: problem details (RFC 9457) with a stable `code`. Some codes add members. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'Identifies the kind of problem; follows from `code`.' }),
    title: Type.String({ description: 'The kind of problem in a few words; the same each time.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status, repeated.' }),
    code: Type.String({ description: 'Stable code, see the error reference.' }),
    detail: Type.Optional(Type.String({ description: 'What is wrong this time, for people.' })),
    instance: Type.Optional(Type.String({ description: 'The path of the request.' })),
    errors: Type.Optional(Type.Array(FieldErrorSchema, { description: 'The fields at fault, all of them.' })),
    retry_after: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Seconds to wait; the same as the `Retry-After` header.' }),
    ),
    request_id: Type.Optional(Type.String({ description: 'Finds this request in the log of the service.' })),
  },
  {
    $id: 'Problem',
    additionalProperties: true,
    description: 'Problem details (RFC 9457).',
    examples: [
      {
        type: 'urn:roster:problem:validation_failed',
        title: 'Invalid input',
        status: 400,
        code: 'validation_failed',
        errors: [{ path: '/password', code: 'too_short', message: 'Must have at least 8 characters.' }],
        request_id: '019b2f6e-5a3c-7c1e-9d0b-0f4a4f1f2b3c',
      },
    ],
  },
)

/** The body of an error reply. Members beyond the standard ones are those that a code adds. */
export type Problem = Static<typeof ProblemSchema> & Record<string, unknown>
